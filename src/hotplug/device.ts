import { type Domain, type Hostdev, readDomain } from '../model/domain.ts';
import { type Interface, isUserAlias } from '../model/interface.ts';
import type { MacAddress } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import { addChildren } from '../transform/elements.ts';
import { parseXml, type XmlDocument } from '../xml/document.ts';
import { applyEdits } from '../xml/edit.ts';
import { escapeAttribute } from '../xml/escape.ts';

/** A device that is to be attached: as the model has it, and the document for libvirt. */
export type NewDevice = { readonly xml: string } & (
  | { readonly kind: 'interface'; readonly iface: Interface & { readonly mac: MacAddress } }
  | { readonly kind: 'hostdev'; readonly hostdev: Hostdev & { readonly address: NonNullable<Hostdev['address']> } }
);

/**
 * Reads an `<interface>` or a PCI `<hostdev>` for the guest of that name. An interface without a MAC gets `newMac`, since it
 * has to be known by something. Throws `XML_KIND` for another document, `XML_VALUE` for what libvirt would refuse.
 */
export function readNewDevice(document: XmlDocument, guest: string, newMac: () => MacAddress): NewDevice {
  const { root } = document;
  if (root.name === 'interface') {
    const given = root.child('mac')?.attribute('address') !== undefined;
    const mac = { name: 'mac', attributes: given ? {} : { address: newMac() } };
    const complete = given ? document : applyEdits(document, addChildren(root, [mac], 'a MAC to know it by'));
    const [iface] = readAlone(complete, guest).interfaces;
    return { kind: 'interface', xml: complete.root.outerXml, iface: iface as Interface & { mac: MacAddress } };
  }
  if (root.name !== 'hostdev')
    throw new ActualnetError('XML_KIND', `the document is a <${root.name}>, not an <interface> or <hostdev>`);
  const [hostdev] = readAlone(document, guest).hostdevs;
  if (hostdev?.type !== 'pci' || hostdev.address === undefined)
    throw new ActualnetError('XML_KIND', 'only PCI host devices are attached here', {
      hint: "use 'virsh attach-device'",
    });
  return { kind: 'hostdev', xml: root.outerXml, hostdev: { ...hostdev, address: hostdev.address } };
}

/** In a definition: as libvirt reads it, which drops what only a live document can say. */
function readAlone({ root }: XmlDocument, guest: string): Domain {
  const name = escapeAttribute(guest);
  return readDomain(parseXml(`<domain><name>${name}</name><devices>${root.outerXml}</devices></domain>`));
}

/** The guest with the device at the end of its list, where libvirt will put it. */
export function withDevice(domain: Domain, device: NewDevice): Domain {
  if (device.kind === 'hostdev') return { ...domain, hostdevs: [...domain.hostdevs, device.hostdev] };
  const { length } = domain.interfaces;
  return { ...domain, interfaces: [...domain.interfaces, { ...device.iface, index: length }] };
}

/** For messages. */
export function nameOfNew(device: NewDevice): string {
  return device.kind === 'interface' ? `interface ${device.iface.mac}` : `host device ${device.hostdev.address}`;
}

/** The alias the administrator gave it; others libvirt gives. */
export function givenAlias(device: NewDevice): string | undefined {
  const { alias } = device.kind === 'interface' ? device.iface : device.hostdev;
  return alias !== undefined && isUserAlias(alias) ? alias : undefined;
}
