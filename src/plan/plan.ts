import { listChoices } from '../config/guest-policy.ts';
import type { Config } from '../config/types.ts';
import { userOf } from '../kernel/device-uses.ts';
import type { HostView } from '../kernel/host-view.ts';
import type { Change } from '../kernel/registry.ts';
import { isMac } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import type { PlanContext } from './context.ts';
import { forwardingEntries, quietPort } from './forwarding.ts';
import type { GuestDevice } from './guest-device.ts';
import { bindDrivers, bringUpPfs } from './hostdevs.ts';
import { provisionLinks } from './provisioned-links.ts';
import { uplinksOf } from './uplinks.ts';
import { asksForVf, guestsMayAskForVf, keepVf, setVf, vfOf } from './vfs.ts';

/** Whether the configuration asks for nothing at all: then the host is not even looked at. */
export function isPassive({ bridges, taps, macvtap, hostdevs, provide, interfaces, guests }: Config): boolean {
  const sections = [bridges, provide.bridges, provide.vlans, provide.vfs];
  const named = sections.some(section => Object.keys(section).length > 0);
  const switched = taps.create || macvtap.manage || hostdevs.restore || hostdevs.bind;
  return !named && !switched && interfaces.length === 0 && listChoices(guests).size === 0;
}

/** `prepare`: missing bridges, the taps that libvirt does not make, and what it will change on devices that are known by now. */
export function planPrepare(context: PlanContext): Change[] {
  const { devices, config, host } = context;
  const needed = devices.flatMap(({ bridge, macvtap }) =>
    [bridge, macvtap?.physdev].filter(name => name !== undefined),
  );
  const parts = provisionLinks(needed, config);
  const made = new Set(parts.flatMap(({ subject }) => (subject.kind === 'link' ? subject.dev : [])));
  return [
    ...parts,
    // Only a network's start changes how many VFs there are: this guest may have one, and others too.
    ...bringUpPfs(context),
    ...devices.flatMap(device => (device.chosen ? keepVf(device, { config, host, isAsked: asksForVf(device) }) : [])),
    ...bindDrivers(context),
    ...devices.flatMap(device =>
      config.taps.create && !device.deferred ? makeTap(device, { config, host, made, joined: true }) : [],
    ),
  ];
}

/**
 * `port-created`: libvirt has chosen a VF, or a device for a macvtap, and not touched it yet. A port of a guest that has it
 * already is only told again.
 */
export function planPort(device: GuestDevice, { config, host }: Pick<PlanContext, 'config' | 'host'>): Change[] {
  const use = vfOf(device, host);
  if (use !== undefined && userOf(use.address, host) !== undefined) return [];
  return [
    ...bringUpPfs({ devices: [device], config, host }),
    ...keepPhysdevs({ devices: [device], config, host }),
    // What the guest itself asks for is not known from its port.
    ...keepVf(device, { config, host, isAsked: asksForVf(device) || guestsMayAskForVf(config) }),
    ...bindDrivers({ devices: [device], config, host }),
    ...setVf(device, { config, host, withVlan: false }),
  ];
}

/** `start`: libvirt's taps exist and its VFs are set; nothing is opened yet, and ports learn and flood as the kernel makes them. */
export function planStart(context: PlanContext): Change[] {
  return context.devices.flatMap(device => [
    ...planAttached({ ...context, devices: [device] }),
    ...keepPhysdevs({ ...context, devices: [device] }),
  ]);
}

/** What a device asks for that libvirt has just connected, at the start or later. */
export function planAttached(context: PlanContext): Change[] {
  return context.devices.flatMap(device => [
    ...plugIn(device),
    ...(isWaiting(device, context) ? [] : portSettings(device, context)),
    ...linkMtu(device, context.config),
    ...setVf(device, { ...context, withVlan: true }),
  ]);
}

/** libvirt leaves an ethernet tap that it makes to whoever wants it. */
function plugIn({ type, kind, ownTap, dev, bridge, name }: GuestDevice): Change[] {
  if (type !== 'tap' || kind !== 'bridge port' || ownTap !== undefined || dev === undefined || bridge === undefined)
    return [];
  return [{ subject: { kind: 'master', dev }, to: bridge, why: `${name} is to be connected to it` }];
}

/** Its bridge comes when the CPUs run. */
function isWaiting({ deferred, dev }: GuestDevice, { host }: Pick<PlanContext, 'host'>): boolean {
  return deferred && dev !== undefined && host.link(dev)?.master == null;
}

