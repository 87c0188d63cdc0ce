import type { PciAddress } from '../model/pci-address.ts';
import { type HostView, isOnVfio, type LinkState, type PciDevice } from './host-view.ts';

/** One thing that is in the way of a PCI device being given to a guest, or being taken away. */
export interface DeviceUse {
  readonly kind: UseKind;
  /** As in `it is in use by WHO`. */
  readonly who: string;
  /** A sentence about the device: `it is bound to 'vfio-pci'`. */
  readonly why: string;
  readonly remedy: string | undefined;
}

/**
 * Everything that can be in the way, in the order in which it is told. `process`: opened through VFIO. `macvtap`: a guest's,
 * upon its link. `namespace`: its link is with a container. `route`: the host's default route. `port`, `member` (of a bond,
 * team or anything else that has a master), `above` (a VLAN device, for example) and `address`: the host's own network.
 * `foreign`: with a driver that makes no link of it, for a program to use it. `bound`: to a VFIO driver, whoever opens it next.
 * `claim`: somebody says in writing that he has it. `up`: its link is.
 */
export const useKinds = [
  'process',
  'macvtap',
  'namespace',
  'route',
  'port',
  'member',
  'above',
  'address',
  'foreign',
  'bound',
  'claim',
  'up',
] as const;
export type UseKind = (typeof useKinds)[number];

/** Uses by guests that the host shows. */
export const guestUses = ['process', 'macvtap'] as const satisfies readonly UseKind[];
/** Uses by the host's own network. */
export const hostUses = ['port', 'member', 'above', 'address'] as const satisfies readonly UseKind[];
/** Whoever loses what he has when the device is given to a guest. */
export const takenUses = [...guestUses, 'namespace', 'route', ...hostUses] as const satisfies readonly UseKind[];

