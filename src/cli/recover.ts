import { type Running, recover } from '../guest/recover.ts';
import type { Effects } from '../journal/effects.ts';
import { ActualnetError, printable } from '../report/error.ts';
import { defineCommand } from './command.ts';
import type { CommandIo } from './io.ts';

/** `actualnet recover`: brings what is applied in line with what runs. */
export async function recoverCommand(
  whatRuns: Running,
  effects: Effects,
  io: CommandIo,
  {
    nothing = 'nothing to recover',
    alsoDone = [],
  }: { readonly nothing?: string; readonly alsoDone?: readonly string[] } = {},
): Promise<void> {
  const recovered = await recover(whatRuns, effects);
  const { problems } = recovered;
  const done = [...recovered.done, ...alsoDone];
  const lines = [...done, ...problems.map(problem => `still applied: ${problem}`)];
  io.write(lines.length === 0 ? `${nothing}\n` : lines.map(line => `${printable(line)}\n`).join(''));
  if (problems.length > 0)
    throw new ActualnetError(
      'ACTION_FAILED',
      `${problems.length === 1 ? '1 change is' : `${problems.length} changes are`} still applied`,
    );
}

/** `actualnet recover`. */
export const command = defineCommand({
  words: 'recover',
  builder: y =>
    y.option('grace', {
      type: 'string',
      default: '60',
      describe: 'seconds for which a start that has begun is left alone',
    }),
  examples: [['recover', 'after libvirt or the host has crashed']],
  documentation: 'docs/operations.md',
  async run({ grace }, { io, whatRuns, effects, forgetUnfinished }) {
    if (!/^\d{1,6}$/.test(grace)) throw new ActualnetError('USAGE', `'${grace}' is not a number of seconds`);
    const alsoDone = await forgetUnfinished();
    await recoverCommand(await whatRuns(Number(grace) * 1000), await effects(), io, { alsoDone });
    return 0;
  },
});
