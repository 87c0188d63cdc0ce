import type { InterfaceType } from '../model/interface.ts';
import type { PciAddress } from '../model/pci-address.ts';
import type { Actual } from '../resolve/actual.ts';
import type { ErrorView } from './error-view.ts';

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
