import { type GuestContext, guestContext, type Planning } from '../guest/context.ts';
import { actOnGuest, closeAtOnce, closeReach, findAnnouncements, planGuest } from '../guest/phases.ts';
import type { Effects } from '../journal/effects.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import type { Domain } from '../model/domain.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import type { Announcement } from '../plan/announcements.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import type { CutOver } from './cut-over.ts';
import { isOfMigration, opens } from './lifecycle.ts';
import type { Cause, Wanted } from './queue.ts';

/** The host as the agent's acts need it. */
export interface FollowHost {
  /** A running guest by its name, from libvirt's status file. */
  readonly findGuest: (name: GuestName) => Domain | undefined;
  /** The uuid of a guest of which there is a record. */
  readonly findRecorded: (name: GuestName) => Uuid | undefined;
  /** Whether its QEMU has ended, although libvirt may still have to find out. */
  readonly hasEnded: (name: GuestName) => boolean;
  /** Whether the guest of that uuid came from elsewhere. */
  readonly isIncoming: (guest: Uuid) => boolean;
  readonly effects: Effects;
  /** Throws `CONFIG` as long as there has been no configuration without a mistake. */
  readonly planning: () => Promise<Planning>;
  /** Keeps it, unless it says again what the newest one of the guest says; answers whether it did. */
  readonly note: (cutOver: CutOver) => boolean;
  /** Tells the network of a guest; answers a line for each thing that could not be told. */
  readonly announce: (guest: GuestName, announcements: readonly Announcement[]) => Promise<readonly string[]>;
  /** Ends that: the guest may be on another host now. */
  readonly cancel: (guest: GuestName) => void;
  readonly log: Log;
}

/** One act: what it is for, and through what it reaches the host. */
interface Act {
  readonly name: GuestName;
  readonly wanted: Wanted;
  readonly host: FollowHost;
  readonly effects: Effects;
  readonly planning: () => Promise<Planning>;
  /** Notes that these MACs were opened or closed by then, if that was part of a migration. */
  readonly note: (guest: Uuid, macs: readonly string[], doneMs: number) => void;
}

/**
 * Opens a guest to the network or closes it, for all its interfaces at once. What cannot be done is logged: the next
 * event of the guest, or its end, does the rest. Throws if it is to be tried again.
 */
export async function followRunState(
  name: GuestName,
  wanted: Wanted,
  causes: readonly Cause[],
  host: FollowHost,
): Promise<void> {
  const { effects, touched } = timed(host.effects);
  const planning = async () => ({ ...(await host.planning()), effects });
  const cause = migrationAmong(causes, wanted);
  const note: Act['note'] = (guest, macs, doneMs) => {
    if (cause !== undefined && macs.length > 0)
      noteCutOver({ guest, name, wanted, cause, macs, beganMs: touched() ?? doneMs, doneMs }, host);
  };
  const act = { name, wanted, host, effects, planning, note };
  await (wanted === 'open' ? open(act) : close(act));
}

async function open(act: Act): Promise<void> {
  const { name, host, effects, planning, note } = act;
  const given = await planning();
  const domain = host.findGuest(name);
  if (domain?.uuid === undefined)
    throw new ActualnetError('GUEST_UNKNOWN', `libvirt has no status of guest '${name}' yet`);
  // Whoever asks for nothing any more does not want to be cut off: what is applied stays until the guest stops.
  if (isPassive(given.config)) return;
  const guest = await guestContext(domain, given, { incoming: host.isIncoming(domain.uuid), paused: false });
  const problems = await actOnGuest('reachable', guest);
  const doneMs = effects.now();
  // Of a guest that has ended meanwhile there is nothing left to open.
  if (problems.length > 0 && host.hasEnded(name)) return;
  tell(problems, act);
  announceGuest(guest, host);
  note(guest.uuid, macsOf(guest), doneMs);
}

