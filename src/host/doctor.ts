import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Daemon, HookFile, HookProgram, HostFacts, ManagerFile } from '../doctor/facts.ts';
import { exists, listDirectory, readKernelFile, readListedFile } from './files.ts';
import type { HostPaths } from './paths.ts';
import { runBounded } from './process/bounded.ts';

const daemons = ['libvirtd', 'virtqemud', 'virtnetworkd'];
const tools = ['ip', 'bridge', 'virsh', 'arping', 'udevadm'];
/** What is tried of the kernel, as lines for `ip`. */
const attempts = {
  vlanFiltering: ['link add name b type bridge', 'link set b type bridge vlan_filtering 1'],
  macvtap: ['link add name l type veth peer name p', 'link add name v link l type macvtap'],
  isolation: [
    'link add name b type bridge',
    'link add name l type veth peer name p',
    'link set l master b',
    'link set l type bridge_slave isolated on',
  ],
} as const;
const attemptLimitMs = 5000;

type HookFacts = Pick<HostFacts, 'hooks' | 'hooksDirectory' | 'writableDirectories'>;

/** The files that libvirt would call, in its order: the main script, then drop-ins by name. */
export async function readHookFacts(paths: HostPaths): Promise<HookFacts> {
  const directories = [paths.hooks, ...['qemu.d', 'network.d'].map(name => path.join(paths.hooks, name))];
  const enforcing = readKernelFile(paths.sys, 'fs/selinux/enforce').trim() === '1';
  const files = (['qemu', 'network'] as const).flatMap(driver => {
    const directory = path.join(paths.hooks, `${driver}.d`);
    const names = [path.join(paths.hooks, driver), ...tryList(directory).map(name => path.join(directory, name))];
    return names.map(file => readHook(driver, file, { paths, enforcing }));
  });
  return {
    hooksDirectory: paths.hooks,
    hooks: (await Promise.all(files)).filter(hook => hook !== undefined),
    writableDirectories: directories.filter(directory => isWritable(tryStat(directory))),
  };
}

async function readHook(
  driver: HookFile['driver'],
  file: string,
  { paths, enforcing }: { readonly paths: HostPaths; readonly enforcing: boolean },
): Promise<HookFile | undefined> {
  const status = tryStat(file);
  if (status === undefined || !status.isFile()) return undefined;
  const content = tryRead(file);
  const own = ownLauncher(content.toString());
  const described = own && describeOwn(own, paths);
  const label = described && enforcing ? await wrongLabel(file) : undefined;
  return {
    driver,
    file,
    executable: (status.mode & 0o111) !== 0,
    writable: isWritable(status),
    checksum: createHash('sha256').update(content).digest('hex').slice(0, 16),
    changedMs: status.ctimeMs,
    ...(described && { own: { ...described, nodeVersion: await versionOf(described.node) } }),
    ...(label !== undefined && { wrongLabel: label }),
  };
}

/** What a launcher of ours runs, by the lines in it that name that. */
function ownLauncher(text: string): { node: string; program: string } | undefined {
  const program = /^program='?([^'\n]*hook\.cjs)'?$/m.exec(text)?.[1];
  const node = /^node='?([^'\s]*)'?/m.exec(text)?.[1];
  return program === undefined || node === undefined ? undefined : { node, program };
}

/** The policy itself says what it expects: labels differ between distributions. */
async function wrongLabel(file: string): Promise<string | undefined> {
  const { stdout } = await runBounded('matchpathcon', ['-V', file], { limitMs: attemptLimitMs });
  return /has context .*/.exec(stdout)?.[0];
}

async function versionOf(node: string): Promise<string | undefined> {
  const { stdout, status } = await runBounded(node, ['--version'], { limitMs: attemptLimitMs });
  return status === 0 ? /^v\d+\.\d+/.exec(stdout)?.[0] : undefined;
}

function describeOwn(
  { node, program }: { node: string; program: string },
  { root }: HostPaths,
): Omit<HookProgram, 'nodeVersion'> {
  const inRoot = (file: string) => (file.startsWith(root) ? file : path.join(root, file));
  const missing = [node, program].filter(file => file.startsWith('/') && !exists(file) && !exists(inRoot(file)));
  const place = exists(program) ? program : inRoot(program);
  const build = /(hook-[0-9a-f]+)/.exec(tryRead(place).toString())?.[1] ?? program;
  return { node, program, missing, build, builtMs: tryStat(place)?.ctimeMs ?? 0 };
}

