import { afterAll, inject } from 'vitest';
import { Machine } from './machine.ts';

/** Why there is no machine to test with; undefined if there is one. */
export const missingMachine = inject('machine').missing;

/** The tier's machine, for one test file. Call it at the file's top level or in a `describe`. */
export function useMachine(): Machine {
  const machine = new Machine(inject('machine').agent ?? '');
  afterAll(() => machine.disconnect());
  return machine;
}

/** Whether everything is asked for (`ACTUALNET_SRIOV=full`), or only what shows that the rest can be expected to work. */
export const isFull = process.env.ACTUALNET_SRIOV === 'full';

/** All of a table's rows, or the first few. */
export function inFull<T>(rows: readonly T[], few: number): readonly T[] {
  return isFull ? rows : rows.slice(0, few);
}
