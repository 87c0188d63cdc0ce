import { guestContext, type Planning } from '../guest/context.ts';
import { actOnDevices } from '../guest/devices.ts';
import type { GuestRecord } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import { compareDevices } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';

/** The host as following devices needs it. */
export interface DeviceHost {
  /** A running guest by libvirt's status file. */
  readonly findGuest: (name: GuestName) => Domain | undefined;
  /** The same without that file, as far as the host tells: for a file that cannot be read. */
  readonly findByTaps: (name: GuestName) => Domain | undefined;
  /** Whether its QEMU has ended, although libvirt may still have to find out. */
  readonly hasEnded: (name: GuestName) => boolean;
  readonly planning: () => Promise<Planning>;
  /** A guest's record; undefined if no hook has seen it start. */
  readonly findRecord: (guest: Uuid) => GuestRecord | undefined;
  /** Adds to the record what a guest has now, and which of it could not be set. */
  readonly note: (
    domain: Domain,
    view: GuestView,
    found: { readonly findings: readonly string[]; readonly unset: readonly string[]; readonly isFirst: boolean },
  ) => void;
  /** Adds a finding alone to the record. */
  readonly noteFinding: (guest: Uuid, name: GuestName, finding: string) => void;
  /**
   * Keeps everybody else from the guest's devices; the answer ends that, and says whether all is settled. Undefined if
   * somebody is at them: what he has made ready for a device that comes must not count as left by one that is gone.
   */
  readonly hold: (guest: Uuid) => Promise<((isSettled: boolean) => void) | undefined>;
  /** Whoever asks is the one who attaches and detaches. */
  readonly isOwn: boolean;
  readonly log: Log;
}

/** The phases in which a guest has all its devices: before, the hooks are at it. */
const settledPhases = ['started', 'reconnect'];

/**
 * A running guest's devices may have changed, by whomever: the record is brought up to date, and what is applied follows.
 * Answers whether all is settled: what could not be set is to be tried again. Throws if something else could not be done,
 * `ACTION_FAILED` if it is of a device that is gone.
 */
export async function followDevices(
  name: GuestName,
  { paused, host }: { readonly paused: boolean; readonly host: DeviceHost },
): Promise<boolean> {
  let uuid: Uuid | undefined;
  try {
    uuid = host.findGuest(name)?.uuid;
  } catch (error) {
    return followTaps(name, error, { paused, host });
  }
  if (uuid === undefined) return true;
  const end = await host.hold(uuid);
  let isSettled = false;
  try {
    // Read now that nobody else is at it: a device that came a moment ago must not count as one that is gone.
    const domain = host.findGuest(name);
    isSettled =
      domain?.uuid !== uuid || (await follow({ ...domain, uuid }, { paused, host, isHeld: end !== undefined }));
    return isSettled;
  } finally {
    end?.(isSettled);
  }
}

/**
 * A guest that cannot be read must not be without what is asked for its bridges: each tap that is not known yet gets it.
 * Nothing is taken back: nobody knows what the guest still has. Its record says so, and so does `status`.
 */
async function followTaps(
  name: GuestName,
  error: unknown,
  { paused, host }: { readonly paused: boolean; readonly host: DeviceHost },
): Promise<boolean> {
  const domain = host.findByTaps(name);
  if (domain?.uuid === undefined) throw error;
  const record = host.findRecord(domain.uuid);
  const known = (record?.actual ?? record?.predicted)?.interfaces.map(({ dev }) => dev) ?? [];
  const fresh = domain.interfaces.filter(({ target }) => !known.includes(target.dev)).map(({ mac }) => mac ?? '');
  const guest = await guestContext(domain, await host.planning(), { incoming: record?.incoming ?? false, paused });
  const now = { ports: record?.ports ?? [], fresh: new Set(fresh), isFirst: false, takesBack: false };
  const { told, unset } = isPassive(guest.config) ? { told: [], unset: [] } : await actOnDevices(guest, now);
  for (const line of told) host.log.warn(`${domain.owner}: ${line}`);
  const finding = unreadable(error);
  if (record?.findings.includes(finding)) return unset.length === 0;
  host.log.warn(`${domain.owner}: ${finding}`);
  if (record !== undefined) host.noteFinding(domain.uuid, name, finding);
  return unset.length === 0;
}

/** What is said of a guest whose status file cannot be read. */
function unreadable(error: unknown): string {
  return `its status file cannot be read, so its taps get what their bridges ask for: ${errorLine(error)}`;
}

/** Whether a guest has ended since it was looked at; it may be back by now, in another life. */
function isOver({ name, element }: Domain, { hasEnded, findGuest }: DeviceHost): boolean {
  if (hasEnded(name)) return true;
  try {
    return findGuest(name)?.element.attribute('id') !== element.attribute('id');
  } catch {
    return false;
  }
}

async function follow(
  domain: Domain & { readonly uuid: Uuid },
  { paused, host, isHeld }: { readonly paused: boolean; readonly host: DeviceHost; readonly isHeld: boolean },
): Promise<boolean> {
  const record = host.findRecord(domain.uuid);
  if (record !== undefined && !settledPhases.includes(record.phase)) return true;
  const { incoming = false, ports = [], actual = null, unset: before = [] } = record ?? {};
  const guest = await guestContext(domain, await host.planning(), { incoming, paused });
  const { news, findings, fresh } = compareDevices(actual, guest.view);
  // Of one that started before there was anybody to record it, no port is known either: it may be about to get a device.
  const takesBack = isHeld && (record !== undefined || host.isOwn);
  const isFirst = record === undefined;
  if (isFirst && (isPassive(guest.config) || host.hasEnded(domain.name))) return true;
  const due = [...fresh, ...before];
  const { told, applied, unset } = isPassive(guest.config)
    ? { told: [], applied: [], unset: [] }
    : await actOnDevices(guest, { ports, fresh: new Set(due), isFirst, takesBack });
  // What failed has failed because its devices went with it, and its end undoes everything.
  if (told.length + applied.length > 0 && isOver(domain, host)) return true;
  const found = [...findings, ...checkHostdevs(guest.view), ...told].filter(line => !record?.findings.includes(line));
  const isNew = news.length > 0 || found.length > 0 || actual === null || unset.join() !== before.join();
  // From now on it is one whose start was seen.
  if (isNew) host.note(domain, guest.view, { findings: found, unset, isFirst });
  for (const line of news) host.log.info(`${domain.owner}: ${line}`);
  for (const line of found) host.log.warn(`${domain.owner}: ${line}`);
  if (applied.length > 0)
    throw new ActualnetError('ACTION_FAILED', `still applied: ${applied.join('; ')}`, { owner: domain.owner });
  return unset.length === 0;
}
