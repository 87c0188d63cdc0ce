import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import schema from '../../schemas/doctor.schema.json' with { type: 'json' };
import { findingCodes } from '../../src/doctor/finding.ts';
import { FakeCards } from '../cards/fake-cards.ts';
import { domainXml, guestUuid } from '../helpers/documents.ts';
import { projectDirectory } from '../helpers/host.ts';
import { titled } from '../libvirt/expectations.ts';

const isRoot = process.getuid?.() === 0;
const missing = isRoot ? undefined : 'it needs root: hooks that are not its own count as writable by others';
/** A checkout below a home directory is not for everybody. */
const canEnter =
  isRoot &&
  execaSync(
    '/usr/bin/setpriv',
    ['--reuid=65534', '--clear-groups', 'test', '-r', path.join(projectDirectory, 'package.json')],
    {
      reject: false,
    },
  ).exitCode === 0;
const locked = canEnter ? undefined : 'nobody else may enter this checkout';
const bootSeconds = 1_700_000_000;
const hundredths = (ms: number) => Math.max(0, Math.round((ms / 1000 - bootSeconds) * 100));

let root: string;
const at = (...parts: string[]) => path.join(root, ...parts);
function write(file: string, text: string, mode = 0o644) {
  mkdirSync(path.dirname(at(file)), { recursive: true });
  writeFileSync(at(file), text);
  chmodSync(at(file), mode);
}
function runs(pid: number, name: string, startedMs: number) {
  write(`proc/${pid}/comm`, `${name}\n`);
  write(`proc/${pid}/stat`, `${pid} (${name}) S ${'0 '.repeat(18)}${hundredths(startedMs)} 0\n`);
}
/** In PATH are the programs of this host alone, and after a fix was run those of a shell. */
const env = (more = '') => ({ LC_ALL: 'C', PATH: `${at('bin')}${more}`, ACTUALNET_ROOT: root });
function doctor(...words: string[]) {
  const program = path.join(projectDirectory, 'dist/actualnet.cjs');
  const options = { env: env(), extendEnv: false, reject: false, timeout: 30_000 } as const;
  const { exitCode, stdout, stderr } = execaSync(process.execPath, [program, 'doctor', ...words], options);
  return { exitCode, stdout, stderr };
}
function asNobody() {
  chmodSync(root, 0o755);
  const program = path.join(projectDirectory, 'dist/actualnet.cjs');
  const words = ['--reuid=65534', '--clear-groups', process.execPath, program, 'doctor'];
  return execaSync('/usr/bin/setpriv', words, { env: env(), extendEnv: false, reject: false });
}
function examine() {
  const { exitCode, stdout, stderr } = doctor('--format', 'json');
  const view = JSON.parse(stdout);
  const isSound = new Ajv({ allowUnionTypes: true }).compile(schema);
  expect({ stderr, sound: isSound(view) || isSound.errors }).toEqual({ stderr: '', sound: true });
  const findings: { code: string; what: string; fix: string }[] = view.findings;
  expect(exitCode).toBe(findings.length === 0 ? 0 : 3);
  return findings;
}

/** `unshare` is what kernel features are tried with: all of them succeed. */
const standIns = ['ip', 'bridge', 'virsh', 'arping', 'udevadm', 'unshare', 'networkctl'];
const hook = (driver: string) => `etc/libvirt/hooks/${driver}.d/50-actualnet`;
const launcher = (driver: string) =>
  readFileSync(path.join(projectDirectory, 'hooks', driver), 'utf8')
    .replace(/^node=.*$/m, `node='${process.execPath}'`)
    .replace(/^program=$/m, `program='${path.join(projectDirectory, 'dist/hook.cjs')}'`);

/** A host in which all is well: libvirtd runs since after the hooks were installed. */
function healthyHost() {
  for (const directory of ['var/log', 'bin', 'run', 'sys/class/net', 'sys/bus/pci/devices'])
    mkdirSync(at(directory), { recursive: true });
  for (const tool of standIns) write(`bin/${tool}`, '#!/bin/sh\n', 0o755);
  write('proc/stat', `cpu 0\nbtime ${bootSeconds}\n`);
  for (const driver of ['qemu', 'network']) write(hook(driver), launcher(driver), 0o755);
  runs(100, 'libvirtd', Date.now() + 5000);
}
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'actualnet-doctor-'));
  healthyHost();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const config = (text: string) => write('etc/actualnet/config.yaml', text);
