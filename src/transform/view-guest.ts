import type { Domain } from '../model/domain.ts';
import { dropUndefined } from '../model/values.ts';
import type { InterfaceResolution } from '../resolve/guest.ts';
import { assignAliases } from './aliases.ts';
import { viewError } from './error-view.ts';
import type { GuestView, InterfaceView } from './guest-view.ts';
import { listHostdevs } from './hostdevs.ts';

/** Joins a resolution with the aliases and the hostdev list that follow from it. */
export function viewGuest(domain: Domain, resolutions: readonly InterfaceResolution[]): GuestView {
  const aliases = assignAliases(
    domain,
    resolutions.map(({ actualType }) => actualType),
  );
  return {
    domain: { name: domain.name, uuid: domain.uuid ?? null },
    interfaces: resolutions.map((resolution, index) => viewInterface(resolution, aliases.interfaces[index]!)),
    hostdevs: listHostdevs(domain, resolutions, aliases),
  };
}

function viewInterface(resolution: InterfaceResolution, alias: string): InterfaceView {
  const { iface, actual, because, error } = resolution;
  return dropUndefined({
    index: iface.index,
    mac: iface.mac ?? null,
    type: iface.type,
    network: iface.source.network ?? null,
    portgroup: iface.source.portgroup ?? null,
    alias,
    dev: iface.target.dev,
    guestAddress: iface.guestAddress,
    actual: actual ?? null,
    because,
    error: error && viewError(error),
  });
}
