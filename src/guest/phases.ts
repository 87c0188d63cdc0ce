import { carryOut } from '../journal/apply.ts';
import type { Effects } from '../journal/effects.ts';
import { foldLedger, type LedgerEntry } from '../journal/ledger.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import { releaseShared, type Undone, undoGuest } from '../journal/undo.ts';
import type { HostView } from '../kernel/host-view.ts';
import { type Change, commandFor } from '../kernel/registry.ts';
import type { Uuid } from '../model/values.ts';
import { type Announcement, announcementsOf } from '../plan/announcements.ts';
import { refusedRequests } from '../plan/asked.ts';
import {
  planDeferredTaps,
  planJoin,
  planPrepare,
  planReachable,
  planStart,
  planUnreachable,
  verifyLibvirtTables,
} from '../plan/plan.ts';
import { settingFindings, settingRefusals } from '../plan/settings.ts';
import { vfOf } from '../plan/vfs.ts';
import { asActualnetError } from '../report/error.ts';
import { type GuestContext, refresh } from './context.ts';
import { clearStale } from './ports.ts';

/** Phases that a plan can be made for. `reachable` and `unreachable` have no hook: whoever knows the run state calls them. */
export const plannedPhases = ['prepare', 'start', 'started', 'reachable', 'unreachable'] as const;
export type PlannedPhase = (typeof plannedPhases)[number];

/** The changes a phase asks for on the host as the guest's context has it. Touches nothing. */
export function planGuest(phase: PlannedPhase, guest: GuestContext): Change[] {
  switch (phase) {
    case 'prepare':
      return planPrepare(guest);
    case 'start':
      return [...planDeferredTaps(guest).flat(), ...planStart(guest)];
    case 'started':
    case 'reachable':
      return phase === 'started' && guest.paused ? [] : [...planJoin(guest), ...planReachable(guest)];
    case 'unreachable':
      return planUnreachable(guest);
  }
}

/**
 * Plans a phase and carries it out. `prepare` and `start` throw after rolling back; the others do what they can and
 * answer one line for each thing that is not as it should be.
 */
export async function actOnGuest(phase: PlannedPhase, given: GuestContext): Promise<string[]> {
  const { effects, uuid, domain } = given;
  const without = judgeStart(phase, given);
  const { guest, problems: joining } = await actOnDeferredTaps(phase, given);
  const changes = planGuest(phase, guest);
  const { devices, host } = guest;
  const actual = devices.filter(device => device.chosen).flatMap(device => vfOf(device, host) ?? []);
  const findings = phase === 'prepare' ? await clearStale(actual, guest) : [];
  const verifies = phase === 'started' && !guest.paused && devices.some(({ tableOfLibvirt }) => tableOfLibvirt);
  const problems = await carryOut(changes, {
    owner: domain.owner,
    user: uuid,
    ledger: effects.guestLedger(uuid),
    effects,
    keepGoing: phase !== 'prepare' && phase !== 'start',
    ...(verifies && { inspect: (seen: HostView) => findings.push(...verifyLibvirtTables({ devices, host: seen })) }),
  });
  if (phase === 'unreachable') problems.push(...(await closeReach(uuid, effects)));
  const refused = phase === 'prepare' || phase === 'started' ? refusedRequests(devices) : [];
  return [...joining, ...problems, ...findings, ...without, ...refused];
}

/** A line for each setting that the guest starts without. Throws for one that it must have, before anything is done. */
function judgeStart(phase: PlannedPhase, { devices, config }: GuestContext): string[] {
  if (phase !== 'prepare' && phase !== 'start') return [];
  const moment = phase === 'prepare' ? 'predicted' : 'starts';
  const [refusal] = settingRefusals(devices, config, moment);
  if (refusal !== undefined) throw refusal;
  return settingFindings(devices, config, moment);
}

/**
 * Taps that wait for the migration have their own turn: at `start` one after the other, so that those already made stay
 * until the guest is given up when one fails, and those behind it are not tried; then their bridges, before anything is asked
 * of their ports. Answers the guest on the host as it is then.
 */
