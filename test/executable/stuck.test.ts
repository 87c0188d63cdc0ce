import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domainXml } from '../helpers/documents.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';
import { endProcessesOf, processesOf } from '../helpers/processes.ts';

/** More than anything here may take on a slow machine, and much less than the programs that stand still. */
const patience = { timeout: 100_000, interval: 50 };
const limit = { timeout: 150_000 };

let host: TestHost;
let bin: string;
beforeEach(() => {
  host = new TestHost();
  bin = path.join(host.root, 'bin');
  for (const directory of ['bin', 'etc/actualnet', 'run/libvirt/qemu', 'proc/1'])
    mkdirSync(path.join(host.root, directory), { recursive: true });
  writeFileSync(path.join(host.root, 'proc/1/cmdline'), 'qemu');
  writeFileSync(path.join(host.root, 'etc/actualnet/config.yaml'), 'bridges: { br0: { keepForwardingTable: true } }\n');
  link('br0', 1, 'bridge');
  // Tables are empty, and every change works, but for one: what a driver makes of it that never answers.
  tool(
    'bridge',
    `lines=$(cat); case $* in *-j*) echo '[]';; *) case $lines in *dev\\ stuck*) touch '${host.root}/stuck'; sleep 1000 & sleep 1000;; esac; echo "$lines" >>'${host.root}/done';; esac`,
  );
  tool('ip', 'cat >/dev/null');
  tool('virsh', 'exec sleep 1000');
  tool('systemd-notify', `echo "$1" >>'${host.root}/notified'`);
});
afterEach(() => {
  endProcessesOf(host.root);
  host.remove();
});

