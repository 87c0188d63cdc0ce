import type { Config } from '../config/types.ts';
import { findUse } from '../kernel/device-uses.ts';
import { type HostView, isOnVfio, isReadyForQemu, type PciDevice, type PfOfVf, portsOf } from '../kernel/host-view.ts';
import type { Change } from '../kernel/registry.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { ActualnetError } from '../report/error.ts';
import { type Blocker, type BlockerContext, isMeant, refusal } from './blocker.ts';
import type { GuestDevice, HostdevUse } from './guest-device.ts';
import { vfOf } from './vfs.ts';

/** What is looked at for a guest's host devices. */
interface Context {
  readonly devices: readonly GuestDevice[];
  readonly config: Config;
  readonly host: HostView;
}

type HostdevContext = BlockerContext & { readonly guest: string };

/** The driver for devices that libvirt does not bind, where we are to do it. */
export function bindDrivers({ devices, config, host }: Context): Change[] {
  if (!config.hostdevs.bind) return [];
  return devices.flatMap(({ hostdev, name, chosen }) => {
    if (hostdev === undefined || hostdev.managed || !chosen) return [];
    const device = host.pci(hostdev.address);
    if (device === undefined || isReadyForQemu(device)) return [];
    return {
      subject: { kind: 'driver', dev: hostdev.address },
      to: { driver: 'vfio-pci', override: 'vfio-pci', mac: null },
      why: `${name} needs it, and libvirt does not bind it`,
      shared: true,
    };
  });
}

/** What keeps a guest's host device from being given to it: libvirt or QEMU would fail on it, or somebody would lose it. */
export function hostdevBlockers(device: GuestDevice, context: HostdevContext): Blocker[] {
  const { hostdev } = device;
  if (hostdev === undefined || !context.host.hasPci) return [];
  const { address } = hostdev;
  const found = context.host.pci(address);
  if (found === undefined) {
    const hint = 'look at lspci; VFs are made by sriov_numvfs, or by provide.vfs in the configuration';
    return [refusal(device, new ActualnetError('DEVICE_MISSING', `there is no PCI device ${address}`, { hint }))];
  }
  const taken = inUse(device, found, context);
  const error =
    twice(address, context) ??
    (taken?.refuses ? taken.error : undefined) ??
    unfit(device, found, context) ??
    unbound(hostdev, found, context) ??
    unviable(found, context);
  return [...(taken?.refuses === false ? [taken] : []), ...(error === undefined ? [] : [refusal(device, error)])];
}

function twice(address: PciAddress, { devices }: Context): ActualnetError | undefined {
  if (devices.filter(({ hostdev }) => hostdev?.address === address).length < 2) return undefined;
  return new ActualnetError('DEVICE_TWICE', `PCI device ${address} is given to this guest twice`);
}

/**
 * A group has one user (libvirt's rule, and the kernel's), and a PF that is given away takes its VFs along. What the host's own
 * network loses is told, and no more, where a network names the device: then it was meant.
 */
function inUse(device: GuestDevice, { address, group, vfs, ...found }: PciDevice, context: HostdevContext) {
  const { host, guest } = context;
  const say = (why: string, remedy = 'stop that first', refuses = true): Blocker => {
    const hint = `${remedy}, or give the guest another device`;
    return { device, error: new ActualnetError('DEVICE_IN_USE', `PCI device ${address} ${why}`, { hint }), refuses };
  };
  const onVfio = [address, ...(group?.members ?? [])].filter(member => {
    const other = host.pci(member);
    return other !== undefined && isOnVfio(other);
  });
  const isOther = (each: string | undefined) => each?.startsWith(`guest '${guest}'`) === false;
  const holder = onVfio.flatMap(host.holders).find(isOther);
  if (holder !== undefined) {
    const isItself = onVfio.includes(address);
    return say(isItself ? `is in use by ${holder}` : `is in IOMMU group ${group?.number}, which ${holder} has`);
  }
  const use = isOnVfio(found) ? undefined : findUse(address, host);
  if (use !== undefined) return say(`is in use by ${use.who}`, use.remedy, !isMeant(use, device, context));
  const userOfVf = vfs.map(vf => findUse(vf, host)?.who ?? host.assignee(vf)).find(isOther);
  return userOfVf === undefined ? undefined : say(`has VFs, one of which is in use by ${userOfVf}`);
}

