import { describe, expect, test } from 'vitest';
import { reachOf } from '../../../src/agent/lifecycle.ts';
import { isOpen, reachOfState } from '../../../src/guest/liveness.ts';

const policies = {
  neither: { ioError: 'close', watchdog: 'close' },
  ioError: { ioError: 'open', watchdog: 'close' },
  watchdog: { ioError: 'close', watchdog: 'open' },
  both: { ioError: 'open', watchdog: 'open' },
} as const;
const all = Object.keys(policies) as (keyof typeof policies)[];

/** The policies under which a guest in that state is open. */
const table: readonly (readonly [state: string, reason: string, open: readonly string[]])[] = [
  ['running', 'booted', all],
  ['running', 'unpaused', all],
  ['running', 'migrated', all],
  ['running', 'post-copy', all],
  ['paused', 'user', []],
  ['paused', 'migration', []],
  ['paused', 'post-copy', []],
  ['paused', 'post-copy failed', []],
  ['paused', 'save', []],
  ['paused', 'dump', []],
  ['paused', 'snapshot', []],
  ['paused', 'starting up', []],
  ['paused', 'ioerror', ['ioError', 'both']],
  ['paused', 'watchdog', ['watchdog', 'both']],
  ['pmsuspended', 'unknown', []],
  ['shutdown', 'user', []],
  ['crashed', 'panicked', []],
  ['shutoff', 'shutdown', []],
  ['', '', []],
];

describe('whether a guest is open', () => {
  test.each(table)('%s (%s): %j', (state, reason, open) => {
    expect(all.filter(name => isOpen({ state, reason }, policies[name]))).toEqual(open);
  });

  test('one that does not run is not', () => expect(isOpen(undefined, policies.both)).toBe(false));

  test.each([
    ['Resumed', 'Unpaused', 'running', 'unpaused'],
    ['Suspended', 'Paused', 'paused', 'user'],
    ['Suspended', 'Migrated', 'paused', 'migration'],
    ['Suspended', 'I/O Error', 'paused', 'ioerror'],
    ['Suspended', 'Watchdog', 'paused', 'watchdog'],
    ['Suspended', 'Post-copy', 'paused', 'post-copy'],
    ['PMSuspended', 'Memory', 'pmsuspended', 'unknown'],
    ['Shutdown', 'Finished', 'shutdown', 'user'],
    ['Crashed', 'Panicked', 'crashed', 'panicked'],
  ])('an event says the same as the state it leads to: %s %s', (event, detail, state, reason) => {
    for (const name of all)
      expect(reachOf({ event, detail }, policies[name])).toBe(reachOfState(state, reason, policies[name]));
  });
});
