import { foldRecord } from '../guest/record.ts';
import type { Running } from '../guest/recover.ts';
import { runningGuests } from '../host/libvirt/run-states.ts';
import type { HostPaths } from '../host/paths.ts';
import type { Memory } from '../host/state/memory.ts';
import { parseUuid } from '../model/values.ts';

/** What runs on this host, from libvirt's own run-time files. */
export function whatRuns(paths: HostPaths, memory: Memory, graceMs: number): Running {
  const isRunning = runningGuests(paths);
  return {
    guests: memory.listRecords(),
    readRecord: memory.readRecord,
    removeRecord: memory.removeRecord,
    unreadable: memory.listUnreadable(),
    isRunning,
    isNetworkActive: name => memory.findNetwork(name)?.active ?? false,
    graceMs,
  };
}

/** A start may take as long as its memory takes to be allocated; only then does libvirt write a status file. */
export const startLimitMs = 15 * 60_000;

/** Whether a guest, by its uuid, neither runs nor is being started. It keeps its status file until after `stopped`. */
export function isGone(
  guest: string,
  {
    memory,
    isRunning,
    nowMs,
  }: {
    readonly memory: Memory;
    readonly isRunning: Running['isRunning'];
    readonly nowMs: number;
  },
): boolean {
  const uuid = parseUuid(guest);
  if (uuid === undefined) return false;
  const record = foldRecord(uuid, memory.readRecord(uuid));
  if (record?.phase === 'stopped') return true;
  if (isRunning(uuid, record?.name)) return false;
  const isStarting = record !== undefined && ['prepare', 'start'].includes(record.phase);
  return !(isStarting && nowMs - Date.parse(record.since) < startLimitMs);
}
