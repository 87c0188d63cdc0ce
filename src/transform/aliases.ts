import type { InterfaceType } from '../model/interface.ts';

/** A device as far as naming goes. */
export interface Named {
  readonly alias?: string | undefined;
}

/** The two live lists that libvirt scans for used numbers. */
export interface AliasLists {
  readonly interfaces: readonly Named[];
  readonly hostdevs: readonly Named[];
}

/** The kind of alias an interface of that actual type gets; an unknown type counts as no host device. */
export function aliasPrefix(actualType: InterfaceType | undefined): 'net' | 'hostdev' {
  return actualType === 'hostdev' ? 'hostdev' : 'net';
}

/**
 * The aliases after a start, or after an attach: interfaces in document order, then plain hostdevs in theirs. Devices that
 * have one (given by the user, or by libvirt in a live document) keep it. The others get the highest number in use plus one,
 * a freed gap is never filled (libvirt's qemu_alias.c); `net` looks at interfaces only, `hostdev` at both lists.
 */
export function assignAliases(
  domain: AliasLists,
  actualTypes: readonly (InterfaceType | undefined)[],
): { readonly interfaces: readonly string[]; readonly hostdevs: readonly string[] } {
  const next = { net: highestNumber(domain, 'net') + 1, hostdev: highestNumber(domain, 'hostdev') + 1 };
  const name = (alias: string | undefined, prefix: 'net' | 'hostdev') => alias ?? `${prefix}${next[prefix]++}`;
  return {
    interfaces: domain.interfaces.map(({ alias }, index) => name(alias, aliasPrefix(actualTypes[index]))),
    hostdevs: domain.hostdevs.map(({ alias }) => name(alias, 'hostdev')),
  };
}

function highestNumber(lists: AliasLists, prefix: 'net' | 'hostdev'): number {
  const scanned = prefix === 'net' ? lists.interfaces : [...lists.hostdevs, ...lists.interfaces];
  return scanned.reduce((max, { alias }) => Math.max(max, aliasNumber(alias, prefix)), -1);
}

/** The number of `prefixN`; -1 for any other alias, `net5x` and `ua-net5` included. */
function aliasNumber(alias: string | undefined, prefix: string): number {
  if (alias === undefined || !alias.startsWith(prefix)) return -1;
  const rest = alias.slice(prefix.length);
  return /^\d{1,10}$/.test(rest) && Number(rest) <= 0x7fffffff ? Number(rest) : -1;
}
