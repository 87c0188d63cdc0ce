import type { HostView, Needs } from '../kernel/host-view.ts';
import type { Command } from '../kernel/kind.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import type { QemuAccess } from '../plan/access.ts';

/** A file of JSON lines. */
export interface LedgerFile {
  /** Whose it is, if it is one guest's. */
  readonly user?: string;
  /** Throws when there is a file that cannot be read: what it says must not be forgotten. */
  readonly read: () => readonly unknown[];
  /** The lines are on disk before this returns; throws otherwise. */
  readonly append: (lines: readonly object[]) => void;
  /** All lines at once, or the file removed if there are none. */
  readonly replace: (lines: readonly object[]) => void;
}

/** The time, as ledgers have it. */
export function timeOf({ now }: Pick<Effects, 'now'>): string {
  return new Date(now()).toISOString();
}

/** Everything through which plans reach the host. */
export interface Effects {
  /** Looks at the host; tables are read only when asked for. */
  readonly view: (needs: Needs) => Promise<HostView>;
  /**
   * Runs commands of one tool, in one process and in order. Answers which failed, by their place, and why. Unless told to
   * keep going it stops at the first. Throws when nobody can tell which were run.
   */
  readonly run: (
    commands: readonly Command[],
    options: {
      readonly keepGoing: boolean;
      /** What each is for, by its place; for whoever keeps a history. */
      readonly notes?: readonly ChangeNote[];
    },
  ) => Promise<readonly CommandFailure[]>;
  /** Waits, within a bound, until nobody else holds any of the names; the answer lets go. */
  readonly lock: (names: readonly string[]) => Promise<() => void>;
  readonly guestLedger: (guest: Uuid) => LedgerFile;
  readonly guestsWithLedger: () => readonly Uuid[];
  /** The ledger of what several guests or networks may need, by its `sharedNameOf`. */
  readonly sharedLedger: (name: string) => LedgerFile;
  readonly sharedNames: () => readonly string[];
  /** Tells where a user's part is without all of them being read; without it, they are. */
  readonly sharedIndex?: SharedIndex;
  /** Whether a guest neither runs nor is being started: what it has applied is from a life that has ended. */
  readonly isGone: (guest: string) => boolean;
  /** What the QEMU of a running guest has and may have open. */
  readonly qemuAccess: (guest: GuestName) => Promise<QemuAccess | undefined>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What a command is for. */
export interface ChangeNote {
  /** `guest 'web1'`, where that is known. */
  readonly owner?: string;
  /** A guest's uuid, or `network:NAME`. */
  readonly user?: string;
  /** In words, such as `bring br0 up`. */
  readonly what: string;
  readonly why: string;
}

export interface CommandFailure {
  readonly place: number;
  readonly message: string;
}

/** Which shared ledgers may have entries of a user, or, under the name '', entries that nobody needs any more. */
export interface SharedIndex {
  readonly namesOf: (user: string) => readonly string[];
  /** To be called before such an entry is written. */
  readonly note: (user: string, name: string) => void;
  /** There is none any more; whoever says so holds the lock of that name. */
  readonly forget: (user: string, name: string) => void;
}