/** libvirt's daemons that run, each with its start. */
export function readDaemons({ proc }: HostPaths): Daemon[] {
  return tryList(proc).flatMap(pid => {
    if (!/^\d+$/.test(pid)) return [];
    const name = readKernelFile(proc, pid, 'comm').trim();
    // The kernel cuts names at 15 characters; all three are shorter.
    return daemons.includes(name) ? [{ name, pid: Number(pid), startedMs: startOf(proc, pid) }] : [];
  });
}

/** When a process was started, milliseconds since 1970: seconds of the boot, and hundredths since then (proc_pid_stat(5)). */
export function startOf(proc: string, pid: string): number {
  const bootSeconds = Number(/^btime (\d+)$/m.exec(readKernelFile(proc, 'stat'))?.[1] ?? Number.NaN);
  const stat = readKernelFile(proc, pid, 'stat');
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  return (bootSeconds + ticks / 100) * 1000;
}

/** Programs that are in no directory of PATH. */
export function listMissingTools(searched: string): string[] {
  const directories = searched.split(':').filter(directory => directory.startsWith('/'));
  return tools.filter(tool => !directories.some(directory => exists(path.join(directory, tool))));
}

/** Tries what the configuration may need in a network namespace of its own, which is gone afterwards. */
export async function tryKernel(wanted: ReadonlySet<keyof HostFacts['kernel']>): Promise<HostFacts['kernel']> {
  const tryOne = async (feature: keyof HostFacts['kernel']) => {
    if (!wanted.has(feature)) return undefined;
    const lines = attempts[feature];
    const input = lines.map(line => `${line}\n`).join('');
    const words = ['--net', 'ip', '-batch', '-'];
    const { status, complaint, timedOut } = await runBounded('unshare', words, { input, limitMs: attemptLimitMs });
    if (status === 0) return true;
    // Where no namespace can be made, nothing is known.
    return timedOut || status === null || /unshare/.test(complaint) ? undefined : false;
  };
  const [vlanFiltering, macvtap, isolation] = await Promise.all([
    tryOne('vlanFiltering'),
    tryOne('macvtap'),
    tryOne('isolation'),
  ]);
  return { vlanFiltering, macvtap, isolation };
}

type SystemFacts = Pick<
  HostFacts,
  | 'iommuGroups'
  | 'hasVfio'
  | 'runningManagers'
  | 'managerFiles'
  | 'appArmor'
  | 'bridgeNetfilter'
  | 'room'
  | 'agentEnabled'
  | 'usesHostDevices'
  | 'usesMacvtap'
>;

/** What the kernel and others' files tell of this host. */
export function readSystemFacts(paths: HostPaths): SystemFacts {
  const { root, sys, proc } = paths;
  const definitions = [paths.libvirtGuestConfig, paths.libvirtNetworkConfig].flatMap(directory =>
    tryList(directory)
      .filter(name => name.endsWith('.xml'))
      .map(name => tryRead(path.join(directory, name)).toString()),
  );
  return {
    usesHostDevices: definitions.some(text =>
      /<hostdev [^>]*type=['"]pci['"]|<interface [^>]*type=['"]hostdev['"]|<forward [^>]*mode=['"]hostdev['"]/.test(
        text,
      ),
    ),
    usesMacvtap: definitions.some(text =>
      /<interface [^>]*type=['"]direct['"]|<forward [^>]*mode=['"](private|vepa|passthrough)['"]/.test(text),
    ),
    iommuGroups: tryList(path.join(sys, 'kernel/iommu_groups')).length,
    hasVfio: exists(path.join(sys, 'bus/pci/drivers/vfio-pci')),
    runningManagers: readManagers(proc),
    managerFiles: readManagerFiles(root),
    appArmor: readAppArmor(root, sys),
    bridgeNetfilter: ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables', 'bridge-nf-call-arptables'].filter(
      name => readKernelFile(proc, 'sys/net/bridge', name).trim() === '1',
    ),
    room: [paths.state, path.dirname(paths.log)].flatMap(readRoom),
    agentEnabled: exists(path.join(root, 'run/systemd/system'))
      ? exists(path.join(root, 'etc/systemd/system/multi-user.target.wants/actualnet-agent.service'))
      : undefined,
  };
}

const managers = { NetworkManager: 'NetworkManager', 'systemd-network': 'systemd-networkd' } as const;

function readManagers(proc: string): ManagerFile['manager'][] {
  const running = tryList(proc).flatMap(pid => {
    const name = /^\d+$/.test(pid) ? readKernelFile(proc, pid, 'comm').trim() : '';
    return Object.entries(managers).flatMap(([start, manager]) => (name.startsWith(start) ? manager : []));
  });
  return [...new Set(running)];
}

