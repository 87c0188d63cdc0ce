import { type Config, defaultConfig } from '../config/config.ts';
import { type GuestRequest, readRequests } from '../config/requests.ts';
import { carryOut } from '../journal/apply.ts';
import type { Effects } from '../journal/effects.ts';
import { foldLedger, type LedgerEntry } from '../journal/ledger.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import { releaseShared, type Undone, undoGuest, undoStale } from '../journal/undo.ts';
import { hasBeenTaken } from '../kernel/device-uses.ts';
import type { HostView } from '../kernel/host-view.ts';
import { type Change, commandFor, isVfSubject, type Subject, sharedNameOf } from '../kernel/registry.ts';
import type { Domain } from '../model/domain.ts';
import type { Network } from '../model/network.ts';
import type { NetworkPort } from '../model/network-port.ts';
import type { Uuid } from '../model/values.ts';
import { type AccessRules, accessNodes, compareAccess } from '../plan/access.ts';
import { type Announcement, announcementsOf } from '../plan/announcements.ts';
import { refusedRequests } from '../plan/asked.ts';
import { guestDevices, portDevice } from '../plan/guest-devices.ts';
import {
  type PlanContext,
  planDeferredTaps,
  planJoin,
  planPort,
  planPrepare,
  planReachable,
  planStart,
  planUnreachable,
  verifyLibvirtTables,
} from '../plan/plan.ts';
import { settingFindings, settingRefusals } from '../plan/settings.ts';
import { type VfUse, vfOf } from '../plan/vfs.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { type NetworkLookup, resolveGuest } from '../resolve/guest.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import { type GuestView, viewGuest } from '../transform/guest-view.ts';

/** A guest at one moment, and what is to be done for it. */
export interface GuestContext {
  readonly uuid: Uuid;
  readonly domain: Domain;
  readonly view: GuestView;
  readonly config: Config;
  /** What the guest asks for in its metadata, as far as it may. */
  readonly requests: readonly GuestRequest[];
  /** It comes from a migration or a saved image. */
  readonly incoming: boolean;
  /** It is not to be open, although QEMU runs: its CPUs are paused, as after it came from elsewhere or was started paused. */
  readonly paused: boolean;
  readonly effects: Effects;
}

/** What is needed to plan for a guest of which only a document is at hand. */
export interface Planning {
  readonly config: Config;
  readonly effects: Effects;
  readonly findNetwork: NetworkLookup;
  readonly version: () => LibvirtVersion;
}

/** A guest from its document alone, as commands get it. Throws `XML_VALUE` without a uuid: ledgers are kept by it. */
export function guestContext(
  domain: Domain,
  { config, effects, ...resolving }: Planning,
  { incoming = false, paused = incoming }: { incoming?: boolean; paused?: boolean } = {},
): GuestContext {
  const { uuid } = domain;
  if (uuid === undefined) throw new ActualnetError('XML_VALUE', `${domain.owner}: the document has no <uuid>`);
  const view = viewGuest(domain, resolveGuest(domain, resolving));
  const { requests } = readRequests(domain, config.guests);
  return { uuid, domain, view, config, requests, incoming, paused, effects };
}

/** Phases that a plan can be made for. `reachable` and `unreachable` have no hook: whoever knows the run state calls them. */
export const plannedPhases = ['prepare', 'start', 'started', 'reachable', 'unreachable'] as const;
export type PlannedPhase = (typeof plannedPhases)[number];

/** The changes a phase asks for on the host as it is. Touches nothing. */
export function planGuest(phase: PlannedPhase, guest: GuestContext, host: HostView): Change[] {
  const context = contextOf(guest, host);
  switch (phase) {
    case 'prepare':
      return planPrepare(context);
    case 'start':
      return [...planDeferredTaps(context).flat(), ...planStart(context)];
    case 'started':
    case 'reachable':
      return phase === 'started' && guest.paused ? [] : [...planJoin(context), ...planReachable(context)];
    case 'unreachable':
      return planUnreachable(context);
  }
}

