import type { HostView } from '../kernel/host-view.ts';
import type { Domain } from '../model/domain.ts';
import { ActualnetError } from '../report/error.ts';
import type { GuestDevice } from './guest-device.ts';

/** A device node that QEMU has to open for a guest. */
export interface AccessNode {
  readonly node: string;
  /** Who needs it, for messages. */
  readonly name: string;
  /** libvirt lets QEMU at the nodes of devices it knows; those of the command line it does not see. */
  readonly byLibvirt: boolean;
  /** libvirt opens it itself and hands the descriptor over, so that QEMU's cgroup need not allow it. */
  readonly handedOver: boolean;
}

/** libvirt's own rules about device nodes, from its `qemu.conf`. */
export interface AccessRules {
  /** What every guest may open: `cgroup_device_acl`, or the list built into libvirt. */
  readonly deviceAcl: readonly string[];
  /**
   * Only what libvirt allows can be opened, and nobody can add to it afterwards: QEMU gets a `/dev` of its own, or its
   * cgroup is one of version 2, where a program of libvirt's decides. What version 1 denies can be added.
   */
  readonly closed: boolean;
}

/** Every node that a guest's host devices and command-line taps need, each once. */
export function accessNodes(domain: Domain, devices: readonly GuestDevice[], host: HostView): AccessNode[] {
  const nodes = new Map<string, AccessNode>();
  // What libvirt lets QEMU open for one device serves another one too; what it hands over does not.
  const weight = ({ byLibvirt, handedOver }: AccessNode) => (handedOver ? 0 : byLibvirt ? 2 : 1);
  const add = (node: string, name: string, byLibvirt: boolean, handedOver = false) => {
    const known = nodes.get(node);
    const found = { node, name, byLibvirt, handedOver };
    if (known === undefined || weight(found) > weight(known)) nodes.set(node, found);
  };
  for (const { hostdev, name } of devices) {
    const device = hostdev && host.pci(hostdev.address);
    if (hostdev === undefined || device === undefined) continue;
    const byLibvirt = hostdev.as !== 'command line';
    if (hostdev.iommufd) {
      // Since 12.1.0 (qemuProcessOpenIommuFd, qemuProcessOpenVfioDeviceFd).
      add('/dev/iommu', name, byLibvirt, byLibvirt);
      if (device.vfioDevice !== null) add(`/dev/vfio/devices/${device.vfioDevice}`, name, byLibvirt, byLibvirt);
    } else {
      add('/dev/vfio/vfio', name, byLibvirt);
      if (device.group !== null) add(`/dev/vfio/${device.group.number}`, name, byLibvirt);
    }
  }
  const { netdevs } = domain.commandLine;
  const isOpenedByQemu = ({ options }: (typeof netdevs)[number]) =>
    !['fd', 'fds', 'helper'].some(option => options.has(option));
  for (const { kind, options, id } of netdevs.filter(isOpenedByQemu)) {
    if (kind === 'tap') add('/dev/net/tun', `tap '${options.get('ifname') ?? id}' of the command line`, false);
  }
  return [...nodes.values()];
}

/** The nodes that QEMU will not get at, each with the line that libvirt's configuration lacks. */
export function findMissingAccess(nodes: readonly AccessNode[], { deviceAcl }: AccessRules): ActualnetError[] {
  const missing = nodes.filter(({ node, byLibvirt }) => !byLibvirt && !deviceAcl.includes(node));
  const line = `cgroup_device_acl = [ ${[...deviceAcl, ...missing.map(({ node }) => node)].map(node => `"${node}"`).join(', ')} ]`;
  return missing.map(
    ({ node, name }) =>
      new ActualnetError('ACCESS_MISSING', `${name}: libvirt does not let QEMU open ${node}`, {
        hint: `in qemu.conf: ${line}`,
      }),
  );
}

/** What a guest's QEMU has open, and what its cgroup lets it open. */
export interface QemuAccess {
  readonly files: readonly string[];
  /** Undefined where nobody can tell. */
  readonly allows: (node: string) => boolean | undefined;
}

/** One line for each node that is not as it should be once QEMU runs; `isAll` if `nodes` are all that it needs. */
export function compareAccess(nodes: readonly AccessNode[], { files, allows }: QemuAccess, isAll: boolean): string[] {
  const held = new Set(files.filter(file => /^\/dev\/(vfio\/|iommu$)/.test(file)));
  const wanted = new Set(nodes.map(({ node }) => node));
  return [
    ...nodes
      .filter(({ node }) => !files.includes(node))
      .map(({ node, name }) => `${name}: QEMU does not have ${node} open`),
    ...nodes
      .filter(({ node, handedOver }) => !handedOver && allows(node) === false)
      .map(({ node, name }) => `${name}: QEMU's cgroup does not allow ${node}`),
    ...[...held]
      .filter(node => isAll && !wanted.has(node))
      .map(node => `QEMU has ${node} open, which none of its devices needs`),
  ];
}
