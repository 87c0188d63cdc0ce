import type { Value } from '../kernel/kind.ts';
import { type Change, isEqual, isKindName, keyOf, kindOf, kinds, type Subject } from '../kernel/registry.ts';

/**
 * A line of a ledger. `intend` is on disk before the host is touched; `done` follows; `close` says that nothing is left
 * to undo. Shared ledgers also say who needs an entry. `entry` sums up what came before, so that a file stays small.
 * Described by schemas/ledger.schema.json.
 */
export type LedgerLine = { readonly at: string } & (
  | { readonly intend: Intent }
  | { readonly done: readonly { readonly key: string; readonly index?: number }[] }
  | { readonly close: readonly string[] }
  | { readonly join: string; readonly user: string }
  | { readonly leave: string; readonly user: string }
  | { readonly entry: Omit<LedgerEntry, 'key' | 'at'> }
);

interface Intent {
  readonly subject: Subject;
  readonly before: Value;
  readonly to: Value;
  /** The device as it was then; one of that name with another index is another one. */
  readonly index?: number;
  readonly reach?: boolean;
  readonly byLibvirt?: boolean;
  readonly user?: string;
}

/** What is applied: a subject, its state before we touched it first, and the state we gave it last. */
export interface LedgerEntry {
  readonly key: string;
  /** When it was last announced or joined. */
  readonly at: string;
  readonly subject: Subject;
  readonly before: Value;
  readonly to: Value;
  /** The one we gave it before, as long as nobody has noted that the last was carried out. */
  readonly toBefore?: Value;
  /** The index of the device it is about; for a link we made, known once that is done. */
  readonly index?: number;
  readonly reach: boolean;
  /** libvirt changes it; whatever it leaves, the state from before is to come back. */
  readonly byLibvirt: boolean;
  readonly users: readonly string[];
}

/** Adds up the lines of a ledger, in the order in which the entries were first made. Other lines are passed over. */
export function foldLedger(lines: readonly unknown[]): ReadonlyMap<string, LedgerEntry> {
  const entries = new Map<string, LedgerEntry>();
  for (const line of lines) {
    const sound = readLine(line);
    if (sound !== undefined) foldLine(entries, sound);
  }
  return entries;
}

/** How many lines there are that this version cannot read: another one may have written them, and they must not be lost. */
export function countUnknown(lines: readonly unknown[]): number {
  return lines.filter(line => readLine(line) === undefined).length;
}

/** The same entries in as few lines as there are entries. */
export function compactLines(entries: Iterable<LedgerEntry>): LedgerLine[] {
  return [...entries].map(({ key: _, at, ...entry }) => ({ at, entry }));
}

function foldLine(entries: Map<string, LedgerEntry>, line: LedgerLine): void {
  const { at } = line;
  if ('intend' in line) {
    const { subject, before, to, index, reach = false, byLibvirt = false, user } = line.intend;
    const key = keyOf(subject);
    const known = entries.get(key);
    const users = withUser(known?.users ?? [], user);
    entries.set(key, {
      key,
      at,
      subject,
      before: known ? known.before : before,
      to,
      ...(known && { toBefore: known.to }),
      reach,
      byLibvirt: byLibvirt || known?.byLibvirt === true,
      users,
      ...(index !== undefined && { index }),
    });
  } else if ('done' in line) {
    for (const { key, index } of line.done) {
      const entry = entries.get(key);
      if (entry === undefined) continue;
      // Back where it was before we came: nothing is left to undo. What is shared waits for its users.
      const isBack =
        entry.subject.kind !== 'link' && entry.users.length === 0 && isEqual(entry.subject, entry.before, entry.to);
      const { toBefore: _, ...settled } = entry;
      if (isBack) entries.delete(key);
      else entries.set(key, { ...settled, ...(index !== undefined && { index }) });
    }
  } else if ('close' in line) {
    for (const key of line.close) entries.delete(key);
  } else if ('entry' in line) {
    const key = keyOf(line.entry.subject);
    entries.set(key, { ...line.entry, key, at });
  } else if ('join' in line) {
    const entry = entries.get(line.join);
    if (entry) entries.set(line.join, { ...entry, at, users: withUser(entry.users, line.user) });
  } else {
    const entry = entries.get(line.leave);
    if (entry) entries.set(line.leave, { ...entry, users: entry.users.filter(user => user !== line.user) });
  }
}

/** The line that announces a change; `index` is that of the device, if it is there. */
export function intend(
  { subject, to, reach, shared, byLibvirt }: Change,
  before: { readonly value: Value; readonly index: number | undefined },
  context: { readonly at: string; readonly user: string },
): LedgerLine {
  const { value, index } = before;
  const isMade = subject.kind === 'link';
  return {
    at: context.at,
    intend: {
      subject,
      before: value,
      to,
      ...(index !== undefined && !isMade && { index }),
      ...(reach && { reach }),
      ...(byLibvirt && { byLibvirt }),
      ...(shared && { user: context.user }),
    },
  };
}

function withUser(users: readonly string[], user: string | undefined): readonly string[] {
  return user === undefined || users.includes(user) ? users : [...users, user];
}

/** A file may hold a torn line, or another version's: only sound lines count. Values are read as their kind has them. */
function readLine(line: unknown): LedgerLine | undefined {
  if (!isObject(line) || typeof line.at !== 'string') return undefined;
  const { at, intend: intent, done, close, join, leave, entry, user } = line;
  if (intent !== undefined) {
    const sound = readValues(intent);
    return sound && { at, intend: sound as unknown as Intent };
  }
  if (entry !== undefined) {
    const sound = isObject(entry) && Array.isArray(entry.users) ? readValues(entry) : undefined;
    return sound && { at, entry: sound as unknown as LedgerEntry };
  }
  const isSound =
    done !== undefined
      ? Array.isArray(done) && done.every(each => isObject(each) && typeof each.key === 'string')
      : close !== undefined
        ? Array.isArray(close)
        : typeof user === 'string' && (typeof join === 'string' || typeof leave === 'string');
  return isSound ? (line as unknown as LedgerLine) : undefined;
}

/** A stored subject with its values; undefined if one of them is not what its kind can have. */
function readValues(stored: unknown): Record<string, unknown> | undefined {
  if (!isObject(stored) || !isSubject(stored.subject)) return undefined;
  const kind = kindOf(stored.subject);
  const { toBefore } = stored;
  const before = kind.read(stored.before);
  const to = kind.read(stored.to);
  const earlier = toBefore === undefined ? undefined : kind.read(toBefore);
  if (before === undefined || to === undefined) return undefined;
  return { ...stored, before, to, ...(earlier !== undefined && { toBefore: earlier }) };
}

function isSubject(subject: unknown): subject is Subject {
  if (!isObject(subject) || typeof subject.dev !== 'string' || !isKindName(subject.kind)) return false;
  return kinds[subject.kind].isSound?.(subject) ?? true;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
