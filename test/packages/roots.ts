import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { missingSystem } from '../helpers/system.ts';

/** Where fresh systems are kept for the next run on this machine. */
const cache = '/var/tmp/actualnet-roots';

/** What a host has before actualnet comes: libvirt, and where its Node.js is new enough, that. */
const suites = {
  bookworm: ['libvirt-daemon-system', 'libvirt-clients', 'qemu-system-x86', 'iproute2'],
  trixie: ['libvirt-daemon-system', 'libvirt-clients', 'qemu-system-x86', 'iproute2', 'nodejs'],
} as const;
export type Suite = keyof typeof suites;

/** Why no fresh system can be made here; undefined if one can. */
export const missingRoots = findMissing();

/** The root file system of a fresh host, made by debootstrap at the first call. */
export function freshRoot(suite: Suite): string {
  const root = path.join(cache, suite);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const making = `${root}.making`;
  rmSync(making, { recursive: true, force: true });
  const environment = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  const run = (file: string, words: readonly string[]) =>
    execaSync(file, words, { env: environment, timeout: 800_000 });
  // By two steps: debootstrap alone sets up each package with a flush to the disk for each file.
  run('debootstrap', ['--variant=minbase', '--include=systemd-sysv,udev,dbus,eatmydata', suite, making, mirror()]);
  for (const name of readdirSync('/etc/apt/apt.conf.d'))
    run('cp', [`/etc/apt/apt.conf.d/${name}`, path.join(making, 'etc/apt/apt.conf.d', name)]);
  const install = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...suites[suite]];
  run('chroot', [making, 'eatmydata', ...install]);
  run('chroot', [making, 'apt-get', 'clean']);
  renameSync(making, root);
  return root;
}

function mirror(): string {
  const words = ['indextargets', '--format', '$(LABEL) $(CODENAME) $(REPO_URI)', 'Created-By: Packages'];
  const { stdout } = execaSync('apt-get', words);
  const found = stdout.split('\n').map(line => /^Debian [a-z]+ (\S+?)\/*$/.exec(line)?.[1]);
  return found.find(uri => uri !== undefined)!;
}

function findMissing(): string | undefined {
  if (missingSystem !== undefined) return missingSystem;
  for (const program of ['debootstrap', 'dpkg-deb'])
    if (execaSync('sh', ['-c', `command -v ${program}`], { reject: false }).exitCode !== 0)
      return `there is no '${program}'`;
  return undefined;
}
