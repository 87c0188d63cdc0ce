import type { HostView } from '../kernel/host-view.ts';
import { type Command, tools } from '../kernel/kind.ts';
import {
  commandFor,
  describeChange,
  describeDoing,
  describeValue,
  kindOf,
  needsOf,
  type Target,
} from '../kernel/registry.ts';
import type { Uuid } from '../model/values.ts';
import { asActualnetError } from '../report/error.ts';
import { type ChangeNote, type CommandFailure, type Effects, type LedgerFile, timeOf } from './effects.ts';
import { compactLines, countUnknown, foldLedger, type LedgerEntry } from './ledger.ts';
import { entriesOf, tryEntriesOf } from './ledgers.ts';
import { decideUndo } from './ownership.ts';

/** What became of an undo: `leftAlone` is somebody else's now, `problems` could not be undone and stay in the ledger. */
export interface Undone {
  readonly leftAlone: readonly string[];
  readonly problems: readonly string[];
}

/** An entry and the ledger it stands in. */
export interface Undoing {
  readonly entry: LedgerEntry;
  readonly file: LedgerFile;
}

const nothing: Undone = { leftAlone: [], problems: [] };

/** Takes back all that a guest has applied, or some of it. A second call finds nothing to do. */
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
export async function releaseShared(
  user: string,
  effects: Effects,
  only: (entry: LedgerEntry) => boolean = () => true,
): Promise<Undone> {
  const concerns = (entry: LedgerEntry) => (entry.users.length === 0 || entry.users.includes(user)) && only(entry);
  // One that cannot be read may be about the user or not: it is told of, and the others are gone through.
  const unread: string[] = [];
  const devices = sharedNamesFor(user, effects).filter(dev => {
    const { entries, problem } = tryEntriesOf(effects.sharedLedger(dev));
    if (problem !== undefined) unread.push(problem);
    return entries.some(concerns);
  });
  if (devices.length === 0) return { leftAlone: [], problems: unread };
  const unlock = await effects.lock(devices);
  try {
    const undoings = devices.flatMap(dev => {
      const file = effects.sharedLedger(dev);
      const own = entriesOf(file).filter(concerns);
      release(
        own.filter(({ users }) => users.length > 1),
        { file, user, effects },
      );
      return own.filter(({ users }) => users.length <= 1).map(entry => ({ entry, file }));
    });
    const undone = await undoTogether(undoings, effects);
    for (const dev of devices) {
      const file = effects.sharedLedger(dev);
      const entries = entriesOf(file);
      const isLeft = (entry: LedgerEntry) => entry.users.includes(user) && only(entry);
      const isUnused = ({ users }: LedgerEntry) => users.every(each => each === user);
      if (entries.some(entry => isLeft(entry) && isUnused(entry))) effects.sharedIndex?.note('', dev);
      release(entries.filter(isLeft), { file, user, effects });
      if (!entries.some(entry => entry.users.includes(user) && !isLeft(entry))) effects.sharedIndex?.forget(user, dev);
      if (!entries.some(isUnused)) effects.sharedIndex?.forget('', dev);
    }
    return { ...undone, problems: [...undone.problems, ...unread] };
  } finally {
    unlock();
  }
}

/** The ledgers that may have a part of a user's, or one that nobody needs any more. Nobody's is looked for everywhere. */
export function sharedNamesFor(
  user: string,
  { sharedIndex, sharedNames }: Pick<Effects, 'sharedIndex' | 'sharedNames'>,
) {
  if (sharedIndex === undefined || user === '') return sharedNames();
  return [...new Set([...sharedIndex.namesOf(user), ...sharedIndex.namesOf('')])];
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
  const read = [...new Set(names)].map(name => ({ name, ...tryEntriesOf(effects.sharedLedger(name)) }));
  const stale = read.flatMap(({ name, entries }) => (entries.some(isStale) ? name : []));
  const unread = read.flatMap(({ problem }) => problem ?? []);
  if (stale.length === 0) return { leftAlone: [], problems: unread };
  const unlock = await effects.lock(stale);
  try {
    const undoings = stale.flatMap(name => {
      const file = effects.sharedLedger(name);
      return entriesOf(file)
        .filter(isStale)
        .map(entry => ({ entry, file }));
    });
    const undone = await undoTogether(undoings, effects);
    return { ...undone, problems: [...undone.problems, ...unread] };
  } finally {
    unlock();
  }
}

/** Undoes entries of any ledgers in one go. The forwarding entries go before the links that carry them. */
export async function undoTogether(undoings: readonly Undoing[], effects: Effects): Promise<Undone> {
  if (undoings.length === 0) return nothing;
  let host: HostView;
  try {
    host = await effects.view(needsOf(undoings.map(({ entry }) => entry)));
  } catch (error) {
    return undoApart(undoings, error, effects);
  }
  return undoSeen(undoings, host, effects);
}

