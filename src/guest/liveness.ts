import type { Config } from '../config/types.ts';
import { parseUuid, type Uuid } from '../model/values.ts';
import { foldRecord } from './record.ts';
import type { Running } from './recover.ts';

/** Who stops the CPUs in these cases is QEMU; libvirt leaves the guest reachable, so the choice is the administrator's. */
export type ReachPolicy = Config['reachability'];

/** A guest's run state by libvirt's status file, in its words: `paused`, `ioerror`. */
export interface GuestState {
  readonly state: string;
  readonly reason: string;
}

/**
 * Whether a guest in that state is to be open: the one place that says so, for whoever follows run states, answers a hook,
 * attaches a device or checks a guest. One without a state does not run.
 */
export function isOpen(guest: GuestState | undefined, policy: ReachPolicy): boolean {
  return guest !== undefined && reachOfState(guest.state, guest.reason, policy) === 'open';
}

/** What a state asks for. */
export function reachOfState(state: string, reason: string, policy: ReachPolicy): 'open' | 'close' | 'nothing' {
  switch (state) {
    case 'running':
      return 'open';
    case 'paused':
      // Nothing is open yet, and libvirt is about to bring links up itself.
      if (reason === 'starting up') return 'nothing';
      if (reason === 'ioerror') return policy.ioError;
      return reason === 'watchdog' ? policy.watchdog : 'close';
    case 'pmsuspended':
    case 'crashed':
    case 'shutdown':
      return 'close';
    default:
      return 'nothing';
  }
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
    readonly memory: { readonly readRecord: (guest: Uuid) => readonly unknown[] };
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
