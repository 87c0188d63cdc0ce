import type { GuestRequest } from '../config/requests.ts';
import type { Config, InterfaceSettings } from '../config/types.ts';
import type { HostView } from '../kernel/host-view.ts';
import type { DeviceKind } from '../kernel/settable.ts';
import { type CommandLine, type CommandLineObject, commandLineHostdevs, readQemuMac } from '../model/command-line.ts';
import type { Domain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import type { Network } from '../model/network.ts';
import type { NetworkPort } from '../model/network-port.ts';
import type { PciAddress } from '../model/pci-address.ts';
import type { Vlan } from '../model/vlan.ts';
import { recordedActual } from '../resolve/actual.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { type Asked, askedOf, weigh } from './asked.ts';
import { whyAtOnce } from './deferred-taps.ts';
import { kindOfActual, kindOfVf, placeOfTap } from './device-kind.ts';
import type { GuestDevice, HostdevUse } from './guest-device.ts';
import { judgeSettings } from './settings.ts';

/** Every connection of a guest: interfaces, plain host devices, then what the command line has. */
export function guestDevices(
  domain: Domain,
  view: GuestView,
  { config, requests, host, incoming }: Pick<Context, 'config' | 'requests' | 'host' | 'incoming'>,
): GuestDevice[] {
  const context: Context = { guest: domain.name, config, requests, host, incoming };
  const { commandLine } = domain;
  return [
    ...domain.interfaces.map(iface => ofInterface(iface, view, context)),
    ...domain.hostdevs.flatMap(({ type, address, managed, iommufd = false }) =>
      type === 'pci' && address !== undefined ? ofHostdev({ address, managed, as: 'plain', iommufd }, context) : [],
    ),
    ...commandLine.netdevs.map(netdev => ofNetdev(netdev, commandLine, context)),
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
  const context: Context = { guest: ownerName, config, requests: [], host, incoming: false };
  const asked = askedOf(context, {
    mac,
    network: network.name,
    ...(port.group && { portgroup: port.group }),
    ...(physdev && { dev: physdev }),
    ...hostdevMatch(address ?? (physdev === undefined ? undefined : host.link(physdev)?.pci) ?? undefined, host),
  });
  const device = {
    ...nothingKnown,
    name: `interface ${mac}`,
    mac,
    network: network.name,
    macvtap: physdev === undefined ? undefined : { physdev, passthrough },
    hostdev:
      address === undefined
        ? undefined
        : {
            address,
            managed: plug?.type === 'hostdev-pci' && plug.managed,
            as: virtualport === undefined ? ('interface' as const) : ('plain' as const),
            iommufd: (plug?.type === 'hostdev-pci' && plug.iommufd) ?? false,
          },
    chosen: true,
    vlan: singleVlan(port.vlan),
  };
  return judged(device, { asked, kind: kindOfVf(device, host), trust: port.trustGuestRxFilters }, context);
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
    unsettable: [],
    refused: [],
  };
}

interface Context {
  readonly guest: string;
  readonly config: Config;
  readonly requests: readonly GuestRequest[];
  readonly host: HostView;
  /** It comes from a migration or a saved image. */
  readonly incoming: boolean;
}

const nothingKnown = {
  mac: undefined,
  type: 'other',
  kind: 'unknown',
  dev: undefined,
  ownTap: undefined,
  deferred: false,
  network: undefined,
  otherSwitch: false,
  bridge: undefined,
  tableOfLibvirt: false,
  portByLibvirt: [],
  macvtap: undefined,
  hostdev: undefined,
  vlan: undefined,
  mtu: undefined,
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
  const isTap = iface.type === 'ethernet';
  const isOwnTap = isTap && !iface.target.managed && dev !== undefined;
  const asked = askedOf(context, {
    ...(iface.mac && { mac: iface.mac }),
    ...(network && { network }),
    ...(portgroup && { portgroup }),
    ...(plugged && { bridge: plugged }),
    ...(isTap && dev && { tap: dev }),
    ...(macvtap && { dev: macvtap.physdev }),
    ...hostdevMatch(address ?? (macvtap && context.host.link(macvtap.physdev)?.pci) ?? undefined, context.host),
  });
  const hasScript = iface.element.child('script') !== undefined;
  const tap = isTap ? placeOfTap({ dev, isOwn: isOwnTap, hasScript }, asked, context) : undefined;
  const isPlain = actual?.virtualport !== undefined;
  const device = {
    name: `interface ${iface.mac ?? iface.index}`,
    mac: iface.mac,
    type:
      plugged !== undefined
        ? ('bridge' as const)
        : isTap
          ? ('tap' as const)
          : actual?.type === 'direct'
            ? ('macvtap' as const)
            : ('other' as const),
    dev,
    deferred: false,
    network: network ?? undefined,
    otherSwitch: isPlain,
    ownTap: isOwnTap ? { multiQueue: (iface.queues ?? 1) > 1 } : undefined,
    bridge: plugged ?? tap?.bridge,
    tableOfLibvirt: (actual?.type === 'bridge' || actual?.type === 'network') && actual.macTableManager === 'libvirt',
    portByLibvirt: [...(actual?.isolated ? ['isolated' as const] : []), ...(actual?.vlan ? ['vlan' as const] : [])],
    macvtap,
    hostdev:
      actual?.type === 'hostdev' && address !== undefined
        ? {
            address,
            managed: actual.managed,
            as: isPlain ? ('plain' as const) : ('interface' as const),
            iommufd: actual.iommufd ?? false,
          }
        : undefined,
    chosen: recordedActual(iface) !== undefined,
    vlan: singleVlan(actual?.vlan),
    mtu: iface.mtu,
  };
  const kind = tap?.kind ?? kindOfActual(actual, device, context.host);
  const tags = actual?.vlan?.tags.map(({ id }) => id);
  return judged(device, { asked, kind, trust: actual?.trustGuestRxFilters, tags }, context);
}

function ofHostdev(hostdev: HostdevUse, context: Context): GuestDevice {
  const { address } = hostdev;
  const { host, config } = context;
  const device = {
    ...nothingKnown,
    name: `host device ${address}${hostdev.as === 'command line' ? ' of the command line' : ''}`,
    hostdev,
    chosen: true,
  };
  const { isNetwork = false, netdevs = [] } = host.pci(address) ?? {};
  const kind = kindOfVf(device, host);
  // A rule for a guest's interfaces says nothing of its graphics card.
  const isMeant = ({ match }: Config['interfaces'][number]) => match.address !== undefined || match.pf !== undefined;
  const rules =
    kind === 'VF' || isNetwork || netdevs.length > 0 ? config.interfaces : config.interfaces.filter(isMeant);
  const asked = askedOf({ ...context, config: { ...config, interfaces: rules } }, hostdevMatch(address, host));
  return judged(device, { asked, kind, trust: undefined }, context);
}

/** A tap that QEMU opens by its name; of one that gets a descriptor or a template name, and of other backends, we know nothing. */
function ofNetdev(netdev: CommandLineObject, commandLine: CommandLine, context: Context): GuestDevice {
  const { kind: backend, options, id } = netdev;
  const name = options.get('ifname') ?? '';
  const isForeign = ['fd', 'fds', 'helper'].some(option => options.has(option));
  const dev = backend !== 'tap' || name === '' || name.includes('%') || isForeign ? undefined : name;
  const consumer = commandLine.devices.find(({ options: of }) => of.get('netdev') === id);
  const mac = readQemuMac(consumer?.options.get('mac'));
  const asked = askedOf(context, { ...(mac && { mac }), ...(dev && { tap: dev }) });
  if (dev === undefined) {
    const device = { ...nothingKnown, name: `netdev '${id ?? backend}' of the command line`, mac, chosen: true };
    return judged(device, { asked, kind: 'backend', trust: undefined }, context);
  }
  const deferred = whyAtOnce(netdev, commandLine, context.incoming) === undefined;
  const { bridge, kind } = placeOfTap({ dev, isOwn: true, deferred }, asked, context);
  const device = {
    ...nothingKnown,
    name: `tap '${dev}' of the command line`,
    mac,
    type: 'tap' as const,
    dev,
    ownTap: { multiQueue: Number(options.get('queues') ?? 1) > 1 },
    deferred,
    bridge,
    chosen: true,
  };
  return judged(device, { asked, kind, trust: undefined }, context);
}

type Connection = Omit<GuestDevice, 'kind' | 'settings' | 'unsettable' | 'refused'>;

/** With what is asked for it: its bridge's own settings below the rule's and the guest's, parted into what it can have and what not. */
function judged(
  device: Connection,
  {
    asked,
    kind,
    trust,
    tags = [],
  }: { asked: Asked; kind: DeviceKind; trust: boolean | undefined; tags?: readonly number[] | undefined },
  { config, host }: Pick<Context, 'config' | 'host'>,
): GuestDevice {
  const { bridge } = device;
  const ofBridge = bridge === undefined || !Object.hasOwn(config.bridges, bridge) ? undefined : config.bridges[bridge];
  const own = ofBridge ? { keepForwardingTable: ofBridge.keepForwardingTable, isolated: ofBridge.isolated } : {};
  const { settings: all, refused } = weigh(own, asked);
  const { settings, unsettable } = judgeSettings(all, kind, { ...device, tags, config, host });
  const isVf = kind === 'VF' || kind === 'macvtap on a VF';
  return { ...device, kind, settings: isVf ? withTrust(settings, trust) : settings, unsettable, refused };
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
