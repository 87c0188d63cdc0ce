import { followDevices } from '../agent/follow-devices.ts';
import { viewOf } from '../guest/context.ts';
import { isOpen, type ReachPolicy } from '../guest/liveness.ts';
import type { GuestRecord, PortView } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { GuestView } from '../transform/guest-view.ts';
import type { HotplugHost } from './host.ts';

/** A running guest with its lists as libvirt has them now. */
export interface Live {
  readonly domain: Domain & { readonly uuid: Uuid };
  readonly view: GuestView;
  /** Whether it stays open when QEMU stops its CPUs. */
  readonly policy: ReachPolicy;
}

/** Throws `GUEST_UNKNOWN` if it does not run. */
export async function readLive(name: GuestName, host: HotplugHost): Promise<Live> {
  const domain = host.findGuest(name);
  if (domain?.uuid === undefined) throw new ActualnetError('GUEST_UNKNOWN', `guest '${name}' does not run`);
  const planning = await host.planning();
  const view = viewOf(domain, planning);
  return { domain: { ...domain, uuid: domain.uuid }, view, policy: planning.config.reachability };
}

export function recordOf(guest: Uuid, { following }: HotplugHost): GuestRecord | undefined {
  return following.findRecord(guest);
}

/** Whether nothing of it is to be opened: its CPUs are paused, or it does not run. */
export function isClosed(name: GuestName, policy: ReachPolicy, host: HotplugHost): boolean {
  return !isOpen(host.runState(name), policy);
}

/**
 * Brings record and host in line with the devices the guest has now. What was made ready for one that it does not have is
 * taken back: whoever is at the guest's devices is us. Answers whether all is settled.
 */
async function settle(name: GuestName, policy: ReachPolicy, host: HotplugHost): Promise<boolean> {
  // Whoever settles holds the guest's devices already.
  const following = { ...host.following, hold: async () => () => undefined, isOwn: true };
  return followDevices(name, { paused: isClosed(name, policy, host), host: following });
}

/**
 * Does something to a guest's devices with nobody else at them, and settles before and after: what somebody who was killed at
 * it has left would count as ours. What cannot be settled is left to the agent.
 */
export async function holding<T>(name: GuestName, host: HotplugHost, act: () => Promise<T>): Promise<T> {
  const { domain, policy } = await readLive(name, host);
  const end = await host.begin(domain.uuid);
  let isSettled = false;
  const settleIfPossible = async () => {
    try {
      isSettled = await settle(name, policy, host);
    } catch (error) {
      isSettled = false;
      host.say(`not settled yet: ${errorLine(error)}`);
    }
  };
  try {
    await settleIfPossible();
    const result = await act().catch(async error => {
      // What failed first is what is told.
      await settleIfPossible();
      throw error;
    });
    isSettled = false;
    isSettled = await settle(name, policy, host);
    return result;
  } finally {
    end(isSettled);
  }
}

/** libvirt tells nobody of the end of a port that was refused when it was made. */
export function forgetRefusedPorts(name: GuestName, mac: string, host: HotplugHost): void {
  const domain = host.findGuest(name);
  if (domain?.uuid === undefined) return;
  const used = new Set(domain.interfaces.map(({ source }) => source.portid));
  const counted = new Set(host.libvirtPorts(domain.uuid).map(({ uuid }) => uuid));
  const isRefused = ({ uuid }: PortView) => !used.has(uuid) && !counted.has(uuid);
  for (const port of recordOf(domain.uuid, host)?.ports ?? [])
    if (port.mac === mac && isRefused(port)) host.forgetPort(domain.uuid, port);
}