/** The first use of those kinds; what is expensive to know is looked at only for a kind that is asked for. */
export function findUse(
  address: PciAddress,
  host: HostView,
  kinds: readonly UseKind[] = takenUses,
): DeviceUse | undefined {
  const device = host.pci(address);
  if (device === undefined) return undefined;
  for (const kind of useKinds) {
    const [found] = kinds.includes(kind) ? finders[kind](device, host) : [];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Likewise for a link, also one that is no PCI device's. */
export function findUseOfLink(dev: string, host: HostView, kinds: readonly UseKind[]): DeviceUse | undefined {
  return usesOfLink(dev, { host, kinds, it: 'it' })[0];
}

function usesOfLink(
  dev: string,
  { host, kinds, it }: { readonly host: HostView; readonly kinds: readonly UseKind[]; readonly it: string },
): DeviceUse[] {
  const link = host.link(dev);
  if (link === undefined) return [];
  return linkKinds.flatMap(kind => (kinds.includes(kind) ? ofLink[kind](link, host, it) : []));
}

/** The links whose addresses have to be known to tell who uses these devices: of links that are down none are in use. */
export function linksToAsk(devices: readonly PciAddress[], host: HostView): string[] {
  const links = devices.flatMap(address => host.pci(address)?.netdevs ?? []);
  return [...new Set(links)].filter(dev => host.link(dev)?.up);
}

type Finder = (device: PciDevice, host: HostView) => DeviceUse[];

function use(kind: UseKind, who: string, remedy?: string, why = `it is used by ${who}`): DeviceUse {
  return { kind, who, why, remedy };
}

function boundTo(kind: UseKind, driver: string | null): DeviceUse {
  return use(kind, `driver '${driver}'`, undefined, `it is bound to '${driver}'`);
}

/** The master of every port of Open vSwitch: the kernel's datapath. */
export const openVswitch = 'ovs-system';

/** What is upon a link, which messages call `it`. */
const ofLink = {
  macvtap: ({ uppers }, host, it) =>
    uppers
      .filter(upper => host.link(upper)?.isMacvtap)
      .map(upper => use('macvtap', `'${upper}' on ${it}`, removalOf(upper, host))),
  route: ({ dev, up }, host, it) =>
    up && host.isWayOut(dev)
      ? [use('route', `the host, whose default route leads through ${it}`, 'give the host another way out')]
      : [],
  port: ({ dev, master }, host, it) =>
    master !== null && host.link(master)?.isBridge
      ? [use('port', `bridge '${master}', whose port ${it} is`, `ip link set ${dev} nomaster`)]
      : [],
  member({ dev, master }, host, it) {
    if (master === null || host.link(master)?.isBridge) return [];
    return master === openVswitch
      ? [use('member', `Open vSwitch, whose port ${it} is`, `ovs-vsctl del-port ${dev}`)]
      : [use('member', `'${master}', whose member ${it} is`, `ip link set ${dev} nomaster`)];
  },
  above: ({ master, uppers }, host, it) =>
    uppers
      .filter(upper => upper !== master && host.link(upper)?.isMacvtap !== true)
      .map(upper => use('above', `'${upper}' on ${it}`, `ip link delete ${upper}`)),
  address({ dev, up }, host, it) {
    const [address] = up ? host.addresses(dev) : [];
    return address === undefined
      ? []
      : [use('address', `the host, whose address ${address} ${it} has`, `ip address flush dev ${dev}`)];
  },
  up: ({ dev, up }, _, it) => (up ? [use('up', 'the host', `ip link set ${dev} down`, `${it} is up`)] : []),
} as const satisfies Partial<Record<UseKind, (link: LinkState, host: HostView, it: string) => DeviceUse[]>>;

const linkKinds = useKinds.filter((kind): kind is keyof typeof ofLink => Object.hasOwn(ofLink, kind));

function anyLink(kind: keyof typeof ofLink): Finder {
  return ({ netdevs }, host) =>
    netdevs.flatMap(dev => usesOfLink(dev, { host, kinds: [kind], it: `its link '${dev}'` }));
}

const finders: Record<UseKind, Finder> = {
  process: (device, host) =>
    isOnVfio(device) ? host.holders(device.address).map(who => use('process', who, 'stop that first')) : [],
  macvtap: anyLink('macvtap'),
  namespace: device =>
    device.isElsewhere && !isOnVfio(device)
      ? [
          use(
            'namespace',
            'another network namespace, where its link is',
            'take the link back from its container',
            'its link was given to a container',
          ),
        ]
      : [],
  route: anyLink('route'),
  port: anyLink('port'),
  member: anyLink('member'),
  above: anyLink('above'),
  address: anyLink('address'),
  foreign: device =>
    device.driver !== null && !isOnVfio(device) && device.netdevs.length === 0 && !device.isElsewhere
      ? [boundTo('foreign', device.driver)]
      : [],
  bound: device => (isOnVfio(device) ? [boundTo('bound', device.driver)] : []),
  claim: ({ address }, host) => {
    const who = host.assignee(address);
    return who === undefined ? [] : [use('claim', who, undefined, `it is being given to ${who}`)];
  },
  up: anyLink('up'),
};

/** What removes a macvtap: the end of whoever has it open, or a command where that one has died and left it. */
export function removalOf(macvtap: string, host: HostView): string {
  const [holder] = host.holdersOfMacvtap(macvtap);
  return holder === undefined ? `nobody has it open: ip link delete ${macvtap}` : `stop ${holder}`;
}

/** Who has a device in use, as messages name it: a process that holds it through VFIO, or a guest's macvtap upon its link. */
export function userOf(address: PciAddress, host: HostView): string | undefined {
  return findUse(address, host, guestUses)?.who;
}

/** libvirt has put the state of a VF aside and given it to VFIO: it is a guest's, also before QEMU has opened it. */
export function hasBeenTaken(
  { address, pf, vf }: { readonly address: PciAddress; readonly pf: string; readonly vf: number },
  host: HostView,
): boolean {
  const device = host.pci(address);
  return device !== undefined && isOnVfio(device) && host.keptByLibvirt(pf, vf);
}
