import type { Uuid } from '../model/values.ts';
import { isZeroMacRefused } from '../model/vf-values.ts';
import { type Change, describeChange, describeDoing, isVfSubject } from '../plan/change.ts';
import { type Command, commandFor, tools } from '../plan/command.ts';
import type { HostView } from '../plan/host-view.ts';
import { idleMac } from '../plan/idle-mac.ts';
import { asActualnetError } from '../report/error.ts';
import { needsOf, timeOf } from './apply.ts';
import type { ChangeNote, CommandFailure, Effects, LedgerFile } from './effects.ts';
import { compactLines, countUnknown, foldLedger, type LedgerEntry } from './ledger.ts';
import { entriesOf, tryEntriesOf } from './ledgers.ts';
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
  // One that cannot be read may be about the user or not: it is told of, and the others are gone through.
  const unread: string[] = [];
  const devices = sharedNamesFor(user, effects).filter(dev => {
    const { entries, problem } = tryEntriesOf(effects.sharedLedger(dev));
    if (problem !== undefined) unread.push(problem);
    return entries.some(concerns);
  });
  if (devices.length === 0) return { left: [], problems: unread };
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
      const entries = entriesOf(file);
      const isLeft = (entry: LedgerEntry) => entry.users.includes(user) && only(entry);
      const isUnused = ({ users }: LedgerEntry) => users.every(each => each === user);
      if (entries.some(entry => isLeft(entry) && isUnused(entry))) effects.sharedIndex?.note('', dev);
      leave(entries.filter(isLeft), { file, user, effects });
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
  if (stale.length === 0) return { left: [], problems: unread };
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
    return { left: [], problems: undoings.map(({ entry }) => `${describeChange(entry)}: ${message}`) };
  }
  const parts: Undone[] = [];
  for (const own of byTool.values()) parts.push(await undoTogether(own, effects));
  return { left: parts.flatMap(({ left }) => left), problems: parts.flatMap(({ problems }) => problems) };
}

/** What has to be run to see a subject; sysfs needs nothing. */
function neededTool({ subject }: LedgerEntry): string {
  if (isVfSubject(subject)) return 'ip';
  if (subject.kind === 'fdb' || subject.kind === 'vlan') return 'bridge';
  return subject.kind === 'driver' ? 'pci' : '';
}

async function undoSeen(undoings: readonly Undoing[], host: HostView, effects: Effects): Promise<Undone> {
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
    const notes = own.map(({ undoing: { entry, file }, change }) => {
      const user = file.user ?? entry.users[0];
      return {
        ...(user !== undefined && { user }),
        what: describeDoing(change),
        why: 'no longer needed: as it was before',
      };
    });
    const failures = new Map((await runAll(tool, lines, effects, notes)).map(({ place, message }) => [place, message]));
    own.forEach(({ undoing, change }, place) => {
      const message = failures.get(place);
      if (message === undefined) closed.push(undoing);
      else failed.push({ undoing, change, message });
    });
  }
  const settled = await settleForOtherMac(failed, host, effects);
  problems.push(...closeEntries([...closed, ...settled.map(({ step }) => step.undoing)], effects));
  for (const { step, mac } of settled) left.push(`${describeChange(step.change)}: refused, it has ${mac} instead`);
  const isSettled = (each: FailedUndo) => settled.some(({ step }) => step === each);
  for (const step of failed.filter(each => !isSettled(each)))
    problems.push(`${describeChange(step.change)}: ${step.message}`);
  return { left, problems };
}

/** One tool that cannot be run must not keep the others from their part: what is not undone stays in the ledger. */
export function runAll(
  tool: Command['tool'],
  lines: readonly string[],
  effects: Effects,
  notes: readonly ChangeNote[] = [],
): Promise<readonly CommandFailure[]> {
  return effects.run(tool, lines, { keepGoing: true, notes }).catch(error => {
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
  const failures = await runAll('ip', lines, effects);
  return refused.filter((_, place) => failures.every(failure => failure.place !== place));
}

interface Settled {
  readonly step: FailedUndo;
  readonly mac: string;
}

/**
 * Notes that entries have nothing left to undo; a ledger with nothing in force is removed, a long one written anew, unless
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

function leave(
  entries: readonly LedgerEntry[],
  { file, user, effects }: { file: LedgerFile; user: string; effects: Effects },
): void {
  const at = timeOf(effects);
  if (entries.length > 0) file.append(entries.map(({ key }) => ({ at, leave: key, user })));
}
