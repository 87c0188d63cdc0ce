import type { Config, InterfaceSettings } from '../config/config.ts';
import { findSettings } from '../config/match.ts';
import { findWish, type Wish } from '../config/wishes.ts';
import type { CommandLineObject } from '../model/command-line.ts';
import type { Domain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import type { GuestView } from '../transform/guest-view.ts';

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
  /** The bridge it is or shall be plugged into. */
  readonly bridge: string | undefined;
  /** libvirt keeps the forwarding table of this connection (`macTableManager='libvirt'`). */
  readonly tableOfLibvirt: boolean;
  readonly macvtap: { readonly physdev: string; readonly passthrough: boolean } | undefined;
  readonly settings: InterfaceSettings;
}

/** Every connection of a guest, interfaces first, then command-line taps. */
export function guestDevices(
  domain: Domain,
  view: GuestView,
  context: Pick<Context, 'config' | 'wishes'>,
): GuestDevice[] {
  const { config, wishes } = context;
  const interfaces = domain.interfaces.map(iface => ofInterface(iface, view, { domain, config, wishes }));
  const taps = domain.commandLine.netdevs.flatMap(netdev => ofNetdev(netdev, { domain, config, wishes }) ?? []);
  return [...interfaces, ...taps];
}

interface Context {
  readonly domain: Domain;
  readonly config: Config;
  readonly wishes: readonly Wish[];
}

function ofInterface(iface: Interface, view: GuestView, context: Context): GuestDevice {
  const actual = view.interfaces[iface.index]?.actual ?? null;
  const dev = iface.target.dev;
  const plugged = actual?.type === 'bridge' || actual?.type === 'network' ? actual.bridge : undefined;
  const isOwnTap = iface.type === 'ethernet' && !iface.target.managed && dev !== undefined;
  const settings = settingsOf(context, {
    ...(iface.mac && { mac: iface.mac }),
    ...(iface.source.network && { network: iface.source.network }),
    ...(plugged && { bridge: plugged }),
    ...(iface.type === 'ethernet' && dev && { tap: dev }),
  });
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
    ownTap: isOwnTap ? { multiQueue: (iface.queues ?? 1) > 1 } : undefined,
    bridge: plugged ?? (iface.type === 'ethernet' ? settings.bridge : undefined),
    tableOfLibvirt: (actual?.type === 'bridge' || actual?.type === 'network') && actual.macTableManager === 'libvirt',
    macvtap:
      actual?.type === 'direct' && actual.dev !== undefined
        ? { physdev: actual.dev, passthrough: actual.mode === 'passthrough' }
        : undefined,
    settings: iface.mtu === undefined ? settings : { ...settings, mtu: settings.mtu ?? iface.mtu },
  };
}

/** A tap that QEMU opens by its name; one that gets a descriptor or a template name is made by somebody else. */
function ofNetdev(netdev: CommandLineObject, context: Context): GuestDevice | undefined {
  const { kind, options, id } = netdev;
  const dev = options.get('ifname') ?? '';
  const isForeign = ['fd', 'fds', 'helper'].some(option => options.has(option));
  if (kind !== 'tap' || dev === '' || dev.includes('%') || isForeign) return undefined;
  const device = context.domain.commandLine.devices.find(({ options: of }) => of.get('netdev') === id);
  const mac = device?.options.get('mac')?.toLowerCase().replaceAll('-', ':');
  const settings = settingsOf(context, { ...(mac && { mac }), tap: dev });
  return {
    name: `tap '${dev}' of the command line`,
    mac,
    type: 'tap',
    dev,
    ownTap: { multiQueue: Number(options.get('queues') ?? 1) > 1 },
    bridge: settings.bridge,
    tableOfLibvirt: false,
    macvtap: undefined,
    settings,
  };
}

/** The bridge's own settings, then the first rule that fits, then what the guest asks for. */
function settingsOf(
  { domain, config, wishes }: Context,
  device: { mac?: string; network?: string; bridge?: string; tap?: string },
): InterfaceSettings {
  const ruled = findSettings(config, { guest: domain.name, ...device });
  const wished = findWish(wishes, device) ?? {};
  const bridge = device.bridge ?? wished.bridge ?? ruled.bridge;
  const ofBridge = bridge === undefined || !Object.hasOwn(config.bridges, bridge) ? undefined : config.bridges[bridge];
  return {
    ...(ofBridge && { keepForwardingTable: ofBridge.keepForwardingTable, isolated: ofBridge.isolated }),
    ...ruled,
    ...wished,
  };
}
