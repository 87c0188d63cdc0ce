import type { Effects } from '../apply/effects.ts';
import { recover, type Survivors } from '../apply/recover.ts';
import { ActualnetError, printable } from '../report/error.ts';
import type { CommandIo } from './io.ts';

/** `actualnet recover`: brings what is in force in line with what runs. */
export async function recoverCommand(
  survivors: Survivors,
  effects: Effects,
  io: CommandIo,
  nothing = 'nothing to recover',
): Promise<void> {
  const { done, problems } = await recover(survivors, effects);
  const lines = [...done, ...problems.map(problem => `still in force: ${problem}`)];
  io.write(lines.length === 0 ? `${nothing}\n` : lines.map(line => `${printable(line)}\n`).join(''));
  if (problems.length > 0) throw new ActualnetError('ACTION_FAILED', `${problems.length} changes are still in force`);
}
