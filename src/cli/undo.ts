import { foldRecord } from '../guest/record.ts';
import type { Survivors } from '../guest/recover.ts';
import type { Effects } from '../journal/effects.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import { parseUuid } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import { defineCommand } from './command.ts';
import type { CommandIo } from './io.ts';
import { recoverCommand } from './recover.ts';

const named = 5;

/**
 * `actualnet undo`: takes back everything that is in force, before actualnet is removed. Throws `IN_FORCE`, with nothing
 * touched, while guests or networks run that have any of it; with `force` it is taken back under them.
 */
export async function undoCommand(
  { force, survivors, effects }: { readonly force: boolean; readonly survivors: Survivors; readonly effects: Effects },
  io: CommandIo,
): Promise<void> {
  const running = force ? [] : whoRuns(survivors, effects);
  if (running.length > 0) {
    const more = running.length > named ? ` and ${running.length - named} more` : '';
    const who = `${running.slice(0, named).join(', ')}${more}`;
    throw new ActualnetError('IN_FORCE', `changes are in force for what runs: ${who}`, {
      hint: 'stop it first, or take them back under it with --force',
    });
  }
  const forced = { isRunning: () => false, isNetworkActive: () => false, why: 'is left to libvirt' };
  await recoverCommand({ ...survivors, ...(force && forced), graceMs: 0 }, effects, io, 'nothing is in force');
}

/** The guests and networks that run, or are being started, and have something in force. */
function whoRuns({ readRecord, isNetworkActive }: Survivors, effects: Effects): string[] {
  // One that cannot be read keeps no other from being undone, and is told of by whoever undoes.
  const entries = effects.sharedNames().flatMap(name => tryEntriesOf(effects.sharedLedger(name)).entries);
  const users = entries.flatMap(entry => entry.users);
  return [...new Set([...effects.guestsWithLedger(), ...users])].flatMap(user => {
    const network = /^network:(.*)$/s.exec(user)?.[1];
    if (network !== undefined) return isNetworkActive(network) ? `network '${network}'` : [];
    const guest = parseUuid(user);
    if (guest === undefined || effects.isGone(guest)) return [];
    return `guest '${foldRecord(guest, readRecord(guest))?.name ?? guest}'`;
  });
}

/** `actualnet undo`. */
export const command = defineCommand({
  words: 'undo',
  builder: y =>
    y.option('force', { type: 'boolean', default: false, describe: 'also for guests and networks that run' }),
  examples: [['undo', 'refused while guests run that need what is in force']],
  documentation: 'docs/operations.md',
  async run({ force }, { io, survivors, effects }) {
    await undoCommand({ force, survivors: await survivors(0), effects: await effects() }, io);
    return 0;
  },
});
