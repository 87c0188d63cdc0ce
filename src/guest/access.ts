import type { Domain } from '../model/domain.ts';
import { type AccessRules, accessNodes, compareAccess } from '../plan/access.ts';
import type { GuestContext } from './context.ts';

/** The nodes that libvirt will not let QEMU open and its configuration leaves to the cgroup alone. */
export function nodesToGrant(guest: GuestContext, readRules: () => AccessRules | undefined): string[] {
  const { domain, devices, host } = guest;
  if (!hasCommandLine(domain)) return [];
  const rules = readRules();
  if (rules === undefined || rules.closed) return [];
  return accessNodes(domain, devices, host).flatMap(({ node, byLibvirt }) =>
    byLibvirt || rules.deviceAcl.includes(node) ? [] : node,
  );
}

/** QEMU runs: whether it has the device nodes that its devices need, and no other. */
export async function accessFindings(guest: GuestContext): Promise<string[]> {
  const { domain, view, effects, devices, host } = guest;
  if (view.hostdevs.length === 0 && !hasCommandLine(domain)) return [];
  const nodes = accessNodes(domain, devices, host);
  const access = nodes.length === 0 ? undefined : await effects.qemuAccess(domain.name);
  // Other kinds of host devices have nodes below /dev/vfio, too.
  const isAll = domain.hostdevs.every(({ type }) => type === 'pci');
  return access === undefined ? [] : compareAccess(nodes, access, isAll);
}

/** Whether anything is given to QEMU behind libvirt's back. */
function hasCommandLine({ commandLine }: Domain): boolean {
  return commandLine.netdevs.length + commandLine.devices.length > 0;
}
