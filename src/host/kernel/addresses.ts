import { readKernelFile } from '../files.ts';
import type { Batches } from './batches.ts';

/** What `ip -j addr show dev DEV` prints of a link. */
interface ShownAddresses {
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number; readonly scope?: string }[];
}

/**
 * The IP addresses of links, all in one process. Those of the link itself (scope `link`) come with every link that is up, and
 * say nothing. Where they cannot be read, nobody can tell: that is no reason to refuse anything.
 */
export async function readAddresses(
  links: readonly string[],
  { readBatch }: Pick<Batches, 'readBatch'>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (links.length === 0) return new Map();
  const lines = links.map(dev => `addr show dev ${dev}`);
  const shown = await readBatch('ip', lines).catch(() => []);
  return new Map(shown.map((answer, place) => [links[place]!, addressesIn(answer)]));
}

function addressesIn(answer: unknown): string[] {
  const [link] = answer as readonly ShownAddresses[];
  return (link?.addr_info ?? []).flatMap(({ local, prefixlen, scope }) =>
    local === undefined || scope === 'link' || scope === 'host' ? [] : `${local}/${prefixlen}`,
  );
}

/**
 * The links that default routes lead through, from the kernel's own files: `Iface Destination Gateway Flags RefCnt Use Metric
 * Mask ...` for IPv4, `destination length source length gateway metric refcnt use flags device` for IPv6, where a route that
 * leads nowhere is on `lo`.
 */
export function readWaysOut(proc: string): ReadonlySet<string> {
  const rows = (file: string) =>
    readKernelFile(proc, 'net', file)
      .split('\n')
      .map(line => line.trim().split(/\s+/));
  const v4 = rows('route').flatMap(([dev, to, , , , , , mask]) => (isZero(to) && isZero(mask) ? dev! : []));
  const v6 = rows('ipv6_route').flatMap(([to, length, , , , , , , , dev]) =>
    isZero(to) && isZero(length) ? dev! : [],
  );
  return new Set([...v4, ...v6].filter(dev => dev !== 'lo'));
}

function isZero(hex: string | undefined): boolean {
  return hex !== undefined && /^0+$/.test(hex);
}
