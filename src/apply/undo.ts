import type { Uuid } from '../model/values.ts';
import { isZeroMacRefused } from '../model/vf-values.ts';
import { type Change, describeChange, isVfSubject } from '../plan/change.ts';
import { type Command, commandFor, tools } from '../plan/command.ts';
import type { HostView } from '../plan/host-view.ts';
import { idleMac } from '../plan/idle-mac.ts';
import { asActualnetError } from '../report/error.ts';
import { needsOf, timeOf } from './apply.ts';
import type { CommandFailure, Effects, LedgerFile } from './effects.ts';
import { compactLines, foldLedger, type LedgerEntry } from './ledger.ts';
import { decideUndo } from './verdict.ts';

/** What became of an undo: `left` is somebody else's now, `problems` could not be undone and stay in the ledger. */
export interface Undone {
  readonly left: readonly string[];
  readonly problems: readonly string[];
}

/** An entry and the ledger it stands in. */
export interface Undoing {
  readonly entry: LedgerEntry;
  readonly file: LedgerFile;
}

const nothing: Undone = { left: [], problems: [] };

/** Takes back all that a guest has in force, or some of it. A second call finds nothing to do. */
export async function undoGuest(
  guest: Uuid,
  effects: Effects,
  only: (entry: LedgerEntry) => boolean = () => true,
): Promise<Undone> {
  const file = effects.guestLedger(guest);
  if (file.read().length === 0) return nothing;
  const unlock = await effects.lock([guest]);
  try {
    const undoings = entriesOf(file).filter(only);
    return await undoTogether(
      undoings.map(entry => ({ entry, file })),
      effects,
    );
  } finally {
    unlock();
  }
}

/**
 * Ends a user's part in everything shared. What others need too stays. The rest is undone, and with it what earlier users
 * had to leave because it was still in use; its entries name the user until that is done, so that a second call finds
 * them again.
 */
export async function leaveShared(
  user: string,
  effects: Effects,
  only: (entry: LedgerEntry) => boolean = () => true,
): Promise<Undone> {
  const concerns = (entry: LedgerEntry) => (entry.users.length === 0 || entry.users.includes(user)) && only(entry);
  const devices = effects.sharedNames().filter(dev => entriesOf(effects.sharedLedger(dev)).some(concerns));
  if (devices.length === 0) return nothing;
  const unlock = await effects.lock(devices);
  try {
    const undoings = devices.flatMap(dev => {
      const file = effects.sharedLedger(dev);
      const own = entriesOf(file).filter(concerns);
      leave(
        own.filter(({ users }) => users.length > 1),
        { file, user, effects },
      );
      return own.filter(({ users }) => users.length <= 1).map(entry => ({ entry, file }));
    });
    const undone = await undoTogether(undoings, effects);
    for (const dev of devices) {
      const file = effects.sharedLedger(dev);
      leave(
        entriesOf(file).filter(entry => entry.users.includes(user) && only(entry)),
        { file, user, effects },
      );
    }
    return undone;
  } finally {
    unlock();
  }
}

/**
 * Takes back what users that are gone have left on things that only one can use at a time, before another one begins:
 * what is kept for it must not be what they have left.
 */
export async function undoStale(
  names: readonly string[],
  effects: Effects,
  isStale: (entry: LedgerEntry) => boolean,
): Promise<Undone> {
  const stale = [...new Set(names)].filter(name => entriesOf(effects.sharedLedger(name)).some(isStale));
  if (stale.length === 0) return nothing;
  const unlock = await effects.lock(stale);
  try {
    const undoings = stale.flatMap(name => {
      const file = effects.sharedLedger(name);
      return entriesOf(file)
        .filter(isStale)
        .map(entry => ({ entry, file }));
    });
    return await undoTogether(undoings, effects);
  } finally {
    unlock();
  }
}

