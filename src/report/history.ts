/** What is common to all that is kept of the past. Never a document, and nothing of one but names. */
interface Entry {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Who did it: a hook, the agent (or what a hook left in its place), a command. */
  readonly by: 'hook' | 'agent' | 'command';
  /** The operation or command in which it was done. */
  readonly operation: string;
}

/** A call of a hook, answered. */
export interface CallEntry extends Entry {
  readonly kind: 'call';
  readonly driver: string;
  /** The guest's or network's name. */
  readonly object: string;
  /** The guest's uuid, where it is known. */
  readonly guest?: string;
  readonly status: number;
  readonly durationMs: number;
  /** The error's code, where it was refused. */
  readonly refused?: string;
  /** What was told: findings, and errors. */
  readonly said?: readonly string[];
}

/** One change on the host, or its undoing. */
export interface ChangeEntry extends Entry {
  readonly kind: 'change';
  /** `guest 'web1'`, `network 'lan'`. */
  readonly owner?: string;
  /** A guest's uuid, or `network:NAME`. */
  readonly user?: string;
  readonly what: string;
  readonly why: string;
  /** As it was given to the tool. */
  readonly command: string;
  /** `done`, or what the tool said. */
  readonly result: string;
  /** Of the tool's whole run, which may have had other lines. */
  readonly durationMs: number;
}

export type HistoryEntry = CallEntry | ChangeEntry;
