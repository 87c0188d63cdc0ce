import type { Config } from '../config/config.ts';
import { isMac } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import type { Change } from './change.ts';
import type { GuestDevice } from './guest-devices.ts';
import { type HostView, pfsBelow, uplinksOf } from './host-view.ts';
import { bindDrivers, bringUpPfs } from './hostdevs.ts';
import { provideParts } from './parts.ts';
import { asksForVf, guestsMayAskForVf, keepVf, setVf, userOf, vfOf } from './vfs.ts';

/** What is planned for one guest: its connections, and the host it meets. */
export interface PlanContext {
  readonly devices: readonly GuestDevice[];
  readonly config: Config;
  readonly host: HostView;
}

/** Whether the configuration asks for nothing at all: then the host is not even looked at. */
export function isPassive({ bridges, taps, macvtap, hostdevs, provide, interfaces, guests }: Config): boolean {
  const sections = [bridges, provide.bridges, provide.vlans, provide.vfs];
  const named = sections.some(section => Object.keys(section).length > 0);
  const switched = taps.create || macvtap.manage || hostdevs.restore || hostdevs.bind;
  return !named && !switched && interfaces.length === 0 && guests.allow.length === 0;
}

/** `prepare`: missing bridges, the taps that libvirt does not make, and what it will change on devices that are known by now. */
export function planPrepare(context: PlanContext): Change[] {
  const { devices, config, host } = context;
  const needed = devices.flatMap(({ bridge, macvtap }) =>
    [bridge, macvtap?.physdev].filter(name => name !== undefined),
  );
  const parts = provideParts(needed, config);
  const made = new Set(parts.flatMap(({ subject }) => (subject.kind === 'link' ? subject.dev : [])));
  return [
    ...parts,
    // Only a network's start changes how many VFs there are: this guest may have one, and others too.
    ...bringUpPfs(context),
    ...devices.flatMap(device => (device.chosen ? keepVf(device, { config, host, isAsked: asksForVf(device) }) : [])),
    ...bindDrivers(context),
    ...devices.flatMap(device =>
      config.taps.create && !device.postponed ? makeTap(device, { config, host, made, joined: true }) : [],
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
    ...(device.type === 'bridge' ? portSettings(device, context) : []),
    ...setVf(device, { ...context, withVlan: true }),
  ]);
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
export function planPostponedTaps({ devices, config, host }: PlanContext): Change[][] {
  if (!config.taps.create) return [];
  return devices
    .filter(({ postponed }) => postponed)
    .map(device => {
      // What its bridge cannot do later is a reason to refuse the guest now.
      portSettings(device, { config, host });
      return makeTap(device, { config, host, made: new Set(), joined: false });
    });
}

/** The CPUs run: taps that were made without their bridge are plugged in. */
export function planJoin({ devices, config, host }: PlanContext): Change[] {
  if (!config.taps.create) return [];
  return devices.flatMap(device => {
    const { dev, bridge, postponed, name } = device;
    if (!postponed || dev === undefined || bridge === undefined || host.link(dev)?.master !== null) return [];
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

/** Isolation and VLANs of a port; VLANs also on the bridge's uplinks, which libvirt leaves to the administrator. */
function portSettings(device: GuestDevice, { config, host }: Pick<PlanContext, 'config' | 'host'>): Change[] {
  const { dev, bridge, settings, name } = device;
  if (dev === undefined || bridge === undefined) return [];
  const isolated: Change[] = settings.isolated
    ? [{ subject: { kind: 'isolated', dev }, to: true, why: `${name} is to be isolated` }]
    : [];
  const [first, ...others] = settings.vlan ?? [];
  if (first === undefined) return isolated;
  const provided = host.link(bridge) === undefined ? config.provide.bridges[bridge] : undefined;
  if (!(provided?.vlanFiltering ?? host.link(bridge)?.vlanFiltering)) {
    throw new ActualnetError(
      'VLAN_UNSUPPORTED',
      `${name}: bridge '${bridge}' does not tell VLANs apart, so vlan ${settings.vlan?.join(', ')} is impossible`,
      {
        hint: `'ip link set ${bridge} type bridge vlan_filtering 1', if the kernel can`,
      },
    );
  }
  const why = `vlan ${settings.vlan?.join(', ')} of ${name}`;
  const isAccess = others.length === 0;
  const present = provided?.ports ?? uplinksOf(bridge, host).map(link => link.dev);
  const uplinks = config.bridges[bridge]?.uplinkVlans ? present : [];
  const isDefault = [first, ...others].includes(1);
  return [
    ...isolated,
    ...(isDefault ? [] : [{ subject: { kind: 'vlan', dev, id: 1 }, to: null, why } as const]),
    ...[first, ...others].map(
      id => ({ subject: { kind: 'vlan', dev, id }, to: isAccess ? 'pvid untagged' : 'tagged', why }) as const,
    ),
    ...uplinks.flatMap(uplink =>
      [first, ...others].map(
        id => ({ subject: { kind: 'vlan', dev: uplink, id }, to: 'tagged', why, shared: true }) as const,
      ),
    ),
  ];
}

/** The port neither learns nor gets floods: with entries of ours, what it learns could only be wrong. */
function quietPort({ settings, tableOfLibvirt, bridge, dev, mac, name }: GuestDevice): Change[] {
  if (!settings.keepForwardingTable || tableOfLibvirt || bridge === undefined || dev === undefined || mac === undefined)
    return [];
  const why = `the forwarding table of ${name} is kept`;
  return (['learning', 'flood'] as const).map(kind => ({ subject: { kind, dev }, to: false, why }));
}

/**
 * Where frames for a guest's MAC find it. A card with VFs hands a frame that leaves through its PF to a VF with that MAC,
 * so the guest of a bridge above must be in the PF's table to get an answer from there; the bridge in turn looks for VFs
 * of the card behind its uplink. A PF must not claim a MAC that one of the guest's own VFs on it has.
 */
function forwardingEntries(device: GuestDevice, { devices, config, host }: PlanContext): Change[] {
  const { settings, tableOfLibvirt, bridge, dev, mac, name } = device;
  if (mac === undefined) return [];
  const entry = { to: true, why: `${name} runs`, reach: true } as const;
  if (bridge === undefined) {
    const pf = vfOf(device, host)?.pf;
    const above = (other: string) => pfsBelow(other, host).flatMap(below => (below.pf === pf ? below.uplink : []));
    const isElsewhere = (other: string) => devices.some(each => each.mac === mac && each.bridge === other);
    return Object.keys(config.bridges)
      .filter(other => pf !== undefined && config.bridges[other]?.pfForwardingTable && !isElsewhere(other))
      .flatMap(above)
      .map(uplink => ({ subject: { kind: 'fdb', dev: uplink, mac, table: 'bridge' }, ...entry }));
  }
  const own: Change[] =
    settings.keepForwardingTable && !tableOfLibvirt && dev !== undefined
      ? [{ subject: { kind: 'fdb', dev, mac, table: 'bridge' }, ...entry }]
      : [];
  const ofVfs = devices.flatMap(each => (each.mac === mac ? (vfOf(each, host)?.pf ?? []) : []));
  const pfs = config.bridges[bridge]?.pfForwardingTable ? pfsBelow(bridge, host).map(({ pf }) => pf) : [];
  return [
    ...own,
    ...pfs
      .filter(pf => !ofVfs.includes(pf))
      .map(pf => ({ subject: { kind: 'fdb', dev: pf, mac, table: 'self' }, ...entry }) as const),
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
