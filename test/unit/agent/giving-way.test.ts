import { describe, expect, test } from 'vitest';
import { GuestQueue } from '../../../src/agent/queue.ts';

const minuteMs = 60_000;

/** A queue whose acts end when they are told to, or give way; its clock stands until it is moved. */
function queueOf() {
  const acts = new Map<string, { giveWay: () => void; end: () => void }>();
  const clock = { ms: 1_000_000 };
  const queue = new GuestQueue({
    act: (guest, _wanted, _news, giveWay) => new Promise(end => acts.set(guest, { giveWay, end })),
    policy: () => ({ ioError: 'close', watchdog: 'close' }),
    log: { info: () => undefined, warn: () => undefined },
    now: () => clock.ms,
  });
  const open = (count: number, first = 0) => {
    for (let number = first; number < first + count; number++)
      queue.take({ guest: `g${number}`, event: 'Resumed', detail: 'Unpaused' });
  };
  const turn = () => new Promise(resolve => setImmediate(resolve));
  return { queue, acts, clock, open, turn, at: (number: number) => acts.get(`g${number}`)! };
}

describe('an act that waits for a host that does not answer', () => {
  test.each([
    { name: 'four of them', waiting: 4, others: 4 },
    { name: 'thirty-two of them', waiting: 32, others: 4 },
    { name: 'more have no place to give', waiting: 40, others: 0 },
  ])('lets others have its place: $name', ({ waiting, others }) => {
    const { acts, open, at } = queueOf();
    for (let number = 0; number < waiting; number++) {
      open(1, number);
      acts.get(`g${number}`)?.giveWay();
    }
    const before = acts.size;
    open(10, 100);
    expect(acts.size - before).toBe(others);
    // Once more is once.
    at(0).giveWay();
    expect(acts.size - before).toBe(others);
  });

  test('has its place again for the next act, whoever calls then', async () => {
    const { queue, acts, open, turn, at } = queueOf();
    open(4);
    for (const number of [0, 1, 2, 3]) at(number).giveWay();
    open(10, 100);
    expect(acts.size).toBe(8);
    const late = at(0);
    for (const number of [0, 1, 2, 3]) at(number).end();
    await turn();
    // The four in the places that were given are still at work.
    expect(acts.size).toBe(8);
    late.giveWay();
    expect(acts.size).toBe(8);
    for (let round = 0; round < 20; round++) {
      for (const act of acts.values()) act.end();
      await turn();
    }
    await queue.idle();
    expect(acts.size).toBe(14);
  });
});

describe('whether it moves', () => {
  test('it does without anything to do, and while acts begin and end', async () => {
    const { queue, clock, open, turn, at } = queueOf();
    expect(queue.isMoving()).toBe(true);
    clock.ms += 100 * minuteMs;
    expect(queue.isMoving()).toBe(true);
    for (let number = 0; number < 10; number++) {
      open(1, number);
      clock.ms += 4 * minuteMs;
      expect(queue.isMoving()).toBe(true);
      at(number).end();
      await turn();
    }
    expect(queue.isMoving()).toBe(true);
  });

  test.each([
    { name: 'one act goes on for ever', acts: 1, gives: false },
    { name: 'one act goes on for ever in a place that it has given away', acts: 1, gives: true },
    { name: 'guests wait for their turn', acts: 9, gives: false },
  ])('it does not when $name', async ({ acts: count, gives }) => {
    const { queue, clock, acts, open, turn } = queueOf();
    open(count);
    if (gives) for (const act of [...acts.values()]) act.giveWay();
    clock.ms += 4 * minuteMs;
    expect(queue.isMoving()).toBe(true);
    clock.ms += 2 * minuteMs;
    expect(queue.isMoving()).toBe(false);
    for (let round = 0; round < 20; round++) {
      for (const act of acts.values()) act.end();
      await turn();
    }
    expect(queue.isMoving()).toBe(true);
  });
});
