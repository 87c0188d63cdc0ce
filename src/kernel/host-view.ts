import type { PciAddress } from '../model/pci-address.ts';

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
  readonly isMacvtap: boolean;
  /** A member of a bond: nothing else can be made upon it. */
  readonly isBondMember: boolean;
  /** What leads out of the host by itself, or through the links below; everything else is `other`. */
  readonly kind: 'physical' | 'bond' | 'team' | 'vlan' | 'other';
  /** Links below (a macvtap's physdev, a bond's members, a vlan's link, a bridge's ports) and above. */
  readonly lowers: readonly string[];
  readonly uppers: readonly string[];
  /** The flags of a bridge port. */
  readonly port?: { readonly learning: boolean; readonly flood: boolean; readonly isolated: boolean };
  /** The PCI device behind it. */
  readonly pci: PciAddress | null;
  /** Virtual functions switched on, for a PF. */
  readonly vfs: number;
  /** For a bridge: whether it is VLAN-aware. */
  readonly vlanFiltering: boolean;
}

/** An entry of a forwarding table: a bridge's (`master`), or the device's own. */
export interface FdbEntry {
  readonly mac: string;
  readonly dev: string;
  readonly table: 'bridge' | 'self';
  readonly fixed: boolean;
  /** The bridge's own: of its MAC, or of one of its ports. Frames for it go to the host. */
  readonly local?: boolean;
}

/** A VLAN on a bridge port. */
export interface PortVlan {
  readonly dev: string;
  readonly id: number;
  readonly how: 'pvid untagged' | 'untagged' | 'pvid' | 'tagged';
}

/** A PCI device as sysfs shows it. */
export interface PciDevice {
  readonly address: PciAddress;
  readonly driver: string | null;
  readonly isBridge: boolean;
  /** A network card, by its class. */
  readonly isNetwork: boolean;
  readonly numaNode: number | null;
  /** Null where there is no IOMMU. */
  readonly group: { readonly number: number; readonly members: readonly PciAddress[] } | null;
  /** For a PF, the link through which its VFs are set. */
  readonly ownLink: string | null;
  /** Its links: none while it is bound to no network driver, or when they are in another network namespace. */
  readonly netdevs: readonly string[];
  /** It has a link, and that is in another network namespace: with a container, for example. */
  readonly isElsewhere: boolean;
  /** For a VF: its PF, and the number it has there. */
  readonly pf: PfOfVf | null;
  /** For a PF: its VFs by number. */
  readonly vfs: readonly PciAddress[];
  /** Its device below `/dev/vfio/devices`, on kernels with IOMMUFD. */
  readonly vfioDevice: string | null;
}

/** The PF of a VF. */
export interface PfOfVf {
  readonly address: PciAddress;
  /**
   * The link through which the VF is set; null while the PF has none. Of a function with two ports it is the one with the
   * `phys_port_id` of the VF's link, else the first (libvirt's virPCIGetNetName).
   */
  readonly dev: string | null;
  readonly vf: number;
  /** Of a function with several ports: their links, the first port's first, and which is whose of the VF's own links. */
  readonly ports?: { readonly all: readonly string[]; readonly of: Readonly<Record<string, string>> };
}

/** The links through which a PF's VFs can be set. */
export function portsOf({ dev, ports }: PfOfVf): readonly string[] {
  return ports?.all ?? (dev === null ? [] : [dev]);
}

/** A VF's VLAN as a PF holds it; id 0 is none. */
export interface VfVlan {
  readonly id: number;
  readonly qos: number;
  readonly proto: '802.1Q' | '802.1ad';
}

/** In Mbit/s; 0 is no limit. */
export interface VfRate {
  readonly max: number;
  readonly min: number;
}

/** What a PF holds for a VF, in the words of `ip`. Null is what the kernel does not tell. */
export interface VfState {
  readonly mac: string | null;
  readonly vlan: VfVlan | null;
  readonly trust: boolean | null;
  readonly spoofchk: boolean | null;
  readonly query_rss: boolean | null;
  readonly rate: VfRate | null;
  readonly state: string | null;
}

/** The driver a PCI device is bound to, the one it is reserved for, if any, and the MAC address that a VF's link has from it. */
export interface DriverState {
  readonly driver: string | null;
  readonly override: string | null;
  readonly mac: string | null;
}

/** What has to be read besides links and PCI devices, which are read when they are asked for. */
export interface Needs {
  readonly fdb?: boolean;
  readonly vlans?: boolean;
  /** PFs whose settings for their VFs are needed. */
  readonly vfs?: readonly string[];
  /** Devices whose driver override is needed. */
  readonly drivers?: readonly PciAddress[];
  /** Links whose addresses are needed. */
  readonly addresses?: readonly string[];
}

/** What the host looks like at one moment; the core sees the host only like this. */
export interface HostView {
  readonly link: (dev: string) => LinkState | undefined;
  readonly fdb: readonly FdbEntry[];
  readonly vlans: readonly PortVlan[];
  readonly pci: (address: PciAddress) => PciDevice | undefined;
  /** The PCI devices that can have VFs. */
  readonly pfs: () => readonly PciAddress[];
  /** Whether there is a PCI bus to look at; a device that is not seen may otherwise be there. */
  readonly hasPci: boolean;
  /** Likewise for links. */
  readonly hasLinks: boolean;
  /** The IP addresses of a link, with their prefixes, without those that every link gets by itself; none if they were not asked for. */
  readonly addresses: (dev: string) => readonly string[];
  /** Whether the host's default route leads through a link. */
  readonly isWayOut: (dev: string) => boolean;
  readonly vf: (pf: string, vf: number) => VfState | undefined;
  /** Whether libvirt has put aside the state of a VF. */
  readonly keptByLibvirt: (pf: string, vf: number) => boolean;
  /** Whether a rule of ours tells network managers to leave a PF's VFs alone. */
  readonly unmanaged: (pf: string) => boolean;
  /** The driver, and the override that was asked for; null for neither. */
  readonly driver: (address: PciAddress) => DriverState | null;
  /** The guest that has a device or is being given it, by all that is written: also while nothing shows on the device. */
  readonly assignee: (address: PciAddress) => string | undefined;
  /** The processes that have a device open through VFIO, as messages name them. */
  readonly holders: (address: PciAddress) => readonly string[];
  /** Likewise for a macvtap. */
  readonly holdersOfMacvtap: (dev: string) => readonly string[];
}

/** Whether a device is with a driver that gives it to user space, whatever its name (libvirt's rule since 9.7). */
export function isOnVfio({ driver, vfioDevice }: Pick<PciDevice, 'driver' | 'vfioDevice'>): boolean {
  const isByName = driver !== null && /^(vfio-pci|pci-stub|(xen-)?pciback)$|[-_]vfio[-_]pci$/.test(driver);
  return isByName || vfioDevice !== null;
}

/** Whether QEMU can open it: pci-stub only keeps other drivers away, which is enough for a neighbour in its group. */
export function isReadyForQemu(device: Pick<PciDevice, 'driver' | 'vfioDevice'>): boolean {
  return isOnVfio(device) && device.driver !== 'pci-stub';
}
