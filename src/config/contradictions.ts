import { isKeptByLibvirt } from '../model/interface.ts';
import { whyFitsNothing } from './can-fit.ts';
import { findEmptyRanges } from './guest-mistakes.ts';
import { entriesOf, entryOf, itemsOf, type Located, type Mistake, mistakeAt, numberOf, textOf } from './located.ts';
import type { InterfaceMatch } from './types.ts';

/** What one file says of one thing and cannot mean: keys that contradict each other, patterns and names that are none. */
export function findContradictions(root: Located): Mistake[] {
  const rewrites = itemsOf(entryOf(root, 'rewrite'));
  const interfaces = itemsOf(entryOf(root, 'interfaces'));
  const provide = entryOf(root, 'provide');
  const made = ['bridges', 'vlans'].flatMap(kind => entriesOf(entryOf(provide, kind)));
  return [
    ...rewrites.flatMap(rule => [...findSecondPlaces(rule), ...findVainMatch(rule, exclusive.rewrite)]),
    ...rewrites.flatMap(rule => refuseKeptName(entryOf(rule, 'target'))),
    ...interfaces.flatMap(rule => [...compareRates(rule), ...findVainMatch(rule, exclusive.interfaces)]),
    ...made.flatMap(([name, part]) => refuseKeptName(part, name)),
    ...findEmptyRanges(root),
  ];
}

/** Each set says where an interface or host device is to be connected. */
const places = [['network', 'portgroup'], ['bridge'], ['dev', 'mode'], ['vfs']];

function findSecondPlaces(rule: Located): Mistake[] {
  const given = places.flatMap(keys => keys.filter(key => entryOf(rule, key) !== undefined).slice(0, 1));
  const [first, ...others] = given;
  const isVf = given.includes('vfs') && entryOf(rule, 'target') !== undefined;
  return [
    ...others.map(key => mistakeAt(entryOf(rule, key)!, `contradicts '${first}': a rule gives one connection`)),
    ...(isVf ? [mistakeAt(entryOf(rule, 'target')!, "contradicts 'vfs': a host device has no target")] : []),
  ];
}

type Pair = readonly [keyof InterfaceMatch, keyof InterfaceMatch];

/** What no interface has both of, by what `plan/guest-devices` and `transform/rewrite` know of one. */
const exclusive: Readonly<Record<'interfaces' | 'rewrite', readonly Pair[]>> = {
  interfaces: [
    ['bridge', 'dev'],
    ['bridge', 'tap'],
    ['bridge', 'address'],
    ['bridge', 'pf'],
    ['dev', 'tap'],
    ['tap', 'address'],
    ['tap', 'pf'],
  ],
  rewrite: [
    ['bridge', 'dev'],
    ['bridge', 'address'],
    ['bridge', 'pf'],
    ['dev', 'address'],
    ['dev', 'pf'],
  ],
};

function findVainMatch(rule: Located, pairs: readonly Pair[]): Mistake[] {
  const match = entryOf(rule, 'match');
  return [
    ...entriesOf(match).flatMap(([key, at]) => {
      const pattern = textOf(at);
      const why = pattern === undefined ? undefined : whyFitsNothing(key as keyof InterfaceMatch, pattern);
      return why === undefined ? [] : mistakeAt(at, why);
    }),
    ...pairs.flatMap(([one, other]) => {
      const at = entryOf(match, other);
      if (at === undefined || entryOf(match, one) === undefined) return [];
      return mistakeAt(at, `what can be told by '${one}' has no '${other}': the rule fits nothing`);
    }),
  ];
}

/** A rate of 0 is none. */
function compareRates(rule: Located): Mistake[] {
  const least = entryOf(rule, 'minTxRate');
  const most = numberOf(entryOf(rule, 'maxTxRate')) ?? 0;
  const rate = numberOf(least) ?? 0;
  if (least === undefined || most === 0 || rate <= most) return [];
  return [mistakeAt(least, `${rate} is above maxTxRate, which is ${most}`)];
}

function refuseKeptName(at: Located | undefined, name = textOf(at)): Mistake[] {
  if (at === undefined || name === undefined || !isKeptByLibvirt(name)) return [];
  return [
    mistakeAt(at, `libvirt keeps names that begin with 'vnet', 'macvtap' or 'macvlan' for itself, found '${name}'`),
  ];
}
