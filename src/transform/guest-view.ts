import type { Domain } from '../model/domain.ts';
import type { InterfaceType } from '../model/interface.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { dropUndefined } from '../model/values.ts';
import type { Actual } from '../resolve/actual.ts';
import type { InterfaceResolution } from '../resolve/guest.ts';
import { assignAliases } from './aliases.ts';
import { type ErrorView, viewError } from './error-view.ts';
import { listHostdevs } from './hostdevs.ts';

/** The answer to "what will each interface of this guest be here"; described by schemas/resolve.schema.json. */
export interface GuestView {
  readonly domain: { readonly name: string; readonly uuid: string | null };
  readonly interfaces: readonly InterfaceView[];
  readonly hostdevs: readonly HostdevView[];
}

export interface InterfaceView {
  readonly index: number;
  readonly mac: string | null;
  readonly type: InterfaceType;
  readonly network: string | null;
  readonly portgroup: string | null;
  readonly alias: string;
  /** Its tap or macvtap; absent until there is one, or its name is given. */
  readonly dev?: string;
  /** Where the guest sees it; absent before libvirt has said so. */
  readonly guestAddress?: PciAddress;
  readonly actual: Actual | null;
  readonly because: readonly string[];
  readonly error?: ErrorView;
}

export interface HostdevView {
  readonly index: number;
  readonly type: string;
  readonly address?: PciAddress;
  readonly alias: string;
  readonly guestAddress?: PciAddress;
  /** The interface that this entry belongs to, by index; null for a plain `<hostdev>`. */
  readonly interface: number | null;
  /** Why libvirt refuses a plain one. */
  readonly error?: ErrorView;
}

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
