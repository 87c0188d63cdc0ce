import type { Effects } from '../journal/effects.ts';
import type { LedgerEntry } from '../journal/ledger.ts';
import { ledgerProblems, tryEntriesOf } from '../journal/ledgers.ts';
import { releaseShared, type Undone, undoGuest } from '../journal/undo.ts';
import type { GuestName } from '../model/values.ts';
import { parseUuid, type Uuid } from '../model/values.ts';
import { asActualnetError } from '../report/error.ts';
import { foldRecord } from './record.ts';

/** What recovering needs to know of the host besides its links. */
export interface Running {
  /** The guests of which there is a record. */
  readonly guests: readonly Uuid[];
  readonly readRecord: (guest: Uuid) => readonly unknown[];
  readonly removeRecord: (guest: Uuid) => void;
  /** A line for each record that is there and cannot be read. */
  readonly unreadable?: readonly string[];
  /** By its uuid, and by its name if there is a record of it. */
  readonly isRunning: (guest: Uuid, name: GuestName | undefined) => boolean;
  readonly isNetworkActive: (name: string) => boolean;
  /** A start that began less than this ago may still be going on, and is left to it. */
  readonly graceMs: number;
  /** Why those that are not running by the above are undone, if not because of that. */
  readonly why?: string;
}

export interface Recovery {
  /** A line for each thing done, or found to be somebody else's. */
  readonly done: readonly string[];
  /** A line for each thing that is still applied. */
  readonly problems: readonly string[];
}

/**
 * Brings every ledger in line with what runs: a guest that does not run any more is undone and forgotten, a user of
 * shared parts that is gone leaves them. One that cannot be recovered, or read, does not keep the others. A second run finds
 * nothing to do.
 */
export async function recover(whatRuns: Running, effects: Effects): Promise<Recovery> {
  const done: string[] = [];
  const problems: string[] = [];
  const note = async (what: string, undo: () => Promise<Undone>): Promise<void> => {
    const undone = await undo().catch(
      (error): Undone => ({ leftAlone: [], problems: [asActualnetError(error).message] }),
    );
    if (undone.problems.length === 0) done.push(what);
    done.push(...undone.leftAlone);
    problems.push(...undone.problems);
  };
  const why = whatRuns.why ?? 'does not run';
  const isYoung = (at: string) => Math.max(0, effects.now() - Date.parse(at)) < whatRuns.graceMs;

  const alive = new Set<string>();
  for (const guest of new Set([...whatRuns.guests, ...effects.guestsWithLedger()])) {
    const record = foldRecord(guest, whatRuns.readRecord(guest));
    if (whatRuns.isRunning(guest, record?.name) || (record !== undefined && isYoung(record.since))) {
      alive.add(guest);
      continue;
    }
    // All that is left of it are lines of another version, which are kept and told of below.
    const { entries: own, problem } = tryEntriesOf(effects.guestLedger(guest));
    if (!whatRuns.guests.includes(guest) && own.length === 0 && problem === undefined) continue;
    const name = record === undefined ? guest : `'${record.name}'`;
    // Its shared parts come later, when all that may stand on them has gone. What remains applied is in a ledger.
    // It may have been started again meanwhile: then the record is another life's, and so is the ledger.
    const isSame = () => foldRecord(guest, whatRuns.readRecord(guest))?.since === record?.since;
    await note(`guest ${name} ${why}: undone and forgotten`, async () => {
      const undone = await undoGuest(guest, effects, isSame);
      if (undone.problems.length === 0 && isSame()) whatRuns.removeRecord(guest);
      return undone;
    });
  }
  const isAliveGuest = (guest: Uuid | undefined) =>
    guest !== undefined && (alive.has(guest) || whatRuns.isRunning(guest, undefined));
  const entries = effects.sharedNames().flatMap(dev => tryEntriesOf(effects.sharedLedger(dev)).entries);
  for (const user of new Set(entries.flatMap(({ users }) => users))) {
    const network = /^network:(.*)$/s.exec(user)?.[1];
    const isNew = entries.some(({ users, at }) => users.includes(user) && isYoung(at));
    const isAlive =
      isNew || (network === undefined ? isAliveGuest(parseUuid(user)) : whatRuns.isNetworkActive(network));
    if (isAlive) continue;
    const name = network === undefined ? `guest ${user}` : `network '${network}'`;
    await note(`${name} ${why}: its shared parts are given up`, () => releaseShared(user, effects));
  }
  await recoverUnused(entries, { effects, done, problems });
  problems.push(...ledgerProblems(effects), ...(whatRuns.unreadable ?? []));
  return { done, problems: [...new Set(problems)] };
}

/** Shared parts that nobody needs any more but somebody stood on when the last user left. */
async function recoverUnused(
  before: readonly LedgerEntry[],
  { effects, done, problems }: { effects: Effects; done: string[]; problems: string[] },
): Promise<void> {
  if (!before.some(({ users }) => users.length === 0)) return;
  const undone = await releaseShared('', effects);
  if (undone.problems.length === 0) done.push('shared parts that nobody needs are given up');
  done.push(...undone.leftAlone);
  problems.push(...undone.problems);
}
