import { type Config, type InterfaceSetting, type InterfaceSettings, interfaceSettings } from '../config/config.ts';
import { ActualnetError, type ErrorCode } from '../report/error.ts';
import type { HostView } from './host-view.ts';

/**
 * What a connection is on the host, as far as settings go. A `foreign port` is plugged into something that is no Linux
 * bridge; a `backend` has no device on the host that we know; `unknown` is told apart later.
 */
export const deviceKinds = [
  'bridge port',
  'foreign port',
  'loose tap',
  'macvtap',
  'macvtap on a VF',
  'VF',
  'PCI device',
  'backend',
  'unknown',
] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/** Why a setting cannot be had. */
interface Refusal {
  readonly why: string;
  readonly hint?: string;
  readonly code?: ErrorCode;
}

/** A setting that an interface asks for and cannot have. */
export interface Unsettable extends Refusal {
  readonly setting: InterfaceSetting;
  /** It and its value, for messages. */
  readonly what: string;
  /** It would have kept the guest apart from others. */
  readonly isSecurity: boolean;
}

/** What a verdict may look at once there is a guest. */
interface Seen {
  readonly mac: string | undefined;
  readonly bridge: string | undefined;
  /** The VLAN that libvirt sets, of its definition or network. */
  readonly vlan: number | undefined;
  /** All that libvirt sets, on a port too. */
  readonly tags: readonly number[];
  readonly config: Config;
  readonly host: HostView;
}

/** `set`: a plan makes a change or an announcement of it. Undefined stands for the same where it depends. */
type Verdict = 'set' | Refusal | ((asked: InterfaceSettings, seen: Seen | undefined) => Refusal | undefined);

const ofVfAlone = refuse('only the PF of a VF sets it');
const settingsOfVf = {
  trust: 'set',
  spoofchk: 'set',
  linkState: 'set',
  maxTxRate: 'set',
  minTxRate: 'set',
  // Of its VLAN, if it has one.
  vlanQos: 'set',
  vlanProto: 'set',
  queryRss: 'set',
} as const;
const noVf = {
  trust: ofVfAlone,
  spoofchk: ofVfAlone,
  linkState: ofVfAlone,
  maxTxRate: ofVfAlone,
  minTxRate: ofVfAlone,
  vlanQos: ofVfAlone,
  vlanProto: ofVfAlone,
  queryRss: ofVfAlone,
} as const;

const ofSwitch = refuse('its port is not one of a Linux bridge, and is set by what it is plugged into');
const ofLooseTap = refuse('its tap is in no bridge', "'bridge' in a rule, or type='bridge', connects it to one");
const ofMacvtap = refuse('a macvtap is no port of a bridge');
const ofVf = refuse('a VF is no port of a bridge');
const ofPciDevice = refuse('it is no VF whose PF can be asked');
const ofUnknown = refuse('what it is connected to is not known');
const ofBackend = refuse('it has no device on the host that could be set');

/** Every setting of every kind of device: whether it is set, or why it cannot be. */
const verdicts: Readonly<Record<DeviceKind, Readonly<Record<InterfaceSetting, Verdict>>>> = {
  'bridge port': {
    bridge: onlyThere,
    vlan: alone,
    isolated: 'set',
    keepForwardingTable: needsMac,
    mtu: 'set',
    announce: needsMac,
    ...noVf,
  },
  'foreign port': {
    bridge: onlyThere,
    vlan: onlyOwn,
    isolated: ofSwitch,
    keepForwardingTable: ofSwitch,
    mtu: ofSwitch,
    announce: needsMac,
    ...noVf,
  },
  'loose tap': {
    bridge: refuse('its tap is there already, in no bridge', 'plug it in, or leave making it to us'),
    vlan: ofLooseTap,
    isolated: ofLooseTap,
    keepForwardingTable: ofLooseTap,
    mtu: 'set',
    announce: ofLooseTap,
    ...noVf,
  },
  macvtap: {
    bridge: ofMacvtap,
    vlan: refuse('a macvtap carries what the device below it carries', 'put it on a VLAN device'),
    isolated: refuse(ofMacvtap.why, "mode='private' keeps the macvtaps of one device apart"),
    keepForwardingTable: ofMacvtap,
    mtu: refuse('a macvtap has the MTU of the device below it'),
    announce: needsMac,
    ...noVf,
  },
  'macvtap on a VF': {
    bridge: ofMacvtap,
    vlan: oneVlan,
    isolated: ofMacvtap,
    keepForwardingTable: ofMacvtap,
    mtu: refuse('a macvtap has the MTU of the device below it'),
    announce: needsMac,
    ...settingsOfVf,
  },
  VF: {
    bridge: ofVf,
    vlan: oneVlan,
    isolated: ofVf,
    keepForwardingTable: ofVf,
    mtu: refuse('the MTU of a VF is set by the guest'),
    announce: needsMac,
    ...settingsOfVf,
  },
  'PCI device': all(ofPciDevice),
  backend: all(ofBackend),
  unknown: all('set'),
};

