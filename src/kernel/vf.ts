import { hasBeenTaken, userOf } from './device-uses.ts';
import type { VfRate, VfState, VfVlan } from './host-view.ts';
import { idleMac } from './idle-mac.ts';
import type { AnySubject, Kind, Value } from './kind.ts';
import { onVfs } from './settable.ts';
import { ip, linkName, macAddress, number, onOff, readBoolean, readText } from './words.ts';

/**
 * What a PF holds for each of its VFs, in the order in which drivers take them: trust lets a VF have its MAC, a link that
 * is up comes last.
 */
export const vfSettings = [
  'vf-trust',
  'vf-mac',
  'vf-vlan',
  'vf-spoofchk',
  'vf-query_rss',
  'vf-rate',
  'vf-state',
] as const;
export type VfSetting = (typeof vfSettings)[number];

interface VfSubject<K extends VfSetting> {
  readonly kind: K;
  /** The PF's link. */
  readonly dev: string;
  readonly vf: number;
}

/** What differs between the settings. */
interface Own<V extends Value> extends Pick<Kind<AnySubject, V>, 'read' | 'describeValue' | 'isPutBackByLibvirt'> {
  /** As `ip link set dev PF vf N` reads it. */
  words(to: V | null): string;
  equals?(one: V, other: V): boolean;
}

function vfSetting<K extends VfSetting, V extends Value>(
  name: K,
  { words, equals, ...own }: Own<V>,
  more: Pick<Kind<VfSubject<K>, V>, 'substitute'> = {},
) {
  const word = name.slice('vf-'.length) as keyof VfState;
  const describeTo = (to: V | null) => (to === null ? 'kept for the end' : (own.describeValue?.(to) ?? String(to)));
  const kind: Kind<VfSubject<K>, V> = {
    belongsTo: 'card',
    settable: onVfs,
    detail: ({ vf }) => `${vf}`,
    sharedName: ({ dev, vf }) => `${dev} vf ${vf}`,
    isSound: ({ vf }) => typeof vf === 'number',
    describe: ({ dev, vf }, to) => `VF ${vf} of ${dev}: ${word} ${describeTo(to)}`,
    describeDoing: (subject, to) => `set ${kind.describe(subject, to)}`,
    describeMissing: ({ dev, vf }) => `there is no VF ${vf} of '${dev}'`,
    needs: ({ dev }) => ({ vfs: [dev] }),
    observe: ({ dev, vf }, host) => host.link(dev) && (host.vf(dev, vf)?.[word] as V | null | undefined),
    mayBeUntold: true,
    isEqual: (one, other) => one === other || (one !== null && other !== null && equals?.(one, other) === true),
    command: ({ dev, vf }, to) => ({
      ...ip(`link set dev ${linkName(dev)} vf ${number(vf)} ${words(to)}`),
      ofVf: true,
    }),
    blocker({ dev, vf }, _, host) {
      const pf = host.link(dev)?.pci;
      const address = pf && host.pci(pf)?.vfs[vf];
      if (!address) return undefined;
      const isTaken = hasBeenTaken({ address, pf: dev, vf }, host);
      const user = userOf(address, host) ?? (isTaken ? 'libvirt, for a guest' : undefined);
      return user && `it is in use by ${user}`;
    },
    ...own,
    ...more,
  };
  return kind;
}

const flag = (word: string): Own<boolean> => ({
  read: readBoolean,
  describeValue: onOff,
  words: to => `${word} ${onOff(to)}`,
});

export const vfTrust = vfSetting('vf-trust', flag('trust'));
export const vfSpoofchk = vfSetting('vf-spoofchk', flag('spoofchk'));
export const vfQueryRss = vfSetting('vf-query_rss', flag('query_rss'));

export const vfMac = vfSetting(
  'vf-mac',
  { read: readText, isPutBackByLibvirt: true, words: to => `mac ${macAddress(to)}` },
  {
    // Some drivers do not take back the all-zero MAC they began with; the guest's has to go all the same.
    substitute: ({ dev, vf }, to, message, host) =>
      isZeroMacRefused(to ?? '', message) ? idleMac(dev, vf, host) : undefined,
  },
);

