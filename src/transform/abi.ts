import type { Domain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import { readNumber } from '../model/numbers.ts';
import { actualTypeOf } from '../resolve/actual.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import type { XmlElement } from '../xml/document.ts';

/**
 * What of a document's network side libvirt would not let replace another's on `migrate` and `restore`, one line each: it
 * compares interfaces and host devices one by one, by what the guest sees of them (virDomainNetDefCheckABIStability,
 * virDomainHostdevDefCheckABIStability). The host side may be anything.
 */
export function findAbiBreaks(before: Domain, after: Domain, findNetwork: NetworkLookup): string[] {
  const counts = compare('number of interfaces', before.interfaces.length, after.interfaces.length);
  if (counts.length > 0) return counts;
  return [
    ...before.interfaces.flatMap((iface, index) => compareInterfaces(iface, after.interfaces[index]!, findNetwork)),
    ...compareHostdevs(before, after),
  ];
}

function compareInterfaces(before: Interface, after: Interface, findNetwork: NetworkLookup): string[] {
  const name = `interface ${before.mac ?? before.index}`;
  const both = <T>(read: (iface: Interface) => T): [T, T] => [read(before), read(after)];
  return [
    ...compare(`${name}: MAC`, before.mac, after.mac),
    ...compare(`${name}: model`, ...both(iface => modelOf(iface, findNetwork))),
    ...compare(`${name}: MTU`, before.mtu ?? 0, after.mtu ?? 0),
    ...compare(`${name}: virtio options`, ...both(({ element }) => virtioOptions(element))),
    ...compare(`${name}: guest address`, ...both(({ element }) => guestAddress(element))),
    ...compare(`${name}: ACPI index`, ...both(({ element }) => acpiIndex(element))),
  ];
}

/** Every interface that is a host device by its own type, then the plain ones: libvirt's list. */
function compareHostdevs(before: Domain, after: Domain): string[] {
  const list = ({ interfaces, hostdevs }: Domain) => [
    ...interfaces.filter(({ type }) => type === 'hostdev').map(({ element }) => ({ element, kind: 'subsystem pci' })),
    ...hostdevs.map(({ element, type }) => ({ element, kind: `${element.attribute('mode') ?? 'subsystem'} ${type}` })),
  ];
  const [were, are] = [list(before), list(after)];
  const counts = compare('number of host devices', were.length, are.length);
  if (counts.length > 0) return counts;
  return were.flatMap((was, index) => {
    const is = are[index]!;
    return [
      ...compare(`host device ${index}: kind`, was.kind, is.kind),
      ...compare(`host device ${index}: guest address`, guestAddress(was.element), guestAddress(is.element)),
      ...compare(`host device ${index}: ACPI index`, acpiIndex(was.element), acpiIndex(is.element)),
    ];
  });
}

function compare<T>(what: string, before: T, after: T): string[] {
  return before === after ? [] : [`${what} ${show(after)} instead of ${show(before)}`];
}

function show(value: unknown): string {
  return value === undefined || value === '' ? 'none' : `'${value}'`;
}

/** A card without a model gets libvirt's default, a host device has none; a network that is not known counts as no pool. */
function modelOf({ type, model, source }: Interface, findNetwork: NetworkLookup): string | undefined {
  if (model !== undefined) return model;
  const state = type === 'network' ? findNetwork(source.network ?? '') : undefined;
  const isHostdev = type === 'hostdev' || (state !== undefined && actualTypeOf(state.network) === 'hostdev');
  return isHostdev ? undefined : "libvirt's default";
}

/** That there is a `<driver>` counts, and these of its attributes. */
function virtioOptions(element: XmlElement): string {
  const driver = element.child('driver');
  if (driver === undefined) return '';
  return `driver ${['iommu', 'ats', 'packed', 'page_per_vq'].flatMap(name => driver.attribute(name) ?? '-').join(' ')}`;
}

const placeNumbers: Readonly<Record<string, readonly string[]>> = {
  pci: ['domain', 'bus', 'slot', 'function'],
  ccw: ['cssid', 'ssid', 'devno'],
};

/** Numbers may be spelt in more than one way. */
function guestAddress(element: XmlElement): string {
  const address = element.child('address');
  if (address === undefined) return '';
  const type = address.attribute('type') ?? '';
  return [type, ...(placeNumbers[type] ?? []).map(name => readNumber('the guest', address, name) ?? 0)].join(' ');
}

function acpiIndex(element: XmlElement): number {
  const acpi = element.child('acpi');
  return (acpi && readNumber('the guest', acpi, 'index')) ?? 0;
}