async function actOnDeferredTaps(
  phase: PlannedPhase,
  guest: GuestContext,
): Promise<{ readonly guest: GuestContext; readonly problems: readonly string[] }> {
  const opens = phase === 'reachable' || (phase === 'started' && !guest.paused);
  const { effects, uuid, domain } = guest;
  const applying = { owner: domain.owner, user: uuid, ledger: effects.guestLedger(uuid), effects };
  const problems: string[] = [];
  const joins = guest.incoming && opens ? planJoin(guest) : [];
  const taps = guest.incoming && phase === 'start' ? planDeferredTaps(guest) : [];
  if (joins.length === 0 && taps.length === 0) return { guest, problems };
  // The other interfaces are to be opened whatever becomes of these.
  const joining = async () => carryOut(joins, { ...applying, keepGoing: true });
  if (joins.length > 0) problems.push(...(await joining().catch(error => [asActualnetError(error).message])));
  for (const changes of taps) await carryOut(changes, { ...applying, keepGoing: false });
  return { guest: await refresh(guest), problems };
}

/** Takes back what opens the guest to the network. Answers what could not be taken back or is somebody else's now. */
export async function closeReach(guest: Uuid, effects: Effects): Promise<string[]> {
  const { leftAlone, problems } = await undoGuest(guest, effects, ({ reach }) => reach);
  return [...leftAlone, ...problems];
}

/**
 * Removes the guest's own forwarding entries, by the ledger and without a look at the host, since on a migration every
 * millisecond counts in which the other host may open it. Answers whether there were any; `closeReach` has to follow.
 */
export async function closeAtOnce(guest: Uuid, effects: Effects): Promise<boolean> {
  // One that cannot be read is told of by whoever closes the rest.
  const { entries } = tryEntriesOf(effects.guestLedger(guest));
  const commands = entries.flatMap(({ subject, reach }) =>
    reach && subject.kind === 'fdb' ? commandFor({ subject, to: null }) : [],
  );
  if (commands.length === 0) return false;
  const note = { user: guest, what: 'remove its forwarding entries', why: 'its CPUs are paused' };
  await effects.run(commands, { keepGoing: true, notes: commands.map(() => note) });
  return true;
}

/** Takes back everything of a guest. `problems` are what is still applied, and stays in a ledger. */
export async function undoAll(guest: Uuid, effects: Effects): Promise<Undone> {
  const parts: Undone[] = [];
  for (const undo of [() => undoGuest(guest, effects), () => releaseShared(guest, effects)]) {
    try {
      parts.push(await undo());
    } catch (error) {
      parts.push({ leftAlone: [], problems: [asActualnetError(error).message] });
    }
  }
  return {
    leftAlone: parts.flatMap(({ leftAlone }) => leftAlone),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

/** Puts back what is applied by the ledger but has been lost on the host, for example by a restart of libvirt's daemon. */
export async function repairGuest(guest: Pick<GuestContext, 'uuid' | 'domain' | 'effects'>): Promise<string[]> {
  const { effects, uuid, domain } = guest;
  const ledger = effects.guestLedger(uuid);
  const host = await effects.view({});
  const isSameDevice = ({ subject, index }: LedgerEntry) =>
    index === undefined || host.link(subject.dev)?.index === index;
  const entries = [...foldLedger(ledger.read()).values()].filter(
    entry => entry.subject.kind !== 'link' && isSameDevice(entry),
  );
  const why = 'it was applied before';
  const changes = entries.map(({ subject, to, reach }): Change => ({ subject, to, why, reach }));
  return carryOut(changes, { owner: domain.owner, user: uuid, ledger, effects, keepGoing: true });
}

/** What is to be told to the network when this guest's CPUs start here. */
export function findAnnouncements({ devices, host }: GuestContext): Announcement[] {
  return announcementsOf(devices, host);
}

/** Whether there is anything to open or close when this guest's CPUs start and stop. */
export function followsRunState(guest: GuestContext): boolean {
  return (['reachable', 'unreachable'] as const).some(phase => planGuest(phase, guest).length > 0);
}
