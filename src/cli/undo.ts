import { foldRecord } from '../guest/record.ts';
import type { Running } from '../guest/recover.ts';
import type { Effects } from '../journal/effects.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import { parseUuid } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import { defineCommand } from './command.ts';
import type { CommandIo } from './io.ts';
import { recoverCommand } from './recover.ts';

const named = 5;

/**
 * `actualnet undo`: takes back everything that is applied, before actualnet is removed. Throws `IN_FORCE`, with nothing
 * touched, while guests or networks run that have any of it; with `force` it is taken back under them.
 */
export async function undoCommand(
  { force, whatRuns, effects }: { readonly force: boolean; readonly whatRuns: Running; readonly effects: Effects },
  io: CommandIo,
): Promise<void> {
  const running = force ? [] : whoRuns(whatRuns, effects);
  if (running.length > 0) {
    const more = running.length > named ? ` and ${running.length - named} more` : '';
    const who = `${running.slice(0, named).join(', ')}${more}`;
    throw new ActualnetError('IN_FORCE', `changes are applied for what runs: ${who}`, {
      hint: 'stop it first, or take them back under it with --force',
    });
  }
  const forced = { isRunning: () => false, isNetworkActive: () => false, why: 'is left to libvirt' };
  await recoverCommand({ ...whatRuns, ...(force && forced), graceMs: 0 }, effects, io, {
    nothing: 'nothing is applied',
  });
}

/** The guests and networks that run, or are being started, and have something applied. */
function whoRuns({ readRecord, isNetworkActive }: Running, effects: Effects): string[] {
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
  examples: [['undo', 'refused while guests run that need what is applied']],
  documentation: 'docs/operations.md',
  async run({ force }, { io, whatRuns, effects }) {
    await undoCommand({ force, whatRuns: await whatRuns(0), effects: await effects() }, io);
    return 0;
  },
});
