import type { Domain } from '../model/domain.ts';
import { isUserAlias } from '../model/interface.ts';
import { type PciAddress, parsePciAddress } from '../model/pci-address.ts';
import { ActualnetError } from '../report/error.ts';
import type { GuestView } from '../transform/guest-view.ts';
import type { XmlElement } from '../xml/document.ts';

/** A device of a running guest, found. */
export interface Found {
  /** For messages: `interface 52:54:...` or `host device 0000:5e:02.1`. */
  readonly name: string;
  readonly alias: string;
  readonly mac: string | undefined;
  /** The host device behind it. */
  readonly address: PciAddress | undefined;
  readonly guestAddress: string | undefined;
  /** libvirt binds its driver, and gives it back. */
  readonly managed: boolean;
  readonly element: XmlElement;
}

/** What a device can be named by. */
type Named = Pick<Found, 'mac' | 'address' | 'guestAddress'> & { readonly alias: string | undefined };

/** A device as a definition has it: what is written there, and nothing that libvirt will choose at a start. */
export interface Written extends Named {
  readonly element: XmlElement;
}

/**
 * The one device that `selector` names: a MAC, an alias, or a PCI address on the host or in the guest. An interface that is a
 * host device is found as the interface, from whichever side it is named. Throws `DEVICE_MISSING` for none or several.
 */
export function findDevice(domain: Domain, view: GuestView, selector: string): Found {
  const found = listDevices(domain, view).filter(namedBy(selector));
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

/**
 * The one device of a definition that `selector` names, by what is written there or by what the running guest's device is:
 * only that one has libvirt's aliases and the addresses from a pool. Throws `DEVICE_MISSING` for none or several, and if both
 * are meant for two that are not the same.
 */
export function findDefined(
  defined: Domain,
  selector: string,
  { running, isBoth }: { readonly running: readonly Found[]; readonly isBoth: boolean },
): Written {
  const written = listWritten(defined);
  const isNamed = namedBy(selector);
  const ofRunning = running.filter(isNamed).flatMap(found => counterparts(found, written));
  const [first, ...others] = written.filter(each => isNamed(each) || ofRunning.includes(each));
  if (first === undefined)
    throw new ActualnetError('DEVICE_MISSING', `the definition of ${defined.owner} has no device '${selector}'`);
  if (others.length > 0) {
    throw new ActualnetError('DEVICE_MISSING', `the definition of ${defined.owner} has several devices '${selector}'`, {
      hint: 'give the alias, or the PCI address in the guest',
    });
  }
  if (isBoth && !ofRunning.includes(first)) {
    const what = `${defined.owner} does not have, as it runs, the device that is '${selector}' in its definition`;
    throw new ActualnetError('DEVICE_MISSING', what, { hint: "with '--config' alone the definition is changed" });
  }
  return first;
}

/** The interfaces and PCI host devices of a definition. */
export function listWritten({ interfaces, hostdevs }: Domain): Written[] {
  return [
    ...interfaces.map(({ mac, alias, hostDevice, guestAddress, element }) => ({
      mac,
      alias,
      address: hostDevice?.address,
      guestAddress,
      element,
    })),
    ...hostdevs.flatMap(({ type, alias, address, guestAddress, element }) =>
      type === 'pci' ? { mac: undefined, alias, address, guestAddress, element } : [],
    ),
  ];
}

/** The same device in the definition. Twins have one MAC: what both sides say beyond it tells them apart. */
function counterparts(found: Found, written: readonly Written[]): Written[] {
  const networkOf = ({ element }: { readonly element: XmlElement }) => element.child('source')?.attribute('network');
  const isOther = ({ alias }: Written) => alias !== undefined && isUserAlias(found.alias) && alias !== found.alias;
  const same = written.filter(
    each => each.mac === found.mac && (found.mac !== undefined || each.address === found.address) && !isOther(each),
  );
  const clues: ((each: Written) => boolean)[] = [
    ({ alias }) => alias === found.alias,
    ({ guestAddress }) => guestAddress !== undefined && guestAddress === found.guestAddress,
    each => networkOf(each) === networkOf(found),
  ];
  return clues.reduce((left, isSame) => {
    const told = left.filter(isSame);
    return told.length > 0 ? told : left;
  }, same);
}

function namedBy(selector: string): (device: Named) => boolean {
  const mac = selector.toLowerCase();
  const wanted = parsePciAddress(selector);
  return ({ alias, mac: own, address, guestAddress }) =>
    alias === selector || own === mac || (wanted !== undefined && (address === wanted || guestAddress === wanted));
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
            managed,
            element,
          };
    }),
  ];
}
