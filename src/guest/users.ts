import type { Memory } from '../host/state/memory.ts';
import type { Domain } from '../model/domain.ts';
import type { NetworkPort } from '../model/network-port.ts';
import type { Uuid } from '../model/values.ts';
import { foldRecord } from './record.ts';

/** Where it is written who uses what. */
export interface UserSources {
  readonly memory: Pick<Memory, 'listRecords' | 'recordMentions' | 'readRecord' | 'listAnnouncements'>;
  /** What libvirt's own files say, at least of guests and ports with host devices or macvtaps. */
  readonly running: () => readonly Domain[];
  readonly ports: () => readonly { readonly network: string; readonly port: NetworkPort }[];
}

/** Somebody who says that he uses a device, and how that is known. */
export interface User {
  readonly who: string;
  readonly by: string;
}

/** The users of host devices, by PCI address or by the link below a macvtap; of one guest or of all others where that is asked for. */
export function listUsers(
  { memory, running, ports }: UserSources,
  counts: (guest: Uuid | undefined) => boolean = () => true,
): Map<string, readonly User[]> {
  const users = new Map<string, readonly User[]>();
  const add = (guest: Uuid | undefined, devices: readonly (string | undefined)[], user: User) => {
    const known = devices.filter(device => device !== undefined);
    // Whether it counts is for the host to say, and takes a look at it: most guests have no such device.
    if (known.length === 0 || !counts(guest)) return;
    for (const device of known) users.set(device, [...(users.get(device) ?? []), user]);
  };
  for (const uuid of memory.listRecords()) {
    if (!memory.recordMentions(uuid, deviceWords)) continue;
    const record = foldRecord(uuid, memory.readRecord(uuid));
    if (record === undefined) continue;
    const view = record.actual ?? record.predicted;
    const plugged = record.ports.map(({ plug }) => (plug?.type === 'hostdev-pci' ? plug.address : undefined));
    const addresses = new Set([...(view?.hostdevs ?? []).map(hostdev => hostdev.address), ...plugged]);
    const physdevs = (view?.interfaces ?? []).flatMap(({ actual }) => (actual?.type === 'direct' ? actual.dev : []));
    add(uuid, [...addresses, ...physdevs], { who: `guest '${record.name}'`, by: `our record (${record.phase})` });
  }
  for (const { guest, line } of memory.listAnnouncements()) {
    const expected = foldRecord(guest, [line]);
    add(guest, expected?.picks ?? [], { who: `guest '${expected?.name}'`, by: 'it is promised to it' });
  }
  for (const { name, uuid, interfaces, hostdevs } of running()) {
    const connections = interfaces.map(iface => iface.actual ?? iface);
    const devices = [
      ...connections.flatMap(({ hostDevice, source }) => [hostDevice?.address, source.dev]),
      ...hostdevs.map(({ address }) => address),
    ];
    add(uuid, devices, { who: `guest '${name}'`, by: "libvirt's status" });
  }
  for (const { network, port } of ports()) {
    const { plug, ownerName, ownerUuid } = port;
    const device = plug?.type === 'hostdev-pci' ? plug.address : plug?.type === 'direct' ? plug.dev : undefined;
    add(ownerUuid, [device], { who: `guest '${ownerName}'`, by: `a port of network '${network}'` });
  }
  return users;
}

/** How a record spells a host device or a macvtap. */
const deviceWords = ['"address":', '"direct"'];
