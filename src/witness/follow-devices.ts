import { type ActedOnDevices, actOnDevices } from '../apply/devices.ts';
import { type GuestAtHand, guestAtHand, type Planning } from '../apply/guest.ts';
import { type GuestRecord, type PortView, withNetworks } from '../apply/record.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import { compareDevices } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';

/** The host as following devices needs it. */
export interface DeviceFollowing {
  readonly planning: () => Promise<Planning>;
  /** A guest's record; undefined if no hook has seen it start. */
  readonly findRecord: (guest: Uuid) => GuestRecord | undefined;
  /** Adds to the record what a guest has now. */
  readonly note: (domain: Domain, view: GuestView, findings: readonly string[]) => void;
  /**
   * Keeps everybody else from the guest's devices; the answer ends that, and says whether all is settled. Undefined if
   * somebody is at them: what he has made ready for a device that comes must not count as left by one that is gone.
   */
  readonly hold: (guest: Uuid) => Promise<((isSettled: boolean) => void) | undefined>;
  readonly log: Log;
}

/** The phases in which a guest has all its devices: before, the hooks are at it. */
const settledPhases = ['started', 'reconnect'];

/**
 * A running guest's devices may have changed, by whomever: the record is brought up to date, and what is in force follows.
 * Answers what was noticed, a line for each device that came, went or became something else. Throws `ACTION_FAILED` if
 * something of a device that is gone could not be taken back: it is to be tried again.
 */
export async function followDevices(
  domain: Domain,
  { halted, host }: { readonly halted: boolean; readonly host: DeviceFollowing },
): Promise<readonly string[]> {
  const { uuid } = domain;
  if (uuid === undefined) return [];
  const record = host.findRecord(uuid);
  if (record !== undefined && !settledPhases.includes(record.phase)) return [];
  const planning = await host.planning();
  const { incoming = false, ports = [], chosen = null } = record ?? {};
  const bare = guestAtHand(domain, planning, { incoming, halted });
  const guest = { ...bare, view: withNetworks(bare.view, record) };
  // Of one that started before there was anybody to record it, nothing can be told apart.
  const { news, findings } = record === undefined ? { news: [], findings: [] } : compareDevices(chosen, guest.view);
  const { told, inForce } = await act(guest, ports, host);
  const found = [...findings, ...checkHostdevs(guest.view), ...told].filter(line => !record?.findings.includes(line));
  if (record !== undefined && (news.length > 0 || found.length > 0 || chosen === null))
    host.note(domain, guest.view, found);
  for (const line of news) host.log.info(`${domain.owner}: ${line}`);
  for (const line of found) host.log.warn(`${domain.owner}: ${line}`);
  if (inForce.length > 0)
    throw new ActualnetError('ACTION_FAILED', `${domain.owner}: still in force: ${inForce.join('; ')}`);
  return news;
}

async function act(guest: GuestAtHand, ports: readonly PortView[], { hold }: DeviceFollowing): Promise<ActedOnDevices> {
  const end = await hold(guest.uuid);
  let isSettled = false;
  try {
    const acted = isPassive(guest.config)
      ? { told: [], inForce: [] }
      : await actOnDevices(guest, { ports, attaching: end === undefined });
    isSettled = acted.inForce.length === 0;
    return acted;
  } finally {
    end?.(isSettled);
  }
}
