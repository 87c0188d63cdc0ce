import { readPolicy, type WrittenPolicy } from './guest-policy.ts';
import type {
  BridgeSettings,
  Config,
  ConfigFile,
  GuestMatch,
  HostdevSettings,
  InterfaceMatch,
  InterfaceSettings,
  ProvidedVfs,
  ProvidedVlan,
  RewriteRule,
} from './types.ts';

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
