import type { PciAddress } from '../model/pci-address.ts';
import { type Change, keyOf } from '../plan/change.ts';
import { type GuestDevice, pluggedDevice } from '../plan/guest-devices.ts';
import { findObstacles } from '../plan/hostdevs.ts';
import { wantedBy } from '../plan/leftovers.ts';
import {
  isPassive,
  type PlanContext,
  planAttach,
  planAttached,
  planJoin,
  planReachable,
  planUnreachable,
} from '../plan/plan.ts';
import { type ActualnetError, asActualnetError } from '../report/error.ts';
import { carryOut } from './apply.ts';
import { contextOf, type GuestAtHand } from './guest.ts';
import { foldLedger, type LedgerEntry } from './ledger.ts';
import type { PortView } from './record.ts';
import { leaveShared, undoGuest } from './undo.ts';

/** What is known of the devices that a guest has now. */
export interface DevicesNow {
  /** Its ports, also one whose interface is not in the list yet. */
  readonly ports: readonly PortView[];
  /** The devices that came or changed: interfaces by MAC, host devices by address. */
  readonly fresh: ReadonlySet<string>;
  /** Nobody makes ready for a device that comes: what there is no device for was left by one that is gone. */
  readonly takesBack: boolean;
}

/**
 * Brings what is in force for a running guest in line with the devices it has now: what one that is gone has left is taken
 * back, what one that came asks for is set, and opened unless the CPUs stand still. The others stay as they were set.
 */
export async function actOnDevices(
  guest: GuestAtHand,
  { ports, fresh, takesBack }: DevicesNow,
): Promise<ActedOnDevices> {
  const { effects, uuid, domain } = guest;
  const context = contextOf(guest, await effects.view({}));
  const told: string[] = [];
  const inForce: string[] = [];
  if (takesBack) {
    const present = { ...context, devices: [...context.devices, ...devicesOfNewPorts(guest, ports)] };
    const isWanted = wantedBy(present, inForceFor(guest));
    const isLeft = ({ subject }: LedgerEntry) => !isWanted(subject);
    const own = await undoGuest(uuid, effects, isLeft);
    // What others have left and could not be taken back then is no matter of this guest.
    const shared = await leaveShared(uuid, effects, entry => entry.users.includes(uuid) && isLeft(entry));
    for (const { left, problems } of [own, shared]) {
      told.push(...left);
      inForce.push(...problems);
    }
  }
  const changes: Change[] = [];
  const came = context.devices.filter(({ mac, hostdev }) => fresh.has(mac ?? hostdev?.address ?? ''));
  for (const device of came) {
    try {
      changes.push(...planAttached({ ...context, devices: [device] }));
    } catch (error) {
      told.push(asActualnetError(error).message);
    }
  }
  // libvirt puts a macvtap up when it is attached, whatever the CPUs do.
  if (guest.halted) changes.push(...planUnreachable({ ...context, devices: came }));
  else changes.push(...openingOf(context, told));
  const applying = { owner: domain.owner, user: uuid, ledger: effects.guestLedger(uuid), effects, keepGoing: true };
  return { told: [...told, ...(await carryOut(changes, applying))], inForce };
}

function openingOf(context: PlanContext, told: string[]): Change[] {
  try {
    return [...planJoin(context), ...planReachable(context)];
  } catch (error) {
    told.push(asActualnetError(error).message);
    return planReachable(context);
  }
}

export interface ActedOnDevices {
  /** A line for each thing that could not be done, or is somebody else's now. */
  readonly told: readonly string[];
  /** A line for each thing that could not be taken back: to be tried again. */
  readonly inForce: readonly string[];
}

/** A port comes before its interface is in the list. */
function devicesOfNewPorts({ domain }: GuestAtHand, ports: readonly PortView[]): GuestDevice[] {
  const known = new Set(domain.interfaces.map(({ source }) => source.portid));
  return ports.flatMap(({ uuid, plug }) => (known.has(uuid) || !plug ? [] : pluggedDevice(plug)));
}

/** The device that a guest is about to get, or has just got: the last one of that MAC or address. */
export interface Coming {
  readonly guest: GuestAtHand;
  readonly device: { readonly mac: string } | { readonly address: PciAddress };
}

/** What keeps a device from being attached, and what is planned for it before. */
export async function foreseeDevice(coming: Coming): Promise<{ obstacles: ActualnetError[]; changes: Change[] }> {
  const { context, own } = await contextOfDevice(coming);
  const alone = { ...context, devices: own };
  return {
    obstacles: findObstacles(alone, coming.guest.domain.name),
    changes: isPassive(context.config) ? [] : planAttach(alone),
  };
}

/** Makes ready for a device that libvirt is to connect next. Throws after rolling back. */
export async function prepareDevice(coming: Coming): Promise<string[]> {
  const { changes } = await foreseeDevice(coming);
  return carryOutFor(coming.guest, changes);
}

/** libvirt has connected the device: it is set, and opened unless the CPUs stand still. Throws after rolling back. */
export async function openDevice(coming: Coming): Promise<string[]> {
  const { context, own } = await contextOfDevice(coming);
  if (isPassive(context.config)) return [];
  const without = { ...context, devices: context.devices.filter(device => !own.includes(device)) };
  const others = new Set(planReachable(without).map(({ subject }) => keyOf(subject)));
  // One device is the reason for another's entry, or against it: all are looked at, its own are carried out.
  const opening = coming.guest.halted
    ? planUnreachable({ ...context, devices: own })
    : planReachable(context).filter(({ subject }) => !others.has(keyOf(subject)));
  return carryOutFor(coming.guest, [...planAttached({ ...context, devices: own }), ...opening]);
}

function carryOutFor({ effects, uuid, domain }: GuestAtHand, changes: readonly Change[]): Promise<string[]> {
  const ledger = effects.guestLedger(uuid);
  return carryOut(changes, { owner: domain.owner, user: uuid, ledger, effects, keepGoing: false });
}

async function contextOfDevice({ guest, device }: Coming): Promise<{ context: PlanContext; own: GuestDevice[] }> {
  const context = contextOf(guest, await guest.effects.view({}));
  const isMeant = (each: GuestDevice) =>
    'mac' in device ? each.mac === device.mac : each.mac === undefined && each.hostdev?.address === device.address;
  return { context, own: context.devices.filter(isMeant).slice(-1) };
}

/** What is in force for a guest, alone or with others. */
export function inForceFor({ uuid, effects }: Pick<GuestAtHand, 'uuid' | 'effects'>): LedgerEntry[] {
  const shared = effects.sharedNames().flatMap(name => [...foldLedger(effects.sharedLedger(name).read()).values()]);
  return [
    ...foldLedger(effects.guestLedger(uuid).read()).values(),
    ...shared.filter(({ users }) => users.includes(uuid)),
  ];
}
