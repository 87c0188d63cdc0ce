import type { XmlElement } from '../xml/document.ts';
import { type Owner, readInteger, readRequired } from './values.ts';

/** A PCI address as sysfs and QEMU spell it: `0000:03:00.1`. Equal addresses are equal strings. */
export type PciAddress = string & { readonly brand: 'PciAddress' };

/** Reads the attributes of an `<address>`; `domain` may be missing and is then 0, as in libvirt. */
export function readPciAddress(owner: Owner, element: XmlElement): PciAddress {
  readRequired(owner, element, 'bus');
  readRequired(owner, element, 'slot');
  readRequired(owner, element, 'function');
  const number = (attribute: string, max: number) => readInteger(owner, element, attribute, { min: 0, max }) ?? 0;
  const hex = (value: number, width: number) => value.toString(16).padStart(width, '0');
  const domain = hex(number('domain', 0xffffffff), 4);
  const bus = hex(number('bus', 0xff), 2);
  const slot = hex(number('slot', 0x1f), 2);
  return `${domain}:${bus}:${slot}.${number('function', 7)}` as PciAddress;
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
