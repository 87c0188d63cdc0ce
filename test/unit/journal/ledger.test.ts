import { describe, expect, test } from 'vitest';
import { compactLines, foldLedger } from '../../../src/journal/ledger.ts';
import { keyOf, type Subject } from '../../../src/kernel/registry.ts';

const at = '2026-01-01T00:00:00Z';
const up: Subject = { kind: 'up', dev: 'eth7' };
const intend = (before: boolean, to: boolean, more: object = {}) => ({
  at,
  intend: { subject: up, before, to, ...more },
});
const done = { at, done: [{ key: keyOf(up) }] };
const only = (lines: readonly unknown[]) => [...foldLedger(lines).values()];

describe('a ledger', () => {
  test('keeps the first value from before and the last that we gave', () => {
    expect(only([intend(false, true), done, intend(true, false, { reach: true })])).toMatchObject([
      { before: false, to: false, reach: true },
    ]);
  });

  test('forgets what is back where it was, unless others need the entry', () => {
    expect(only([intend(false, true), done, intend(true, false), done])).toEqual([]);
    expect(only([intend(false, true, { user: 'a' }), done, intend(true, false, { user: 'a' }), done])).toHaveLength(1);
  });

  test('counts users, each once', () => {
    const lines = [
      intend(false, true, { user: 'a' }),
      { at, join: keyOf(up), user: 'b' },
      { at, join: keyOf(up), user: 'b' },
    ];
    expect(only(lines)).toMatchObject([{ users: ['a', 'b'] }]);
    expect(only([...lines, { at, leave: keyOf(up), user: 'a' }])).toMatchObject([{ users: ['b'] }]);
  });

  test('knows both values as ours until the last is done', () => {
    const twice = [intend(true, false), done, intend(false, true, { user: 'a' })];
    expect(only(twice)).toMatchObject([{ before: true, to: true, toBefore: false }]);
    expect(only([...twice, done])[0]).not.toHaveProperty('toBefore');
  });

  test('closes entries, and a new one starts afresh', () => {
    expect(only([intend(false, true), { at, close: [keyOf(up)] }, intend(true, false)])).toMatchObject([
      { before: true, to: false },
    ]);
  });

  test('says the same when it is written in few lines', () => {
    const lines = [
      intend(false, true, { user: 'a', byLibvirt: true, index: 7 }),
      done,
      { at, join: keyOf(up), user: 'b' },
    ];
    const entries = only(lines);
    expect(only(JSON.parse(JSON.stringify(compactLines(entries))))).toEqual(entries);
  });

  test.each([
    { name: 'a torn end', line: '{"at' },
    { name: 'nothing intended', line: { at, intend: null } },
    { name: 'an unknown kind', line: { at, intend: { subject: { kind: 'magic', dev: 'x' }, before: null, to: true } } },
    { name: 'no device', line: { at, intend: { subject: { kind: 'up' }, before: null, to: true } } },
    { name: 'done that is none', line: { at, done: [null] } },
    { name: 'a join of nobody', line: { at, join: 'up eth7' } },
    { name: 'no time', line: { intend: { subject: up, before: false, to: true } } },
  ])('passes over $name', ({ line }) => expect(only([intend(false, true), line])).toHaveLength(1));
});