/**
 * Parts what is asked for a device into what its plans carry out and what cannot be had: whatever is wanted is in one of
 * the two. What asks for nothing (`isolated: false`) is in neither way.
 */
export function judgeSettings(
  asked: InterfaceSettings,
  kind: DeviceKind,
  seen: Seen,
): { readonly settings: InterfaceSettings; readonly unsettable: readonly Unsettable[] } {
  const unsettable = listRefused(asked, setting => refusalOf(kind, setting, asked, seen));
  const refused = new Set<string>(unsettable.map(({ setting }) => setting));
  const settings: InterfaceSettings = Object.fromEntries(Object.entries(asked).filter(([name]) => !refused.has(name)));
  return { settings, unsettable };
}

/** Why devices of that kind cannot have a setting, whatever the guest; undefined if some can, or it depends. */
export function refusalForKind(
  kind: DeviceKind,
  setting: InterfaceSetting,
  asked: InterfaceSettings,
): string | undefined {
  return isWanted(asked, setting) ? refusalOf(kind, setting, asked, undefined)?.why : undefined;
}

interface Judged {
  readonly name: string;
  readonly kind: DeviceKind;
  readonly settings: InterfaceSettings;
  readonly unsettable: readonly Unsettable[];
}

/**
 * How far a guest is: before it has all its devices, some cannot be told apart yet; once its CPUs run, nothing is refused
 * any more.
 */
export type Moment = 'foreseen' | 'starts' | 'runs';

/** What keeps a guest from being started, by the configuration's policy. */
export function settingRefusals(devices: readonly Judged[], config: Config, moment: Moment): ActualnetError[] {
  if (moment === 'runs') return [];
  return linesOf(devices, moment).flatMap(({ unsettable, error }) => (isFatal(unsettable, config) ? error : []));
}

/** A line for each setting that cannot be had and is no reason to refuse the guest. */
export function settingFindings(devices: readonly Judged[], config: Config, moment: Moment): string[] {
  return linesOf(devices, moment).flatMap(({ unsettable, error: { message, hint } }) =>
    moment !== 'runs' && isFatal(unsettable, config) ? [] : `${message}${hint === undefined ? '' : ` (hint: ${hint})`}`,
  );
}

/** `vlan 10, 20`, `isolated`, `trust off`. */
function describeSetting(asked: InterfaceSettings, setting: InterfaceSetting): string {
  const value = asked[setting];
  if (setting === 'isolated' || setting === 'keepForwardingTable') return setting;
  if (typeof value === 'boolean') return `${setting} ${value ? 'on' : 'off'}`;
  return `${setting} ${Array.isArray(value) ? value.join(', ') : value}`;
}

function linesOf(devices: readonly Judged[], moment: Moment) {
  return devices.flatMap(({ name, kind, settings, unsettable: list }) => {
    const untold = kind === 'unknown' && moment !== 'foreseen' ? listRefused(settings, () => ofUnknown) : [];
    return [...list, ...untold].map(unsettable => {
      const { what, why, hint, code = 'ACTUAL_UNSUPPORTED' } = unsettable;
      const message = `${name} cannot have ${what}: ${why}`;
      return { unsettable, error: new ActualnetError(code, message, { hint }) };
    });
  });
}

