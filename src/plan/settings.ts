import { type Config, type InterfaceSetting, type InterfaceSettings, interfaceSettings } from '../config/types.ts';
import type { HostView } from '../kernel/host-view.ts';
import { type KindName, kinds } from '../kernel/registry.ts';
import { type DeviceKind, type Refusal, refusals, refuse } from '../kernel/settable.ts';
import { ActualnetError } from '../report/error.ts';

/** A setting that an interface asks for and cannot have. */
export interface Unsettable extends Refusal {
  readonly setting: InterfaceSetting;
  /** It and its value, for messages. */
  readonly what: string;
  /** It would have kept the guest apart from others. */
  readonly isSecurity: boolean;
}

/** What a condition may look at once there is a guest. */
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

/** What depends on what is asked for, and once there is a guest, on it: whether a setting that such a device can have can be had by this one. */
type Condition = (asked: InterfaceSettings, seen: Seen | undefined) => Refusal | undefined;

/**
 * Each setting with the kinds of kernel objects that it can become, the first of which says why it cannot be had; an
 * announcement becomes none. And what it depends on besides.
 */
const carriers: Readonly<
  Record<
    InterfaceSetting,
    { readonly kinds: readonly KindName[]; readonly conditions?: Partial<Readonly<Record<DeviceKind, Condition>>> }
  >
> = {
  bridge: { kinds: ['master'], conditions: { 'bridge port': onlyThere, 'foreign port': onlyThere } },
  vlan: {
    kinds: ['vlan', 'vf-vlan'],
    conditions: { 'bridge port': alone, 'foreign port': onlyOwn, 'macvtap on a VF': oneVlan, VF: oneVlan },
  },
  isolated: { kinds: ['isolated'] },
  keepForwardingTable: { kinds: ['fdb'], conditions: { 'bridge port': needsMac } },
  mtu: { kinds: ['mtu'] },
  announce: {
    kinds: [],
    conditions: {
      'bridge port': needsMac,
      'foreign port': needsMac,
      'loose tap': () => refusals.ofLooseTap,
      macvtap: needsMac,
      'macvtap on a VF': needsMac,
      VF: needsMac,
      'PCI device': () => refusals.ofPciDevice,
      backend: () => refusals.ofBackend,
    },
  },
  trust: { kinds: ['vf-trust'] },
  spoofchk: { kinds: ['vf-spoofchk'] },
  linkState: { kinds: ['vf-state'] },
  maxTxRate: { kinds: ['vf-rate'] },
  minTxRate: { kinds: ['vf-rate'] },
  // Of its VLAN, if it has one.
  vlanQos: { kinds: ['vf-vlan'] },
  vlanProto: { kinds: ['vf-vlan'] },
  queryRss: { kinds: ['vf-query_rss'] },
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
export type Moment = 'predicted' | 'starts' | 'runs';

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
    const untold = kind === 'unknown' && moment !== 'predicted' ? listRefused(settings, () => refusals.ofUnknown) : [];
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
  device: DeviceKind,
  setting: InterfaceSetting,
  asked: InterfaceSettings,
  seen: Seen | undefined,
): Refusal | undefined {
  const { kinds: names, conditions } = carriers[setting];
  const verdicts = names.map(name => kinds[name].settable?.[device] ?? 'set');
  const [first] = verdicts;
  if (first !== undefined && first !== 'set' && !verdicts.includes('set')) return first;
  return conditions?.[device]?.(asked, seen);
}

/** Nobody but libvirt, or who has made the tap, plugs it in elsewhere. */
function onlyThere({ bridge }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (seen === undefined || seen.bridge === bridge) return undefined;
  return refuse(`it is connected to '${seen.bridge}'`, 'a rule of rewrite connects a guest that comes here elsewhere');
}

function onlyOwn({ vlan = [] }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (vlan.length === 1 && seen?.vlan === vlan[0]) return undefined;
  return refuse(
    refusals.ofSwitch.why,
    'give it in the <vlan> of the interface or its network, which libvirt sets there',
  );
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
  return refuse(`bridge '${bridge}' is not VLAN-aware (vlan_filtering 0)`, hint, 'VLAN_UNSUPPORTED');
}

function oneVlan({ vlan = [] }: InterfaceSettings, seen: Seen | undefined): Refusal | undefined {
  if (vlan.length > 1) return refuse('a VF takes one VLAN');
  // Its own comes from its definition or network, and is set by libvirt.
  return seen?.vlan && seen.vlan !== vlan[0] ? refuse(`libvirt sets VLAN ${seen.vlan} on its VF`) : undefined;
}