/** Closing needs no configuration, but for what libvirt has made and the configuration tells us to look after: macvtaps. */
async function close(act: Act): Promise<void> {
  const { name, wanted, host, effects, planning, note } = act;
  host.cancel(name);
  const known = host.findRecorded(name);
  const macs = known === undefined ? [] : macsInForce(known, effects);
  // Macvtaps take their turn with everything else.
  const isClosed = known !== undefined && (await closeAtOnce(known, effects));
  const closedMs = isClosed ? effects.now() : undefined;
  const closeLedger = async (guest: Uuid) => {
    tell(await closeIfAny(guest, effects), act);
    note(guest, macs, closedMs ?? effects.now());
  };
  const findGuest = async () => {
    const domain = wanted === 'gone' ? undefined : host.findGuest(name);
    if (domain?.uuid === undefined) return undefined;
    return guestContext(domain, await planning(), { incoming: host.isIncoming(domain.uuid), paused: false });
  };
  const guest = await findGuest().catch(async error => {
    if (known !== undefined) await closeLedger(known);
    throw error;
  });
  const uuid = guest?.uuid ?? known;
  if (uuid === undefined) return;
  if (guest === undefined || isPassive(guest.config)) return closeLedger(uuid);
  const problems = await actOnGuest('unreachable', guest);
  const doneMs = closedMs ?? effects.now();
  tell(problems, act);
  note(uuid, [...new Set([...macs, ...macsOf(guest)])], doneMs);
}

function tell(problems: readonly string[], { name, wanted, host }: Act): void {
  for (const problem of problems) host.log.warn(`guest '${name}', ${wanted}: ${problem}`);
}

/** The newest of the causes with which the CPUs came or went; that the source's QEMU ends comes after that. */
function migrationAmong(causes: readonly Cause[], wanted: Wanted): Cause | undefined {
  const moves = causes.filter(cause => isOfMigration(cause) && opens(cause) === (wanted === 'open'));
  return moves.findLast(({ event }) => event !== 'Stopped') ?? moves.at(-1);
}

function noteCutOver(
  {
    wanted,
    cause,
    ...part
  }: { wanted: Wanted; cause: Cause } & Pick<CutOver, 'guest' | 'name' | 'macs' | 'beganMs' | 'doneMs'>,
  { note, log }: FollowHost,
): void {
  const reachable = wanted === 'open';
  const words = `${cause.event} ${cause.detail}`;
  if (!note({ ...part, reachable, cause: words, heardMs: cause.atMs })) return;
  const ms = (part.doneMs - cause.atMs).toFixed(0);
  const how = reachable ? 'reachable' : 'unreachable';
  log.info(`guest '${part.name}': ${part.macs.join(', ')} ${how} ${ms} ms after '${words}'`);
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
function announceGuest(guest: GuestContext, { announce, log }: FollowHost): void {
  const announcements = findAnnouncements(guest);
  if (announcements.length === 0) return;
  const warn = (problem: string) => log.warn(`${guest.domain.owner}: ${problem}`);
  void announce(guest.domain.name, announcements).then(
    problems => {
      for (const problem of problems) warn(problem);
    },
    error => warn(errorLine(error)),
  );
}

async function closeIfAny(guest: Uuid, effects: Effects): Promise<string[]> {
  return effects.guestLedger(guest).read().length === 0 ? [] : closeReach(guest, effects);
}

/** The MACs that have a forwarding entry of ours, by the ledger: nothing else is known of a guest that is gone. */
function macsInForce(guest: Uuid, effects: Effects): string[] {
  const { entries } = tryEntriesOf(effects.guestLedger(guest));
  return [...new Set(entries.flatMap(({ subject, reach }) => (reach && subject.kind === 'fdb' ? subject.mac : [])))];
}

/** The MACs whose reachability is ours: those with an entry or a macvtap that we look after. */
function macsOf(guest: GuestContext): string[] {
  const changes = planGuest('reachable', guest);
  const macs = changes.flatMap(({ subject }) => {
    if (subject.kind === 'fdb') return subject.mac;
    return guest.domain.interfaces.find(({ target }) => target.dev === subject.dev)?.mac ?? [];
  });
  return [...new Set(macs)];
}