/** A tap that libvirt makes has its MTU from the definition or the bridge. */
function linkMtu({ dev, kind, settings: { mtu }, name }: GuestDevice, config: Config): Change[] {
  if (dev === undefined || mtu === undefined || !(kind === 'bridge port' || kind === 'loose tap')) return [];
  const optional = config.settings.refused === 'warn';
  return [{ subject: { kind: 'mtu', dev }, to: mtu, why: `${name} is to have it`, optional }];
}

/** Before libvirt connects a device to a running guest: all that `prepare`, `port-created` and `start` do before a guest runs. */
export function planAttach(context: PlanContext): Change[] {
  const chosen = context.devices.filter(device => device.chosen);
  return [
    ...planPrepare(context),
    ...keepPhysdevs(context),
    ...chosen.flatMap(device => setVf(device, { ...context, withVlan: false })),
  ];
}

function keepPhysdevs({ devices, config, host }: PlanContext): Change[] {
  if (!config.macvtap.manage) return [];
  return devices.flatMap(({ macvtap }) => (macvtap === undefined ? [] : keepPhysdevState(macvtap, host)));
}

/**
 * The guest's CPUs run: its MACs are put where frames for it can be found. Entries come first: a port that neither learns
 * nor gets floods is cut off without one.
 */
export function planReachable(context: PlanContext): Change[] {
  const { devices, config } = context;
  return [
    ...devices.flatMap(device => forwardingEntries(device, context)),
    ...devices.flatMap(device => [...quietPort(device), ...(config.macvtap.manage ? linksUp(device) : [])]),
  ];
}

/**
 * The guest's CPUs have stopped: macvtaps go down, and a physdev only if it was passed through, since others may use it
 * otherwise. Forwarding entries are taken back from the ledger, not planned here.
 */
export function planUnreachable({ devices, config }: PlanContext): Change[] {
  if (!config.macvtap.manage) return [];
  return devices.flatMap(({ macvtap, dev, name }) => {
    if (macvtap === undefined) return [];
    const why = `the CPUs behind ${name} have stopped`;
    const down = (link: string): Change => ({ subject: { kind: 'up', dev: link }, to: false, why });
    return [
      ...(dev === undefined ? [] : [down(dev)]),
      ...(macvtap.passthrough ? [{ ...down(macvtap.physdev), shared: true }] : []),
    ];
  });
}

/**
 * `start` of a guest that comes from elsewhere: the taps that were left out at `prepare`, each with its changes, in the
 * order in which QEMU opens them. They are in no bridge yet.
 */
export function planDeferredTaps({ devices, config, host }: PlanContext): Change[][] {
  if (!config.taps.create) return [];
  return devices
    .filter(({ deferred }) => deferred)
    .map(device => makeTap(device, { config, host, made: new Set(), joined: false }));
}

/** The CPUs run: taps that were made without their bridge are plugged in. */
export function planJoin({ devices, config, host }: PlanContext): Change[] {
  if (!config.taps.create) return [];
  return devices.flatMap(device => {
    const { dev, bridge, deferred, name } = device;
    if (!deferred || dev === undefined || bridge === undefined || host.link(dev)?.master !== null) return [];
    return [
      { subject: { kind: 'master', dev }, to: bridge, why: `${name} runs` } as const,
      ...portSettings(device, { config, host }),
    ];
  });
}

/** Networks whose forwarding table libvirt keeps are only looked at: one line for each thing that is not as it should be. */
export function verifyLibvirtTables({ devices, host }: Pick<PlanContext, 'devices' | 'host'>): string[] {
  return devices.flatMap(({ tableOfLibvirt, dev, mac, name }) => {
    if (!tableOfLibvirt || dev === undefined || mac === undefined) return [];
    const port = host.link(dev)?.port;
    const hasEntry = host.fdb.some(
      entry => entry.mac === mac && entry.dev === dev && entry.table === 'bridge' && entry.fixed,
    );
    return [
      ...(port === undefined ? [`${name}: ${dev} is in no bridge`] : []),
      ...(port?.learning || port?.flood
        ? [`${name}: libvirt keeps the table of its bridge, but ${dev} still learns or floods`]
        : []),
      ...(hasEntry ? [] : [`${name}: libvirt keeps the table of its bridge, but there is no entry for it on ${dev}`]),
    ];
  });
}

