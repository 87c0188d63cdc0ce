import type { CommandModule } from 'yargs';
import type { CommandIo } from '../cli/io.ts';
import type { Memory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';
import { ActualnetError } from '../report/error.ts';
import { ownEffects } from './effects.ts';
import { survivors } from './survivors.ts';

interface Host {
  readonly paths: HostPaths;
  readonly memory: Memory;
  readonly io: CommandIo;
}

/** `actualnet recover`. */
export function recoverModule({ paths, memory, io }: Host): CommandModule<object, { readonly grace: string }> {
  const describe = 'seconds for which a start that has begun is left alone';
  return {
    command: 'recover',
    describe: 'brings what is in force in line with what runs, after a crash or a missed call',
    builder: y => y.option('grace', { type: 'string', default: '60', describe }),
    async handler({ grace }) {
      if (!/^\d{1,6}$/.test(grace)) throw new ActualnetError('USAGE', `'${grace}' is not a number of seconds`);
      const { recoverCommand } = await import('../cli/recover.ts');
      await recoverCommand(survivors(paths, memory, Number(grace) * 1000), ownEffects(paths, Date.now), io);
    },
  };
}

/** `actualnet undo`. */
export function undoModule({ paths, memory, io }: Host): CommandModule<object, { readonly force: boolean }> {
  const describe = 'also for guests and networks that run';
  return {
    command: 'undo',
    describe: 'takes back everything that is in force, before actualnet is removed',
    builder: y => y.option('force', { type: 'boolean', default: false, describe }),
    async handler({ force }) {
      const { undoCommand } = await import('../cli/undo.ts');
      const sources = { survivors: survivors(paths, memory, 0), effects: ownEffects(paths, Date.now) };
      await undoCommand({ force, ...sources }, io);
    },
  };
}
