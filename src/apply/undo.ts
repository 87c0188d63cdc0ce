import type { Uuid } from '../model/values.ts';
import { type Change, describeChange, keyOf } from '../plan/change.ts';
import { commandFor } from '../plan/command.ts';
import { type HostView, isSame, observe } from '../plan/host-view.ts';
import { needsOf, timeOf } from './apply.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { foldLedger, type LedgerEntry } from './ledger.ts';

/** What became of an undo: `left` is somebody else's now, `problems` could not be undone and stay in the ledger. */
export interface Undone {
  readonly left: readonly string[];
  readonly problems: readonly string[];
}

/** Takes back all that a guest has in force and closes its part in what is shared. A second call finds nothing to do. */
export async function undoGuest(
  guest: Uuid,
  effects: Effects,
  only: (entry: LedgerEntry) => boolean = () => true,
): Promise<Undone> {
  const unlock = await effects.lock([guest]);
  try {
    const file = effects.guestLedger(guest);
    const undoings = entriesOf(file)
      .filter(only)
      .map(entry => ({ entry, file }));
    return await undoTogether(undoings, effects);
  } finally {
    unlock();
  }
}

/**
 * Ends a user's part in everything shared. What others need too stays; the rest is undone, and its entries name the user
 * until that is done, so that a second call finds them again.
 */
export async function leaveShared(user: string, effects: Effects): Promise<Undone> {
  const isUsed = (dev: string) => entriesOf(effects.sharedLedger(dev)).some(({ users }) => users.includes(user));
  const devices = effects.sharedDevices().filter(isUsed);
  if (devices.length === 0) return { left: [], problems: [] };
  const unlock = await effects.lock(devices);
  try {
    const at = timeOf(effects);
    const undoings = devices.flatMap(dev => {
      const file = effects.sharedLedger(dev);
      const own = entriesOf(file).filter(({ users }) => users.includes(user));
      file.append(own.filter(({ users }) => users.length > 1).map(({ key }) => ({ at, leave: key, user })));
      return own.filter(({ users }) => users.length === 1).map(entry => ({ entry, file }));
    });
    return await undoTogether(undoings, effects);
  } finally {
    unlock();
  }
}

function entriesOf(file: LedgerFile): LedgerEntry[] {
  return [...foldLedger(file.read()).values()];
}

/** An entry and the ledger it stands in. */
export interface Undoing {
  readonly entry: LedgerEntry;
  readonly file: LedgerFile;
}

/** What undoing comes to on the host as it is: what to change, newest first, and what is somebody else's now. */
export function decideUndo<E extends { readonly entry: LedgerEntry }>(undoings: readonly E[], host: HostView) {
  const links = undoings.filter(({ entry }) => entry.subject.kind === 'link').map(({ entry }) => entry.subject.dev);
  const made: ReadonlySet<string> = new Set(links);
  const steps: { undoing: E; change: Pick<Change, 'subject' | 'to'> }[] = [];
  const finished: E[] = [];
  const left: string[] = [];
  const waiting: string[] = [];
  for (const undoing of [...undoings].reverse()) {
    const { entry } = undoing;
    const verdict = judge(entry, host, made);
    if (verdict.is === 'undo') {
      const to = entry.subject.kind === 'link' ? null : entry.before;
      steps.push({ undoing, change: { subject: entry.subject, to } });
      continue;
    }
    if (verdict.is === 'in use') waiting.push(`${describeChange(entry)}: ${verdict.why}`);
    else finished.push(undoing);
    if (verdict.is === 'theirs') left.push(`${describeChange(entry)}: ${verdict.why}`);
  }
  return { steps, finished, left, waiting };
}

/** Undoes entries of any ledgers in one go. The forwarding entries go before the links that carry them. */
export async function undoTogether(undoings: readonly Undoing[], effects: Effects): Promise<Undone> {
  if (undoings.length === 0) return { left: [], problems: [] };
  const host = await effects.view(needsOf(undoings.map(({ entry }) => entry)));
  const { steps, finished, left, waiting } = decideUndo(undoings, host);
  const closed = new Set(finished);
  const problems = [...waiting];
  const commands = steps.map(step => ({ ...step, command: commandFor(step.change) }));
  for (const tool of ['bridge', 'ip'] as const) {
    const own = commands.filter(({ command }) => command.tool === tool);
    if (own.length === 0) continue;
    const lines = own.map(({ command }) => command.line);
    const failures = new Map(
      (await effects.run(tool, lines, { keepGoing: true })).map(({ place, message }) => [place, message]),
    );
    own.forEach(({ undoing, change }, place) => {
      const message = failures.get(place);
      if (message === undefined) closed.add(undoing);
      else problems.push(`${describeChange(change)}: ${message}`);
    });
  }
  close(closed, effects);
  return { left, problems };
}

/** `theirs` is given up; what is `in use` stays in the ledger, to be undone when nobody uses it any more. */
type Verdict = { readonly is: 'undo' | 'done' } | { readonly is: 'theirs' | 'in use'; readonly why: string };

function judge(entry: LedgerEntry, host: HostView, made: ReadonlySet<string>): Verdict {
  const { subject, before, to } = entry;
  const observed = observe(subject, host);
  if (subject.kind === 'link') {
    if (observed === null) return { is: 'done' };
    if (!isOwnLink(entry, host)) return { is: 'theirs', why: 'another device has that name now' };
    return undoUnlessUsed(strangersOn(subject.dev, host, made));
  }
  // It goes with the link that we made, or that link is another one by now.
  if (observed === undefined || made.has(subject.dev)) return { is: 'done' };
  if (isSame(observed, before) || (before === null && isProperty(subject))) return { is: 'done' };
  if (!isSame(observed, to)) return { is: 'theirs', why: 'somebody has changed it since' };
  if (subject.kind !== 'up' || to !== true) return { is: 'undo' };
  return undoUnlessUsed((host.link(subject.dev)?.uppers ?? []).filter(upper => !made.has(upper)));
}

function undoUnlessUsed(users: readonly string[]): Verdict {
  return users.length === 0 ? { is: 'undo' } : { is: 'in use', why: `still used by ${users.join(', ')}` };
}

/** Every link has these; without a value from before there is nothing to go back to. */
function isProperty({ kind }: LedgerEntry['subject']): boolean {
  return kind !== 'link' && kind !== 'master' && kind !== 'vlan';
}

function isOwnLink({ subject, index }: LedgerEntry, host: HostView): boolean {
  if (subject.kind !== 'link') return false;
  const link = host.link(subject.dev);
  // Without an index we were killed before we could note it; the name was free when we announced it.
  return link !== undefined && (index === undefined || link.index === index);
}

/** What stands on a link of ours or is plugged into it, beside what goes with it. */
function strangersOn(dev: string, host: HostView, made: ReadonlySet<string>): string[] {
  const link = host.link(dev);
  if (!link?.isBridge) return (link?.uppers ?? []).filter(upper => !made.has(upper) && upper !== link?.master);
  return link.lowers.filter(port => !made.has(port) && host.link(port)?.isTap === true);
}

function close(undoings: ReadonlySet<Undoing>, effects: Effects): void {
  const at = timeOf(effects);
  const byFile = new Map<LedgerFile, string[]>();
  for (const { file, entry } of undoings) byFile.set(file, [...(byFile.get(file) ?? []), keyOf(entry.subject)]);
  for (const [file, keys] of byFile) {
    file.append([{ at, close: keys }]);
    if (file.isShared && foldLedger(file.read()).size === 0) file.remove();
  }
}
