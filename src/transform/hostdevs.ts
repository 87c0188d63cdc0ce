import type { Domain } from '../model/domain.ts';
import type { HostDevice } from '../model/host-device.ts';
import { dropUndefined } from '../model/values.ts';
import type { InterfaceResolution } from '../resolve/guest.ts';
import { hostdevRefusal } from '../resolve/hostdev.ts';
import { viewError } from './error-view.ts';
import type { GuestView, HostdevView } from './guest-view.ts';

/**
 * libvirt's host device list: one entry for each `<interface type='hostdev'>` in interface order, then the plain
 * `<hostdev>` elements, then the devices that come from a network, appended when they are allocated. An entry that
 * belongs to an interface shares its alias.
 */
export function listHostdevs(
  domain: Domain,
  resolutions: readonly InterfaceResolution[],
  aliases: { readonly interfaces: readonly string[]; readonly hostdevs: readonly string[] },
): HostdevView[] {
  const deviceOf = ({ iface, actual }: InterfaceResolution): Pick<HostDevice, 'type' | 'address'> | undefined => {
    const inDocument = (iface.actual ?? iface).hostDevice;
    return inDocument ?? (actual?.type === 'hostdev' ? { ...actual, type: 'pci' } : undefined);
  };
  const ofInterface = (resolution: InterfaceResolution): Omit<HostdevView, 'index'>[] => {
    const device = deviceOf(resolution);
    if (device === undefined) return [];
    const { index, guestAddress } = resolution.iface;
    const { type, address } = device;
    const alias = aliases.interfaces[index]!;
    return [dropUndefined({ type, address, alias, guestAddress, interface: index })];
  };
  const isInDocument = ({ iface }: InterfaceResolution) => (iface.actual ?? iface).hostDevice !== undefined;
  const plain = domain.hostdevs.map((hostdev, index) => {
    const { type, address, guestAddress } = hostdev;
    const refusal = hostdevRefusal(hostdev, domain);
    const error = refusal && viewError(refusal);
    return dropUndefined({ type, address, alias: aliases.hostdevs[index]!, guestAddress, interface: null, error });
  });
  return [
    ...resolutions.filter(isInDocument).flatMap(ofInterface),
    ...plain,
    ...resolutions.filter(resolution => !isInDocument(resolution)).flatMap(ofInterface),
  ].map((entry, index) => ({ index, ...entry }));
}

/**
 * The rules that the interface list and the hostdev list must keep together at every moment: an interface that is a
 * host device has exactly one entry, under the same alias and address; nothing has an entry twice; no alias is used
 * twice. Returns one line for each broken rule.
 */
export function checkHostdevs(view: Pick<GuestView, 'interfaces' | 'hostdevs'>): string[] {
  const findings: string[] = [];
  for (const { index, mac, alias, actual } of view.interfaces) {
    const name = `interface ${mac ?? index}`;
    const entries = view.hostdevs.filter(entry => entry.interface === index);
    if (actual === null) continue;
    if (actual.type !== 'hostdev') {
      if (entries.length > 0) findings.push(`${name} is no host device but has a hostdev entry`);
      continue;
    }
    if (entries.length !== 1) findings.push(`${name} has ${entries.length} hostdev entries instead of one`);
    for (const entry of entries) {
      if (entry.alias !== alias)
        findings.push(`${name} has alias '${alias}' but its hostdev entry has '${entry.alias}'`);
      const address = 'address' in actual ? actual.address : undefined;
      if (entry.address !== address) {
        findings.push(
          `${name} is ${address ?? 'without address'} but its hostdev entry is ${entry.address ?? 'without address'}`,
        );
      }
    }
  }
  const addresses = view.hostdevs.flatMap(({ address }) => address ?? []);
  for (const address of repeated(addresses)) findings.push(`PCI device ${address} is assigned twice`);
  const plain = view.hostdevs.filter(entry => entry.interface === null);
  const aliases = [...view.interfaces, ...plain].map(({ alias }) => alias);
  for (const alias of repeated(aliases)) findings.push(`alias '${alias}' is used twice`);
  const places = [...view.interfaces, ...plain].flatMap(({ guestAddress }) => guestAddress ?? []);
  for (const place of repeated(places)) findings.push(`guest address ${place} is used twice`);
  return findings;
}

function repeated<T>(values: readonly T[]): Set<T> {
  const seen = new Set<T>();
  return new Set(values.filter(value => seen.has(value) || !seen.add(value)));
}