function tool(name: string, script: string): void {
  writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** A link as sysfs shows it. */
function link(dev: string, index: number, ...directories: string[]): void {
  const at = path.join(host.root, 'sys/class/net', dev);
  for (const directory of ['', ...directories]) mkdirSync(path.join(at, directory), { recursive: true });
  const values = {
    ifindex: index,
    flags: '0x1003',
    mtu: 1500,
    address: `fe:54:00:00:00:0${index}`,
    'bridge/vlan_filtering': 0,
  };
  for (const [file, value] of Object.entries({
    ...values,
    'brport/learning': 1,
    'brport/unicast_flood': 1,
    'brport/isolated': 0,
  }))
    if (existsSync(path.dirname(path.join(at, file)))) writeFileSync(path.join(at, file), `${value}\n`);
}

/** A guest that runs, with a tap of that name in br0. */
function guest(number: number, tap: string): void {
  link(tap, number + 1, 'brport');
  writeFileSync(path.join(host.root, 'sys/class/net', tap, 'tun_flags'), '0x1002\n');
  symlinkSync('../br0', path.join(host.root, 'sys/class/net', tap, 'master'));
  const name = `g${number}`;
  const xml = domainXml(
    `<interface type='bridge'><mac address='52:54:00:00:00:0${number}'/><source bridge='br0'/><target dev='${tap}'/><alias name='net0'/></interface>`,
    `type='qemu' id='${number}'`,
  )
    .replace('>g1<', `>${name}<`)
    .replace(/<uuid>.*</, `<uuid>0b0e1f52-0000-4000-8000-00000000000${number}<`);
  writeFileSync(
    path.join(host.root, 'run/libvirt/qemu', `${name}.xml`),
    `<domstatus state='running' reason='booted' pid='1'>\n${xml}</domstatus>\n`,
  );
}

function startAgent(env: Record<string, string> = {}) {
  return execa(path.join(projectDirectory, 'hooks/actualnet'), ['agent'], {
    env: { ...host.env, PATH: `${bin}:${host.env.PATH}`, ...env },
    extendEnv: false,
    reject: false,
    forceKillAfterDelay: false,
  });
}

const read = (name: string) =>
  existsSync(path.join(host.root, name)) ? readFileSync(path.join(host.root, name), 'utf8') : '';

describe('an agent whose tools do not come back', () => {
  test('opens other guests behind four of them, and then more, and ends when it is told to', limit, async () => {
    for (const number of [1, 2, 3, 4]) guest(number, `stuck${number}`);
    const agent = startAgent();
    await expect.poll(() => read('stuck') === '' && existsSync(path.join(host.root, 'stuck')), patience).toBe(true);
    guest(5, 'fine5');
    await expect.poll(() => read('done'), patience).toContain('dev fine5');
    guest(6, 'fine6');
    await expect.poll(() => read('done'), patience).toContain('dev fine6');
    // They are tried again, and told of.
    await expect
      .poll(() => read('var/log/actualnet.log'), patience)
      .toMatch(/guest 'g[1-4]' could not be made reachable: waited [\d.]+ s for 'bridge'/);
    const beganMs = performance.now();
    agent.kill('SIGTERM');
    const { exitCode } = await agent;
    expect(exitCode).toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(patience.timeout / 2);
    // Nobody else is kept waiting by what it has left.
    expect(processesOf(host.root).length).toBeGreaterThan(0);
    const next = startAgent();
    guest(7, 'fine7');
    await expect.poll(() => read('done'), patience).toContain('dev fine7');
    next.kill('SIGTERM');
    expect((await next).exitCode).toBe(0);
  });

  test('tells the watchdog that it moves, even if the stateReporter stands still', limit, async () => {
    tool('systemd-notify', `echo "$1" >>'${host.root}/notified'; exec sleep 1000`);
    const agent = startAgent({ NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '1000000' });
    await expect
      .poll(
        () =>
          read('notified')
            .split('\n')
            .filter(line => line === 'WATCHDOG=1').length,
        patience,
      )
      .toBeGreaterThan(3);
    expect(read('notified')).toContain('READY=1');
    agent.kill('SIGTERM');
    expect((await agent).exitCode).toBe(0);
  });

  test('takes over from a process that hooks left behind and that stands still', limit, async () => {
    const env = { ...host.env, PATH: `${bin}:${host.env.PATH}` };
    guest(1, 'fine1');
    const standIn = execa(process.execPath, [path.join(projectDirectory, 'dist/hook.cjs'), 'witness'], {
      env,
      extendEnv: false,
      reject: false,
    });
    await expect.poll(() => read('done'), patience).toContain('dev fine1');
    standIn.kill('SIGSTOP');
    const agent = startAgent();
    expect((await standIn).signal).toBe('SIGKILL');
    guest(2, 'fine2');
    await expect.poll(() => read('done'), patience).toContain('dev fine2');
    agent.kill('SIGTERM');
    expect((await agent).exitCode).toBe(0);
  });

  test('ends when it is told to while it waits for another one to end', limit, async () => {
    const first = startAgent();
    await expect.poll(() => existsSync(path.join(host.root, 'run/actualnet/witness.json')), patience).toBe(true);
    const second = startAgent();
    await expect.poll(() => processesOf(host.root).length, patience).toBeGreaterThan(1);
    second.kill('SIGTERM');
    expect((await second).exitCode === 0 || (await second).signal === 'SIGTERM').toBe(true);
    expect(first.exitCode).toBe(null);
    first.kill('SIGTERM');
    expect((await first).exitCode).toBe(0);
  });
});

describe('a hook whose tools do not come back', () => {
  const call = (operation: string, name: string) => {
    const file = path.join(host.root, 'run/libvirt/qemu', `${name}.xml`);
    const document = /<domain [\s\S]*<\/domain>/.exec(readFileSync(file, 'utf8'))![0];
    return execa(path.join(projectDirectory, 'hooks/qemu'), [name, operation, 'begin', '-'], {
      env: { ...host.env, PATH: `${bin}:${host.env.PATH}` },
      extendEnv: false,
      reject: false,
      input: document,
    });
  };

  test.each(['bridge', 'ip'])(
    'ends by itself, before its launcher would, and holds nothing then: %s',
    limit,
    async name => {
      guest(1, 'stuck1');
      if (name === 'ip') {
        tool('ip', 'cat >/dev/null; sleep 1000 & sleep 1000');
        tool('bridge', 'cat >/dev/null; case $* in *-j*) echo "[]"; esac');
      }
      const { exitCode, stderr } = await call('started', 'g1');
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(read('var/log/actualnet.log')).toMatch(new RegExp(`waited [\\d.]+ s for '${name}'`));
      expect(read('var/log/actualnet.log')).not.toMatch(/was stopped|LOCKED/);
      tool('ip', 'cat >/dev/null');
      // What stood still holds no lock of the guest: its end is answered at once, and without a complaint about it.
      tool('bridge', 'cat >/dev/null');
      expect((await call('release', 'g1')).exitCode).toBe(0);
      expect(read('var/log/actualnet.log')).not.toMatch(/was stopped|LOCKED/);
    },
  );
});
