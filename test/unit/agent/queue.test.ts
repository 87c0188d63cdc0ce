import { describe, expect, test } from 'vitest';
import { readEventLine } from '../../../src/agent/lifecycle.ts';
import { type Cause, GuestQueue, type News, type QueueContext, type Wanted } from '../../../src/agent/queue.ts';

/** A queue whose acts are noted and end only when they are let go; its clock stands until it is moved. */
function queueOf({ held = false } = {}) {
  const acts: string[] = [];
  /** Guests whose devices were to be looked at. */
  const looks: string[] = [];
  const causes: (readonly Cause[])[] = [];
  const warnings: string[] = [];
  const clock = { ms: 1_000_000 };
  const release: (() => void)[] = [];
  let failure: Error | undefined;
  const context: QueueContext = {
    async act(guest: string, wanted: Wanted, news: News) {
      if (news.devices) looks.push(guest);
      if (news.causes.length > 0) {
        acts.push(`${guest} ${wanted}`);
        causes.push(news.causes);
      }
      if (held) await new Promise<void>(resolve => release.push(resolve));
      if (failure !== undefined) throw failure;
    },
    policy: () => ({ ioError: 'close', watchdog: 'close' }),
    log: { info: () => undefined, warn: line => warnings.push(line) },
    now: () => clock.ms,
  };
  const queue = new GuestQueue(context);
  const event = (guest: string, words: string) => {
    const [name, ...detail] = words.split(' ');
    queue.take({ guest, event: name!, detail: detail.join(' ') });
  };
  const letGo = async () => {
    for (const each of release.splice(0)) each();
    await new Promise(resolve => setImmediate(resolve));
  };
  return { queue, event, acts, looks, causes, warnings, clock, letGo, fail: (error?: Error) => (failure = error) };
}

describe('events', () => {
  test('are acted on in their order', async () => {
    const { queue, event, acts } = queueOf();
    for (const words of ['Resumed Unpaused', 'Suspended Paused', 'Resumed Unpaused', 'Stopped Destroyed']) {
      event('g', words);
      await queue.idle();
    }
    expect(acts).toEqual(['g open', 'g close', 'g open', 'g gone']);
    expect(queue.guests()).toEqual([]);
  });

  test('that come while one is acted on wait, and only the newest state counts, with all causes told', async () => {
    const { queue, event, acts, causes, letGo } = queueOf({ held: true });
    event('g', 'Resumed Unpaused');
    for (const words of ['Suspended Migrated', 'Resumed Migrated', 'Suspended Migrated', 'Stopped Migrated'])
      event('g', words);
    expect(acts).toEqual(['g open']);
    await letGo();
    expect(acts).toEqual(['g open', 'g gone']);
    expect(causes[1]!.map(({ event, detail }) => `${event} ${detail}`)).toEqual([
      'Suspended Migrated',
      'Resumed Migrated',
      'Suspended Migrated',
      'Stopped Migrated',
    ]);
    await letGo();
    await queue.idle();
    expect(queue.guests()).toEqual([]);
  });

  test('of one guest do not wait for another guest, but not all are acted on at once', async () => {
    const { event, acts, letGo } = queueOf({ held: true });
    for (const guest of ['a', 'b', 'c', 'd', 'e', 'f']) event(guest, 'Resumed Unpaused');
    expect(acts).toEqual(['a open', 'b open', 'c open', 'd open']);
    await letGo();
    expect(acts.slice(4)).toEqual(['e open', 'f open']);
  });

  test('that mean nothing are not acted on', async () => {
    const { queue, event, acts } = queueOf();
    for (const words of ['Defined Added', 'Started Booted', 'Crashed Crashloaded']) event('g', words);
    await queue.idle();
    expect(acts).toEqual([]);
  });
});

