import { formatVfRate, formatVfVlan } from '../model/vf-values.ts';
import type { VfState } from '../plan/host-view.ts';

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
    const proto = protocol?.toLowerCase() === '802.1ad' ? '802.1ad' : '802.1Q';
    return [
      vf,
      {
        'vf-mac': address ?? null,
        'vf-vlan': formatVfVlan({ id: vlan, qos, proto }),
        'vf-trust': trust ?? null,
        'vf-spoofchk': spoofchk ?? null,
        'vf-query_rss': query_rss_en ?? null,
        'vf-rate': formatVfRate({ max: rate?.max_tx ?? tx_rate, min: rate?.min_tx ?? 0 }),
        'vf-state': link_state ?? null,
      },
    ];
  });
}
