import type { DirectMode } from '../model/interface.ts';
import { type GuestMatch, type GuestPolicy, readPolicy, type WrittenPolicy } from './guest-policy.ts';

/** What the administrator wants of actualnet. The defaults change nothing on the host. */
export interface Config {
  /** By bridge name. */
  readonly bridges: Readonly<Record<string, BridgeSettings>>;
  readonly taps: {
    readonly create: boolean;
    /** A user name or a uid. */
    readonly owner: string | undefined;
  };
  readonly macvtap: { readonly manage: boolean };
  /** Whether a guest stays open to the network when QEMU stops its CPUs on its own. */
  readonly reachability: {
    readonly ioError: (typeof pausedReaches)[number];
    readonly watchdog: (typeof pausedReaches)[number];
  };
  readonly hostdevs: HostdevSettings;
  readonly limits: {
    /** How long one hook call waits for others, in all: for programs it runs, and for whoever is in front of it. */
    readonly waitSeconds: number;
  };
  /** What becomes of a guest that asks for a setting its interface cannot have. */
  readonly settings: {
    /** Where the setting keeps guests apart: isolation, VLANs, the spoof check, no trust. */
    readonly refusedSecurity: HostdevSettings['refused'];
    readonly refused: HostdevSettings['refused'];
  };
  /** Parts to make when a network or guest first needs them, by name. */
  readonly provide: {
    readonly bridges: Readonly<Record<string, ProvidedBridge>>;
    readonly vlans: Readonly<Record<string, ProvidedVlan>>;
    /** By PF. */
    readonly vfs: Readonly<Record<string, ProvidedVfs>>;
  };
  /** The first rule whose match fits an interface or tap gives its settings. */
  readonly interfaces: readonly InterfaceRule[];
  /** How documents of guests that come to this host are rewritten: the first rule that fits. */
  readonly rewrite: readonly RewriteRule[];
  /** What guests may ask for in their `<metadata>`; of `rules` the first that fits a guest, in place of all the rest. */
  readonly guests: GuestPolicy & {
    readonly rules?: readonly (GuestPolicy & { readonly match: GuestMatch })[];
  };
  /** Why this one counts, and not what the files say now: one line. */
  readonly outdated?: string;
}

export interface HostdevSettings {
  /** Put back the MAC and VLAN that a VF had, which libvirt does not quite. */
  readonly restore: boolean;
  /** Bind devices to a VFIO driver that libvirt does not: `managed='no'` and those of the command line. */
  readonly bind: boolean;
  /** Whether a setting that a VF's driver refuses ends the start. */
  readonly refused: 'fail' | 'warn';
}

export interface BridgeSettings {
  readonly keepForwardingTable: boolean;
  readonly isolated: boolean;
  readonly uplinkVlans: boolean;
  /** Ports that lead out of the host although they are no physical device, bond, team or VLAN device of one. */
  readonly uplinks: readonly string[];
  readonly pfForwardingTable: boolean;
}

export interface ProvidedBridge {
  readonly ports: readonly string[];
  readonly mtu: number | undefined;
  readonly vlanFiltering: boolean;
}

export interface ProvidedVlan {
  readonly link: string;
  readonly id: number;
}

export interface ProvidedVfs {
  readonly count: number;
  /** Network managers are told to leave the VFs' links alone. */
  readonly unmanaged: boolean;
}

export interface InterfaceRule {
  readonly match: InterfaceMatch;
  /** No request of a guest overrides it. */
  readonly final?: boolean;
  readonly settings: InterfaceSettings;
}

/** Patterns, in which `*` stands for any characters. All that are given must fit. */
export interface InterfaceMatch {
  readonly guest?: string;
  readonly mac?: string;
  readonly network?: string;
  readonly bridge?: string;
  readonly tap?: string;
  /** The device below its macvtap. */
  readonly dev?: string;
  readonly portgroup?: string;
  /** The host device: its PCI address, and the PF it belongs to. */
  readonly address?: string;
  readonly pf?: string;
}

