import { matchesPattern } from '../config/match.ts';
import { findUse, takenUses } from '../kernel/device-uses.ts';
import { type HostView, portsOf } from '../kernel/host-view.ts';
import type { Network } from '../model/network.ts';
import type { PciAddress } from '../model/pci-address.ts';

export interface VfChoice {
  /** Names of PFs or patterns, the preferred ones first. */
  readonly pfs: readonly string[];
  /** What the guest had elsewhere: the same address, the same PF and the same NUMA node are preferred. */
  readonly like: PciAddress | undefined;
  /** Whether somebody says that he uses a VF, by its address or link. */
  readonly isTaken: (device: string) => boolean;
  /** Whether the guest runs with it. */
  readonly isOwn: (device: string) => boolean;
  /** Running networks: those of their pools are libvirt's to give away. */
  readonly networks: readonly Network[];
}

/** Who uses the devices of a host, for one guest to be given some of them. */
export type DeviceUsers = Pick<VfChoice, 'isTaken' | 'isOwn' | 'networks'>;

/** The VFs that can be given to a guest, the best first. One below a PF that is down is of no use. */
export function listFreeVfs(host: HostView, { pfs, like, isTaken, isOwn, networks }: VfChoice): PciAddress[] {
  const pools = networks.filter(({ mode }) => mode === 'hostdev');
  const pooled = new Set(pools.flatMap(({ pool }) => pool.flatMap(entry => ('address' in entry ? entry.address : []))));
  const pooledPfs = pools.flatMap(({ pf }) => pf ?? []);
  const before = like === undefined ? undefined : host.pci(like);
  const candidates = host.pfs().flatMap(pf => {
    const { vfs = [], numaNode = null } = host.pci(pf) ?? {};
    return vfs.flatMap(address => {
      // Of a card with two ports, the one that the VF is on.
      const card = host.pci(address)?.pf ?? null;
      const dev = card?.dev ?? null;
      const wanted = dev === null ? -1 : pfs.findIndex(pattern => matchesPattern(pattern, dev));
      if (card === null || dev === null || wanted === -1 || host.link(dev)?.up !== true) return [];
      if (portsOf(card).some(port => pooledPfs.includes(port))) return [];
      return { address, numaNode, isSamePf: before?.pf?.address === pf, wanted };
    });
  });
  const isFree = (address: PciAddress) =>
    ![address, ...(host.pci(address)?.netdevs ?? [])].some(isTaken) &&
    !pooled.has(address) &&
    (isOwn(address) ||
      (host.pci(address) !== undefined && findUse(address, host, [...takenUses, 'foreign']) === undefined));
  const rank = ({ address, isSamePf, wanted, numaNode }: (typeof candidates)[number]) => [
    address === like ? 0 : 1,
    isSamePf ? 0 : 1,
    wanted,
    before !== undefined && before.numaNode === numaNode ? 0 : 1,
  ];
  return candidates
    .filter(({ address }) => isFree(address))
    .map(candidate => ({ address: candidate.address, rank: rank(candidate) }))
    .sort((a, b) => a.rank.reduce((sum, value, index) => sum || value - b.rank[index]!, 0))
    .map(({ address }) => address);
}
