import { type Change, keyOf, type Subject, type Value } from '../plan/change.ts';
import { isSame } from '../plan/host-view.ts';

/**
 * A line of a ledger. `intend` is on disk before the host is touched; `done` follows; `close` says that nothing is left
 * to undo. Shared ledgers also say who needs an entry. Described by schemas/ledger.schema.json.
 */
export type LedgerLine =
  | {
      readonly at: string;
      readonly intend: {
        readonly subject: Subject;
        readonly before: Value;
        readonly to: Value;
        readonly reach?: boolean;
        readonly user?: string;
      };
    }
  | { readonly at: string; readonly done: readonly { readonly key: string; readonly index?: number }[] }
  | { readonly at: string; readonly close: readonly string[] }
  | { readonly at: string; readonly join: string; readonly user: string }
  | { readonly at: string; readonly leave: string; readonly user: string };

/** What is in force: a subject, its state before we touched it first, and the state we gave it last. */
export interface LedgerEntry {
  readonly key: string;
  readonly subject: Subject;
  readonly before: Value;
  readonly to: Value;
  /** The index of a link we made: another link of that name is not ours. */
  readonly index?: number;
  readonly reach: boolean;
  readonly users: readonly string[];
}

/** Adds up the lines of a ledger, in the order in which the entries were first made. Other lines are passed over. */
export function foldLedger(lines: readonly unknown[]): ReadonlyMap<string, LedgerEntry> {
  const entries = new Map<string, LedgerEntry>();
  for (const line of lines) {
    if (isLedgerLine(line)) foldLine(entries, line);
  }
  return entries;
}

function foldLine(entries: Map<string, LedgerEntry>, line: LedgerLine): void {
  if ('intend' in line) {
    const { subject, before, to, reach = false, user } = line.intend;
    const key = keyOf(subject);
    const known = entries.get(key);
    const users = withUser(known?.users ?? [], user);
    const index = known?.index;
    entries.set(key, {
      key,
      subject,
      before: known ? known.before : before,
      to,
      reach,
      users,
      ...(index !== undefined && { index }),
    });
  } else if ('done' in line) {
    for (const { key, index } of line.done) {
      const entry = entries.get(key);
      if (entry === undefined) continue;
      // Back where it was before we came: nothing is left to undo.
      if (entry.subject.kind !== 'link' && isSame(entry.before, entry.to)) entries.delete(key);
      else entries.set(key, { ...entry, ...(index !== undefined && { index }) });
    }
  } else if ('close' in line) {
    for (const key of line.close) entries.delete(key);
  } else if ('join' in line) {
    const entry = entries.get(line.join);
    if (entry) entries.set(line.join, { ...entry, users: withUser(entry.users, line.user) });
  } else {
    const entry = entries.get(line.leave);
    if (entry) entries.set(line.leave, { ...entry, users: entry.users.filter(user => user !== line.user) });
  }
}

/** The line that announces a change. */
export function intend(change: Change, before: Value, context: { at: string; user: string }): LedgerLine {
  const { subject, to, reach, shared } = change;
  return {
    at: context.at,
    intend: { subject, before, to, ...(reach && { reach }), ...(shared && { user: context.user }) },
  };
}

function withUser(users: readonly string[], user: string | undefined): readonly string[] {
  return user === undefined || users.includes(user) ? users : [...users, user];
}

function isLedgerLine(line: unknown): line is LedgerLine {
  if (typeof line !== 'object' || line === null) return false;
  const { intend: intent, done, close, join, leave } = line as Record<string, unknown>;
  if (intent !== undefined) {
    const subject = (intent as { subject?: { dev?: unknown; kind?: unknown } }).subject;
    return typeof subject?.dev === 'string' && typeof subject.kind === 'string';
  }
  return Array.isArray(done) || Array.isArray(close) || typeof join === 'string' || typeof leave === 'string';
}
