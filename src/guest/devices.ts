import { carryOut } from '../journal/apply.ts';
import type { LedgerEntry } from '../journal/ledger.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import { releaseShared, sharedNamesFor, type Undone, undoGuest } from '../journal/undo.ts';
import { type Change, findDrift, keyOf, needsOf } from '../kernel/registry.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { refusedRequests } from '../plan/asked.ts';
import type { Blocker } from '../plan/blocker.ts';
import type { PlanContext } from '../plan/context.ts';
import type { GuestDevice } from '../plan/guest-device.ts';
import { pluggedDevice } from '../plan/guest-devices.ts';
import { outdatedBy, wantedBy } from '../plan/leftovers.ts';
import { isPassive, planAttach, planAttached, planJoin, planReachable, planUnreachable } from '../plan/plan.ts';
import { settingFindings, settingRefusals } from '../plan/settings.ts';
import type { ActualnetError } from '../report/error.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import { type GuestContext, refresh } from './context.ts';
import { blockersOf } from './predict.ts';
import type { PortView } from './record.ts';
import { refusedOf } from './refusals.ts';

/** What is known of the devices that a guest has now. */
export interface DevicesNow {
  /** Its ports, also one whose interface is not in the list yet. */
  readonly ports: readonly PortView[];
  /** The devices that came or changed: interfaces by MAC, host devices by address. */
  readonly fresh: ReadonlySet<string>;
  /** Nobody has looked at them before: all of them are to be set. */
  readonly isFirst: boolean;
  /** Nobody makes ready for a device that comes: what there is no device for was left by one that is gone. */
  readonly takesBack: boolean;
}

export interface ActedOnDevices {
  /** A line for each thing that could not be done, or is somebody else's now. */
  readonly told: readonly string[];
  /** A line for each thing that could not be taken back: to be tried again. */
  readonly applied: readonly string[];
  /** Of those that came or changed, the ones that could not be set: likewise. */
  readonly unset: readonly string[];
}

/**
 * Brings what is applied for a running guest in line with the devices it has now: what one that is gone, or was connected
 * to something else, has left is taken back; what one that came asks for is set, and opened unless the CPUs are paused. The
 * others stay as they were set.
 */
export async function actOnDevices(
  guest: GuestContext,
  { ports, fresh, isFirst, takesBack }: DevicesNow,
): Promise<ActedOnDevices> {
  const { effects, uuid, domain } = guest;
  const context: PlanContext = guest;
  const came = context.devices.filter(device => isFirst || fresh.has(nameOf(device)));
  const plans = came.map(device => ({ device, changes: planAttached({ ...context, devices: [device] }) }));
  const undone = [
    await takeBackOutdated(guest, came, [...plans.flatMap(({ changes }) => changes), ...planReachable(context)]),
  ];
  if (takesBack) undone.push(...(await takeBackLeft(guest, { context, ports })));
  const told = [...undone.flatMap(({ leftAlone }) => leftAlone), ...settingFindings(came, context.config, 'runs')];
  const changes = plans.flatMap(each => each.changes);
  // libvirt puts a macvtap up when it is attached, whatever the CPUs do.
  if (guest.paused) changes.push(...planUnreachable({ ...context, devices: came }));
  else changes.push(...planJoin(context), ...planReachable(context));
  const applying = { owner: domain.owner, user: uuid, ledger: effects.guestLedger(uuid), effects, keepGoing: true };
  const failures = await carryOut(changes, applying);
  const needed = changes.filter(({ optional }) => !optional);
  const drift = failures.length === 0 ? [] : findDrift(needed, await effects.view(needsOf(needed)));
  // What the host could be made to have is tried again, what such a device cannot have is not.
  const isUnset = ({ device, changes: own }: (typeof plans)[number]) =>
    device.unsettable.some(({ code }) => code === 'VLAN_UNSUPPORTED') ||
    drift.some(change => own.includes(change) || change.subject.dev === device.dev);
  return {
    told: [...told, ...failures, ...refusedRequests(came)],
    applied: undone.flatMap(({ problems }) => problems),
    unset: plans.filter(isUnset).map(({ device }) => nameOf(device)),
  };
}

function nameOf({ mac, hostdev }: GuestDevice): string {
  return mac ?? hostdev?.address ?? '';
}

/** A port keeps what was set on it when it gets another network. */
async function takeBackOutdated(
  { uuid, effects }: GuestContext,
  came: readonly GuestDevice[],
  planned: readonly Change[],
): Promise<Undone> {
  const isOutdated = outdatedBy(came, planned);
  return undoGuest(uuid, effects, ({ subject }) => isOutdated(subject));
}