/**
 * Plans a phase and carries it out. `prepare` and `start` throw after rolling back; the others do what they can and
 * answer one line for each thing that is not as it should be.
 */
export async function actOnGuest(phase: PlannedPhase, guest: GuestContext): Promise<string[]> {
  const { effects, uuid, domain } = guest;
  const without = await judgeStart(phase, guest);
  const joining = await actOnDeferredTaps(phase, guest);
  const host = await effects.view({});
  const changes = planGuest(phase, guest, host);
  const { devices } = contextOf(guest, host);
  const chosen = devices.filter(device => device.chosen).flatMap(device => vfOf(device, host) ?? []);
  const findings = phase === 'prepare' ? await clearStale(chosen, uuid, effects) : [];
  const verifies = phase === 'started' && !guest.paused && devices.some(({ tableOfLibvirt }) => tableOfLibvirt);
  const problems = await carryOut(changes, {
    owner: domain.owner,
    user: uuid,
    ledger: effects.guestLedger(uuid),
    effects,
    keepGoing: phase !== 'prepare' && phase !== 'start',
    ...(verifies && { inspect: (seen: HostView) => findings.push(...verifyLibvirtTables({ devices, host: seen })) }),
  });
  if (phase === 'unreachable') problems.push(...(await closeReach(guest.uuid, effects)));
  const refused = phase === 'prepare' || phase === 'started' ? refusedRequests(devices) : [];
  return [...joining, ...problems, ...findings, ...without, ...refused];
}

/** A line for each setting that the guest starts without. Throws for one that it must have, before anything is done. */
async function judgeStart(phase: PlannedPhase, guest: GuestContext): Promise<string[]> {
  if (phase !== 'prepare' && phase !== 'start') return [];
  const moment = phase === 'prepare' ? 'predicted' : 'starts';
  const { devices, config } = contextOf(guest, await guest.effects.view({}));
  const [refusal] = settingRefusals(devices, config, moment);
  if (refusal !== undefined) throw refusal;
  return settingFindings(devices, config, moment);
}

/**
 * Taps that wait for the migration have their own turn: at `start` one after the other, so that those already made stay
 * until the guest is given up when one fails, and those behind it are not tried; then their bridges, before anything is asked
 * of their ports.
 */
async function actOnDeferredTaps(phase: PlannedPhase, guest: GuestContext): Promise<string[]> {
  const opens = phase === 'reachable' || (phase === 'started' && !guest.paused);
  if (!guest.incoming || !(opens || phase === 'start')) return [];
  const { effects, uuid, domain } = guest;
  const context = contextOf(guest, await effects.view({}));
  const applying = { owner: domain.owner, user: uuid, ledger: effects.guestLedger(uuid), effects };
  if (opens) {
    // The other interfaces are to be opened whatever becomes of these.
    const joining = async () => carryOut(planJoin(context), { ...applying, keepGoing: true });
    return joining().catch(error => [asActualnetError(error).message]);
  }
  for (const changes of planDeferredTaps(context)) await carryOut(changes, { ...applying, keepGoing: false });
  return [];
}

/**
 * What a port that libvirt has just made asks for: the VF it was given is kept as it is now, and set as far as libvirt will
 * not do it over. Throws after rolling back.
 */
export async function actOnPort(
  port: NetworkPort,
  network: Network,
  { config, effects }: Pick<Planning, 'config' | 'effects'>,
): Promise<string[]> {
  const host = await effects.view({});
  const device = portDevice(port, network, { config, host });
  if (device === undefined) return [];
  const user = port.ownerUuid;
  const use = vfOf(device, host);
  const undone = use === undefined ? [] : await clearStale([use], user, effects);
  const changes = planPort(device, { config, host });
  const ledger = effects.guestLedger(user);
  const owner = `guest '${port.ownerName}'`;
  return [...undone, ...(await carryOut(changes, { owner, user, ledger, effects, keepGoing: false }))];
}

