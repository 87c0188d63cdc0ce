import type { XmlElement } from '../xml/document.ts';
import { readNumber } from './numbers.ts';
import type { Owner } from './values.ts';

/** A PCI address as sysfs and QEMU spell it: `0000:03:00.1`. Equal addresses are equal strings. */
export type PciAddress = string & { readonly brand: 'PciAddress' };

/** Reads the attributes of an `<address>`; what is not written is 0, as in libvirt, the whole element included. */
export function readPciAddress(owner: Owner, element: XmlElement | undefined): PciAddress {
  const hex = (attribute: string, width: number) =>
    ((element && readNumber(owner, element, attribute)) ?? 0).toString(16).padStart(width, '0');
  return `${hex('domain', 4)}:${hex('bus', 2)}:${hex('slot', 2)}.${hex('function', 1)}` as PciAddress;
}

/** All zeros: where libvirt wants an address it takes this one for none. */
export function isEmptyAddress(address: PciAddress): boolean {
  return /^[0:.]*$/.test(address);
}

/** Whether `text` is an address in sysfs's spelling. */
export function isPciAddress(text: string): text is PciAddress {
  return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(text);
}

/** An address as QEMU takes it, with or without its domain; undefined if it is none. */
export function parsePciAddress(text: string): PciAddress | undefined {
  const [, domain = '0', bus = '', slot = '', fn = ''] =
    /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(text) ?? [];
  const pad = (hex: string, width: number) => hex.toLowerCase().padStart(width, '0');
  const address = `${pad(domain, 4)}:${pad(bus, 2)}:${pad(slot, 2)}.${fn}`;
  return isPciAddress(address) ? address : undefined;
}

/** The four attributes in libvirt's spelling: `domain='0x0000' bus='0x03' slot='0x00' function='0x1'`. */
export function pciAddressAttributes(address: PciAddress): Record<'domain' | 'bus' | 'slot' | 'function', string> {
  const [domain, bus, rest] = address.split(':') as [string, string, string];
  const [slot, fn] = rest.split('.') as [string, string];
  return { domain: `0x${domain}`, bus: `0x${bus}`, slot: `0x${slot}`, function: `0x${fn}` };
}
