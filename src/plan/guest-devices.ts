import type { Config, InterfaceSettings } from '../config/config.ts';
import { findSettings, type Matchable } from '../config/match.ts';
import { findWish, type Wish } from '../config/wishes.ts';
import { type CommandLine, type CommandLineObject, commandLineHostdevs } from '../model/command-line.ts';
import type { Domain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import type { Network } from '../model/network.ts';
import type { NetworkPort } from '../model/network-port.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { isMac } from '../model/values.ts';
import type { Vlan } from '../model/vlan.ts';
import { recordedActual } from '../resolve/actual.ts';
import type { GuestView } from '../transform/guest-view.ts';
import type { HostView } from './host-view.ts';
import { whyAtOnce } from './postponed-taps.ts';

/** A guest's connection as far as we act on it: the device on the host, where known, and what is asked for it. */
export interface GuestDevice {
  /** For messages: `interface 52:54:...` or `tap tapx0 of the command line`. */
  readonly name: string;
  readonly mac: string | undefined;
  readonly type: 'bridge' | 'tap' | 'macvtap' | 'other';
  /** The tap or macvtap; undefined until libvirt has made it. */
  readonly dev: string | undefined;
  /** libvirt does not make this tap: `managed='no'`, or a command-line netdev. */
  readonly ownTap: { readonly multiQueue: boolean } | undefined;
  /** A tap that is made only just before QEMU opens it, and joined to its bridge when the CPUs run. */
  readonly postponed: boolean;
  /** The bridge it is or shall be plugged into. */
  readonly bridge: string | undefined;
  /** libvirt keeps the forwarding table of this connection (`macTableManager='libvirt'`). */
  readonly tableOfLibvirt: boolean;
  /** What its network or its own element makes libvirt set on its port, whatever we do. */
  readonly portByLibvirt: readonly ('isolated' | 'vlan')[];
  readonly macvtap: { readonly physdev: string; readonly passthrough: boolean } | undefined;
  readonly hostdev: HostdevUse | undefined;
  /** Whether libvirt has chosen the device already; before, it is what we foresee. */
  readonly chosen: boolean;
  /** The VLAN that libvirt sets on a VF. */
  readonly vlan: number | undefined;
  readonly settings: InterfaceSettings;
}

/** A PCI device that the guest gets. */
export interface HostdevUse {
  readonly address: PciAddress;
  readonly managed: boolean;
  /** `interface`: libvirt sets MAC and VLAN through the PF. `plain`: it only binds the driver, unless a virtualport does the rest. `command line`: nobody does anything. */
  readonly as: 'interface' | 'plain' | 'command line';
  /** QEMU opens it through IOMMUFD instead of its group. */
  readonly iommufd: boolean;
}

/** Every connection of a guest: interfaces, plain host devices, then what the command line has. */
export function guestDevices(
  domain: Domain,
  view: GuestView,
  { config, wishes, host, incoming }: Pick<Context, 'config' | 'wishes' | 'host' | 'incoming'>,
): GuestDevice[] {
  const context: Context = { guest: domain.name, config, wishes, host, incoming };
  const { commandLine } = domain;
  return [
    ...domain.interfaces.map(iface => ofInterface(iface, view, context)),
    ...domain.hostdevs.flatMap(({ type, address, managed, iommufd = false }) =>
      type === 'pci' && address !== undefined ? ofHostdev({ address, managed, as: 'plain', iommufd }, context) : [],
    ),
    ...commandLine.netdevs.flatMap(netdev => ofNetdev(netdev, commandLine, context) ?? []),
    ...commandLineHostdevs(commandLine).map(({ address, iommufd }) =>
      ofHostdev({ address, managed: false, as: 'command line', iommufd }, context),
    ),
  ];
}

/** The device a network port is plugged into, as far as the port tells. libvirt has just chosen it. */
export function portDevice(
  port: NetworkPort,
  network: Network,
  { config, host }: Pick<Context, 'config' | 'host'>,
): GuestDevice | undefined {
  const { plug, mac, ownerName, virtualport } = port;
  const address = plug?.type === 'hostdev-pci' ? plug.address : undefined;
  const physdev = plug?.type === 'direct' ? plug.dev : undefined;
  const passthrough = plug?.type === 'direct' && plug.mode === 'passthrough';
  if (address === undefined && physdev === undefined) return undefined;
  const context: Context = { guest: ownerName, config, wishes: [], host, incoming: false };
  const settings = settingsOf(context, {
    mac,
    network: network.name,
    ...(port.group && { portgroup: port.group }),
    ...(physdev && { dev: physdev }),
    ...hostdevMatch(address ?? (physdev === undefined ? undefined : host.link(physdev)?.pci) ?? undefined, host),
  });
  return {
    ...nothingKnown,
    name: `interface ${mac}`,
    mac,
    macvtap: physdev === undefined ? undefined : { physdev, passthrough },
    hostdev:
      address === undefined
        ? undefined
        : {
            address,
            managed: plug?.type === 'hostdev-pci' && plug.managed,
            as: virtualport === undefined ? 'interface' : 'plain',
            iommufd: (plug?.type === 'hostdev-pci' && plug.iommufd) ?? false,
          },
    chosen: true,
    vlan: singleVlan(port.vlan),
    settings: withTrust(settings, port.trustGuestRxFilters),
  };
}

/** What a port is plugged into, for one whose interface is not known yet. */
export function pluggedDevice(plug: NonNullable<NetworkPort['plug']>): GuestDevice {
  const isDirect = plug.type === 'direct';
  const address = plug.type === 'hostdev-pci' ? plug.address : undefined;
  return {
    ...nothingKnown,
    name: 'a port without an interface',
    bridge: 'bridge' in plug ? plug.bridge : undefined,
    macvtap:
      isDirect && plug.dev !== undefined ? { physdev: plug.dev, passthrough: plug.mode === 'passthrough' } : undefined,
    hostdev: address === undefined ? undefined : { address, managed: true, as: 'interface', iommufd: false },
    chosen: true,
    settings: {},
  };
}

interface Context {
  readonly guest: string;
  readonly config: Config;
  readonly wishes: readonly Wish[];
  readonly host: HostView;
  /** It comes from a migration or a saved image. */
  readonly incoming: boolean;
}

const nothingKnown = {
  mac: undefined,
  type: 'other',
  dev: undefined,
  ownTap: undefined,
  postponed: false,
  bridge: undefined,
  tableOfLibvirt: false,
  portByLibvirt: [],
  macvtap: undefined,
  hostdev: undefined,
  vlan: undefined,
} as const;

function ofInterface(iface: Interface, view: GuestView, context: Context): GuestDevice {
  const { actual = null, network, portgroup } = view.interfaces[iface.index] ?? {};
  const dev = iface.target.dev;
  const address = actual?.type === 'hostdev' ? actual.address : undefined;
  const macvtap =
    actual?.type === 'direct' && actual.dev !== undefined
      ? { physdev: actual.dev, passthrough: actual.mode === 'passthrough' }
      : undefined;
  const plugged = actual?.type === 'bridge' || actual?.type === 'network' ? actual.bridge : undefined;
  const isOwnTap = iface.type === 'ethernet' && !iface.target.managed && dev !== undefined;
  const settings = settingsOf(context, {
    ...(iface.mac && { mac: iface.mac }),
    ...(network && { network }),
    ...(portgroup && { portgroup }),
    ...(plugged && { bridge: plugged }),
    ...(iface.type === 'ethernet' && dev && { tap: dev }),
    ...(macvtap && { dev: macvtap.physdev }),
    ...hostdevMatch(address ?? (macvtap && context.host.link(macvtap.physdev)?.pci) ?? undefined, context.host),
  });
  const isPlain = actual?.virtualport !== undefined;
  return {
    name: `interface ${iface.mac ?? iface.index}`,
    mac: iface.mac,
    type:
      plugged !== undefined
        ? 'bridge'
        : iface.type === 'ethernet'
          ? 'tap'
          : actual?.type === 'direct'
            ? 'macvtap'
            : 'other',
    dev,
    postponed: false,
    ownTap: isOwnTap ? { multiQueue: (iface.queues ?? 1) > 1 } : undefined,
    bridge: plugged ?? (iface.type === 'ethernet' ? settings.bridge : undefined),
    tableOfLibvirt: (actual?.type === 'bridge' || actual?.type === 'network') && actual.macTableManager === 'libvirt',
    portByLibvirt: [...(actual?.isolated ? ['isolated' as const] : []), ...(actual?.vlan ? ['vlan' as const] : [])],
    macvtap,
    hostdev:
      actual?.type === 'hostdev' && address !== undefined
        ? {
            address,
            managed: actual.managed,
            as: isPlain ? 'plain' : 'interface',
            iommufd: actual.iommufd ?? false,
          }
        : undefined,
    chosen: recordedActual(iface) !== undefined,
    vlan: singleVlan(actual?.vlan),
    settings: withTrust(
      iface.mtu === undefined ? settings : { ...settings, mtu: settings.mtu ?? iface.mtu },
      actual?.trustGuestRxFilters,
    ),
  };
}

function ofHostdev(hostdev: HostdevUse, context: Context): GuestDevice {
  const { address } = hostdev;
  return {
    ...nothingKnown,
    name: `host device ${address}${hostdev.as === 'command line' ? ' of the command line' : ''}`,
    hostdev,
    chosen: true,
    settings: settingsOf(context, hostdevMatch(address, context.host)),
  };
}

/** A tap that QEMU opens by its name; one that gets a descriptor or a template name is made by somebody else. */
function ofNetdev(netdev: CommandLineObject, commandLine: CommandLine, context: Context): GuestDevice | undefined {
  const { kind, options, id } = netdev;
  const dev = options.get('ifname') ?? '';
  const isForeign = ['fd', 'fds', 'helper'].some(option => options.has(option));
  if (kind !== 'tap' || dev === '' || dev.includes('%') || isForeign) return undefined;
  const device = commandLine.devices.find(({ options: of }) => of.get('netdev') === id);
  const mac = readQemuMac(device?.options.get('mac'));
  const settings = settingsOf(context, { ...(mac && { mac }), tap: dev });
  return {
    ...nothingKnown,
    name: `tap '${dev}' of the command line`,
    mac,
    type: 'tap',
    dev,
    ownTap: { multiQueue: Number(options.get('queues') ?? 1) > 1 },
    postponed: whyAtOnce(netdev, commandLine, context.incoming) === undefined,
    bridge: settings.bridge,
    chosen: true,
    settings,
  };
}

/** QEMU takes either case, and dashes; what it would not take stays as it is written. */
function readQemuMac(written: string | undefined): string | undefined {
  const mac = written?.toLowerCase().replaceAll('-', ':');
  return mac === undefined || isMac(mac) ? mac : written;
}

/** What rules can go by for a host device. */
function hostdevMatch(address: PciAddress | undefined, host: HostView): { address?: string; pf?: string } {
  const pf = address === undefined ? undefined : host.pci(address)?.pf?.dev;
  return { ...(address && { address }), ...(pf && { pf }) };
}

/** A VF takes one VLAN; libvirt refuses the start of an interface with more. */
function singleVlan(vlan: Vlan | undefined): number | undefined {
  return vlan?.tags.length === 1 ? vlan.tags[0]!.id : undefined;
}

/** libvirt has no other word for trusting a guest with its addresses, and does not pass this one on to a VF. */
function withTrust(settings: InterfaceSettings, trustGuestRxFilters: boolean | undefined): InterfaceSettings {
  const trust = settings.trust ?? trustGuestRxFilters;
  return trust === undefined ? settings : { ...settings, trust };
}

/** The bridge's own settings, then the first rule that fits, then what the guest asks for. */
function settingsOf(
  { guest, config, wishes }: Context,
  device: Omit<Matchable, 'guest'> & { mac?: string; bridge?: string; tap?: string },
): InterfaceSettings {
  const ruled = findSettings(config, { guest, ...device });
  const wished = findWish(wishes, device) ?? {};
  const bridge = device.bridge ?? wished.bridge ?? ruled.bridge;
  const ofBridge = bridge === undefined || !Object.hasOwn(config.bridges, bridge) ? undefined : config.bridges[bridge];
  return {
    ...(ofBridge && { keepForwardingTable: ofBridge.keepForwardingTable, isolated: ofBridge.isolated }),
    ...ruled,
    ...wished,
  };
}
