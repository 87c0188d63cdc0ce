import { expect, test } from 'vitest';
import { foldLedger } from '../../../src/journal/ledger.ts';
import { decideUndo } from '../../../src/journal/ownership.ts';
import { hostView, link } from '../../helpers/host-view.ts';

const at = '2026-01-01T00:00:00Z';
const made = (dev: string) => ({
  at,
  intend: { subject: { kind: 'link', dev }, before: null, to: { type: 'bridge' }, user: 'n' },
});

/** The links that go, in their order, of ledgers read in this one. */
function removed(names: readonly string[], host: ReturnType<typeof hostView>): string[] {
  const undoings = names.flatMap(dev => [...foldLedger([made(dev)]).values()].map(entry => ({ entry })));
  return decideUndo(undoings, host).steps.map(({ change }) => change.subject.dev);
}

test.each([
  ['a', 'b', 'c'],
  ['c', 'b', 'a'],
  ['b', 'c', 'a'],
  ['a', 'c', 'b'],
])('what stands on others goes first, in whatever order the ledgers are read: %s %s %s', (...names) => {
  const host = hostView([
    link('a', { uppers: ['b'], lowers: ['eth0'] }),
    link('b', { uppers: ['c'], lowers: ['a'] }),
    link('c', { lowers: ['b'] }),
  ]);
  expect(removed(names, host)).toEqual(['c', 'b', 'a']);
});

test('a VLAN goes before the bridge that it is on, and a port of it may go after', () => {
  const host = hostView([
    link('br', { isBridge: true, uppers: ['v'], lowers: ['p'] }),
    link('v', { lowers: ['br'] }),
    link('p', { master: 'br', uppers: ['br'] }),
  ]);
  const order = removed(['v', 'p', 'br'], host);
  expect(order).toHaveLength(removed(['br', 'p', 'v'], host).length);
  expect(order.indexOf('v')).toBeLessThan(order.indexOf('br'));
});