/** What there is no device for any more. */
async function takeBackLeft(
  guest: GuestContext,
  { context, ports }: { readonly context: PlanContext; readonly ports: readonly PortView[] },
): Promise<Undone[]> {
  const { uuid, effects } = guest;
  const present = { ...context, devices: [...context.devices, ...devicesOfNewPorts(guest, ports)] };
  const isWanted = wantedBy(present, appliedFor(guest));
  const isLeft = ({ subject }: LedgerEntry) => !isWanted(subject);
  return [
    await undoGuest(uuid, effects, isLeft),
    // What others have left and could not be taken back then is no matter of this guest.
    await releaseShared(uuid, effects, entry => entry.users.includes(uuid) && isLeft(entry)),
  ];
}

/** A port comes before its interface is in the list. */
function devicesOfNewPorts({ domain }: GuestContext, ports: readonly PortView[]): GuestDevice[] {
  const known = new Set(domain.interfaces.map(({ source }) => source.portid));
  return ports.flatMap(({ uuid, plug }) => (known.has(uuid) || !plug ? [] : pluggedDevice(plug)));
}

/** The device that a guest is about to get, or has just got: the last one of that MAC or address. */
export interface Coming {
  readonly guest: GuestContext;
  readonly device: { readonly mac: string } | { readonly address: PciAddress };
}

export interface PredictedDevice {
  readonly blockers: readonly Blocker[];
  /** Settings that it cannot have and must, and MACs that are somebody else's. */
  readonly refusals: readonly ActualnetError[];
  /** A line for each setting that it cannot have, and may be without. */
  readonly without: readonly string[];
  /** What is planned before. */
  readonly changes: readonly Change[];
}

/** What keeps a device from being attached, or is to be told, and what is planned for it before. */
export async function predictDevice(coming: Coming, findNetwork: NetworkLookup): Promise<PredictedDevice> {
  const { context, own } = await contextOfDevice(coming);
  const { domain, effects } = coming.guest;
  const isAsked = !isPassive(context.config);
  return {
    blockers: await blockersOf(context, { guest: domain.name, findNetwork, effects, devices: own }),
    refusals: isAsked ? await refusedOf({ ...context, devices: own }, effects) : [],
    without: isAsked ? settingFindings(own, context.config, 'predicted') : [],
    changes: planAlone(context, own),
  };
}

function planAlone(context: PlanContext, own: readonly GuestDevice[]): Change[] {
  return isPassive(context.config) ? [] : planAttach({ ...context, devices: own });
}

/** Makes ready for a device that libvirt is to connect next. Throws after rolling back. */
export async function prepareDevice(coming: Coming): Promise<string[]> {
  const { context, own } = await contextOfDevice(coming);
  return carryOutFor(coming.guest, planAlone(context, own));
}

/** libvirt has connected the device: it is set, and opened unless the CPUs are paused. Throws after rolling back. */
export async function openDevice(coming: Coming): Promise<string[]> {
  const { context, own } = await contextOfDevice(coming);
  if (isPassive(context.config)) return [];
  const [refused] = settingRefusals(own, context.config, 'starts');
  if (refused !== undefined) throw refused;
  const without = { ...context, devices: context.devices.filter(device => !own.includes(device)) };
  const others = new Set(planReachable(without).map(({ subject }) => keyOf(subject)));
  // One device is the reason for another's entry, or against it: all are looked at, its own are carried out.
  const opening = coming.guest.paused
    ? planUnreachable({ ...context, devices: own })
    : planReachable(context).filter(({ subject }) => !others.has(keyOf(subject)));
  return carryOutFor(coming.guest, [...planAttached({ ...context, devices: own }), ...opening]);
}

function carryOutFor({ effects, uuid, domain }: GuestContext, changes: readonly Change[]): Promise<string[]> {
  const ledger = effects.guestLedger(uuid);
  return carryOut(changes, { owner: domain.owner, user: uuid, ledger, effects, keepGoing: false });
}

async function contextOfDevice({ guest, device }: Coming): Promise<{ context: PlanContext; own: GuestDevice[] }> {
  const context = await refresh(guest);
  const isMeant = (each: GuestDevice) =>
    'mac' in device ? each.mac === device.mac : each.mac === undefined && each.hostdev?.address === device.address;
  return { context, own: context.devices.filter(isMeant).slice(-1) };
}

/** What is applied for a guest, alone or with others. */
export function appliedFor({ uuid, effects }: Pick<GuestContext, 'uuid' | 'effects'>): LedgerEntry[] {
  const shared = sharedNamesFor(uuid, effects).flatMap(name => tryEntriesOf(effects.sharedLedger(name)).entries);
  return [...tryEntriesOf(effects.guestLedger(uuid)).entries, ...shared.filter(({ users }) => users.includes(uuid))];
}