const managerPlaces: readonly (readonly [ManagerFile['manager'], string, RegExp])[] = [
  ['NetworkManager', 'etc/NetworkManager', /\.conf$/],
  ['NetworkManager', 'etc/NetworkManager/conf.d', /\.conf$/],
  ['NetworkManager', 'usr/lib/NetworkManager/conf.d', /\.conf$/],
  ['systemd-networkd', 'etc/systemd/network', /\.network$/],
  ['systemd-networkd', 'run/systemd/network', /\.network$/],
  ['systemd-networkd', 'usr/lib/systemd/network', /\.network$/],
  ['ifupdown', 'etc/network', /^interfaces$/],
  ['ifupdown', 'etc/network/interfaces.d', /./],
];

/** A `.network` file hides those that come after it for the links that it fits: one of ours at the front counts alone. */
function readManagerFiles(root: string): ManagerFile[] {
  return managerPlaces.flatMap(([manager, directory, fits]) =>
    tryList(path.join(root, directory))
      .filter(name => fits.test(name))
      .map(name => path.join(root, directory, name))
      .map(file => ({
        manager,
        file,
        text: [file, ...tryList(`${file}.d`).map(name => path.join(`${file}.d`, name))]
          .map(part =>
            tryRead(part)
              .subarray(0, 64 * 1024)
              .toString(),
          )
          .join('\n'),
      })),
  );
}

function readAppArmor(root: string, sys: string): HostFacts['appArmor'] {
  const file = ['usr.sbin.libvirtd', 'usr.sbin.virtqemud']
    .map(name => path.join(root, 'etc/apparmor.d', name))
    .find(exists);
  const loaded = readKernelFile(sys, 'kernel/security/apparmor/profiles');
  const mode = /^\/?(?:usr\/sbin\/)?(?:libvirtd|virtqemud) \((\w+)\)$/m.exec(loaded)?.[1];
  if (file === undefined || mode === undefined) return undefined;
  // What an administrator adds lies beside it, and is part of it.
  const local = path.join(path.dirname(file), 'local', path.basename(file));
  return { file, mode, text: `${tryRead(file)}\n${tryRead(local)}` };
}

function readRoom(wanted: string): HostFacts['room'] {
  let directory = wanted;
  while (!exists(directory) && path.dirname(directory) !== directory) directory = path.dirname(directory);
  try {
    const { blocks, bavail, files, ffree } = fs.statfsSync(directory);
    return [
      ...(blocks === 0 ? [] : [{ directory: wanted, free: bavail / blocks, kind: 'space' as const }]),
      ...(files === 0 ? [] : [{ directory: wanted, free: ffree / files, kind: 'inodes' as const }]),
    ];
  } catch {
    return [];
  }
}

/** Hooks and configuration may be links, as libvirt follows them. */
function tryStat(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function tryRead(file: string): Buffer {
  try {
    return readListedFile(fs.realpathSync(file)) ?? Buffer.alloc(0);
  } catch {
    return Buffer.alloc(0);
  }
}

function tryList(directory: string): string[] {
  try {
    return listDirectory(directory);
  } catch {
    return [];
  }
}

function isWritable(status: fs.Stats | undefined): boolean {
  if (status === undefined) return false;
  return status.uid !== 0 || (status.mode & 0o002) !== 0 || ((status.mode & 0o020) !== 0 && status.gid !== 0);
}

/** What is there and may not be read: what it would tell is not known. */
export function listUnreadable(paths: HostPaths): { readonly file: string; readonly tells: string }[] {
  const asked = [
    [paths.hooks, 'which hooks libvirt calls'],
    [path.join(paths.hooks, 'qemu.d'), 'which hooks libvirt calls'],
    [path.join(paths.hooks, 'network.d'), 'which hooks libvirt calls'],
    [paths.config, 'what is configured'],
    [path.join(paths.config, 'config.yaml'), 'what is configured'],
    [paths.libvirtQemuConfig, 'what libvirt lets QEMU open'],
    [paths.libvirtGuestConfig, 'which guests are defined'],
    [paths.libvirtNetworkConfig, 'which networks are defined'],
    [paths.history, 'which hooks libvirt has called'],
  ] as const;
  return asked.flatMap(([file, tells]) => (isReadable(file) ? [] : { file, tells }));
}

/** What is not there is no secret. */
function isReadable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.R_OK);
    return true;
  } catch (error) {
    return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
