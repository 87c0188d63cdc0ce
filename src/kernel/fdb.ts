import type { FdbEntry, HostView } from './host-view.ts';
import type { Kind } from './kind.ts';
import { onPorts } from './settable.ts';
import { bridge, linkName, macAddress, readBoolean } from './words.ts';

export interface FdbSubject {
  readonly kind: 'fdb';
  readonly dev: string;
  readonly mac: string;
  /** The bridge's, or the device's own. */
  readonly table: 'bridge' | 'self';
}

/** A fixed entry of a forwarding table. */
export const fdb: Kind<FdbSubject, boolean> = {
  belongsTo: 'link',
  settable: onPorts,
  detail: ({ table, mac }) => `${table} ${mac}`,
  isSound: ({ mac, table }) => typeof mac === 'string' && (table === 'bridge' || table === 'self'),
  read: readBoolean,
  describe: ({ dev, mac, table }, to) =>
    `${to === true ? 'add' : 'remove'} ${mac} ${table === 'self' ? 'in the table of' : 'on'} ${dev}`,
  describeDoing: (subject, to) => fdb.describe(subject, to),
  needs: () => ({ fdb: true }),
  observe: ({ dev, mac, table }, host) =>
    host.link(dev) &&
    host.fdb.some(entry => entry.mac === mac && entry.dev === dev && entry.table === table && entry.fixed),
  // On a bridge a learnt entry, perhaps on another port, gives way; a device's own table takes permanent entries only.
  command({ dev, mac, table }, to) {
    const entry = `${macAddress(mac)} dev ${linkName(dev)}`;
    if (table === 'self') return bridge(to === true ? `fdb add ${entry} self permanent` : `fdb delete ${entry} self`);
    return bridge(to === true ? `fdb replace ${entry} master static` : `fdb delete ${entry} master`);
  },
  conflict: (subject, to, place) => (to === true ? whoHasMac(subject, place.bridge, place.host) : undefined),
};

/** `bridge -j fdb show`: an entry with a master is in that bridge's table; static and permanent ones are fixed. */
export function readFdb(table: unknown): FdbEntry[] {
  const rows = (table ?? []) as { mac: string; ifname: string; master?: string; flags?: string[]; state?: string }[];
  return rows.map(({ mac, ifname, master, flags = [], state = '' }) => ({
    mac,
    dev: ifname,
    table: master === undefined || flags.includes('self') ? 'self' : 'bridge',
    fixed: state === 'static' || state === 'permanent',
    local: state === 'permanent' && master !== undefined && !flags.includes('self'),
  }));
}

/**
 * Who has the MAC for which an entry is to be made in `bridge`; undefined if nobody has. The kernel's own entry of a bridge
 * or port, or one that somebody has made, would be replaced by ours without a word, and be gone when ours goes.
 */
function whoHasMac({ dev, mac, table }: FdbSubject, bridge: string | undefined, host: HostView): string | undefined {
  // The table of a card has no bridge of its own.
  const isSame = (other: string) => table === 'self' || bridgeOf(other, host) === bridge;
  const entries = host.fdb.filter(each => each.mac === mac && each.table === 'bridge' && isSame(each.dev));
  const local =
    entries.find(each => each.local)?.dev ?? (bridge === undefined ? undefined : ownerAbove(bridge, mac, host));
  if (local !== undefined) return `${mac} is the MAC address of '${local}', which would get nothing any more`;
  const taken = table === 'bridge' ? entries.find(({ dev: other, fixed }) => fixed && other !== dev) : undefined;
  return taken && `${mac} has a fixed entry on '${taken.dev}' already`;
}

/** The bridge itself, or a VLAN device and the like upon it, that has a MAC address of its own. */
export function ownerAbove(dev: string, mac: string, host: HostView, depth = 8): string | undefined {
  const link = host.link(dev);
  if (link === undefined || depth === 0) return undefined;
  if (link.mac === mac) return dev;
  for (const upper of link.uppers) {
    const found = ownerAbove(upper, mac, host, depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The bridge that a link is, or is a port of. */
export function bridgeOf(dev: string, host: HostView): string | undefined {
  const link = host.link(dev);
  return link?.isBridge ? dev : (link?.master ?? undefined);
}