/** Undoes entries of any ledgers in one go. The forwarding entries go before the links that carry them. */
export async function undoTogether(undoings: readonly Undoing[], effects: Effects): Promise<Undone> {
  if (undoings.length === 0) return nothing;
  const host = await effects.view(needsOf(undoings.map(({ entry }) => entry)));
  const { steps, finished, left, waiting } = decideUndo(undoings, host);
  const problems = [...waiting];
  const closed = [...finished];
  const failed: FailedUndo[] = [];
  const commands: { undoing: Undoing; change: Pick<Change, 'subject' | 'to'>; command: Command }[] = [];
  for (const step of steps) {
    try {
      commands.push({ ...step, command: commandFor(step.change) });
    } catch (error) {
      problems.push(`${describeChange(step.change)}: ${asActualnetError(error).message}`);
    }
  }
  for (const tool of tools) {
    const own = commands.filter(({ command }) => command.tool === tool);
    if (own.length === 0) continue;
    const lines = own.map(({ command }) => command.line);
    const failures = new Map((await runAll(tool, lines, effects)).map(({ place, message }) => [place, message]));
    own.forEach(({ undoing, change }, place) => {
      const message = failures.get(place);
      if (message === undefined) closed.push(undoing);
      else failed.push({ undoing, change, message });
    });
  }
  const settled = await settleForOtherMac(failed, host, effects);
  closeEntries([...closed, ...settled.map(({ step }) => step.undoing)], effects);
  for (const { step, mac } of settled) left.push(`${describeChange(step.change)}: refused, it has ${mac} instead`);
  const isSettled = (each: FailedUndo) => settled.some(({ step }) => step === each);
  for (const step of failed.filter(each => !isSettled(each)))
    problems.push(`${describeChange(step.change)}: ${step.message}`);
  return { left, problems };
}

/** One tool that cannot be run must not keep the others from their part: what is not undone stays in the ledger. */
function runAll(tool: Command['tool'], lines: readonly string[], effects: Effects): Promise<readonly CommandFailure[]> {
  return effects.run(tool, lines, { keepGoing: true }).catch(error => {
    const { message } = asActualnetError(error);
    return lines.map((_, place) => ({ place, message }));
  });
}

interface FailedUndo {
  readonly undoing: Undoing;
  readonly change: Pick<Change, 'subject' | 'to'>;
  readonly message: string;
}

/** Some drivers do not take back the all-zero MAC they began with; then another must do: the guest's has to go. */
async function settleForOtherMac(failed: readonly FailedUndo[], host: HostView, effects: Effects): Promise<Settled[]> {
  const refused = failed.flatMap((step): Settled[] => {
    const { subject, to } = step.change;
    if (!isVfSubject(subject) || subject.kind !== 'vf-mac' || !isZeroMacRefused(String(to), step.message)) return [];
    return [{ step, mac: idleMac(subject.dev, subject.vf, host) }];
  });
  if (refused.length === 0) return [];
  const lines = refused.map(({ step, mac }) => commandFor({ subject: step.change.subject, to: mac }).line);
  const failures = await effects.run('ip', lines, { keepGoing: true });
  return refused.filter((_, place) => failures.every(failure => failure.place !== place));
}

interface Settled {
  readonly step: FailedUndo;
  readonly mac: string;
}

/** Notes that entries have nothing left to undo; a ledger with nothing in force is removed, a long one written anew. */
export function closeEntries(undoings: readonly Undoing[], effects: Effects): void {
  const at = timeOf(effects);
  const byFile = new Map<LedgerFile, string[]>();
  for (const { file, entry } of undoings) byFile.set(file, [...(byFile.get(file) ?? []), entry.key]);
  for (const [file, keys] of byFile) {
    const lines = file.read();
    const entries = new Map(foldLedger(lines));
    for (const key of keys) entries.delete(key);
    if (entries.size === 0 || lines.length > 4 * entries.size + 100) file.replace(compactLines(entries.values()));
    else file.append([{ at, close: keys }]);
  }
}

function entriesOf(file: LedgerFile): LedgerEntry[] {
  return [...foldLedger(file.read()).values()];
}

function leave(
  entries: readonly LedgerEntry[],
  { file, user, effects }: { file: LedgerFile; user: string; effects: Effects },
): void {
  const at = timeOf(effects);
  if (entries.length > 0) file.append(entries.map(({ key }) => ({ at, leave: key, user })));
}
