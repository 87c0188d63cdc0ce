import { foldRecord } from '../apply/record.ts';
import type { Survivors } from '../apply/recover.ts';
import { readRunningGuests } from '../host/libvirt-files.ts';
import type { Memory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';
import { parseUuid } from '../model/values.ts';

/** What runs on this host, from libvirt's own run-time files. */
export function survivors(paths: HostPaths, memory: Memory, graceMs: number): Survivors {
  const running = new Set(readRunningGuests(paths).map(({ uuid }) => uuid));
  return {
    guests: memory.listRecords(),
    readRecord: memory.readRecord,
    removeRecord: memory.removeRecord,
    isRunning: guest => running.has(guest),
    isNetworkActive: name => memory.findNetwork(name)?.active ?? false,
    graceMs,
  };
}

/** A start may take as long as its memory takes to be allocated; only then does libvirt write a status file. */
const startLimitMs = 15 * 60_000;

/** Whether a guest, by its uuid, neither runs nor is being started. */
export function isGone(
  guest: string,
  { paths, memory, nowMs }: { readonly paths: HostPaths; readonly memory: Memory; readonly nowMs: number },
): boolean {
  const uuid = parseUuid(guest);
  if (uuid === undefined || readRunningGuests(paths).some(running => running.uuid === uuid)) return false;
  const record = foldRecord(uuid, memory.readRecord(uuid));
  const isStarting = record !== undefined && ['prepare', 'start'].includes(record.phase);
  return !(isStarting && nowMs - Date.parse(record.since) < startLimitMs);
}