const record = (phase: string, atMs: number) =>
  write(
    `run/actualnet/guests/${guestUuid}.jsonl`,
    `${JSON.stringify({ at: new Date(atMs).toISOString(), op: phase, name: 'web1' })}\n`,
    0o600,
  );
function privately(...directories: string[]) {
  for (const directory of ['run/actualnet', ...directories]) {
    mkdirSync(at(directory), { recursive: true });
    chmodSync(at(directory), 0o700);
  }
}
const provideVfs = () => {
  config('provide: { vfs: { ens1f0: { count: 4 } } }');
  mkdirSync(at('sys/kernel/iommu_groups/1'), { recursive: true });
  mkdirSync(at('sys/bus/pci/drivers/vfio-pci'), { recursive: true });
};
/** A card made of files, as the kernel shows one. */
function card(vfs: number) {
  for (const tree of ['sys/bus', 'sys/class/net', 'sys/devices', 'sys/kernel/iommu_groups'])
    rmSync(at(tree), { recursive: true, force: true });
  return new FakeCards(root, [{ dev: 'ens1f0', address: '0000:3b:00.0', driver: 'ice', vfDriver: 'iavf', vfs }]);
}

interface Fault {
  readonly name: string;
  readonly code: string;
  readonly plant: () => void;
  /** What the named command does, where this test cannot run it as it stands. */
  readonly mend?: () => void;
}
const faults: readonly Fault[] = [
  {
    name: 'no qemu hook',
    code: 'HOOK_MISSING',
    plant: () => rmSync(at(hook('qemu'))),
    mend: () => write(hook('qemu'), launcher('qemu'), 0o755),
  },
  {
    name: 'no network hook',
    code: 'HOOK_MISSING',
    plant: () => rmSync(at(hook('network'))),
    mend: () => write(hook('network'), launcher('network'), 0o755),
  },
  {
    name: 'the same hook as main script and as drop-in',
    code: 'HOOK_TWICE',
    plant: () => write('etc/libvirt/hooks/qemu', launcher('qemu'), 0o755),
  },
  {
    name: 'a hook that is not executable',
    code: 'HOOK_NOT_EXECUTABLE',
    plant: () => chmodSync(at(hook('qemu')), 0o644),
  },
  {
    name: 'a hook whose program is gone',
    code: 'HOOK_BROKEN',
    plant: () => write(hook('qemu'), launcher('qemu').replace(/^program=.*$/m, "program='/nowhere/hook.cjs'"), 0o755),
    mend: () => write(hook('qemu'), launcher('qemu'), 0o755),
  },
  {
    name: 'a hook whose Node.js is gone',
    code: 'HOOK_BROKEN',
    plant: () => write(hook('network'), launcher('network').replace(/^node=.*$/m, "node='/nowhere/node'"), 0o755),
    mend: () => write(hook('network'), launcher('network'), 0o755),
  },
  {
    name: 'what an upgrade left beside a hook',
    code: 'HOOK_STRAY',
    plant: () => write(`${hook('qemu')}.dpkg-old`, launcher('qemu'), 0o755),
  },
  {
    name: "an editor's copy of somebody else's hook",
    code: 'HOOK_STRAY',
    plant: () => write('etc/libvirt/hooks/qemu.d/10-other~', '#!/bin/sh\n', 0o755),
  },
  { name: 'a hook that others may write', code: 'HOOK_WRITABLE', plant: () => chmodSync(at(hook('qemu')), 0o757) },
  {
    name: 'a directory of hooks that others may write in',
    code: 'HOOK_WRITABLE',
    plant: () => chmodSync(at('etc/libvirt/hooks/qemu.d'), 0o777),
  },
  {
    name: 'a daemon that is older than the first hook',
    code: 'HOOK_UNSEEN',
    plant: () => runs(100, 'libvirtd', Date.now() - 86_400_000),
    mend: () => runs(100, 'libvirtd', Date.now() + 5000),
  },
  {
    name: 'a modular daemon that is older than the first hook',
    code: 'HOOK_UNSEEN',
    plant: () => runs(101, 'virtnetworkd', Date.now() - 86_400_000),
    mend: () => runs(101, 'virtnetworkd', Date.now() + 5000),
  },
  {
    name: 'hooks of two builds',
    code: 'HOOK_BUILDS',
    plant: () => {
      write('opt/old/hook.cjs', 'hook-000000000000.cjs\n');
      write(hook('qemu'), launcher('qemu').replace(/^program=.*$/m, `program='${at('opt/old/hook.cjs')}'`), 0o755);
    },
    mend: () => write(hook('qemu'), launcher('qemu'), 0o755),
  },
  {
    name: 'no iproute2',
    code: 'TOOL_MISSING',
    plant: () => hideTools('ip', 'bridge'),
    mend: () => showTools(),
  },
  { name: 'no virsh', code: 'TOOL_MISSING', plant: () => hideTools('virsh'), mend: () => showTools() },
  {
    name: 'no arping, and addresses to be announced',
    code: 'TOOL_MISSING',
    plant: () => {
      config('interfaces: [{ match: { guest: web }, announce: 192.0.2.1 }]');
      hideTools('arping');
    },
    mend: () => showTools(),
  },
  {
    name: 'no IOMMU, and VFs to be made',
    code: 'IOMMU_OFF',
    plant: () => {
      provideVfs();
      card(4);
      rmSync(at('sys/kernel/iommu_groups'), { recursive: true });
      const devices = at('sys/bus/pci/devices');
      for (const device of readdirSync(devices)) rmSync(path.join(devices, device, 'iommu_group'), { force: true });
    },
    mend: () => mkdirSync(at('sys/kernel/iommu_groups/1'), { recursive: true }),
  },
  {
    name: 'no vfio-pci, and a guest that has a host device',
    code: 'VFIO_MISSING',
    plant: () => {
      mkdirSync(at('sys/kernel/iommu_groups/1'), { recursive: true });
      write('etc/libvirt/qemu/g1.xml', domainXml("<hostdev mode='subsystem' type='pci'/>"));
    },
    mend: () => mkdirSync(at('sys/bus/pci/drivers/vfio-pci'), { recursive: true }),
  },
  { name: 'a PF that is not there', code: 'PF_MISSING', plant: () => provideVfs(), mend: () => card(4) },
  {
    name: 'fewer VFs than configured',
    code: 'VFS_MISSING',
    plant: () => {
      provideVfs();
      card(2);
    },
    mend: () => card(4),
  },
  {
    name: 'a PF that is down',
    code: 'PF_DOWN',
    plant: () => {
      provideVfs();
      card(4).links.setUp('ens1f0', false);
    },
    mend: () => card(4).links.setUp('ens1f0', true),
  },
  {
    name: 'NetworkManager without a word about guests',
    code: 'MANAGER_UNDOES',
    plant: () => runs(200, 'NetworkManager', Date.now()),
    mend: () =>
      write(
        'etc/NetworkManager/conf.d/actualnet.conf',
        '[keyfile]\nunmanaged-devices=interface-name:vnet*;interface-name:macvtap*;interface-name:tap*\n',
      ),
  },
  {
    name: 'systemd-networkd with a file for every link',
    code: 'MANAGER_UNDOES',
    plant: () => {
      runs(200, 'systemd-network', Date.now());
      write('etc/systemd/network/50-all.network', '[Match]\nName=*\n[Network]\nDHCP=yes\n');
    },
  },
  {
    name: "ifupdown with a guest's tap",
    code: 'MANAGER_UNDOES',
    plant: () =>
      write('etc/network/interfaces', 'auto lo\niface lo inet loopback\nauto vnet0\niface vnet0 inet manual\n'),
    mend: () => write('etc/network/interfaces', 'auto lo\niface lo inet loopback\n'),
  },
  {
    name: 'an AppArmor profile without hooks',
    code: 'APPARMOR_DENIES',
    plant: () => {
      write('etc/apparmor.d/usr.sbin.libvirtd', 'profile libvirtd /usr/sbin/libvirtd {\n  /usr/bin/* PUx,\n}\n');
      write('sys/kernel/security/apparmor/profiles', 'libvirtd (enforce)\n');
    },
    mend: () => write('etc/apparmor.d/usr.sbin.libvirtd', 'profile libvirtd {\n  /etc/libvirt/hooks/** rmix,\n}\n'),
  },
  {
    name: 'frames of bridges in the firewall',
    code: 'BRIDGE_NETFILTER',
    plant: () => write('proc/sys/net/bridge/bridge-nf-call-iptables', '1\n'),
    mend: () => write('proc/sys/net/bridge/bridge-nf-call-iptables', '0\n'),
  },
  {
    name: 'state that others may write',
    code: 'STATE_UNUSABLE',
    plant: () => {
      privately();
      chmodSync(at('run/actualnet'), 0o777);
    },
    mend: () => chmodSync(at('run/actualnet'), 0o700),
  },
  {
    name: 'a record that cannot be read',
    code: 'STATE_UNUSABLE',
    plant: () => {
      privately('run/actualnet/guests');
      mkdirSync(at(`run/actualnet/guests/${guestUuid}.jsonl`));
    },
    mend: () => rmSync(at(`run/actualnet/guests/${guestUuid}.jsonl`), { recursive: true }),
  },
  {
    name: 'the record of a guest that is gone',
    code: 'STALE_RECORD',
    plant: () => {
      privately('run/actualnet/guests');
      record('started', Date.now() - 3_600_000);
    },
  },
  {
    name: 'a mistake in the configuration',
    code: 'CONFIG_MISTAKE',
    plant: () => config('bridges: { br0: { isolatd: true } }'),
    mend: () => config('bridges: { br0: { isolated: true } }'),
  },
  {
    name: 'a file of the configuration that nobody reads',
    code: 'CONFIG_UNREAD',
    plant: () => write('etc/actualnet/conf.d/web.yml', 'bridges: {}\n'),
    mend: () => rmSync(at('etc/actualnet/conf.d/web.yml')),
  },
  {
    name: 'files from the future',
    code: 'CLOCK',
    plant: () => {
      privately('run/actualnet/guests');
      record('prepare', Date.now() + 86_400_000);
    },
    mend: () => rmSync(at('run/actualnet/guests'), { recursive: true }),
  },
  {
    name: 'a Node.js that is too old',
    code: 'NODE_OLD',
    plant: () => {
      write('opt/node', '#!/bin/sh\necho v18.19.0\n', 0o755);
      for (const driver of ['qemu', 'network'])
        write(hook(driver), launcher(driver).replace(/^node=.*$/m, `node='${at('opt/node')}'`), 0o755);
    },
    mend: () => write('opt/node', '#!/bin/sh\necho v20.19.0\n', 0o755),
  },
  {
    name: 'a kernel whose bridges filter no VLANs, and VLANs that are asked for',
    code: 'KERNEL_VLAN_FILTERING',
    plant: () => {
      config('interfaces: [{ match: { guest: web }, vlan: 7 }]');
      refuses('vlan_filtering');
    },
    mend: () => showTools(),
  },
  {
    name: 'a kernel without macvtap, and a guest that has one',
    code: 'KERNEL_MACVTAP',
    plant: () => {
      write('etc/libvirt/qemu/g1.xml', domainXml("<interface type='direct'><source dev='eth0'/></interface>"));
      refuses('macvtap');
    },
    mend: () => showTools(),
  },
  {
    name: 'a kernel that isolates no ports, and isolation that is asked for',
    code: 'KERNEL_ISOLATION',
    plant: () => {
      config('bridges: { br0: { isolated: true } }');
      refuses('isolated');
    },
    mend: () => showTools(),
  },
  {
    name: 'a VF in a group with another device',
    code: 'GROUP_SHARED',
    plant: () => {
      provideVfs();
      const facts = { dev: 'ens1f0', address: '0000:3b:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 2 };
      for (const tree of ['sys/bus', 'sys/kernel/iommu_groups']) rmSync(at(tree), { recursive: true, force: true });
      config('provide: { vfs: { ens1f0: { count: 2 } } }');
      new FakeCards(root, [{ ...facts, sharedGroup: true }]);
    },
    mend: () => {
      rmSync(root, { recursive: true });
      healthyHost();
    },
  },
  {
    name: 'a tap of the command line that libvirt lets nobody open',
    code: 'QEMU_CONF',
    plant: () => {
      const tap = "<qemu:arg value='-netdev'/><qemu:arg value='tap,id=n0,ifname=t0,script=no,downscript=no'/>";
      const namespace = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'";
      const guest = domainXml('').replace('<domain ', `<domain ${namespace} `);
      write(
        'etc/libvirt/qemu/g1.xml',
        guest.replace('</domain>', `<qemu:commandline>${tap}</qemu:commandline></domain>`),
      );
      write('etc/libvirt/qemu.conf', 'user = "root"\n');
    },
    mend: () => write('etc/libvirt/qemu.conf', 'cgroup_device_acl = [ "/dev/null", "/dev/net/tun" ]\n'),
  },
  {
    name: "a hook with another label than SELinux's policy has for it",
    code: 'SELINUX_LABEL',
    plant: () => {
      write('sys/fs/selinux/enforce', '1\n');
      const says = 'has context unconfined_u:object_r:user_tmp_t:s0, should be system_u:object_r:bin_t:s0';
      write('bin/matchpathcon', `#!/bin/sh\n[ -e ${at('labelled')} ] || echo "$2 ${says}"\n`, 0o755);
      write('bin/restorecon', `#!/bin/sh\n: >${at('labelled')}\n`, 0o755);
    },
  },
  {
    name: 'an attach that has not finished',
    code: 'UNFINISHED',
    plant: () => {
      privately('run/actualnet/hotplug');
      write(`run/actualnet/hotplug/${guestUuid}`, '', 0o600);
    },
  },
  {
    name: 'a port that is no longer as it was set',
    code: 'DRIFT',
    plant: () => {
      privately('run/actualnet/guests', 'run/actualnet/ledgers');
      record('started', Date.now());
      runningGuest();
      const intend = { subject: { kind: 'mtu', dev: 'tap0' }, before: 1500, to: 9000, index: 7 };
      const line = { at: new Date().toISOString(), intend };
      write(`run/actualnet/ledgers/${guestUuid}.jsonl`, `${JSON.stringify(line)}\n`, 0o600);
      tap({ mtu: 1500 });
    },
    mend: () => tap({ mtu: 9000 }),
  },
  {
    name: 'nobody who follows guests that are to be followed',
    code: 'AGENT_MISSING',
    plant: () => {
      config('bridges: { br0: { keepForwardingTable: true } }');
      privately('run/actualnet/guests', 'run/actualnet/ledgers');
      record('started', Date.now());
      runningGuest();
      const intend = { subject: { kind: 'mtu', dev: 'tap0' }, before: 1500, to: 9000, index: 7 };
      const line = { at: new Date().toISOString(), intend };
      write(`run/actualnet/ledgers/${guestUuid}.jsonl`, `${JSON.stringify(line)}\n`, 0o600);
      tap({ mtu: 9000 });
    },
    mend: () => {
      rmSync(at('run'), { recursive: true });
      mkdirSync(at('run'));
    },
  },
  {
    name: 'an agent that is older than the program',
    code: 'AGENT_OLD',
    plant: () => {
      const pid = startAgent();
      runs(pid, 'node', bootSeconds * 1000);
      const fresh = `${pid} (node) S ${'0 '.repeat(18)}${hundredths(Date.now() + 5000)} 0`;
      write('bin/systemctl', `#!/bin/sh\necho '${fresh}' >'${at(`proc/${pid}/stat`)}'\n`, 0o755);
    },
  },
  {
    name: 'an agent that does not come back after a reboot',
    code: 'AGENT_NOT_ENABLED',
    plant: () => {
      const pid = startAgent();
      runs(pid, 'node', Date.now() + 5000);
      mkdirSync(at('run/systemd/system'), { recursive: true });
      const wants = at('etc/systemd/system/multi-user.target.wants');
      write('bin/systemctl', `#!/bin/sh\nmkdir -p '${wants}'\n: >'${wants}/actualnet-agent.service'\n`, 0o755);
    },
  },
  {
    name: 'NetworkManager that has all links of guests but taps excepted from being left alone',
    code: 'MANAGER_UNDOES',
    plant: () => {
      runs(200, 'NetworkManager', Date.now());
      const line = 'unmanaged-devices=interface-name:macvtap*;interface-name:tap*;*;except:interface-name:vnet*';
      write('etc/NetworkManager/conf.d/90-own.conf', `[keyfile]\n${line}\n`);
      write('bin/nmcli', '#!/bin/sh\n', 0o755);
    },
    mend: () => write('etc/NetworkManager/conf.d/90-own.conf', '[keyfile]\nunmanaged-devices=*\n'),
  },
  {
    name: 'frames of bridges in the filter for ARP',
    code: 'BRIDGE_NETFILTER',
    plant: () => write('proc/sys/net/bridge/bridge-nf-call-arptables', '1\n'),
    mend: () => write('proc/sys/net/bridge/bridge-nf-call-arptables', '0\n'),
  },
];

/** A kernel that refuses whatever has that word. */
function refuses(word: string) {
  write(
    'bin/unshare',
    `#!/bin/sh\nwhile read -r line; do case $line in *${word}*) echo no >&2; exit 1;; esac; done\n`,
    0o755,
  );
}
/** A real agent of this private host; it ends with the test. */
let agent: ChildProcess | undefined;
function startAgent(): number {
  privately();
  agent = spawn(process.execPath, [path.join(projectDirectory, 'dist/actualnet.cjs'), 'agent'], {
    env: env(':/usr/bin:/bin'),
    stdio: 'ignore',
  });
  const state = at('run/actualnet/witness.json');
  for (let tries = 0; !existsSync(state) && tries < 300; tries++) execaSync('sleep', ['0.1']);
  return JSON.parse(readFileSync(state, 'utf8')).pid;
}
afterEach(() => {
  agent?.kill('SIGKILL');
  agent = undefined;
});

function runningGuest() {
  write('run/libvirt/qemu/web1.xml', `<domstatus state='running' pid='1'>${domainXml('')}</domstatus>`);
}
function tap({ mtu }: { readonly mtu: number }) {
  const facts = { ifindex: 7, flags: '0x1003', mtu, address: 'fe:54:00:00:00:01', uevent: '' };
  for (const [name, value] of Object.entries(facts)) write(`sys/class/net/tap0/${name}`, `${value}\n`);
}

function hideTools(...names: string[]) {
  for (const name of names) rmSync(at('bin', name));
}
function showTools() {
  for (const tool of standIns) write(`bin/${tool}`, '#!/bin/sh\n', 0o755);
}

describe.skipIf(missing)(titled('doctor', missing), () => {
  test('a healthy host: one line, and 0', () => {
    expect(doctor()).toEqual({ exitCode: 0, stdout: 'this host is in order', stderr: '' });
    expect(doctor('--hooks').stdout).toMatch(
      /^qemu: \S+\/qemu\.d\/50-actualnet: actualnet, sha256 [0-9a-f]{16}\nnetwork: .*\nthis host is in order$/,
    );
  });

  test('what is not asked for is not missed', () => {
    rmSync(at('bin/arping'));
    rmSync(at('bin/udevadm'));
    config('bridges: { br0: { keepForwardingTable: true } }');
    expect(examine()).toEqual([]);
  });

  test.each(faults)('finds $name [$code], and is quiet when what it says is done', ({ code, plant, mend }) => {
    plant();
    const findings = examine();
    expect(findings.map(finding => finding.code)).toEqual(findings.map(() => code));
    expect(findings.length).toBeGreaterThan(0);
    expect(doctor().stdout).toContain(`[${code}]\n  why: `);
    if (mend === undefined) {
      // The command itself, on this host: ours is the one in this checkout.
      const script = `actualnet() { ${JSON.stringify(process.execPath)} ${JSON.stringify(path.join(projectDirectory, 'dist/actualnet.cjs'))} "$@"; }`;
      for (const { fix } of findings)
        execaSync('/bin/sh', ['-ec', `${script}\n${fix.replaceAll(/(?<= |>)\/etc\//g, at('etc/'))}`], {
          env: env(':/usr/bin:/bin'),
          extendEnv: false,
        });
    } else mend();
    expect(examine()).toEqual([]);
  });

  test('nothing is made on the host that is looked at', () => {
    const tree = () => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
    const before = tree();
    for (const words of [[], ['--hooks'], ['--format', 'json']]) doctor(...words);
    expect(tree()).toEqual(before);
    config('bridges: { br0: { isolated: true } }');
    const configured = tree();
    doctor();
    expect(tree()).toEqual(configured);
  });

  test('of files of systemd-networkd the first that fits counts, by name, wherever it lies', () => {
    runs(200, 'systemd-network', Date.now());
    write('usr/lib/systemd/network/80-all.network', '[Match]\nName=*\n[Network]\nDHCP=yes\n');
    expect(examine().map(({ code }) => code)).toEqual(['MANAGER_UNDOES']);
    write('etc/systemd/network/10-guests.network', '[Match]\nName=vnet* macvtap* tap*\n[Link]\nUnmanaged=yes\n');
    expect(examine()).toEqual([]);
    write('usr/lib/systemd/network/05-vnet.network', '[Match]\nName=vnet0\n');
    expect(examine().map(({ what }) => what)).toEqual([expect.stringContaining('05-vnet.network')]);
    // One of that name in /etc hides it.
    write('etc/systemd/network/05-vnet.network', '[Match]\nName=none\n');
    expect(examine()).toEqual([]);
  });

  test('a hook that was renewed under a daemon which calls it is seen', () => {
    const startedMs = Date.now() - 86_400_000;
    runs(100, 'libvirtd', startedMs);
    const call = (driver: string, atMs: number) =>
      `${JSON.stringify({ at: new Date(atMs).toISOString(), kind: 'call', by: 'hook', operation: 'x', driver, object: 'o', status: 0, durationMs: 1 })}\n`;
    write('var/log/actualnet-history.jsonl', call('qemu', startedMs + 1000), 0o600);
    expect(examine().map(({ what }) => what)).toEqual([expect.stringContaining('network hook')]);
    write('var/log/actualnet-history.jsonl', call('qemu', startedMs + 1000) + call('network', startedMs + 1000), 0o600);
    expect(examine()).toEqual([]);
    // A call before the daemon began is no proof.
    write('var/log/actualnet-history.jsonl', call('qemu', startedMs - 1000) + call('network', startedMs - 1000), 0o600);
    expect(examine().map(({ code }) => code)).toEqual(['HOOK_UNSEEN']);
  });

  test("somebody else's hooks are named, and no fault", () => {
    write('etc/libvirt/hooks/qemu.d/10-other', '#!/bin/sh\n', 0o755);
    const { exitCode, stdout } = doctor();
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: `this host is in order; libvirt also calls ${at('etc/libvirt/hooks/qemu.d/10-other')}`,
    });
  });

  test.each([
    [
      'a guest with a USB device needs no IOMMU',
      () => write('etc/libvirt/qemu/g1.xml', domainXml("<hostdev mode='subsystem' type='usb'/>")),
    ],
    [
      'what an administrator adds to a profile is part of it',
      () => {
        write(
          'etc/apparmor.d/usr.sbin.libvirtd',
          'profile libvirtd /usr/sbin/libvirtd {\n  #include <local/usr.sbin.libvirtd>\n}\n',
        );
        write('etc/apparmor.d/local/usr.sbin.libvirtd', '/etc/libvirt/hooks/** rmix,\n');
        write('sys/kernel/security/apparmor/profiles', 'libvirtd (enforce)\n');
      },
    ],
  ])('is quiet: %s', (_, plant) => {
    plant();
    expect(examine()).toEqual([]);
  });

  test.each([
    ['Type=ether', true],
    ['Name=!lo', true],
    ['Name=!vnet* macvtap* tap*', false],
    ['Name=vnet*\nDriver=igb', false],
    ['Kind=tun', true],
    ['MACAddress=02:00:00:00:00:01', false],
  ])('a file of systemd-networkd with %j fits guests’ links: %s', (match, fits) => {
    runs(200, 'systemd-network', Date.now());
    write('run/systemd/network/50-x.network', `[Match]\n${match}\n[Network]\nDHCP=yes\n`);
    expect(examine().map(({ code }) => code)).toEqual(fits ? ['MANAGER_UNDOES'] : []);
  });

  test('a drop-in of systemd-networkd counts with its file, and ours gets a name before the other', () => {
    runs(200, 'systemd-network', Date.now());
    write('etc/systemd/network/00-a.network', '[Match]\nName=vnet*\n[Network]\nDHCP=yes\n');
    const [finding] = examine();
    expect(finding?.fix).toContain('/etc/systemd/network/0-actualnet.network');
    write('etc/systemd/network/00-a.network.d/leave.conf', '[Link]\nUnmanaged=yes\n');
    expect(examine()).toEqual([]);
  });

  test('a kernel that cannot be tried is told, and the host not found in order', () => {
    config('bridges: { br0: { isolated: true } }');
    rmSync(at('bin/unshare'));
    const { exitCode, stdout } = doctor();
    expect({ exitCode, stdout }).toEqual({
      exitCode: 1,
      stdout:
        'not looked at: what the kernel can do (isolation): no private network namespace\nnothing wrong was found',
    });
  });

  const unreadable: readonly [tells: string, plant: () => void][] = [
    ['which hooks libvirt calls', () => chmodSync(at('etc/libvirt/hooks'), 0o700)],
    ['what is configured', () => write('etc/actualnet/config.yaml', 'bridges: {}\n', 0o600)],
    ['what libvirt lets QEMU open', () => write('etc/libvirt/qemu.conf', '', 0o600)],
    ['which guests are defined', () => mkdirSync(at('etc/libvirt/qemu'), { mode: 0o700 })],
    [
      'which hooks libvirt has called',
      () => {
        runs(100, 'libvirtd', Date.now() - 86_400_000);
        write('var/log/actualnet-history.jsonl', '', 0o600);
      },
    ],
  ];
  test.each(locked === undefined ? unreadable : [])(
    'without root, what may not be read is no finding: %s',
    (tells, plant) => {
      plant();
      const { exitCode, stdout } = asNobody();
      expect({ exitCode, stdout: stdout.split('\n').filter(line => !line.startsWith('not looked at: ')) }).toEqual({
        exitCode: 1,
        stdout: ['nothing wrong was found'],
      });
      expect(stdout).toContain(`not looked at: ${tells}: '`);
    },
  );

  test.skipIf(locked)(
    titled('without root it says what it could not look at, and finds no host in order', locked),
    () => {
      privately();
      const { exitCode, stdout } = asNobody();
      expect(exitCode).toBe(1);
      expect(stdout).toMatch(/^not looked at: what is remembered/m);
      expect(stdout).toMatch(/^nothing wrong was found$/m);
      expect(stdout).not.toMatch(/in order|STATE_UNUSABLE/);
    },
  );

  test('a host that means ill ends in lines, soon', () => {
    execaSync('mkfifo', [at('etc/libvirt/hooks/qemu.d/99-pipe')]);
    symlinkSync(at('etc/libvirt/hooks/network.d/loop'), at('etc/libvirt/hooks/network.d/loop'));
    write('etc/libvirt/hooks/qemu.d/20-\u001b[31m', '#!/bin/sh\n', 0o755);
    mkdirSync(at('etc/network'), { recursive: true });
    execaSync('mkfifo', [at('etc/network/interfaces')]);
    write('proc/stat', 'nothing\n');
    write('proc/300/comm', '\u0000\n');
    copyFileSync('/dev/null', at('etc/libvirt/qemu.conf'));
    const { exitCode, stdout, stderr } = doctor('--hooks');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).not.toContain('\u001b');
  });

  test('every code is planted, and every code is in the docs', () => {
    // A full disk is not planted: it would have to be one of its own.
    const planted = new Set([...faults.map(({ code }) => code), 'DISK_FULL']);
    expect(findingCodes.filter(code => !planted.has(code))).toEqual([]);
    const documented = readFileSync(path.join(projectDirectory, 'docs/doctor.md'), 'utf8');
    expect([...documented.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code)).toEqual([...findingCodes]);
  });
});