/** Host-side MAC, MTU, bridge and up, in the order the kernel needs; a device that is there is used as it is. */
function makeTap(
  device: GuestDevice,
  { config, host, made, joined }: { config: Config; host: HostView; made: ReadonlySet<string>; joined: boolean },
): Change[] {
  const { dev, ownTap, bridge, mac, settings, name } = device;
  if (dev === undefined || ownTap === undefined || host.link(dev) !== undefined) return [];
  if (bridge !== undefined && !made.has(bridge) && host.link(bridge)?.isBridge !== true) {
    throw new ActualnetError('DEVICE_MISSING', `${name}: there is no bridge '${bridge}' to plug '${dev}' into`, {
      hint: `make it, or add it to 'provide' in the configuration`,
    });
  }
  if (mac !== undefined && !isMac(mac))
    throw new ActualnetError('XML_VALUE', `${name}: its card has the MAC '${mac}', which QEMU does not take`);
  const why = `${name} needs it, and libvirt does not make it`;
  const owner = config.taps.owner;
  const mtu =
    settings.mtu ??
    device.mtu ??
    (bridge === undefined ? undefined : (host.link(bridge)?.mtu ?? config.provide.bridges[bridge]?.mtu));
  return [
    {
      subject: { kind: 'link', dev },
      to: { type: 'tap', ...(owner && { owner }), multiQueue: ownTap.multiQueue },
      why,
    },
    ...(mac === undefined ? [] : [{ subject: { kind: 'mac', dev }, to: hostSideMac(mac), why } as const]),
    ...(mtu === undefined ? [] : [{ subject: { kind: 'mtu', dev }, to: mtu, why } as const]),
    ...(bridge === undefined || !joined
      ? []
      : [{ subject: { kind: 'master', dev }, to: bridge, why } as const, ...portSettings(device, { config, host })]),
    { subject: { kind: 'up', dev }, to: true, why },
  ];
}

/** The tap keeps a MAC of its own beside the guest's: libvirt's rule, first byte FE, or FA if the guest's has FE. */
export function hostSideMac(mac: string): string {
  return `${mac.startsWith('fe') ? 'fa' : 'fe'}${mac.slice(2)}`;
}

/** Isolation and VLANs of a port of a Linux bridge; VLANs also on the bridge's uplinks, which libvirt leaves to the administrator. */
function portSettings(device: GuestDevice, { config, host }: Pick<PlanContext, 'config' | 'host'>): Change[] {
  const { dev, bridge, kind, settings, name } = device;
  if (dev === undefined || bridge === undefined || kind !== 'bridge port') return [];
  const isolated: Change[] = settings.isolated
    ? [{ subject: { kind: 'isolated', dev }, to: true, why: `${name} is to be isolated` }]
    : [];
  const { vlan: ids = [] } = settings;
  if (ids.length === 0) return isolated;
  const why = `vlan ${ids.join(', ')} of ${name}`;
  const uplinks = config.bridges[bridge]?.uplinkVlans ? uplinksOf(bridge, { config, host }) : [];
  return [
    ...isolated,
    ...(ids.includes(1) ? [] : [{ subject: { kind: 'vlan', dev, id: 1 }, to: null, why } as const]),
    ...ids.map(
      id => ({ subject: { kind: 'vlan', dev, id }, to: ids.length === 1 ? 'pvid untagged' : 'tagged', why }) as const,
    ),
    ...uplinks.flatMap(uplink =>
      ids.map(id => ({ subject: { kind: 'vlan', dev: uplink, id }, to: 'tagged', why, shared: true }) as const),
    ),
  ];
}

/**
 * libvirt brings a physdev up with the macvtap and leaves it up; one that is passed through it takes down when it stops
 * the CPUs, and leaves it down. How it was before the first guest is kept for the end of the last.
 */
function keepPhysdevState(
  { physdev, passthrough }: { physdev: string; passthrough: boolean },
  host: HostView,
): Change[] {
  const mayGoDown = passthrough && host.link(physdev)?.up === true;
  const why = mayGoDown ? 'libvirt may leave it down' : 'a macvtap needs it';
  return [{ subject: { kind: 'up', dev: physdev }, to: !mayGoDown, why, shared: true, byLibvirt: true }];
}

function linksUp({ macvtap, dev, name }: GuestDevice): Change[] {
  if (macvtap === undefined || dev === undefined) return [];
  const why = `${name} runs`;
  return [
    { subject: { kind: 'up', dev: macvtap.physdev }, to: true, why, shared: true },
    { subject: { kind: 'up', dev }, to: true, why },
  ];
}