/** The host side that an interface or host device gets here; what is not named stays. */
export interface RewriteRule {
  readonly match: InterfaceMatch;
  /** No request of a guest overrides it. */
  readonly final?: boolean;
  readonly network?: string;
  /** Null takes it away. */
  readonly portgroup?: string | null;
  readonly bridge?: string;
  readonly dev?: string;
  readonly mode?: DirectMode;
  readonly target?: string;
  readonly alias?: string;
  /** A free VF of one of these PFs, by name or pattern. */
  readonly vfs?: readonly string[];
}

export const interfaceSettings = [
  'bridge',
  'vlan',
  'isolated',
  'keepForwardingTable',
  'mtu',
  'trust',
  'spoofchk',
  'linkState',
  'maxTxRate',
  'minTxRate',
  'vlanQos',
  'vlanProto',
  'queryRss',
  'announce',
] as const;
export type InterfaceSetting = (typeof interfaceSettings)[number];

/** Where a guest wants to be connected on the host it comes to; the rest are settings. */
export const guestPlaces = ['network', 'portgroup', 'dev', 'mode', 'target', 'alias', 'vfs'] as const;
export type GuestChoice = InterfaceSetting | (typeof guestPlaces)[number];

const pausedReaches = ['close', 'open'] as const;
export const linkStates = ['auto', 'enable', 'disable'] as const;
export const vlanProtocols = ['802.1Q', '802.1ad'] as const;

export interface InterfaceSettings {
  readonly bridge?: string;
  readonly vlan?: readonly number[];
  readonly isolated?: boolean;
  readonly keepForwardingTable?: boolean;
  readonly mtu?: number;
  /** The rest is for VFs, in iproute2's words; rates in Mbit/s. */
  readonly trust?: boolean;
  readonly spoofchk?: boolean;
  readonly linkState?: (typeof linkStates)[number];
  readonly maxTxRate?: number;
  readonly minTxRate?: number;
  readonly vlanQos?: number;
  readonly vlanProto?: (typeof vlanProtocols)[number];
  readonly queryRss?: boolean;
  /** IPv4 addresses to tell the network about when the guest is opened, because the guest cannot. */
  readonly announce?: readonly string[];
}

export interface ConfigFile {
  /** The name that mistakes carry. */
  readonly file: string;
  readonly text: string;
}

/**
 * Merges the files in their order and fills in the defaults, or tells every mistake as `FILE:LINE: PATH: what is wrong`.
 *
 * Asynchronous because the YAML parser and the validator are loaded only here: hooks find the result in a cache.
 */
export async function parseConfig(
  files: readonly ConfigFile[],
): Promise<{ readonly config: Config } | { readonly mistakes: readonly string[] }> {
  if (files.length === 0) return { config: defaultConfig };
  const { mergeFiles } = await import('./merge-files.ts');
  const merged = mergeFiles(files);
  return 'mistakes' in merged ? merged : { config: withDefaults(merged.value as WrittenConfig | null) };
}

/** What may be written, once the schema has accepted it. An empty section is null. */
interface WrittenConfig {
  readonly bridges?: ByName<Partial<Omit<BridgeSettings, 'uplinks'>> & { readonly uplinks?: readonly string[] | null }>;
  readonly taps?: { readonly create?: boolean; readonly owner?: string | number } | null;
  readonly macvtap?: { readonly manage?: boolean } | null;
  readonly reachability?: Partial<Config['reachability']> | null;
  readonly hostdevs?: Partial<HostdevSettings> | null;
  readonly limits?: Partial<Config['limits']> | null;
  readonly settings?: Partial<Config['settings']> | null;
  readonly provide?: {
    readonly bridges?: ByName<WrittenBridge>;
    readonly vlans?: ByName<ProvidedVlan>;
    readonly vfs?: ByName<Partial<ProvidedVfs> & Pick<ProvidedVfs, 'count'>>;
  } | null;
  readonly interfaces?: readonly WrittenRule[] | null;
  readonly rewrite?: readonly RewriteRule[] | null;
  readonly guests?:
    | (WrittenPolicy & { readonly rules?: readonly (WrittenPolicy & { match: GuestMatch })[] | null })
    | null;
}

