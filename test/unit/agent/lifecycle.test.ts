import { describe, expect, test } from 'vitest';
import { isOfMigration, reachOf, readEventLine } from '../../../src/agent/lifecycle.ts';
import { reachOfState } from '../../../src/guest/liveness.ts';

const policy = { ioError: 'close', watchdog: 'close' } as const;
const lenient = { ioError: 'open', watchdog: 'open' } as const;

describe('a line of virsh event', () => {
  const at = '2026-11-21 04:32:56.819+0000: ';
  test.each([
    [`${at}event 'lifecycle' for domain 'g1': Suspended Migrated`, ['g1', 'Suspended', 'Migrated']],
    [`event 'lifecycle' for domain 'g1': Suspended I/O Error`, ['g1', 'Suspended', 'I/O Error']],
    [`${at}event 'lifecycle' for domain 'it's': Resumed Post-copy Error`, ["it's", 'Resumed', 'Post-copy Error']],
    [
      `${at}event 'lifecycle' for domain 'a': Resumed Unpaused': Stopped Destroyed`,
      ["a': Resumed Unpaused", 'Stopped', 'Destroyed'],
    ],
    [
      `${at}event 'lifecycle' for domain 'event 'lifecycle' for domain 'b'': Started Booted`,
      ["event 'lifecycle' for domain 'b'", 'Started', 'Booted'],
    ],
    [`${at}event 'reboot' for domain 'g1'`, undefined],
    [`${at}event 'device-removed' for domain 'g1': net0`, undefined],
    ['events received: 12', undefined],
    ['', undefined],
  ])('%s', (line, expected) => {
    const [guest, event, detail] = expected ?? [];
    expect(readEventLine(line)).toEqual(expected && { guest, event, detail });
  });
});

/** Every event with its details, in virsh's words, and what it means for a guest's place in the network. */
const meanings: readonly [event: string, detail: string, reach: string][] = [
  ['Defined', 'Added', 'nothing'],
  ['Undefined', 'Removed', 'nothing'],
  ['Started', 'Booted', 'nothing'],
  ['Started', 'Migrated', 'nothing'],
  ['Started', 'Restored', 'nothing'],
  ['Started', 'Snapshot', 'nothing'],
  ['Started', 'Event wakeup', 'open'],
  ['Suspended', 'Paused', 'close'],
  ['Suspended', 'Migrated', 'close'],
  ['Suspended', 'I/O Error', 'close'],
  ['Suspended', 'Watchdog', 'close'],
  ['Suspended', 'Restored', 'close'],
  ['Suspended', 'Snapshot', 'close'],
  ['Suspended', 'API error', 'close'],
  ['Suspended', 'Post-copy', 'close'],
  ['Suspended', 'Post-copy Error', 'close'],
  ['Resumed', 'Unpaused', 'open'],
  ['Resumed', 'Migrated', 'open'],
  ['Resumed', 'Snapshot', 'open'],
  ['Resumed', 'Post-copy', 'open'],
  ['Resumed', 'Post-copy Error', 'open'],
  ['Shutdown', 'Finished', 'close'],
  ['Shutdown', 'Finished after guest request', 'close'],
  ['PMSuspended', 'Memory', 'close'],
  ['PMSuspended', 'Disk', 'close'],
  ['Crashed', 'Panicked', 'close'],
  ['Crashed', 'Crashloaded', 'nothing'],
  ['Stopped', 'Shutdown', 'gone'],
  ['Stopped', 'Migrated', 'gone'],
  ['Stopped', 'Crashed', 'gone'],
  ['Something', 'New', 'nothing'],
];

test.each(meanings)('%s %s: %s', (event, detail, reach) => {
  expect(reachOf({ event, detail }, policy)).toBe(reach);
});

test.each([
  ['Suspended', 'I/O Error', 'open'],
  ['Suspended', 'Watchdog', 'open'],
  ['Suspended', 'Paused', 'close'],
])('%s %s with a lenient policy: %s', (event, detail, reach) => {
  expect(reachOf({ event, detail }, lenient)).toBe(reach);
});

test.each([
  ['running', 'booted', 'open'],
  ['running', 'migrated', 'open'],
  ['paused', 'starting up', 'nothing'],
  ['paused', 'migration', 'close'],
  ['paused', 'post-copy', 'close'],
  ['paused', 'ioerror', 'close'],
  ['pmsuspended', 'unknown', 'close'],
  ['crashed', 'panicked', 'close'],
  ['shutdown', 'user', 'close'],
  ['shutoff', 'failed', 'nothing'],
  ['', '', 'nothing'],
])('the state %s (%s): %s', (state, reason, reach) => {
  expect(reachOfState(state, reason, policy)).toBe(reach);
});

test('only a change of host is a part of a migration', () => {
  const parts = [...meanings, ['running', 'migrated'], ['running', 'booted'], ['paused', 'migration']]
    .map(([event, detail]) => ({ event: event!, detail: detail! }))
    .filter(isOfMigration)
    .map(({ event, detail }) => `${event} ${detail}`);
  expect(parts).toEqual([
    'Suspended Migrated',
    'Suspended Post-copy',
    'Suspended Post-copy Error',
    'Resumed Migrated',
    'Resumed Post-copy',
    'Resumed Post-copy Error',
    'Stopped Migrated',
    'running migrated',
  ]);
});
