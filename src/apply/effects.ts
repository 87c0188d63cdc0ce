import type { Uuid } from '../model/values.ts';
import type { Command } from '../plan/command.ts';
import type { HostView } from '../plan/host-view.ts';

/** A file of JSON lines, each on disk before `append` returns. */
export interface LedgerFile {
  /** Of its own, and removed when nothing is in force; a guest's lines share the file with its record. */
  readonly isShared: boolean;
  readonly read: () => readonly unknown[];
  readonly append: (lines: readonly object[]) => void;
  readonly remove: () => void;
}

/** Everything through which plans reach the host. */
export interface Effects {
  /** Looks at the host; tables are read only when asked for. */
  readonly view: (needs: { readonly fdb: boolean; readonly vlans: boolean }) => Promise<HostView>;
  /**
   * Runs commands of one tool in one process, in order. Answers which failed, by their place, and why. Unless told to
   * keep going it stops at the first.
   */
  readonly run: (
    tool: Command['tool'],
    lines: readonly string[],
    options: { readonly keepGoing: boolean },
  ) => Promise<readonly CommandFailure[]>;
  /** Waits, within a bound, until nobody else holds any of the names; the answer lets go. */
  readonly lock: (names: readonly string[]) => Promise<() => void>;
  readonly guestLedger: (guest: Uuid) => LedgerFile;
  /** The ledger of a device that several guests or networks may need. */
  readonly sharedLedger: (dev: string) => LedgerFile;
  readonly sharedDevices: () => readonly string[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface CommandFailure {
  readonly place: number;
  readonly message: string;
}
