import type { Domain } from '../model/domain.ts';
import { type PciAddress, parsePciAddress } from '../model/pci-address.ts';
import { ActualnetError } from '../report/error.ts';
import type { GuestView } from '../transform/guest-view.ts';
import type { XmlElement } from '../xml/document.ts';

/** A device of a guest, found. */
export interface Found {
  /** For messages: `interface 52:54:...` or `host device 0000:5e:02.1`. */
  readonly name: string;
  readonly alias: string;
  readonly mac: string | undefined;
  /** The host device behind it. */
  readonly address: PciAddress | undefined;
  readonly guestAddress: string | undefined;
  readonly isHostDevice: boolean;
  /** libvirt binds its driver, and gives it back. */
  readonly managed: boolean;
  readonly element: XmlElement;
}

/**
 * The one device that `selector` names: a MAC, an alias, or a PCI address on the host or in the guest. An interface that is a
 * host device is found as the interface, from whichever side it is named. Throws `DEVICE_MISSING` for none or several.
 */
export function findDevice(domain: Domain, view: GuestView, selector: string): Found {
  const wanted = selector.toLowerCase();
  const address = parsePciAddress(wanted);
  const found = listDevices(domain, view).filter(
    each =>
      each.alias === selector ||
      each.mac === wanted ||
      (address !== undefined && (each.address === address || each.guestAddress === address)),
  );
  const [first, ...others] = found;
  if (first === undefined) {
    throw new ActualnetError('DEVICE_MISSING', `${domain.owner} has no interface or PCI host device '${selector}'`, {
      hint: 'give its MAC, its alias, or its PCI address on the host or in the guest',
    });
  }
  if (others.length > 0) {
    const names = found.map(({ alias }) => alias).join(', ');
    throw new ActualnetError('DEVICE_MISSING', `${domain.owner} has several devices '${selector}': ${names}`, {
      hint: 'give the alias',
    });
  }
  return first;
}

/** Interfaces, and the host devices that are none. */
export function listDevices(domain: Domain, view: GuestView): Found[] {
  const plain = view.hostdevs.filter(entry => entry.interface === null);
  return [
    ...view.interfaces.map(({ index, mac, alias, guestAddress, actual }) => ({
      name: `interface ${mac ?? index}`,
      alias,
      mac: mac ?? undefined,
      address: view.hostdevs.find(entry => entry.interface === index)?.address,
      guestAddress,
      isHostDevice: actual?.type === 'hostdev',
      managed: actual?.type === 'hostdev' && actual.managed,
      element: domain.interfaces[index]!.element,
    })),
    ...domain.hostdevs.flatMap(({ type, element, managed }, index) => {
      const { alias = '', address, guestAddress } = plain[index] ?? {};
      return type !== 'pci'
        ? []
        : {
            name: `host device ${address ?? alias}`,
            alias,
            mac: undefined,
            address,
            guestAddress,
            isHostDevice: true,
            managed,
            element,
          };
    }),
  ];
}
