import type { Uuid } from '../model/values.ts';
import { type Change, describeChange } from '../plan/change.ts';
import { type Command, commandFor } from '../plan/command.ts';
import { type HostView, isSame, type LinkState, observe } from '../plan/host-view.ts';
import { asActualnetError } from '../report/error.ts';
import { needsOf, timeOf } from './apply.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { compactLines, foldLedger, type LedgerEntry } from './ledger.ts';

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
export async function leaveShared(user: string, effects: Effects): Promise<Undone> {
  const concerns = ({ users }: LedgerEntry) => users.length === 0 || users.includes(user);
  const devices = effects.sharedDevices().filter(dev => entriesOf(effects.sharedLedger(dev)).some(concerns));
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
        entriesOf(file).filter(({ users }) => users.includes(user)),
        { file, user, effects },
      );
    }
    return undone;
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
  const commands: { undoing: Undoing; change: Pick<Change, 'subject' | 'to'>; command: Command }[] = [];
  for (const step of steps) {
    try {
      commands.push({ ...step, command: commandFor(step.change) });
    } catch (error) {
      problems.push(`${describeChange(step.change)}: ${asActualnetError(error).message}`);
    }
  }
  for (const tool of ['bridge', 'ip'] as const) {
    const own = commands.filter(({ command }) => command.tool === tool);
    if (own.length === 0) continue;
    const lines = own.map(({ command }) => command.line);
    const failures = new Map(
      (await effects.run(tool, lines, { keepGoing: true })).map(({ place, message }) => [place, message]),
    );
    own.forEach(({ undoing, change }, place) => {
      const message = failures.get(place);
      if (message === undefined) closed.push(undoing);
      else problems.push(`${describeChange(change)}: ${message}`);
    });
  }
  closeEntries(closed, effects);
  return { left, problems };
}

/** What undoing comes to on the host as it is: what to change, newest first, and what is somebody else's now. */
export function decideUndo<E extends { readonly entry: LedgerEntry }>(undoings: readonly E[], host: HostView) {
  const fate = new LinkFates(
    undoings.map(({ entry }) => entry),
    host,
  );
  const steps: { undoing: E; change: Pick<Change, 'subject' | 'to'> }[] = [];
  const finished: E[] = [];
  const left: string[] = [];
  const waiting: string[] = [];
  for (const undoing of [...undoings].reverse()) {
    const { entry } = undoing;
    const verdict = judge(entry, host, fate);
    if (verdict.is === 'undo') {
      steps.push({ undoing, change: { subject: entry.subject, to: valueBefore(entry, host) } });
      continue;
    }
    if (verdict.is === 'in use') waiting.push(`${describeChange(entry)}: ${verdict.why}`);
    else finished.push(undoing);
    if (verdict.is === 'theirs') left.push(`${describeChange(entry)}: ${verdict.why}`);
  }
  return { steps, finished, left, waiting };
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

/** `theirs` is given up; what is `in use` stays in the ledger, to be undone when nobody uses it any more. */
type Verdict = { readonly is: 'undo' | 'done' } | { readonly is: 'theirs' | 'in use'; readonly why: string };

function judge(entry: LedgerEntry, host: HostView, fates: LinkFates): Verdict {
  const { subject, before, to, toBefore, byLibvirt, index } = entry;
  const { dev } = subject;
  const link = host.link(dev);
  if (link === undefined) return { is: 'done' };
  const isAnother = index !== undefined && link.index !== index;
  if (subject.kind === 'link') {
    if (isAnother) return { is: 'theirs', why: 'another device has that name now' };
    return fates.goes(dev)
      ? { is: 'undo' }
      : { is: 'in use', why: `still used by ${fates.strangersOn(dev).join(', ')}` };
  }
  // It goes with the link that we made, or that link is another one by now.
  if (isAnother || fates.goes(dev)) return { is: 'done' };
  if (fates.isHeld(link) || (subject.kind === 'master' && fates.stays(String(to))))
    return { is: 'in use', why: 'it carries what is still used' };
  const observed = observe(subject, host);
  if (observed === undefined || isSame(observed, before) || (before === null && isProperty(subject)))
    return { is: 'done' };
  const isOurs = isSame(observed, to) || (toBefore !== undefined && isSame(observed, toBefore));
  // What libvirt left down comes up again; what somebody brought up after we put it down is theirs.
  const isLeftDown = byLibvirt && before === true;
  if (!isOurs && !isLeftDown) return { is: 'theirs', why: 'somebody has changed it since' };
  const users = subject.kind === 'up' && observed === true ? link.uppers.filter(upper => !fates.goes(upper)) : [];
  return users.length === 0 ? { is: 'undo' } : { is: 'in use', why: `still used by ${users.join(', ')}` };
}

function valueBefore({ subject, before }: LedgerEntry, host: HostView): Change['to'] {
  if (subject.kind === 'link') return null;
  const isGoneBridge = subject.kind === 'master' && typeof before === 'string' && host.link(before) === undefined;
  return isGoneBridge ? null : before;
}

/** Every link has these; without a value from before there is nothing to go back to. */
function isProperty({ kind }: LedgerEntry['subject']): boolean {
  return kind !== 'master' && kind !== 'vlan';
}

/** Which links of ours go away, and which stay because somebody else stands on them or is plugged into them. */
class LinkFates {
  readonly #host: HostView;
  readonly #plugged: ReadonlySet<string>;
  readonly #going: Set<string>;
  readonly #staying = new Set<string>();

  constructor(entries: readonly LedgerEntry[], host: HostView) {
    this.#host = host;
    const pluggedByUs = entries.filter(({ subject }) => subject.kind === 'master');
    this.#plugged = new Set(pluggedByUs.map(({ subject, to }) => `${subject.dev} ${to}`));
    const made = entries.filter(({ subject, index }) => {
      const link = host.link(subject.dev);
      // Without an index we were killed before we could note it; the name was free when we announced it.
      return subject.kind === 'link' && link !== undefined && (index === undefined || link.index === index);
    });
    this.#going = new Set(made.map(({ subject }) => subject.dev));
    // A provided VLAN device carries its bridge; a guest's own tap is only plugged into it.
    const carriers = new Set(made.filter(({ users }) => users.length > 0).map(({ subject }) => subject.dev));
    const isCarrying = (dev: string) => carriers.has(dev) && this.#staying.has(host.link(dev)?.master ?? '');
    for (let found = true; found; ) {
      const held = [...this.#going].filter(dev => this.strangersOn(dev).length > 0 || isCarrying(dev));
      for (const dev of held) {
        this.#going.delete(dev);
        this.#staying.add(dev);
      }
      found = held.length > 0;
    }
  }

  goes(dev: string): boolean {
    return this.#going.has(dev);
  }

  stays(dev: string): boolean {
    return this.#staying.has(dev);
  }

  /** A link that stays, or that carries one that does. */
  isHeld({ dev, uppers, master }: LinkState): boolean {
    return [dev, ...uppers, ...(master === null ? [] : [master])].some(each => this.#staying.has(each));
  }

  strangersOn(dev: string): string[] {
    const link = this.#host.link(dev);
    if (link === undefined) return [];
    const ports = link.isBridge ? link.lowers.filter(port => !this.#plugged.has(`${port} ${dev}`)) : [];
    const above = link.uppers.filter(upper => upper !== link.master);
    return [...ports, ...above].filter(other => !this.#going.has(other));
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
