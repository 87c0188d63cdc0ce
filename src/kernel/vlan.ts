import type { PortVlan } from './host-view.ts';
import type { Kind } from './kind.ts';
import { onPorts, refuse } from './settable.ts';
import { bridge, linkName, number } from './words.ts';

interface VlanSubject {
  readonly kind: 'vlan';
  readonly dev: string;
  readonly id: number;
}

const ways: readonly unknown[] = ['pvid untagged', 'untagged', 'pvid', 'tagged'] satisfies PortVlan['how'][];

/** A VLAN on a bridge's port: how the port carries it. */
export const vlan: Kind<VlanSubject, PortVlan['how']> = {
  belongsTo: 'port',
  mayBeNone: true,
  settable: {
    ...onPorts,
    // Its own, which libvirt gives it.
    'foreign port': 'set',
    macvtap: refuse('a macvtap carries what the device below it carries', 'put it on a VLAN device'),
  },
  detail: ({ id }) => `${id}`,
  isSound: ({ id }) => typeof id === 'number',
  read: stored => (stored === null || ways.includes(stored) ? (stored as PortVlan['how'] | null) : undefined),
  describe: ({ dev, id }, to) => (to === null ? `${dev} without vlan ${id}` : `${dev} vlan ${id} ${to}`),
  describeDoing: (subject, to) =>
    to === null ? `take vlan ${subject.id} from ${subject.dev}` : `give ${vlan.describe(subject, to)}`,
  needs: () => ({ vlans: true }),
  observe: ({ dev, id }, host) =>
    host.link(dev) && (host.vlans.find(each => each.dev === dev && each.id === id)?.how ?? null),
  // One that several guests need is there in whatever way the port carries it: how is for the administrator to say.
  isSatisfied: (to, observed, shared) =>
    shared && to !== null ? observed !== null && observed !== undefined : observed === to,
  command({ dev, id }, to) {
    const port = `dev ${linkName(dev)} vid ${number(id)}`;
    if (to === null) return bridge(`vlan delete ${port}`);
    return bridge(`vlan add ${port}${to === 'tagged' ? '' : ` ${to}`}`);
  },
};

/** `bridge -j vlan show`. */
export function readVlans(table: unknown): PortVlan[] {
  const rows = (table ?? []) as { ifname: string; vlans?: { vlan: number; vlanEnd?: number; flags?: string[] }[] }[];
  return rows.flatMap(({ ifname, vlans = [] }) =>
    vlans.flatMap(({ vlan: first, vlanEnd = first, flags = [] }) => {
      const words = [
        ...(flags.includes('PVID') ? ['pvid'] : []),
        ...(flags.includes('Egress Untagged') ? ['untagged'] : []),
      ];
      const how = (words.join(' ') || 'tagged') as PortVlan['how'];
      return Array.from({ length: vlanEnd - first + 1 }, (_, offset) => ({ dev: ifname, id: first + offset, how }));
    }),
  );
}
