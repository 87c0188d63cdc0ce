import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Patience } from '../../../src/host/process/patience.ts';

const never = () => new Promise<never>(() => undefined);

/** Time in which nobody here gets a turn. */
function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('a wait', () => {
  test('answers what it waited for, or throws as that does', async () => {
    const patience = new Patience(1000);
    expect(await patience.wait(Promise.resolve(7), { what: 'it', limitMs: 1000 })).toBe(7);
    await expect(patience.wait(Promise.reject(new Error('no')), { what: 'it', limitMs: 1000 })).rejects.toThrow('no');
  });

  test('says what it waited for, and how long', async () => {
    const wait = new Patience(Number.POSITIVE_INFINITY).wait(never(), { what: "'ip'", limitMs: 200 });
    await expect(wait).rejects.toMatchObject({ code: 'TIME_LIMIT', message: /^waited 0\.[2-9] s for 'ip'$/ });
  });

  test('does not count time in which this process itself got no turn', async () => {
    let isOver = false;
    const wait = new Patience(Number.POSITIVE_INFINITY).wait(never(), { what: 'it', limitMs: 2000 });
    const over = wait.catch(() => {
      isOver = true;
    });
    for (let turn = 0; turn < 6; turn++) {
      hold(500);
      await sleep(1);
    }
    expect(isOver).toBe(false);
    await over;
  });

  test('begins anew whenever what it waits for has come nearer', async () => {
    let left = 6;
    const start = performance.now();
    const hasMoved = () => left-- > 0;
    await expect(new Patience(100).wait(never(), { what: 'it', limitMs: 150, hasMoved })).rejects.toThrow('waited');
    expect(left).toBeLessThan(0);
    expect(performance.now() - start).toBeGreaterThan(300);
  });
});

describe('several waits', () => {
  test('have one limit together, and then a second each', async () => {
    const patience = new Patience(300);
    const first = patience.wait(never(), { what: 'one', limitMs: 400 });
    await expect(first).rejects.toThrow(/^waited 0\.[4-9] s for one$/);
    const second = patience.wait(never(), { what: 'two', limitMs: 60_000 });
    await expect(second).rejects.toThrow(/^waited 1(\.\d)? s for two, after 0\.[4-9] s of waiting before$/);
    expect(await patience.wait(sleep(100, 'in time'), { what: 'three', limitMs: 60_000 })).toBe('in time');
  });
});
