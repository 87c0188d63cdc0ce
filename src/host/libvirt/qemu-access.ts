import fs from 'node:fs';
import path from 'node:path';
import type { GuestName } from '../../model/values.ts';
import type { QemuAccess } from '../../plan/access.ts';
import { listDirectory, readFileIfAny, readKernelFile } from '../files.ts';
import { openFiles } from '../kernel/holders.ts';
import type { HostPaths } from '../paths.ts';
import { runBounded } from '../process/bounded.ts';

const readLimitMs = 2000;

/** What a running guest's QEMU has open, and what its devices cgroup lets it open. Undefined if it does not run. */
export async function readQemuAccess(paths: HostPaths, guest: GuestName): Promise<QemuAccess | undefined> {
  const pid = findQemu(paths, guest);
  const cgroup = pid === undefined ? '' : readKernelFile(paths.proc, pid, 'cgroup');
  if (pid === undefined || cgroup === '') return undefined;
  const allowed = readDevicesList(paths, cgroup) ?? (await readDeviceProgram(paths, cgroup));
  return {
    files: openFiles(paths.proc, pid),
    allows: node => {
      const number = numberOf(path.join(paths.root, node));
      return allowed === undefined || number === undefined ? undefined : allowed(number);
    },
  };
}

/** The process id of a guest's QEMU, from the file libvirt keeps of it. */
export function findQemu(paths: HostPaths, guest: GuestName): string | undefined {
  const file = `${guest}.pid`;
  if (!listDirectory(paths.libvirtGuestStatus).includes(file)) return undefined;
  const pid = readFileIfAny(path.join(paths.libvirtGuestStatus, file))?.toString().trim() ?? '';
  return /^\d+$/.test(pid) ? pid : undefined;
}

type Allows = (number: DeviceNumber) => boolean;

interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** Version 1: `c 10:196 rw` for each node, `a *:* rwm` where nothing is denied. */
function readDevicesList(paths: HostPaths, cgroup: string): Allows | undefined {
  const directory = devicesCgroup(paths, cgroup);
  const list = directory === undefined ? '' : readKernelFile(directory, 'devices.list');
  if (list === '') return undefined;
  const rules = list
    .trim()
    .split('\n')
    .map(line => line.split(/[ :]/));
  const fits = (pattern: string, number: number) => pattern === '*' || Number(pattern) === number;
  return ({ major, minor }) =>
    rules.some(
      ([type = '', of = '', at = '', may = '']) =>
        'ac'.includes(type) && fits(of, major) && fits(at, minor) && may.includes('r') && may.includes('w'),
    );
}

/** The directory of a process's devices cgroup, version 1. */
export function devicesCgroup(paths: HostPaths, cgroup: string): string | undefined {
  const own = /^\d+:(?:[^:\n]*,)?devices(?:,[^:\n]*)?:(.*)$/m.exec(cgroup)?.[1];
  return own === undefined ? undefined : path.join(paths.sys, 'fs/cgroup/devices', own);
}

/**
 * Version 2: libvirt attaches a program that looks numbers up in a map, key `major << 32 | minor`, value
 * `permissions << 16 | type`, read is 2 and write 4 (its virCgroupV2DevicesGetKey and GetPerms). Only bpftool shows it.
 */
async function readDeviceProgram(paths: HostPaths, cgroup: string): Promise<Allows | undefined> {
  const own = /^0::(.*)$/m.exec(cgroup)?.[1];
  if (own === undefined) return undefined;
  // libvirt puts the emulator's threads one level below.
  const directories = [own, path.dirname(own)].map(each => path.join(paths.sys, 'fs/cgroup', each));
  for (const directory of directories) {
    const programs = await bpftool<{ id: number; attach_type?: string }[]>('cgroup', 'show', directory);
    const program = programs?.find(({ attach_type = '' }) => /device/.test(attach_type));
    const map = program && (await bpftool<{ map_ids?: number[] }>('prog', 'show', 'id', `${program.id}`))?.map_ids?.[0];
    const entries = map && (await bpftool<{ key: string[]; value: string[] }[]>('map', 'dump', 'id', `${map}`));
    if (!entries) continue;
    const known = new Map(entries.map(({ key, value }) => [asNumber(key), Number(asNumber(value))]));
    return ({ major, minor }) => {
      const any = 0xffffffffn;
      const keys = [
        [BigInt(major), BigInt(minor)],
        [BigInt(major), any],
        [any, any],
      ] as const;
      return keys.some(([of, at]) => (((known.get((of << 32n) | at) ?? 0) >> 16) & 6) === 6);
    };
  }
  return undefined;
}

async function bpftool<T>(...words: string[]): Promise<T | undefined> {
  const { status, stdout } = await runBounded('bpftool', ['-j', ...words], { limitMs: readLimitMs });
  if (status !== 0) return undefined;
  try {
    return JSON.parse(stdout) as T;
  } catch {
    return undefined;
  }
}

/** `["0x0a","0x00",...]`, lowest byte first. */
function asNumber(bytes: readonly string[]): bigint {
  return [...bytes].reverse().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** The number of a character device's node. */
export function numberOf(node: string): DeviceNumber | undefined {
  const status = fs.statSync(node, { throwIfNoEntry: false });
  if (status === undefined || !status.isCharacterDevice()) return undefined;
  // glibc's layout of a device number.
  const { rdev } = status;
  const low = rdev % 2 ** 32;
  return { major: (low >>> 8) & 0xfff, minor: (low & 0xff) | ((low >>> 12) & 0xfff00) };
}