/** What is wanted and refused. */
function listRefused(
  asked: InterfaceSettings,
  refusalFor: (setting: InterfaceSetting) => Refusal | undefined,
): Unsettable[] {
  return interfaceSettings.flatMap(setting => {
    const refusal = isWanted(asked, setting) ? refusalFor(setting) : undefined;
    if (refusal === undefined) return [];
    return { ...refusal, setting, what: describeSetting(asked, setting), isSecurity: isSecurity(asked, setting) };
  });
}

function isFatal({ isSecurity }: Unsettable, { settings }: Config): boolean {
  return (isSecurity ? settings.refusedSecurity : settings.refused) === 'fail';
}

function isWanted(asked: InterfaceSettings, setting: InterfaceSetting): boolean {
  const value = asked[setting];
  if (setting === 'isolated' || setting === 'keepForwardingTable') return value === true;
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
}

function isSecurity(asked: InterfaceSettings, setting: InterfaceSetting): boolean {
  switch (setting) {
    case 'isolated':
    case 'vlan':
      return true;
    case 'spoofchk':
      return asked.spoofchk === true;
    case 'trust':
      return asked.trust === false;
    default:
      return false;
  }
}

function refusalOf(
  kind: DeviceKind,
  setting: InterfaceSetting,
  asked: InterfaceSettings,
  seen: Seen | undefined,
): Refusal | undefined {
  const verdict: Verdict = verdicts[kind][setting];
  if (verdict === 'set') return undefined;
  return typeof verdict === 'function' ? verdict(asked, seen) : verdict;
}

function refuse(why: string, hint?: string, code?: ErrorCode): Refusal {
  return { why, ...(hint !== undefined && { hint }), ...(code !== undefined && { code }) };
}

function all(verdict: Verdict): Record<InterfaceSetting, Verdict> {
  return Object.fromEntries(interfaceSettings.map(setting => [setting, verdict])) as Record<InterfaceSetting, Verdict>;
}

/** Nobody but libvirt, or who has made the tap, plugs it in elsewhere. */
function onlyThere({ bridge }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (seen === undefined || seen.bridge === bridge) return undefined;
  return refuse(`it is connected to '${seen.bridge}'`, 'a rule of rewrite connects a guest that comes here elsewhere');
}

function onlyOwn({ vlan = [] }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (vlan.length === 1 && seen?.vlan === vlan[0]) return undefined;
  return refuse(ofSwitch.why, 'give it in the <vlan> of the interface or its network, which libvirt sets there');
}

function needsMac(_: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  return seen !== undefined && seen.mac === undefined ? refuse('its MAC address is not known') : undefined;
}

/** A bridge has to tell VLANs apart; and what libvirt sets stays beside ours, so that the guest would be in both. */
function alone({ vlan = [] }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (seen?.bridge === undefined) return undefined;
  const { bridge, config, host, tags } = seen;
  if (tags.some(tag => !vlan.includes(tag)))
    return refuse(
      `libvirt sets VLAN ${tags.join(', ')} on its port`,
      'give it in one place: here, or in the <vlan> of the interface or its network',
    );
  const link = host.link(bridge);
  if ((link ?? config.provide.bridges[bridge])?.vlanFiltering) return undefined;
  const hint = `'ip link set ${bridge} type bridge vlan_filtering 1', if the kernel can`;
  return refuse(`bridge '${bridge}' does not tell VLANs apart`, hint, 'VLAN_UNSUPPORTED');
}

function oneVlan({ vlan = [] }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (vlan.length > 1) return refuse('a VF takes one VLAN');
  // Its own comes from its definition or network, and is set by libvirt.
  return seen?.vlan && seen.vlan !== vlan[0] ? refuse(`libvirt sets VLAN ${seen.vlan} on its VF`) : undefined;
}
