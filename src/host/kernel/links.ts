import fs from 'node:fs';
import path from 'node:path';
import type { LinkState } from '../../kernel/host-view.ts';
import { isPciAddress, type PciAddress } from '../../model/pci-address.ts';
import { readKernelFile, readLinkIfAny } from '../files.ts';

/**
 * A link as sysfs shows it; undefined if there is none. sysfs answers without a process, however many links are asked
 * for. Values of a link that vanishes meanwhile read as if it had never been there.
 */
export function readLink(sys: string, dev: string): LinkState | undefined {
  if (dev === '' || dev.includes('/') || dev === '.' || dev === '..') return undefined;
  const directory = path.join(sys, 'class/net', dev);
  if (!fs.existsSync(directory)) return undefined;
  try {
    const names = fs.readdirSync(directory);
    const read = (file: string) => fs.readFileSync(path.join(directory, file), 'latin1').trim();
    const after = (prefix: string) =>
      names.filter(name => name.startsWith(prefix)).map(name => name.slice(prefix.length));
    const isBridge = names.includes('bridge');
    return {
      dev,
      index: Number(read('ifindex')),
      up: (Number(read('flags')) & 1) === 1,
      mtu: Number(read('mtu')),
      mac: read('address'),
      master: names.includes('master') ? path.basename(fs.readlinkSync(path.join(directory, 'master'))) : null,
      isBridge,
      isTap: names.includes('tun_flags'),
      isMacvtap: names.includes('macvtap'),
      isBondMember: names.includes('bonding_slave'),
      kind: kindOf(sys, directory, names),
      lowers: after('lower_'),
      uppers: after('upper_'),
      ...(names.includes('brport') && {
        port: {
          learning: read('brport/learning') === '1',
          flood: read('brport/unicast_flood') === '1',
          isolated: read('brport/isolated') === '1',
        },
      }),
      pci: names.includes('device') ? addressIn(path.join(directory, 'device')) : null,
      vfs: names.includes('device') ? countVfs(path.join(directory, 'device')) : 0,
      vlanFiltering: isBridge && readNumber(path.join(directory, 'bridge/vlan_filtering')) === 1,
    };
  } catch {
    return undefined;
  }
}

/**
 * By what sysfs has: a physical device (or a VF's) has a parent, a bond its own folder, a VLAN device its name as type. A
 * representor has a parent, too, and leads to a VF. A team has nothing of its own: of what other links are plugged into, it
 * is the only one that can itself be a bridge's port and has no type.
 */
function kindOf(sys: string, directory: string, names: readonly string[]): LinkState['kind'] {
  if (['bridge', 'tun_flags', 'macvtap'].some(name => names.includes(name))) return 'other';
  if (names.includes('bonding')) return 'bond';
  if (names.includes('device'))
    return isRepresentor(readKernelFile(directory, 'phys_port_name').trim()) ? 'other' : 'physical';
  const type = /^DEVTYPE=(.*)$/m.exec(readKernelFile(directory, 'uevent'))?.[1];
  if (type !== undefined) return type === 'vlan' ? 'vlan' : 'other';
  const dev = path.basename(directory);
  const isMaster = names.some(name => name.startsWith('lower_') && masterOf(sys, name.slice('lower_'.length)) === dev);
  return isMaster ? 'team' : 'other';
}

/** The kernel's name for the port of a VF or a subfunction in switchdev mode: `pf0vf1`, `c1pf0sf3`. */
export function isRepresentor(portName: string): boolean {
  return /^(c\d+)?pf\d+(vf|sf)\d+$/.test(portName);
}

function masterOf(sys: string, dev: string): string {
  return path.basename(readLinkIfAny(path.join(sys, 'class/net', dev, 'master')) ?? '');
}

function addressIn(link: string): PciAddress | null {
  const name = path.basename(fs.readlinkSync(link));
  return isPciAddress(name) ? name : null;
}

/** Counted, not asked for: while somebody waits for a VF to be given back, reading `sriov_numvfs` waits with him. */
function countVfs(device: string): number {
  return fs.readdirSync(device).filter(name => /^virtfn\d+$/.test(name)).length;
}

function readNumber(file: string): number {
  return fs.existsSync(file) ? Number(fs.readFileSync(file, 'latin1').trim()) : 0;
}
