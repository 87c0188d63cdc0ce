import type { PciAddress } from '../model/pci-address.ts';
import { type GuestDevice, pluggedDevice } from '../plan/guest-devices.ts';
import { findObstacles } from '../plan/hostdevs.ts';
import { wantedBy } from '../plan/leftovers.ts';
import { type PlanContext, planAttach, planAttached, planJoin, planReachable } from '../plan/plan.ts';
import type { ActualnetError } from '../report/error.ts';
import { carryOut } from './apply.ts';
import { contextOf, type GuestAtHand } from './guest.ts';
import type { PortView } from './record.ts';
import { leaveShared, undoGuest } from './undo.ts';

/**
 * Brings what is in force for a running guest in line with the devices it has now: what one that is gone has left is taken
 * back, what one that came asks for is set, and opened unless the CPUs stand still. `attaching`: somebody is at it and has
 * made ready for a device that is not in the lists yet, so nothing counts as left. Answers a line for each thing that
 * could not be done, or is somebody else's now.
 */
export async function actOnDevices(
  guest: GuestAtHand,
  { ports, attaching }: { readonly ports: readonly PortView[]; readonly attaching: boolean },
): Promise<string[]> {
  const { effects, uuid, domain } = guest;
  const context = contextOf(guest, await effects.view({}));
  const told: string[] = [];
  if (!attaching) {
    const isWanted = wantedBy({ ...context, devices: [...context.devices, ...devicesOfNewPorts(guest, ports)] });
    for (const undo of [undoGuest, leaveShared]) {
      const { left, problems } = await undo(uuid, effects, ({ subject }) => !isWanted(subject));
      told.push(...left, ...problems);
    }
  }
  const applying = { owner: domain.owner, user: uuid, ledger: effects.guestLedger(uuid), effects, keepGoing: true };
  const opening = guest.halted ? [] : [...planJoin(context), ...planReachable(context)];
  return [...told, ...(await carryOut([...planAttached(context), ...opening], applying))];
}

/** A port comes before its interface is in the list. */
function devicesOfNewPorts({ domain }: GuestAtHand, ports: readonly PortView[]): GuestDevice[] {
  const known = new Set(domain.interfaces.map(({ source }) => source.portid));
  return ports.flatMap(({ uuid, plug }) => (known.has(uuid) || !plug ? [] : pluggedDevice(plug)));
}

/** The last device of each list of a guest that is about to get it. */
export interface Coming {
  readonly guest: GuestAtHand;
  readonly device: { readonly mac: string } | { readonly address: PciAddress };
}

/** Makes ready for a device that libvirt is to connect next. Throws after rolling back. */
export async function prepareDevice(coming: Coming): Promise<string[]> {
  const { effects, uuid, domain } = coming.guest;
  const context = await contextOfDevice(coming);
  const applying = { owner: domain.owner, user: uuid, ledger: effects.guestLedger(uuid), effects, keepGoing: false };
  return carryOut(planAttach(context), applying);
}

/** What keeps a device from being attached, and what would be done for it before. */
export async function foreseeDevice(coming: Coming): Promise<{ obstacles: ActualnetError[]; context: PlanContext }> {
  const context = await contextOfDevice(coming);
  return { obstacles: findObstacles(context), context };
}

async function contextOfDevice({ guest, device }: Coming): Promise<PlanContext> {
  const context = contextOf(guest, await guest.effects.view({}));
  const isMeant = (each: GuestDevice) =>
    'mac' in device ? each.mac === device.mac : each.mac === undefined && each.hostdev?.address === device.address;
  return { ...context, devices: context.devices.filter(isMeant).slice(-1) };
}
