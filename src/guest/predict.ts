import type { Effects } from '../journal/effects.ts';
import { type AccessRules, accessNodes, findMissingAccess } from '../plan/access.ts';
import type { Blocker } from '../plan/blocker.ts';
import { findBlockers, linksAtStake } from '../plan/blockers.ts';
import type { PlanContext } from '../plan/context.ts';
import type { GuestDevice } from '../plan/guest-device.ts';
import { ActualnetError, type ErrorCode, errorLine } from '../report/error.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import type { GuestView } from '../transform/guest-view.ts';
import type { GuestContext } from './context.ts';
import { refusedSettings } from './refusals.ts';

/** What a host knows beside itself of a guest that is to start on it. */
export interface StartHost {
  readonly findNetwork: NetworkLookup;
  /** libvirt's rules about device nodes. */
  readonly accessRules: () => AccessRules | undefined;
  /** The guest by libvirt's own count of its pools. */
  readonly byLibvirt: () => Promise<GuestContext>;
}

export interface Predicted {
  /** Each of them ends the start. */
  readonly refusals: readonly ActualnetError[];
  /** What is taken from the host on purpose, or may be in the way. */
  readonly findings: readonly string[];
}

/**
 * Whether a guest can start: with a device that cannot be had, or that the host itself uses, libvirt or QEMU would fail a
 * little later, or somebody would lose it; without a setting that keeps it apart from others it must not run. What was
 * predicted from our own count of a pool is looked at again with libvirt's before anything is refused.
 */
export async function predictStart(guest: GuestContext, host: StartHost): Promise<Predicted> {
  const first = await predict(guest, host);
  const isPredicted = guest.view.interfaces.some(({ network }) => network !== null);
  return first.refusals.length > 0 && isPredicted ? predict(await host.byLibvirt(), host) : first;
}

async function predict(guest: GuestContext, { findNetwork, accessRules }: StartHost): Promise<Predicted> {
  const { domain, view, effects } = guest;
  const blockers = await blockersOf(guest, { guest: domain.name, findNetwork, effects });
  const nodes = accessNodes(domain, guest.devices, guest.host).filter(({ byLibvirt }) => !byLibvirt);
  const rules = nodes.length === 0 ? undefined : accessRules();
  return {
    refusals: [
      ...unresolved(view, domain.owner),
      ...blockers.flatMap(({ refuses, error }) => (refuses ? error : [])),
      ...(rules?.closed ? findMissingAccess(nodes, rules) : []),
      ...(await refusedSettings(guest)),
    ],
    findings: blockers.flatMap(({ refuses, error }) => (refuses ? [] : errorLine(error))),
  };
}

/** What is in the way of devices, of all that a guest has in `context` or of some; links are asked for addresses that may matter. */
export async function blockersOf(
  context: PlanContext,
  {
    guest,
    findNetwork,
    effects,
    devices = context.devices,
  }: {
    readonly guest: string;
    readonly findNetwork: NetworkLookup;
    readonly effects: Effects;
    readonly devices?: readonly GuestDevice[];
  },
): Promise<Blocker[]> {
  const links = linksAtStake(devices, context.host);
  const host = links.length === 0 ? context.host : await effects.view({ addresses: links });
  return findBlockers({ ...context, devices, host, findNetwork }, guest);
}

/** What no device is predicted for; a network that is not known or does not run libvirt tells of in its own words. */
function unresolved({ interfaces }: GuestView, owner: string): ActualnetError[] {
  return interfaces.flatMap(({ error }) =>
    error?.code === 'POOL_EXHAUSTED' || error?.code === 'DEVICE_TWICE'
      ? new ActualnetError(error.code as ErrorCode, error.message.replace(`${owner}, `, ''), {
          hint: error.hint ?? undefined,
        })
      : [],
  );
}