/** An interface gets its MAC through the PF, which must be up: libvirt checks and never brings it up. */
function unfit(device: GuestDevice, { address, pf }: PciDevice, { config, host }: Context): ActualnetError | undefined {
  if (device.hostdev?.as !== 'interface') return undefined;
  if (pf === null) {
    return new ActualnetError('NOT_A_VF', `PCI device ${address} is not a VF, so an interface cannot be made of it`, {
      hint: 'use one of its VFs, or a plain <hostdev>',
    });
  }
  if (pf.dev === null) {
    return new ActualnetError('PF_DOWN', `the PF ${pf.address} of VF ${address} has no link`, {
      hint: 'bind it to its network driver',
    });
  }
  if (host.link(pf.dev)?.up || isProvided(pf, config)) return undefined;
  return new ActualnetError('PF_DOWN', `'${pf.dev}', the PF of VF ${address}, is down`, {
    hint: `ip link set ${pf.dev} up`,
  });
}

function unbound({ managed }: HostdevUse, device: PciDevice, { config }: Context) {
  const { address, driver } = device;
  if (managed || config.hostdevs.bind || isReadyForQemu(device)) return undefined;
  const present = driver === null ? 'bound to no driver' : `still bound to '${driver}'`;
  return new ActualnetError('DEVICE_NOT_BOUND', `PCI device ${address} is not managed by libvirt and ${present}`, {
    hint: `virsh nodedev-detach pci_${address.replace(/[:.]/g, '_')}, or managed='yes', or hostdevs.bind in the configuration`,
  });
}

/** The kernel gives a group to user space only as a whole: every member unbound, a bridge, or on a VFIO driver. */
function unviable({ address, group }: PciDevice, { devices, config, host }: Context): ActualnetError | undefined {
  if (group === null) {
    return new ActualnetError('GROUP_NOT_VIABLE', `PCI device ${address} is in no IOMMU group`, {
      hint: 'switch the IOMMU on in firmware and kernel (intel_iommu=on, amd_iommu=on)',
    });
  }
  const willBeBound = (member: string) =>
    devices.some(({ hostdev }) => hostdev?.address === member && (hostdev.managed || config.hostdevs.bind));
  const hinders = (member: PciDevice | undefined) =>
    member !== undefined && member.driver !== null && !member.isBridge && !isOnVfio(member);
  const other = group.members
    .filter(member => member !== address && !willBeBound(member))
    .map(member => host.pci(member))
    .find(hinders);
  if (other === undefined) return undefined;
  return new ActualnetError(
    'GROUP_NOT_VIABLE',
    `PCI device ${address} shares IOMMU group ${group.number} with ${other.address}, which is on driver '${other.driver}'`,
    { hint: `bind ${other.address} to vfio-pci, unbind it, or give it to this guest too` },
  );
}

/** The PFs whose VFs the guest uses, where the configuration provides them. */
export function providedPfs({ devices, config, host }: Context): string[] {
  return devices.flatMap(device => {
    const use = device.chosen ? vfOf(device, host) : undefined;
    const card = use && host.pci(use.address)?.pf;
    return card && isProvided(card, config) ? use.pf : [];
  });
}

/** The configuration names a function of two ports by either of them. */
function isProvided(pf: PfOfVf, { provide }: Config): boolean {
  return portsOf(pf).some(port => Object.hasOwn(provide.vfs, port));
}

/** libvirt looks whether they are up, and leaves it at that. */
export function bringUpPfs(context: Context): Change[] {
  return providedPfs(context).map(dev => ({
    subject: { kind: 'up', dev },
    to: true,
    why: `VFs of '${dev}' need it`,
    shared: true,
  }));
}
