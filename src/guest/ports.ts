import { defaultConfig } from '../config/config.ts';
import { carryOut } from '../journal/apply.ts';
import type { Effects } from '../journal/effects.ts';
import type { LedgerEntry } from '../journal/ledger.ts';
import { releaseShared, type Undone, undoStale } from '../journal/undo.ts';
import { hasBeenTaken } from '../kernel/device-uses.ts';
import { isVfSubject, type Subject, sharedNameOf } from '../kernel/registry.ts';
import type { Network } from '../model/network.ts';
import type { NetworkPort } from '../model/network-port.ts';
import { portDevice } from '../plan/guest-devices.ts';
import { planPort } from '../plan/plan.ts';
import { type VfUse, vfOf } from '../plan/vfs.ts';
import type { GuestContext, Planning } from './context.ts';

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
  const undone = use === undefined ? [] : await clearStale([use], { uuid: user, host, effects });
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
export async function clearStale(
  uses: readonly VfUse[],
  { uuid: user, host, effects }: Pick<GuestContext, 'uuid' | 'host' | 'effects'>,
): Promise<string[]> {
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