/** Gives up what a guest has on the VF of a port that is gone. */
export async function releasePort(port: NetworkPort, network: Network, effects: Effects): Promise<Undone> {
  const host = await effects.view({});
  const device = portDevice(port, network, { config: defaultConfig, host });
  const use = device && vfOf(device, host);
  if (use === undefined) return { leftAlone: [], problems: [] };
  return releaseShared(port.ownerUuid, effects, ({ subject }) => isOnVf(subject, use));
}

/**
 * A VF has one user: what one that is gone has left on it is from a life whose end we missed, or whose `release` is still to
 * come. What libvirt has not given back yet waits for that.
 */
async function clearStale(uses: readonly VfUse[], user: string, effects: Effects): Promise<string[]> {
  const host = await effects.view({});
  const free = uses.filter(use => !hasBeenTaken(use, host));
  const names = free.map(({ pf, vf }) => sharedNameOf({ kind: 'vf-mac', dev: pf, vf }));
  const isStale = ({ users }: LedgerEntry) => !users.includes(user) && users.every(each => effects.isGone(each));
  const { leftAlone, problems } = await undoStale(names, effects, isStale);
  return [...leftAlone, ...problems];
}

function isOnVf(subject: Subject, { pf, vf, address }: VfUse): boolean {
  return isVfSubject(subject)
    ? subject.dev === pf && subject.vf === vf
    : subject.kind === 'driver' && subject.dev === address;
}

/** The nodes that libvirt will not let QEMU open and its configuration leaves to the cgroup alone. */
export async function nodesToGrant(guest: GuestContext, readRules: () => AccessRules | undefined): Promise<string[]> {
  const { domain, effects } = guest;
  if (!hasCommandLine(domain)) return [];
  const rules = readRules();
  if (rules === undefined || rules.closed) return [];
  const { devices, host } = contextOf(guest, await effects.view({}));
  return accessNodes(domain, devices, host).flatMap(({ node, byLibvirt }) =>
    byLibvirt || rules.deviceAcl.includes(node) ? [] : node,
  );
}

/** QEMU runs: whether it has the device nodes that its devices need, and no other. */
export async function accessFindings(guest: GuestContext): Promise<string[]> {
  const { domain, view, effects } = guest;
  if (view.hostdevs.length === 0 && !hasCommandLine(domain)) return [];
  const { devices, host } = contextOf(guest, await effects.view({}));
  const nodes = accessNodes(domain, devices, host);
  const access = nodes.length === 0 ? undefined : await effects.qemuAccess(domain.name);
  // Other kinds of host devices have nodes below /dev/vfio, too.
  const isAll = domain.hostdevs.every(({ type }) => type === 'pci');
  return access === undefined ? [] : compareAccess(nodes, access, isAll);
}

/** Whether anything is given to QEMU behind libvirt's back. */
function hasCommandLine({ commandLine }: Domain): boolean {
  return commandLine.netdevs.length + commandLine.devices.length > 0;
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
export async function findAnnouncements(guest: GuestContext): Promise<Announcement[]> {
  const { devices, host } = contextOf(guest, await guest.effects.view({}));
  return announcementsOf(devices, host);
}

/** Whether there is anything to open or close when this guest's CPUs start and stop. */
export async function followsRunState(guest: GuestContext): Promise<boolean> {
  const host = await guest.effects.view({});
  return (['reachable', 'unreachable'] as const).some(phase => planGuest(phase, guest, host).length > 0);
}

/** All that planning for a guest needs. */
export function contextOf(
  {
    domain,
    view,
    config,
    requests,
    incoming,
  }: Pick<GuestContext, 'domain' | 'view' | 'config' | 'requests' | 'incoming'>,
  host: HostView,
): PlanContext {
  return { devices: guestDevices(domain, view, { config, requests, host, incoming }), config, host };
}
