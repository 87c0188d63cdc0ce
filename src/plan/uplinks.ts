import { matchesPattern } from '../config/match.ts';
import type { Config } from '../config/types.ts';
import type { HostView, LinkState } from '../kernel/host-view.ts';

interface Context {
  readonly config: Config;
  readonly host: HostView;
}

/**
 * The ports of a bridge that lead out of the host: physical devices, bonds, teams, VLAN devices of one, and what the
 * configuration names. Whatever else is plugged in (a tap, a container's veth, a tunnel) is not one. Of a bridge that is
 * still to be provided, its ports.
 */
export function uplinksOf(bridge: string, { config, host }: Context): string[] {
  const provided = config.provide.bridges[bridge]?.ports ?? [];
  const link = host.link(bridge);
  if (link === undefined) return [...provided];
  const named = config.bridges[bridge]?.uplinks ?? [];
  const isNamed = (dev: string) => provided.includes(dev) || named.some(pattern => matchesPattern(pattern, dev));
  return link.lowers.filter(dev => isNamed(dev) || leadsOut(host.link(dev), host));
}

/** VLAN devices stand on each other, no deeper than the kernel lets them. */
function leadsOut(link: LinkState | undefined, host: HostView, depth = 8): boolean {
  // Only a physical device has VFs.
  if (link?.kind !== 'vlan') return link !== undefined && (link.kind !== 'other' || (link.vfs > 0 && !link.isTap));
  return depth > 0 && link.lowers.some(dev => leadsOut(host.link(dev), host, depth - 1));
}

/** The PFs with VFs that carry a bridge, each with the bridge's port above it: the PF itself, or a bond or VLAN device. */
export function pfsBelow(bridge: string, context: Context): { readonly uplink: string; readonly pf: string }[] {
  const { host } = context;
  const below = (devs: readonly string[], depth: number): string[] =>
    devs.flatMap(dev => {
      const link = host.link(dev);
      if (link === undefined) return [];
      if (link.vfs > 0) return link.dev;
      return depth === 0 ? [] : below(link.lowers, depth - 1);
    });
  const ports = host.link(bridge) === undefined ? [] : uplinksOf(bridge, context);
  const pairs = ports.flatMap(uplink => [...new Set(below([uplink], 4))].map(pf => ({ uplink, pf })));
  return pairs.filter(({ pf }, place) => pairs.findIndex(other => other.pf === pf) === place);
}
