import { asActualnetError } from '../report/error.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { countUnknown, foldLedger, type LedgerEntry } from './ledger.ts';

/** What is applied by a ledger. Throws if it cannot be read. */
export function entriesOf(file: LedgerFile): LedgerEntry[] {
  return [...foldLedger(file.read()).values()];
}

/** The same, or why it cannot be read. */
export function tryEntriesOf(file: LedgerFile): {
  readonly entries: readonly LedgerEntry[];
  readonly problem?: string;
} {
  try {
    return { entries: entriesOf(file) };
  } catch (error) {
    return { entries: [], problem: unread(error) };
  }
}

/** A line for each ledger that cannot be read, or not as a whole: it is kept as it is, and nothing that it says can be undone. */
export function ledgerProblems(
  effects: Pick<Effects, 'guestsWithLedger' | 'guestLedger' | 'sharedNames' | 'sharedLedger'>,
) {
  const files = [
    ...effects.guestsWithLedger().map(guest => ({ what: `guest ${guest}`, file: effects.guestLedger(guest) })),
    ...effects.sharedNames().map(name => ({ what: `'${name}'`, file: effects.sharedLedger(name) })),
  ];
  return files.flatMap(({ what, file }) => {
    try {
      const unknown = countUnknown(file.read());
      return unknown === 0
        ? []
        : [`the ledger of ${what} has lines that this version does not know: ${unknown} are kept`];
    } catch (error) {
      return [unread(error)];
    }
  });
}

function unread(error: unknown): string {
  return `what a ledger says that cannot be read, which is kept: ${asActualnetError(error).message}`;
}
