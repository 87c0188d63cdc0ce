import { type GuestRequest, readRequests } from '../config/requests.ts';
import type { Config } from '../config/types.ts';
import type { Effects } from '../journal/effects.ts';
import type { HostView } from '../kernel/host-view.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import type { PlanContext } from '../plan/context.ts';
import { guestDevices } from '../plan/guest-devices.ts';
import { ActualnetError } from '../report/error.ts';
import { type NetworkLookup, resolveGuest } from '../resolve/guest.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { viewGuest } from '../transform/view-guest.ts';

/**
 * A guest on this host at one moment: what hook, agent, hotplug and commands decide by. It is made once for a call or an event,
 * with one look at the host, and looked at anew only by `refresh`.
 */
export interface GuestContext extends PlanContext {
  readonly uuid: Uuid;
  readonly domain: Domain;
  readonly view: GuestView;
  /** What the guest asks for in its metadata, as far as it may, and a line for each thing that it may not. */
  readonly requests: readonly GuestRequest[];
  readonly refusedRequests: readonly string[];
  /** It comes from a migration or a saved image. */
  readonly incoming: boolean;
  /** It is not to be open, although QEMU runs: its CPUs are paused, as after it came from elsewhere or was started paused. */
  readonly paused: boolean;
  readonly effects: Effects;
}

/** What is needed to know what a guest's document means here. */
export interface Planning {
  readonly config: Config;
  readonly effects: Effects;
  readonly findNetwork: NetworkLookup;
  readonly version: () => LibvirtVersion;
}

/** Where a guest is in its life, and what is known of its interfaces already. */
export interface GuestMoment {
  readonly incoming?: boolean;
  readonly paused?: boolean;
  /** What its interfaces are; by default what its document and the networks say. */
  readonly view?: GuestView;
}

/** A guest by its document. Throws `XML_VALUE` without a uuid: ledgers and records are kept by it. */
export async function guestContext(
  domain: Domain,
  { config, effects, ...resolving }: Planning,
  { incoming = false, paused = incoming, view = viewOf(domain, resolving) }: GuestMoment = {},
): Promise<GuestContext> {
  const uuid = uuidOf(domain);
  const { requests, refusals: refusedRequests } = readRequests(domain, config.guests);
  const known = { uuid, domain, view, config, requests, refusedRequests, incoming, paused, effects };
  return onHost(known, await effects.view({}));
}

/** The same guest on the host as it is now. */
export async function refresh(guest: GuestContext): Promise<GuestContext> {
  return onHost(guest, await guest.effects.view({}));
}

/** What a guest's interfaces are here, by its document and the networks. */
export function viewOf(domain: Domain, resolving: Pick<Planning, 'findNetwork' | 'version'>): GuestView {
  return viewGuest(domain, resolveGuest(domain, resolving));
}

/** Throws `XML_VALUE` without one. */
export function uuidOf({ uuid, owner }: Domain): Uuid {
  if (uuid === undefined) throw new ActualnetError('XML_VALUE', `the document has no <uuid>`, { owner });
  return uuid;
}

function onHost(guest: Omit<GuestContext, 'devices' | 'host'>, host: HostView): GuestContext {
  const { domain, view, config, requests, incoming } = guest;
  return { ...guest, host, devices: guestDevices(domain, view, { config, requests, host, incoming }) };
}
