import { parseUuid, type Uuid } from '../model/values.ts';
import type { Effects } from './effects.ts';
import { undoAll } from './guest.ts';
import { foldLedger } from './ledger.ts';
import { foldRecord } from './record.ts';
import { leaveShared } from './undo.ts';

/** What recovering needs to know of the host besides its links. */
export interface Survivors {
  readonly guests: readonly Uuid[];
  readonly readRecord: (guest: Uuid) => readonly unknown[];
  readonly removeRecord: (guest: Uuid) => void;
  /** Whether libvirt has a guest of that name running. */
  readonly isRunning: (name: string) => boolean;
  readonly isNetworkActive: (name: string) => boolean;
  /** A start that began less than this ago may still be going on, and is left to it. */
  readonly graceMs: number;
}

/**
 * Brings every ledger in line with what runs: a guest that does not run any more is undone and forgotten, a user of
 * shared parts that is gone leaves them. Answers a line for each thing done or left. A second run finds nothing.
 */
export async function recover(survivors: Survivors, effects: Effects): Promise<string[]> {
  const lines: string[] = [];
  const alive = new Set<string>();
  for (const guest of survivors.guests) {
    const record = foldRecord(guest, survivors.readRecord(guest));
    const ageMs = Math.max(0, effects.now() - Date.parse(record?.since ?? ''));
    if (record !== undefined && (survivors.isRunning(record.name) || ageMs < survivors.graceMs)) {
      alive.add(guest);
      continue;
    }
    const count = foldLedger(survivors.readRecord(guest)).size;
    const { left, problems } = await undoAll(guest, effects);
    if (problems.length === 0) survivors.removeRecord(guest);
    else alive.add(guest);
    lines.push(`guest '${record?.name ?? guest}' does not run: ${count} changes undone`, ...left, ...problems);
  }
  for (const user of sharedUsers(effects)) {
    const network = /^network:(.*)$/s.exec(user)?.[1];
    const isAlive = network === undefined ? alive.has(parseUuid(user) ?? user) : survivors.isNetworkActive(network);
    if (isAlive) continue;
    const { left, problems } = await leaveShared(user, effects);
    lines.push(
      `${network === undefined ? `guest ${user}` : `network '${network}'`} does not run: its shared parts are given up`,
      ...left,
      ...problems,
    );
  }
  return lines;
}

function sharedUsers(effects: Effects): Set<string> {
  const entries = effects.sharedDevices().flatMap(dev => [...foldLedger(effects.sharedLedger(dev).read()).values()]);
  return new Set(entries.flatMap(({ users }) => users));
}
