import { guestAtHand } from '../apply/guest.ts';
import { foldRecord, type GuestRecord, withNetworks } from '../apply/record.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { followDevices } from '../witness/follow-devices.ts';
import type { HotplugHost } from './host.ts';

/** A running guest with its lists as libvirt has them now. */
export interface Live {
  readonly domain: Domain & { readonly uuid: Uuid };
  readonly view: GuestView;
}

/** Throws `GUEST_UNKNOWN` if it does not run. */
export async function readLive(name: string, host: HotplugHost): Promise<Live> {
  const domain = host.findGuest(name);
  if (domain?.uuid === undefined)
    throw new ActualnetError('GUEST_UNKNOWN', `guest '${name}' does not run`, {
      hint: "'--config' changes its definition",
    });
  const record = recordOf(domain.uuid, host);
  const { view } = guestAtHand(domain, await host.planning());
  return { domain: { ...domain, uuid: domain.uuid }, view: withNetworks(view, record) };
}

export function recordOf(guest: Uuid, { following }: HotplugHost): GuestRecord | undefined {
  return following.findRecord(guest) ?? foldRecord(guest, []);
}

/** Whether its CPUs stand still, so that nothing of it is to be opened. */
export function isHalted(name: string, host: HotplugHost): boolean {
  return host.runState(name) !== 'running';
}

/**
 * Brings record and host in line with the devices the guest has now. What was made ready for one that it does not have is
 * taken back: whoever is at the guest's devices is us.
 */
export async function settle(name: string, host: HotplugHost): Promise<void> {
  const domain = host.findGuest(name);
  if (domain?.uuid === undefined) return;
  forgetLostPorts({ ...domain, uuid: domain.uuid }, host);
  // Whoever settles holds the guest's devices already.
  const following = { ...host.following, hold: async () => () => undefined };
  await followDevices(domain, { halted: isHalted(name, host), host: following });
}

/**
 * Does something to a guest's devices with nobody else at them, and settles before and after: what somebody who was killed at
 * it has left would count as ours. What cannot be settled is left to the witness.
 */
export async function holding<T>(name: string, host: HotplugHost, act: () => Promise<T>): Promise<T> {
  const { domain } = await readLive(name, host);
  const end = await host.begin(domain.uuid);
  let isSettled = false;
  try {
    await settle(name, host);
    try {
      return await act();
    } finally {
      await settle(name, host);
      isSettled = true;
    }
  } finally {
    end(isSettled);
  }
}

/** libvirt tells nobody of the end of a port that another hook has refused. */
function forgetLostPorts({ uuid, interfaces }: Live['domain'], host: HotplugHost): void {
  const used = new Set(interfaces.map(({ source }) => source.portid));
  for (const port of recordOf(uuid, host)?.ports ?? [])
    if (!used.has(port.uuid) && !host.libvirtPorts(port.network).has(port.uuid)) host.forgetPort(uuid, port);
}
