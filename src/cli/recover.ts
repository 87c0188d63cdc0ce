import type { Effects } from '../apply/effects.ts';
import { recover, type Survivors } from '../apply/recover.ts';
import { printable } from '../report/error.ts';
import type { CommandIo } from './io.ts';

/** `actualnet recover`: brings what is in force in line with what runs. */
export async function recoverCommand(survivors: Survivors, effects: Effects, io: CommandIo): Promise<void> {
  const lines = await recover(survivors, effects);
  io.write(lines.length === 0 ? 'nothing to recover\n' : lines.map(line => `${printable(line)}\n`).join(''));
}
