import type { HostView, LinkState } from '../../src/kernel/host-view.ts';

/** A link that is up and has nothing special, apart from `facts`. */
export const link = (dev: string, facts: Partial<LinkState> = {}): LinkState => ({
  dev,
  index: 9,
  up: true,
  mtu: 1500,
  mac: '02:00:00:00:00:09',
  master: null,
  isBridge: false,
  isTap: false,
  isMacvtap: false,
  isBondMember: false,
  kind: facts.isTap || facts.isBridge || facts.isMacvtap ? 'other' : 'physical',
  lowers: [],
  uppers: [],
  pci: null,
  vfs: 0,
  vlanFiltering: false,
  ...facts,
});

/** A host that has these links, and no PCI device unless one is given. */
export function hostView(links: readonly LinkState[], facts: Partial<HostView> = {}): HostView {
  return {
    link: dev => links.find(other => other.dev === dev),
    fdb: [],
    vlans: [],
    pci: () => undefined,
    pfs: () => [],
    hasPci: true,
    hasLinks: links.length > 0,
    addresses: () => [],
    isWayOut: () => false,
    vf: () => undefined,
    keptByLibvirt: () => false,
    unmanaged: () => false,
    driver: () => null,
    assignee: () => undefined,
    holders: () => [],
    holdersOfMacvtap: () => [],
    ...facts,
  };
}