/** `ip` sends the VLAN in the form that all drivers know unless a protocol is named. */
export const vfVlan = vfSetting('vf-vlan', {
  read: stored =>
    typeof stored === 'string' ? vlanOfText(stored) : readObject<VfVlan>(stored, ['id', 'qos', 'proto']),
  isPutBackByLibvirt: true,
  describeValue: describeVfVlan,
  words(to) {
    const { id, qos, proto } = to ?? noVlan;
    return `vlan ${number(id)}${qos === 0 ? '' : ` qos ${number(qos)}`}${proto === '802.1ad' ? ` proto ${proto}` : ''}`;
  },
  equals: (one, other) => one.id === other.id && (one.id === 0 || (one.qos === other.qos && one.proto === other.proto)),
});

export const vfRate = vfSetting('vf-rate', {
  read: stored => (typeof stored === 'string' ? rateOfText(stored) : readObject<VfRate>(stored, ['max', 'min'])),
  describeValue: describeVfRate,
  words: to => `max_tx_rate ${number(to?.max)} min_tx_rate ${number(to?.min)}`,
  equals: (one, other) => one.max === other.max && one.min === other.min,
});

const linkStates = ['auto', 'enable', 'disable'];

export const vfState = vfSetting('vf-state', {
  read: stored => (stored === null || linkStates.includes(stored as string) ? (stored as string | null) : undefined),
  words: to => `state ${to}`,
});

/** `none`, `42`, `42 qos 5 proto 802.1ad`. */
export function describeVfVlan({ id, qos, proto }: VfVlan): string {
  if (id === 0) return 'none';
  return `${id}${qos === 0 ? '' : ` qos ${qos}`}${proto === '802.1Q' ? '' : ` proto ${proto}`}`;
}

/** `max 100 min 0`, in Mbit/s. */
export function describeVfRate({ max, min }: VfRate): string {
  return `max ${max} min ${min}`;
}

/** Whether a driver has refused to take back the all-zero MAC that a VF began with; some never do. */
export function isZeroMacRefused(mac: string, message: string): boolean {
  return /^[0:]+$/.test(mac) && /Invalid argument|Cannot assign|not supported/.test(message);
}

const noVlan: VfVlan = { id: 0, qos: 0, proto: '802.1Q' };

function readObject<V extends object>(stored: unknown, keys: readonly (keyof V & string)[]): V | null | undefined {
  if (stored === null) return null;
  return typeof stored === 'object' && keys.every(key => Object.hasOwn(stored as object, key))
    ? (stored as V)
    : undefined;
}

/** As versions before 0.2 wrote it. */
function vlanOfText(text: string): VfVlan {
  const [, id = '0', qos = '0', proto = '802.1Q'] = /^(\d+)(?: qos (\d+))?(?: proto (\S+))?$/.exec(text) ?? [];
  return { id: Number(id), qos: Number(qos), proto: proto === '802.1ad' ? proto : '802.1Q' };
}

/** As versions before 0.2 wrote it. */
function rateOfText(text: string): VfRate {
  const [, max = '0', min = '0'] = /^max (\d+) min (\d+)$/.exec(text) ?? [];
  return { max: Number(max), min: Number(min) };
}

/** What `ip -j link show` prints for a VF. A driver that has no such setting leaves the key out. */
interface ShownVf {
  readonly vf: number;
  readonly address?: string;
  readonly vlan_list?: readonly { readonly vlan?: number; readonly qos?: number; readonly protocol?: string }[];
  readonly rate?: { readonly max_tx?: number; readonly min_tx?: number };
  readonly tx_rate?: number;
  readonly spoofchk?: boolean;
  readonly trust?: boolean;
  readonly query_rss_en?: boolean;
  readonly link_state?: string;
}

/** The settings of a PF's VFs, by their numbers, from what `ip -j link show dev PF` prints. */
export function readVfs(shown: unknown): [number, VfState][] {
  const [link] = (shown ?? []) as readonly { vfinfo_list?: readonly ShownVf[] }[];
  return (link?.vfinfo_list ?? []).map(shownVf => {
    const { vf, address, vlan_list, rate, tx_rate = 0, spoofchk, trust, query_rss_en, link_state } = shownVf;
    const { vlan = 0, qos = 0, protocol } = vlan_list?.[0] ?? {};
    return [
      vf,
      {
        mac: address ?? null,
        vlan: { id: vlan, qos, proto: protocol?.toLowerCase() === '802.1ad' ? '802.1ad' : '802.1Q' },
        trust: trust ?? null,
        spoofchk: spoofchk ?? null,
        query_rss: query_rss_en ?? null,
        rate: { max: rate?.max_tx ?? tx_rate, min: rate?.min_tx ?? 0 },
        state: link_state ?? null,
      },
    ];
  });
}
