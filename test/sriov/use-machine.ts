import { afterAll, beforeAll, inject } from 'vitest';
import { boot, bootLimitMs, consoleEnd, type RunningMachine } from './boot.ts';
import { findImage } from './image.ts';
import { Machine } from './machine.ts';

/** Why there is no machine to test with; undefined if there is one. */
export const missingMachine = inject('machine').missing;

/**
 * The tier's machine, for one test file; another one if it does not answer any more, so that one file's failure is not that
 * of all behind it. Call it at the file's top level or in a `describe`.
 */
export function useMachine(): Machine {
  const machine = new Machine(inject('machine').agent ?? '');
  let other: RunningMachine | undefined;
  beforeAll(async () => {
    if (missingMachine !== undefined || (await machine.answers())) return;
    console.log(
      `the machine does not answer any more, another one is booted; its console:\n${consoleEnd(inject('machine').console ?? '')}`,
    );
    other = await boot(findImage()!);
    machine.moveTo(other.agent);
  }, bootLimitMs);
  afterAll(async () => {
    await machine.disconnect();
    await other?.stop();
  });
  return machine;
}

/** Whether everything is asked for (`ACTUALNET_SRIOV=full`), or only what shows that the rest can be expected to work. */
export const isFull = process.env.ACTUALNET_SRIOV === 'full';

/** All of a table's rows, or the first few. */
export function inFull<T>(rows: readonly T[], few: number): readonly T[] {
  return isFull ? rows : rows.slice(0, few);
}
