import type { InterfaceSettings } from '../config/types.ts';
import type { DeviceKind } from '../kernel/settable.ts';
import type { PciAddress } from '../model/pci-address.ts';
import type { Unsettable } from './settings.ts';

/** A guest's connection as far as we act on it: the device on the host, where known, and what is asked for it. */
export interface GuestDevice {
  /** For messages: `interface 52:54:...` or `tap tapx0 of the command line`. */
  readonly name: string;
  readonly mac: string | undefined;
  readonly type: 'bridge' | 'tap' | 'macvtap' | 'other';
  /** What its settings can be carried out on. */
  readonly kind: DeviceKind;
  /** The tap or macvtap; undefined until libvirt has made it. */
  readonly dev: string | undefined;
  /** libvirt does not make this tap: `managed='no'`, or a command-line netdev. */
  readonly ownTap: { readonly multiQueue: boolean } | undefined;
  /** A tap that is made only just before QEMU opens it, and joined to its bridge when the CPUs run. */
  readonly deferred: boolean;
  /** The libvirt network it comes from. */
  readonly network: string | undefined;
  /** Its bridge is not the kernel's: libvirt has Open vSwitch or another switch plug it in. */
  readonly otherSwitch: boolean;
  /** The bridge it is or shall be plugged into. */
  readonly bridge: string | undefined;
  /** libvirt keeps the forwarding table of this connection (`macTableManager='libvirt'`). */
  readonly tableOfLibvirt: boolean;
  /** What its network or its own element makes libvirt set on its port, whatever we do. */
  readonly portByLibvirt: readonly ('isolated' | 'vlan')[];
  readonly macvtap: { readonly physdev: string; readonly passthrough: boolean } | undefined;
  readonly hostdev: HostdevUse | undefined;
  /** Whether libvirt has chosen the device already; before, it is what we predict. */
  readonly chosen: boolean;
  /** The VLAN that libvirt sets on a VF. */
  readonly vlan: number | undefined;
  /** The MTU that its definition gives. */
  readonly mtu: number | undefined;
  /** What is asked for and can be had. */
  readonly settings: InterfaceSettings;
  readonly unsettable: readonly Unsettable[];
  /** A line for each request of the guest's that does not count. */
  readonly refused: readonly string[];
}

/** A PCI device that the guest gets. */
export interface HostdevUse {
  readonly address: PciAddress;
  readonly managed: boolean;
  /** `interface`: libvirt sets MAC and VLAN through the PF. `plain`: it only binds the driver, unless a virtualport does the rest. `command line`: nobody does anything. */
  readonly as: 'interface' | 'plain' | 'command line';
  /** QEMU opens it through IOMMUFD instead of its group. */
  readonly iommufd: boolean;
}
