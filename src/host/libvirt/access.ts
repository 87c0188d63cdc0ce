import path from 'node:path';
import type { AccessRules } from '../../plan/access.ts';
import { exists, readFileIfAny } from '../files.ts';
import type { HostPaths } from '../paths.ts';

/** What libvirt allows when `cgroup_device_acl` is not set (its qemu_cgroup.c). */
const defaultDeviceAcl = ['null', 'full', 'zero', 'random', 'urandom', 'ptmx', 'kvm', 'userfaultfd'];

/** Only a unified hierarchy has this file at its top. */
function isClosedByCgroup({ sys }: HostPaths, controllers: readonly string[] = ['devices']): boolean {
  return exists(path.join(sys, 'fs/cgroup/cgroup.controllers')) && controllers.includes('devices');
}

/** The rules in libvirt's `qemu.conf`: `KEY = [ "VALUE", ... ]`, `#` begins a comment. Without the file nothing is known. */
export function readAccessRules(paths: HostPaths): AccessRules | undefined {
  const content = readFileIfAny(paths.libvirtQemuConfig)?.toString();
  if (content === undefined) return undefined;
  const text = content.replace(/("[^"\n]*"|'[^'\n]*')|#.*$/gm, (_, quoted = '') => quoted);
  const listOf = (key: string): string[] | undefined => {
    const inside = new RegExp(`^\\s*${key}\\s*=\\s*\\[([^\\]]*)\\]`, 'm').exec(text)?.[1];
    return inside === undefined
      ? undefined
      : [...inside.matchAll(/"([^"]*)"|'([^']*)'/g)].map(([, double, single]) => (double ?? single)!);
  };
  return {
    deviceAcl: listOf('cgroup_device_acl') ?? defaultDeviceAcl.map(name => `/dev/${name}`),
    closed: (listOf('namespaces')?.includes('mount') ?? true) || isClosedByCgroup(paths, listOf('cgroup_controllers')),
  };
}
