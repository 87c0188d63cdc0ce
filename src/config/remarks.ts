import { isKeptByLibvirt } from '../model/interface.ts';
import { entriesOf, entryOf, itemsOf, type Located, linesInOrder, type Mistake, mistakeAt, textOf } from './located.ts';
import { matchesPattern } from './match.ts';
import { readTogether } from './read-yaml.ts';
import type { ConfigFile } from './types.ts';

/**
 * What can be carried out as it is written, but is hardly meant: one line each, in the form of mistakes. Files that are no
 * sound YAML are left out.
 */
export function findRemarks(files: readonly ConfigFile[]): string[] {
  const whole = readTogether(files);
  if (whole === undefined) return [];
  return linesInOrder([...findUnreachable(whole), ...findChanceNames(whole), ...findLooseBounds(whole)], files);
}

/** Rules behind one that fits everything they fit. */
function findUnreachable(whole: Located): Mistake[] {
  const lists = [
    { rules: itemsOf(entryOf(whole, 'interfaces')), isMeantFor: () => true },
    { rules: itemsOf(entryOf(whole, 'rewrite')), isMeantFor: coversDevices },
    { rules: itemsOf(entryOf(entryOf(whole, 'guests'), 'rules')), isMeantFor: () => true },
  ];
  return lists.flatMap(({ rules: written, isMeantFor }) => {
    const rules = written.filter(rule => entryOf(rule, 'match')?.content instanceof Map);
    const matches = rules.map(rule => new Map(entriesOf(entryOf(rule, 'match')).map(([key, at]) => [key, textOf(at)])));
    return rules.flatMap((rule, index) => {
      const first = rules.findIndex(
        (earlier, at) => at < index && isMeantFor(earlier, rule) && covers(matches[at]!, matches[index]!),
      );
      if (first === -1) return [];
      const { file, line, path } = rules[first]!;
      const where = countsForOthers(rules[first]!, rule) ? ' for a network card' : '';
      return mistakeAt(
        rule,
        `never counts${where}: the rule before it, ${path} in ${file}:${line}, fits everything that it fits`,
      );
    });
  });
}

type Match = ReadonlyMap<string, string | undefined>;

/** Whether `earlier` certainly fits whatever `later` fits: what its `*` stand for may hold a `*` itself. */
function covers(earlier: Match, later: Match): boolean {
  return [...earlier].every(([key, pattern]) => {
    const other = later.get(key);
    if (pattern === undefined || other === undefined) return false;
    // MAC addresses and uuids fit in any case.
    return key === 'mac' || key === 'uuid'
      ? matchesPattern(pattern.toLowerCase(), other.toLowerCase())
      : matchesPattern(pattern, other);
  });
}

/** A host device that is no network card has only rules that name its address (`plan/guest-devices`). */
function countsForOthers(earlier: Located, later: Located): boolean {
  const keysOf = (rule: Located) => entriesOf(entryOf(rule, 'match')).map(([key]) => key);
  const isForAny = keysOf(later).every(key => key === 'guest' || key === 'address');
  return isForAny && keysOf(later).includes('address') && !keysOf(earlier).includes('address');
}

/** A rule with `vfs` is for host devices only, one for connections for no plain host device that it does not name. */
function coversDevices(earlier: Located, later: Located): boolean {
  const has = (rule: Located | undefined, key: string) => entryOf(rule, key) !== undefined;
  const isForPlain = (rule: Located) =>
    !['network', 'portgroup', 'bridge', 'dev', 'mode', 'target'].some(key => has(rule, key)) ||
    ['address', 'pf'].some(key => has(entryOf(rule, 'match'), key));
  return (!has(earlier, 'vfs') || has(later, 'vfs')) && (isForPlain(earlier) || !isForPlain(later));
}

/** Links that libvirt names: who has such a name is chance. */
function findChanceNames(whole: Located): Mistake[] {
  const provide = entryOf(whole, 'provide');
  const ports = entriesOf(entryOf(provide, 'bridges')).flatMap(([, bridge]) => itemsOf(entryOf(bridge, 'ports')));
  const links = entriesOf(entryOf(provide, 'vlans')).flatMap(([, vlan]) => entryOf(vlan, 'link') ?? []);
  const taps = itemsOf(entryOf(whole, 'interfaces')).flatMap(rule => entryOf(entryOf(rule, 'match'), 'tap') ?? []);
  return [...ports, ...links, ...taps].flatMap(at => {
    const name = textOf(at) ?? '';
    if (!isKeptByLibvirt(name) || name.includes('*')) return [];
    return mistakeAt(at, `libvirt gives out '${name}' as it comes, to another guest each time`);
  });
}

const bounds = {
  bridges: ['bridge'],
  networks: ['network'],
  devices: ['dev', 'vfs'],
  vlans: ['vlan'],
  addresses: ['announce'],
  portgroups: ['portgroup'],
  targets: ['target'],
  aliases: ['alias'],
  modes: ['mode'],
} as const;

/** Bounds for what is not allowed at all, and what is allowed without bounds and concerns others. */
function findLooseBounds(whole: Located): Mistake[] {
  const guests = entryOf(whole, 'guests');
  return [guests, ...itemsOf(entryOf(guests, 'rules'))].flatMap(policy => {
    const allowed = new Map(itemsOf(entryOf(policy, 'allow')).map(at => [textOf(at), at]));
    const idle = Object.entries(bounds).flatMap(([list, choices]) => {
      const at = entryOf(policy, list);
      if (at === undefined || at.content === null || choices.some(choice => allowed.has(choice))) return [];
      return mistakeAt(at, `bounds nothing: guests may not choose ${choices.join(' or ')}`);
    });
    const free = (['vlan', 'announce', 'target'] as const).flatMap(choice => {
      const list = Object.entries(bounds).find(([, choices]) => choices.some(each => each === choice))![0];
      const at = allowed.get(choice);
      return at === undefined || entryOf(policy, list) !== undefined
        ? []
        : mistakeAt(at, `guests may choose any ${choice}: '${list}' can say which`);
    });
    return [...idle, ...free];
  });
}