/** A tool that cannot be run cannot show its part of the host either: the parts of the others are undone without it. */
async function undoApart(undoings: readonly Undoing[], error: unknown, effects: Effects): Promise<Undone> {
  const byTool = new Map<string, Undoing[]>();
  for (const undoing of undoings) {
    const needed = neededTool(undoing.entry);
    byTool.set(needed, [...(byTool.get(needed) ?? []), undoing]);
  }
  if (byTool.size === 1) {
    const { message } = asActualnetError(error);
    return { leftAlone: [], problems: undoings.map(({ entry }) => `${describeChange(entry)}: ${message}`) };
  }
  const parts: Undone[] = [];
  for (const own of byTool.values()) parts.push(await undoTogether(own, effects));
  return {
    leftAlone: parts.flatMap(({ leftAlone }) => leftAlone),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

/** What has to be run to see a subject; sysfs needs nothing. */
function neededTool({ subject }: LedgerEntry): string {
  const { fdb, vlans, vfs, drivers } = kindOf(subject).needs?.(subject) ?? {};
  return fdb || vlans ? 'bridge' : vfs ? 'ip' : drivers ? 'pci' : '';
}

async function undoSeen(undoings: readonly Undoing[], host: HostView, effects: Effects): Promise<Undone> {
  const { steps, finished, leftAlone, deferred } = decideUndo(undoings, host);
  const problems = [...deferred];
  const closed = [...finished];
  const failed: FailedUndo[] = [];
  const commands: { undoing: Undoing; change: Target; command: Command }[] = [];
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
    const notes = own.map(({ undoing: { entry, file }, change }) => {
      const user = file.user ?? entry.users[0];
      return {
        ...(user !== undefined && { user }),
        what: describeDoing(change),
        why: 'no longer needed: as it was before',
      };
    });
    const failures = new Map(
      (
        await runAll(
          own.map(({ command }) => command),
          effects,
          notes,
        )
      ).map(({ place, message }) => [place, message]),
    );
    own.forEach(({ undoing, change }, place) => {
      const message = failures.get(place);
      if (message === undefined) closed.push(undoing);
      else failed.push({ undoing, change, message });
    });
  }
  const substituted = await substitute(failed, host, effects);
  problems.push(...closeEntries([...closed, ...substituted.map(({ step }) => step.undoing)], effects));
  for (const { step, value } of substituted)
    leftAlone.push(
      `${describeChange(step.change)}: refused, it has ${describeValue({ ...step.change, to: value })} instead`,
    );
  const isSubstituted = (each: FailedUndo) => substituted.some(({ step }) => step === each);
  for (const step of failed.filter(each => !isSubstituted(each)))
    problems.push(`${describeChange(step.change)}: ${step.message}`);
  return { leftAlone, problems };
}

/** One tool that cannot be run must not keep the others from their part: what is not undone stays in the ledger. */
export function runAll(
  commands: readonly Command[],
  effects: Effects,
  notes: readonly ChangeNote[] = [],
): Promise<readonly CommandFailure[]> {
  return effects.run(commands, { keepGoing: true, notes }).catch(error => {
    const { message } = asActualnetError(error);
    return commands.map((_, place) => ({ place, message }));
  });
}

interface FailedUndo {
  readonly undoing: Undoing;
  readonly change: Target;
  readonly message: string;
}

/** Where the kernel refuses the value from before, another may do. */
async function substitute(failed: readonly FailedUndo[], host: HostView, effects: Effects) {
  const refused = failed.flatMap(step => {
    const { subject, to } = step.change;
    const value = kindOf(subject).substitute?.(subject, to, step.message, host);
    return value === undefined ? [] : [{ step, value }];
  });
  if (refused.length === 0) return [];
  const commands = refused.map(({ step, value }) => commandFor({ subject: step.change.subject, to: value }));
  const failures = await runAll(commands, effects);
  return refused.filter((_, place) => failures.every(failure => failure.place !== place));
}

/**
 * Notes that entries have nothing left to undo; a ledger with nothing applied is removed, a long one written anew, unless
 * there are lines in it that are not known. Answers a line for each ledger in which it could not be noted.
 */
export function closeEntries(undoings: readonly Undoing[], effects: Effects): string[] {
  const at = timeOf(effects);
  const byFile = new Map<LedgerFile, string[]>();
  for (const { file, entry } of undoings) byFile.set(file, [...(byFile.get(file) ?? []), entry.key]);
  return [...byFile].flatMap(([file, keys]) => {
    try {
      const lines = file.read();
      const entries = new Map(foldLedger(lines));
      for (const key of keys) entries.delete(key);
      const isDone = entries.size === 0 || lines.length > 4 * entries.size + 100;
      if (isDone && countUnknown(lines) === 0) file.replace(compactLines(entries.values()));
      else file.append([{ at, close: keys }]);
      return [];
    } catch (error) {
      return [`it is undone, which could not be written down: ${asActualnetError(error).message}`];
    }
  });
}

function release(
  entries: readonly LedgerEntry[],
  { file, user, effects }: { file: LedgerFile; user: string; effects: Effects },
): void {
  const at = timeOf(effects);
  if (entries.length > 0) file.append(entries.map(({ key }) => ({ at, leave: key, user })));
}