describe('status files', () => {
  const state = (guest: string, words: string, atMs: number, devices = '', pid = '7') => {
    const [name, ...reason] = words.split(' ');
    return { guest, state: name!, reason: reason.join(' '), pid, atMs, devices };
  };

  test('tell of guests of which no event came', async () => {
    const { queue, acts } = queueOf();
    queue.catchUp([state('a', 'running booted', 1), state('b', 'paused migration', 1)]);
    await queue.idle();
    expect(acts).toEqual(['a open', 'b close']);
    queue.catchUp([state('a', 'running booted', 1), state('b', 'paused migration', 1)]);
    await queue.idle();
    expect(acts).toHaveLength(2);
  });

  test('older than the last event say nothing; newer ones make up for a lost event', async () => {
    const { queue, event, acts, clock } = queueOf();
    event('g', 'Resumed Migrated');
    await queue.idle();
    queue.catchUp([state('g', 'paused migration', clock.ms - 1)]);
    await queue.idle();
    expect(acts).toEqual(['g open']);
    queue.catchUp([state('g', 'paused user', clock.ms + 1)]);
    await queue.idle();
    expect(acts).toEqual(['g open', 'g close']);
  });

  test('that are no more tell that the guest is gone, once they have been missing for a while', async () => {
    const { queue, event, acts, clock } = queueOf();
    event('g', 'Resumed Unpaused');
    await queue.idle();
    clock.ms += 60_000;
    queue.catchUp([]);
    expect(acts).toEqual(['g open']);
    queue.catchUp([state('g', 'running booted', 1)]);
    clock.ms += 6000;
    queue.catchUp([]);
    expect(acts).toEqual(['g open']);
    clock.ms += 6000;
    queue.catchUp([]);
    await queue.idle();
    expect(acts).toEqual(['g open', 'g gone']);
    expect(queue.guests()).toEqual([]);
  });

  test.each<[name: string, looks: [words: string, afterMs: number, pid: string][], expected: string[]]>([
    ['the same QEMU', [['running booted', 1, '7']], []],
    ['another QEMU', [['running booted', 1, '8']], ['g open']],
    [
      'another QEMU, as soon as its CPUs run',
      [
        ['paused starting up', 1, '8'],
        ['running booted', 2, '8'],
        ['running booted', 3, '8'],
      ],
      ['g open'],
    ],
    [
      'another QEMU, of which an event has told since',
      [
        ['event', 0, ''],
        ['running booted', -1, '8'],
        ['running booted', 1, '8'],
      ],
      ['g open'],
    ],
    ['the same QEMU under a clock that was set back', [['paused user', -3_600_000, '7']], ['g close']],
    ['another QEMU under a clock that was set back', [['running booted', -3_600_000, '8']], ['g open']],
    [
      'a clock that was set back, beside an event',
      [
        ['event', 0, ''],
        ...Array.from({ length: 8 }, (): [string, number, string] => ['paused user', -3_600_000, '7']),
      ],
      ['g open', 'g close'],
    ],
    [
      'nobody: what it said before the event says nothing, for a while',
      [
        ['event', 0, ''],
        ...Array.from({ length: 4 }, (): [string, number, string] => ['paused user', -3, '7']),
        ['running booted', 1, '7'],
      ],
      ['g open'],
    ],
  ])('written anew by %s', async (_, looks, expected) => {
    const { queue, event, acts, clock } = queueOf();
    event('g', 'Resumed Unpaused');
    queue.catchUp([state('g', 'running booted', clock.ms - 1)]);
    await queue.idle();
    queue.catchUp([]);
    for (const [words, afterMs, pid] of looks) {
      if (words === 'event') event('g', 'Resumed Unpaused');
      else queue.catchUp([state('g', words, clock.ms + afterMs, '', pid)]);
      await queue.idle();
    }
    expect(acts.slice(1)).toEqual(expected);
  });

  test('tell of devices: looked at once when the guest is first seen, and each time they change', async () => {
    const { queue, event, acts, looks, fail, clock } = queueOf();
    const look = async (devices: string) => {
      queue.takeDevices(state('g', 'running booted', 1, devices));
      await queue.idle();
      return looks.length;
    };
    expect(await look('<interface/>')).toBe(0);
    queue.catchUp([state('g', 'running booted', 1, '<interface/>')]);
    await queue.idle();
    expect([looks, acts]).toEqual([['g'], ['g open']]);
    expect([await look('<interface/>'), await look('<hostdev/>'), await look('<hostdev/>'), await look('')]).toEqual([
      1, 2, 2, 3,
    ]);
    event('h', 'Resumed Unpaused');
    queue.catchUp([state('h', 'running booted', 1, '<interface/>')]);
    await queue.idle();
    expect([looks.slice(3), acts.slice(1)]).toEqual([['h'], ['h open']]);
    fail(new Error('no bridge'));
    await look('<interface/>');
    fail();
    clock.ms += 2000;
    queue.catchUp([state('g', 'running booted', 1, '<interface/>'), state('h', 'running booted', 1, '<interface/>')]);
    await queue.idle();
    expect(looks.slice(4)).toEqual(['g', 'g']);
  });

  test('are the occasion to try again what failed, less and less often', async () => {
    const { queue, event, acts, warnings, fail, clock } = queueOf();
    fail(new Error('no bridge'));
    event('g', 'Suspended Migrated');
    await queue.idle();
    expect(warnings).toEqual([expect.stringContaining("guest 'g' could not be made unreachable")]);
    const look = async (afterMs: number) => {
      clock.ms += afterMs;
      queue.catchUp([state('g', 'paused migration', 1)]);
      await queue.idle();
      return acts.length;
    };
    expect([await look(900), await look(200), await look(1900), await look(200)]).toEqual([1, 2, 2, 3]);
    fail();
    expect(await look(60_000)).toBe(4);
    queue.catchUp([state('g', 'paused migration', 1)]);
    await queue.idle();
    expect(acts).toHaveLength(4);
  });
});

test('a thousand guests with a hundred events each: in order for each, nothing kept of those that are gone', async () => {
  const busy = new Set<string>();
  const done = new Map<string, string>();
  let most = 0;
  const queue = new GuestQueue({
    async act(guest, wanted, { causes }) {
      expect(busy.has(guest)).toBe(false);
      busy.add(guest);
      most = Math.max(most, causes.length);
      await new Promise(resolve => setImmediate(resolve));
      // The causes come in the order of the events, the last being the one that is acted on.
      const numbers = causes.map(({ detail }) => Number(detail.split(' ')[1] ?? 0));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      done.set(guest, wanted);
      busy.delete(guest);
    },
    policy: () => ({ ioError: 'close', watchdog: 'close' }),
    log: { info: () => undefined, warn: line => expect.fail(line) },
    now: () => 0,
  });
  const say = (guest: number, words: string) =>
    queue.take(readEventLine(`2026-11-21 04:32:56.819+0000: event 'lifecycle' for domain 'g${guest}': ${words}`)!);
  const last = new Map<string, string>();
  for (let round = 0; round < 100; round++) {
    for (let guest = 0; guest < 1000; guest++) {
      const halts = (round * 7 + guest) % 3 === 0;
      say(guest, halts ? `Suspended Paused ${round}` : `Resumed Unpaused ${round}`);
      last.set(`g${guest}`, halts ? 'close' : 'open');
    }
    if (round % 10 === 0) await new Promise(resolve => setImmediate(resolve));
  }
  await queue.idle();
  expect(done).toEqual(last);
  expect(most).toBeLessThanOrEqual(16);
  for (let guest = 0; guest < 1000; guest++) say(guest, 'Stopped Destroyed');
  await queue.idle();
  expect(queue.guests()).toEqual([]);
});
