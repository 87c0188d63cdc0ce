import type { Effects } from '../apply/effects.ts';
import {
  actOnGuest,
  closeAtOnce,
  closeReach,
  findAnnouncements,
  type GuestAtHand,
  guestAtHand,
  type Planning,
  planGuest,
} from '../apply/guest.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import type { Announcement } from '../plan/announcements.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import type { CutOver } from './cut-over.ts';
import { isOfMigration } from './lifecycle.ts';
import type { Cause, Wanted } from './witness.ts';

/** The host as the witness's acts need it. */
export interface Following {
  /** A running guest by its name, from libvirt's status file. */
  readonly findGuest: (name: string) => Domain | undefined;
  /** The uuid of a guest of which there is a record. */
  readonly findRecorded: (name: string) => Uuid | undefined;
  /** Whether the guest of that uuid came from elsewhere. */
  readonly isIncoming: (guest: Uuid) => boolean;
  readonly planning: () => Promise<Planning>;
  readonly note: (cutOver: CutOver) => void;
  /** Tells the network of a guest; answers a line for each thing that could not be told. */
  readonly announce: (guest: string, announcements: readonly Announcement[]) => Promise<readonly string[]>;
  /** Ends that: the guest may be on another host now. */
  readonly hush: (guest: string) => void;
  readonly log: Log;
}

/**
 * Opens a guest to the network or closes it, for all its interfaces at once. What cannot be done is logged: the next
 * event of the guest, or its end, does the rest. Throws only if nothing could be done, so that it is tried again.
 */
export async function followRunState(
  name: string,
  wanted: Wanted,
  causes: readonly Cause[],
  host: Following,
): Promise<void> {
  if (wanted !== 'open') host.hush(name);
  const given = await host.planning();
  const { effects, touched } = timed(given.effects);
  const planning = { ...given, effects };
  const { config } = planning;
  const known = host.findRecorded(name);
  // Macvtaps take their turn with everything else.
  const isClosed = wanted !== 'open' && known !== undefined && (await closeAtOnce(known, effects));
  const closedMs = isClosed ? effects.now() : undefined;
  const domain = wanted === 'gone' ? undefined : host.findGuest(name);
  const guest =
    domain?.uuid === undefined
      ? undefined
      : guestAtHand(domain, planning, { incoming: host.isIncoming(domain.uuid), halted: false });
  const uuid = guest?.uuid ?? known;
  if (uuid === undefined && wanted !== 'open') return;
  if (wanted === 'open' && guest === undefined)
    throw new ActualnetError('GUEST_UNKNOWN', `libvirt has no status of guest '${name}' yet`);
  // Whoever asks for nothing any more does not want to be cut off: what is in force stays until the guest stops.
  if (wanted === 'open' && isPassive(config)) return;
  const problems =
    guest === undefined || isPassive(config)
      ? await closeIfAny(uuid!, planning)
      : await actOnGuest(wanted === 'open' ? 'reachable' : 'unreachable', guest);
  const doneMs = closedMs ?? effects.now();
  // Of a guest that has ended meanwhile there is nothing left to open.
  const isOver = problems.length > 0 && wanted === 'open' && host.findGuest(name) === undefined;
  for (const problem of isOver ? [] : problems) host.log.warn(`guest '${name}', ${wanted}: ${problem}`);
  if (wanted === 'open' && guest !== undefined && !isOver) await announceGuest(guest, host);
  const cause = causes.findLast(isOfMigration);
  if (cause === undefined || guest === undefined || isPassive(config)) return;
  const macs = await macsOf(guest);
  if (macs.length === 0) return;
  const cutOver: CutOver = {
    guest: guest.uuid,
    name,
    reachable: wanted === 'open',
    cause: `${cause.event} ${cause.detail}`,
    heardMs: cause.atMs,
    beganMs: touched() ?? doneMs,
    doneMs,
    macs,
  };
  host.note(cutOver);
  const ms = (doneMs - cause.atMs).toFixed(0);
  host.log.info(
    `guest '${name}': ${macs.join(', ')} ${wanted === 'open' ? 'reachable' : 'unreachable'} ${ms} ms after '${cutOver.cause}'`,
  );
}

/** The same effects, and when the host was first touched through them. */
function timed(effects: Effects): { effects: Effects; touched: () => number | undefined } {
  let touchedMs: number | undefined;
  const run: Effects['run'] = (...words) => {
    touchedMs ??= effects.now();
    return effects.run(...words);
  };
  return { effects: { ...effects, run }, touched: () => touchedMs };
}

/** Whoever waits for the next event of the guest does not wait for this. */
async function announceGuest(guest: GuestAtHand, { announce, log }: Following): Promise<void> {
  const announcements = await findAnnouncements(guest);
  if (announcements.length === 0) return;
  const warn = (problem: string) => log.warn(`${guest.domain.owner}: ${problem}`);
  void announce(guest.domain.name, announcements).then(
    problems => {
      for (const problem of problems) warn(problem);
    },
    error => warn(errorLine(error)),
  );
}

async function closeIfAny(guest: Uuid, { effects }: Planning): Promise<string[]> {
  return effects.guestLedger(guest).read().length === 0 ? [] : closeReach(guest, effects);
}

/** The MACs whose reachability is ours: those with an entry or a macvtap that we look after. */
async function macsOf(guest: GuestAtHand): Promise<string[]> {
  const changes = planGuest('reachable', guest, await guest.effects.view({}));
  const macs = changes.flatMap(({ subject }) => {
    if (subject.kind === 'fdb') return subject.mac;
    return guest.domain.interfaces.find(({ target }) => target.dev === subject.dev)?.mac ?? [];
  });
  return [...new Set(macs)];
}
