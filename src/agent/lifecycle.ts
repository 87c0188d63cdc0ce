import { type GuestState, type ReachPolicy, reachOfState } from '../guest/liveness.ts';
import type { GuestName } from '../model/values.ts';

/** What a change of the run state asks for. `nothing` leaves things as they are. */
export type Reach = 'open' | 'close' | 'gone' | 'nothing';

/** A lifecycle event in the words of `virsh event`: `Suspended`, `Migrated`. */
export interface LifecycleEvent {
  /** The guest's name. */
  readonly guest: GuestName;
  readonly event: string;
  readonly detail: string;
}

/**
 * Reads a line of `virsh event --event lifecycle --timestamp`; undefined for any other line.
 *
 * The name is not quoted in any way, and the words behind it hold no quote: the last one ends the name.
 */
export function readEventLine(line: string): LifecycleEvent | undefined {
  const match = /^(?:\S+ \S+: )?event 'lifecycle' for domain '(.+)': ([A-Za-z]+) ([^']+)$/.exec(line);
  if (match === null) return undefined;
  const [, guest, event, detail] = match as unknown as [string, string, string, string];
  return { guest, event, detail: detail.trim() };
}

/**
 * What an event means for a guest's reachability. Nothing follows from `Started`: it comes while the CPUs are paused on a
 * migration's destination, on a restore and with `--paused`, and behind `Resumed` otherwise. Only after a sleep of the
 * guest's own is it the event that says that the CPUs run.
 */
export function reachOf({ event, detail }: Pick<LifecycleEvent, 'event' | 'detail'>, policy: ReachPolicy): Reach {
  if (event === 'Stopped') return 'gone';
  const state = stateAfter(event, detail);
  return state === undefined ? 'nothing' : reachOfState(state.state, state.reason, policy);
}

/** The state that libvirt writes with an event; undefined if nothing follows from it. */
function stateAfter(event: string, detail: string): GuestState | undefined {
  switch (event) {
    case 'Resumed':
      return { state: 'running', reason: 'unpaused' };
    case 'Suspended':
      return { state: 'paused', reason: { 'I/O Error': 'ioerror', Watchdog: 'watchdog' }[detail] ?? 'user' };
    // Powered off; if it is to start again, `Resumed` says so.
    case 'Shutdown':
      return { state: 'shutdown', reason: 'unknown' };
    case 'PMSuspended':
      return { state: 'pmsuspended', reason: 'unknown' };
    case 'Started':
      return detail === 'Event wakeup' ? { state: 'running', reason: 'wakeup' } : undefined;
    // A kernel of its own writes the dump, and may need the network for it.
    case 'Crashed':
      return detail === 'Crashloaded' ? undefined : { state: 'crashed', reason: 'panicked' };
    default:
      return undefined;
  }
}

/** Whether the CPUs went to another host, or came from one, with this event or into this state, or had gone before it. */
export function isOfMigration({ event, detail }: Pick<LifecycleEvent, 'event' | 'detail'>): boolean {
  return /^((Suspended|Resumed) (Migrated|Post-copy|Post-copy Error)|Stopped Migrated|running (migrated|migration canceled|post-copy)|paused post-copy)$/.test(
    `${event} ${detail}`,
  );
}

/** Whether the CPUs run after such an event, or in such a state. */
export function opens({ event }: Pick<LifecycleEvent, 'event'>): boolean {
  return event === 'Resumed' || event === 'running';
}