type ByName<T> = Readonly<Record<string, T | null>> | null;
type WrittenBridge = { readonly ports?: readonly string[] | null; readonly mtu?: number; vlanFiltering?: boolean };
type WrittenRule = Omit<InterfaceSettings, 'vlan' | 'announce'> & {
  readonly match: InterfaceMatch;
  readonly final?: boolean;
  readonly vlan?: number | readonly number[];
  readonly announce?: string | readonly string[];
};

function withDefaults(written: WrittenConfig | null): Config {
  const { bridges, taps, macvtap, reachability, hostdevs, limits, settings, provide, interfaces, rewrite, guests } =
    written ?? {};
  return {
    bridges: mapByName(bridges, bridge => ({
      keepForwardingTable: bridge?.keepForwardingTable ?? false,
      isolated: bridge?.isolated ?? false,
      uplinkVlans: bridge?.uplinkVlans ?? false,
      uplinks: [...new Set(bridge?.uplinks)],
      pfForwardingTable: bridge?.pfForwardingTable ?? false,
    })),
    taps: { create: taps?.create ?? false, owner: taps?.owner?.toString() },
    macvtap: { manage: macvtap?.manage ?? false },
    reachability: { ioError: reachability?.ioError ?? 'close', watchdog: reachability?.watchdog ?? 'close' },
    hostdevs: {
      restore: hostdevs?.restore ?? false,
      bind: hostdevs?.bind ?? false,
      refused: hostdevs?.refused ?? 'fail',
    },
    limits: { waitSeconds: limits?.waitSeconds ?? 20 },
    settings: { refusedSecurity: settings?.refusedSecurity ?? 'fail', refused: settings?.refused ?? 'warn' },
    provide: {
      bridges: mapByName(provide?.bridges, bridge => ({
        ports: [...new Set(bridge?.ports ?? [])],
        mtu: bridge?.mtu,
        vlanFiltering: bridge?.vlanFiltering ?? false,
      })),
      vlans: mapByName(provide?.vlans, vlan => vlan!),
      vfs: mapByName(provide?.vfs, vfs => ({ count: vfs!.count, unmanaged: vfs!.unmanaged ?? false })),
    },
    interfaces: (interfaces ?? []).map(({ match, final, vlan, announce, ...settings }) => ({
      match,
      ...(final && { final }),
      settings: {
        ...settings,
        ...(vlan !== undefined && { vlan: [vlan].flat() }),
        ...(announce !== undefined && { announce: [announce].flat() }),
      },
    })),
    rewrite: rewrite ?? [],
    guests: {
      ...readPolicy(guests ?? {}),
      ...(guests?.rules && { rules: guests.rules.map(({ match, ...policy }) => ({ match, ...readPolicy(policy) })) }),
    },
  };
}

/** Nothing configured. */
export const defaultConfig: Config = withDefaults(null);

function mapByName<T, R>(record: ByName<T> | undefined, describe: (value: T | null) => R): Record<string, R> {
  return withoutPrototype(
    Object.fromEntries(Object.entries(record ?? {}).map(([name, value]) => [name, describe(value)])),
  );
}

/** A configuration that was kept as JSON. */
export function reviveConfig(json: unknown): Config {
  const { bridges, provide, ...config } = json as Config;
  return {
    ...config,
    bridges: withoutPrototype(bridges),
    provide: {
      bridges: withoutPrototype(provide.bridges),
      vlans: withoutPrototype(provide.vlans),
      vfs: withoutPrototype(provide.vfs),
    },
  };
}

/** A link may be called `constructor`: looking it up must not find what every object has. */
function withoutPrototype<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.assign(Object.create(null), record);
}
