import type { Outcome } from '../hook/context.ts';
import type { RecordedCall } from './recorded.ts';
import type { Difference, ReplayedChange } from './replaying.ts';

/** A recorded call, and what became of it now; described by schemas/replay.schema.json. */
export interface ReplayedCall extends Partial<RecordedWords> {
  readonly file: string;
  readonly result: 'same' | 'differs' | 'not played' | 'unreadable';
  /** Why it could not be read or played. */
  readonly why?: string;
  /** What the call changes on the host now. */
  readonly plan?: readonly ReplayedChange[];
  readonly answer?: Outcome;
  /** What it tells the log now. */
  readonly said?: readonly string[];
  readonly differences?: readonly Difference[];
}

interface RecordedWords {
  readonly at: string;
  readonly driver: string;
  readonly object: string;
  readonly operation: string;
  readonly durationMs: number;
  /** The version that answered then. */
  readonly version: string;
  /** What was not kept of it. */
  readonly missing: readonly string[];
}

/** What the call was. */
export function recordedCallOf(file: string, recorded: RecordedCall): { file: string } & RecordedWords {
  const { at, durationMs, by, missing } = recorded;
  const { driver, object, operation } = recorded.call;
  return { file, at, driver, object, operation, durationMs, version: by.version, missing };
}
