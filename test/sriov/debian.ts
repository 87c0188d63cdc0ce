import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';

/** The release that the machine is made of: its libvirt, QEMU, kernel and Node.js are the ones under test. */
export const suite = 'trixie';

/** How this machine's apt reaches Debian. */
export interface DebianSource {
  readonly mirror: string;
  /** apt.conf text for an apt elsewhere: proxies, date checks and the like. */
  readonly aptSettings: string;
  /** For programs that are not apt. */
  readonly proxies: Readonly<Record<string, string>>;
}

const toolPackages = { debootstrap: 'debootstrap', mke2fs: 'e2fsprogs' } as const;

/** Finds the mirror; `ACTUALNET_VM_MIRROR` names another one than apt uses. */
export async function findDebianSource(): Promise<DebianSource> {
  const settings = await execa('apt-config', ['dump', 'Acquire']);
  return {
    mirror: process.env.ACTUALNET_VM_MIRROR ?? (await findMirror()),
    // Other sections call programs that only this machine has, and targets may be of another version of apt.
    aptSettings: `${settings.stdout.split('\n').filter(isPortable).join('\n')}\n`,
    proxies: {
      ...proxyFor('http', settings.stdout),
      ...proxyFor('https', settings.stdout),
    },
  };
}

/** Asks apt for one small file, so that nothing is started that cannot end well. */
export async function isReachable({ mirror }: DebianSource): Promise<boolean> {
  const target = path.join(tmpdir(), `actualnet-mirror-${process.pid}`);
  const words = ['download-file', `${mirror}/dists/${suite}/InRelease`, target];
  const { failed } = await execa('/usr/lib/apt/apt-helper', words, { reject: false, timeout: 60_000 });
  await execa('rm', ['--force', target]);
  return !failed;
}

/** Installs what the build runs on this machine and is not there yet. */
export async function installTools(): Promise<void> {
  const missing = Object.entries(toolPackages)
    .filter(([program]) => !['/usr/sbin', '/sbin'].some(place => existsSync(path.join(place, program))))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  const options = { timeout: 600_000, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  await execa('apt-get', ['--quiet', 'update'], options);
  await execa('apt-get', ['--quiet', '--yes', '--no-install-recommends', 'install', ...missing], options);
}

async function findMirror(): Promise<string> {
  const format = '$(LABEL) $(CODENAME) $(REPO_URI)';
  // Empty before the first `apt-get update` of a fresh machine.
  const list = () => execa('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  let { stdout } = await list();
  if (stdout === '') {
    await execa('apt-get', ['--quiet', 'update'], { timeout: 600_000 });
    ({ stdout } = await list());
  }
  // Security and updates have archives or suites of their own, in which a release is not complete.
  const mirror = stdout.split('\n').map(line => /^Debian [a-z]+ (\S+?)\/*$/.exec(line)?.[1]);
  const found = mirror.find(uri => uri !== undefined);
  if (found === undefined) throw new Error('apt here knows no Debian mirror (set ACTUALNET_VM_MIRROR)');
  return found;
}

function isPortable(setting: string): boolean {
  return !/^Acquire::(IndexTargets|CompressionTypes|Changelogs|.*Auto-?Detect)/i.test(setting);
}

function proxyFor(scheme: 'http' | 'https', settings: string): Record<string, string> {
  const [, proxy] = new RegExp(`^Acquire::${scheme}::Proxy "(.+)";$`, 'im').exec(settings) ?? [];
  return proxy === undefined || proxy === 'DIRECT' ? {} : { [`${scheme}_proxy`]: proxy };
}
