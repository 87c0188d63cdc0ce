import type { Subject, Value } from './change.ts';

/** A link as the kernel shows it. */
export interface LinkState {
  readonly dev: string;
  readonly index: number;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly master: string | null;
  readonly isBridge: boolean;
  readonly isTap: boolean;
  /** Links below (a macvtap's physdev, a bond's members, a vlan's link, a bridge's ports) and above. */
  readonly lowers: readonly string[];
  readonly uppers: readonly string[];
  /** The flags of a bridge port. */
  readonly port?: { readonly learning: boolean; readonly flood: boolean; readonly isolated: boolean };
  /** Virtual functions switched on, for a PF. */
  readonly vfs: number;
  /** For a bridge: whether it tells VLANs apart. */
  readonly vlanFiltering: boolean;
}

/** An entry of a forwarding table: a bridge's (`master`), or the device's own. */
export interface FdbEntry {
  readonly mac: string;
  readonly dev: string;
  readonly table: 'bridge' | 'self';
  readonly fixed: boolean;
}

/** A VLAN on a bridge port. */
export interface PortVlan {
  readonly dev: string;
  readonly id: number;
  readonly how: 'pvid untagged' | 'untagged' | 'pvid' | 'tagged';
}

/** What the host looks like at one moment; the core sees the host only like this. */
export interface HostView {
  readonly link: (dev: string) => LinkState | undefined;
  readonly fdb: readonly FdbEntry[];
  readonly vlans: readonly PortVlan[];
}

/** The present value of a subject; undefined when the device it belongs to is not there. */
export function observe(subject: Subject, host: HostView): Value | undefined {
  const link = host.link(subject.dev);
  if (subject.kind === 'link') return link === undefined ? null : link.index;
  if (link === undefined) return undefined;
  switch (subject.kind) {
    case 'up':
    case 'mtu':
    case 'mac':
    case 'master':
      return link[subject.kind];
    case 'learning':
    case 'flood':
    case 'isolated':
      return link.port?.[subject.kind];
    case 'fdb':
      return host.fdb.some(
        ({ mac, dev, table, fixed }) => mac === subject.mac && dev === subject.dev && table === subject.table && fixed,
      );
    case 'vlan':
      return host.vlans.find(({ dev, id }) => dev === subject.dev && id === subject.id)?.how ?? null;
  }
}

/** Whether an observed value is the wanted one; for a link: whether it is there. */
export function isSame(observed: Value | undefined, wanted: Value): boolean {
  if (observed === undefined) return false;
  if (typeof wanted === 'object') return wanted === null ? observed === null : observed !== null;
  return observed === wanted;
}

/** The ports of a bridge that lead out of the host: everything but taps. */
export function uplinksOf(bridge: string, host: HostView): LinkState[] {
  const ports = (host.link(bridge)?.lowers ?? []).flatMap(dev => host.link(dev) ?? []);
  return ports.filter(({ isTap }) => !isTap);
}

/** The PFs with VFs that carry a bridge: its uplinks themselves, or what lies below a bond or VLAN device. */
export function pfsBelow(bridge: string, host: HostView): string[] {
  const found = new Set<string>();
  const visit = (links: readonly LinkState[], depth: number): void => {
    for (const link of links) {
      if (link.vfs > 0) found.add(link.dev);
      else if (depth > 0)
        visit(
          link.lowers.flatMap(dev => host.link(dev) ?? []),
          depth - 1,
        );
    }
  };
  visit(uplinksOf(bridge, host), 4);
  return [...found];
}
