import type { Memory } from '../host/memory.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import type { NetworkState } from '../resolve/network-state.ts';
import { foldRecord } from './record.ts';

/** Where it is written who uses what. */
export interface UserSources {
  readonly memory: Pick<Memory, 'listRecords' | 'readRecord' | 'listAnnouncements'>;
  /** What libvirt's own files say. */
  readonly running: () => readonly Domain[];
  readonly networks: () => readonly NetworkState[];
}

/** Somebody who says that he uses a device, and how that is known. */
export interface User {
  readonly who: string;
  readonly by: string;
}

/** The users of host devices, by PCI address or by the link below a macvtap; of one guest or of all others where that is asked for. */
export function listUsers(
  { memory, running, networks }: UserSources,
  counts: (guest: Uuid | undefined) => boolean = () => true,
): Map<string, readonly User[]> {
  const users = new Map<string, readonly User[]>();
  const add = (device: string | undefined, who: string, by: string) => {
    if (device !== undefined) users.set(device, [...(users.get(device) ?? []), { who, by }]);
  };
  for (const uuid of memory.listRecords().filter(counts)) {
    const record = foldRecord(uuid, memory.readRecord(uuid));
    const view = record?.chosen ?? record?.foreseen;
    const plugged = (record?.ports ?? []).map(({ plug }) => (plug?.type === 'hostdev-pci' ? plug.address : undefined));
    for (const address of new Set([...(view?.hostdevs ?? []).map(hostdev => hostdev.address), ...plugged]))
      add(address, `guest '${record!.name}'`, `our record (${record!.phase})`);
    for (const { actual } of view?.interfaces ?? [])
      if (actual?.type === 'direct') add(actual.dev, `guest '${record!.name}'`, `our record (${record!.phase})`);
  }
  for (const { guest, line } of memory.listAnnouncements()) {
    const expected = counts(guest) ? foldRecord(guest, [line]) : undefined;
    for (const address of expected?.picks ?? []) add(address, `guest '${expected!.name}'`, 'it is promised to it');
  }
  for (const { name, uuid, interfaces, hostdevs } of running()) {
    if (!counts(uuid)) continue;
    for (const connection of interfaces.map(iface => iface.actual ?? iface)) {
      add(connection.hostDevice?.address, `guest '${name}'`, "libvirt's status");
      add(connection.source.dev, `guest '${name}'`, "libvirt's status");
    }
    for (const { address } of hostdevs) add(address, `guest '${name}'`, "libvirt's status");
  }
  for (const { network, ports } of networks()) {
    for (const { plug, ownerName, ownerUuid } of ports) {
      if (!counts(ownerUuid)) continue;
      const device = plug?.type === 'hostdev-pci' ? plug.address : plug?.type === 'direct' ? plug.dev : undefined;
      add(device, `guest '${ownerName}'`, `a port of ${network.owner}`);
    }
  }
  return users;
}
