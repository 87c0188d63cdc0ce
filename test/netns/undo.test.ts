import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { endProcessesOf, processesOf } from '../helpers/processes.ts';
import { guest, mac, makeHost, makeTap, plainBridge, unmanagedTap } from './guests.ts';
import { hostState, inNamespace, ip, World } from './world.ts';

const config = `
bridges: { br0: { keepForwardingTable: true, isolated: true } }
taps: { create: true }
provide: { bridges: { br-lab: {} } }
interfaces: [{ match: { tap: 'tapx*' }, bridge: br0, keepForwardingTable: true }]
`;
const network =
  "<hookData><network><name>lab</name><forward mode='bridge'/><bridge name='br-lab'/></network></hookData>";
const connections = [plainBridge(mac(1), 'br0', 'vnet0'), unmanagedTap(mac(2), 'tapx0')];

let world: World;
let hooks: string;
const run = (file: string, words: readonly string[], input = '') => {
  const env = { LC_ALL: 'C', PATH: process.env.PATH!, ACTUALNET_ROOT: world.root };
  const { exitCode, stdout, stderr } = execaSync(file, words, {
    input,
    env,
    extendEnv: false,
    cwd: '/',
    reject: false,
  });
  return { exitCode, stdout, stderr };
};
const actualnet = (...words: string[]) => run(path.join(projectDirectory, 'hooks/actualnet'), words);
const install = (...words: string[]) =>
  run(path.join(projectDirectory, 'install.sh'), ['--hooks-dir', hooks, ...words]);
const quietly = { exitCode: 0, stdout: '', stderr: '' };
const qemu = (operation: string) =>
  expect(
    run(
      path.join(hooks, 'qemu.d/50-actualnet'),
      ['g1', operation, 'begin', '-'],
      guest(connections, operation === 'prepare' ? 'prepare' : 'start'),
    ),
  ).toEqual(quietly);
const status = () => path.join(world.root, 'run/libvirt/qemu/g1.xml');

/** The guest and the network run, and everything that they ask for is applied. Answers the host before, and without us. */
function start(): { before: string[]; without: string[] } {
  makeHost();
  const before = hostState();
  makeTap('vnet0', mac(1), 'br0');
  const without = hostState();
  ip('link', 'del', 'vnet0');
  expect(run(path.join(hooks, 'network.d/50-actualnet'), ['lab', 'start', 'begin', '-'], network)).toEqual(quietly);
  qemu('prepare');
  makeTap('vnet0', mac(1), 'br0');
  qemu('start');
  writeFileSync(
    status(),
    `<domstatus state='running' reason='booted' pid='${process.pid}'>${guest(connections, 'start')}</domstatus>`,
  );
  qemu('started');
  expect(hostState()).toEqual(expect.arrayContaining([expect.stringContaining(`${mac(1)} static on vnet0 of br0`)]));
  expect(hostState()).toEqual(expect.arrayContaining([expect.stringContaining(`${mac(2)} static on tapx0 of br0`)]));
  return { before, without };
}

describe.skipIf(!inNamespace)('what is applied is taken back', () => {
  beforeEach(() => {
    world = new World(config);
    hooks = path.join(world.root, 'hooks');
    for (const directory of ['run/libvirt/qemu', 'proc'])
      mkdirSync(path.join(world.root, directory), { recursive: true });
    symlinkSync('/sys', path.join(world.root, 'sys'));
    expect(install()).toMatchObject({ exitCode: 0, stderr: '' });
  });
  afterEach(() => {
    endProcessesOf(world.root);
    world.destroy();
  });

  test('before it is removed, if nobody runs that needs it', () => {
    const { before } = start();
    execaSync('rm', [status()]);
    ip('link', 'del', 'vnet0');
    expect(install('--uninstall')).toEqual({
      exitCode: 0,
      stdout:
        "guest 'g1' does not run: undone and forgotten\nnetwork 'lab' does not run: its shared parts are given up\nremoved",
      stderr: '',
    });
    expect(hostState()).toEqual(before);
    // The log, the state, the hooks and their directories.
    expect(readdirSync(path.join(world.root, 'run'))).toEqual(['libvirt']);
    expect(readdirSync(path.join(world.root, 'var/log'))).toEqual([]);
    expect(readdirSync(hooks)).toEqual([]);
    expect(processesOf(world.root)).toEqual([]);
  });

  test('not under a guest that runs, unless told', () => {
    const { without } = start();
    const applied = hostState();
    const refusal = expect.stringMatching(/^changes are applied for what runs: guest 'g1' \(hint: .*\) \[IN_FORCE\]/);
    expect(actualnet('undo')).toMatchObject({ exitCode: 3, stdout: '', stderr: refusal });
    expect(install('--uninstall')).toMatchObject({ exitCode: 1, stdout: '', stderr: refusal });
    expect(hostState()).toEqual(applied);
    expect(existsSync(path.join(hooks, 'qemu.d/50-actualnet'))).toBe(true);
    expect(install('--uninstall', '--force')).toMatchObject({ exitCode: 0, stderr: '' });
    // libvirt's tap is its own; the one that was made for the command line is gone, and the network's bridge.
    expect(hostState()).toEqual(without);
    expect(existsSync(path.join(world.root, 'run/actualnet'))).toBe(false);
    expect(processesOf(world.root)).toEqual([]);
  });

  test('once, and a second time there is nothing', () => {
    const { without } = start();
    const lines = actualnet('undo', '--force').stdout.split('\n');
    expect(lines).toEqual([
      "guest 'g1' is left to libvirt: undone and forgotten",
      "network 'lab' is left to libvirt: its shared parts are given up",
    ]);
    expect(actualnet('undo')).toEqual({ exitCode: 0, stdout: 'nothing is applied', stderr: '' });
    expect(hostState()).toEqual(without);
  });

  test('but for what others stand on, which is named', () => {
    start();
    ip('link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'peer');
    ip('link', 'set', 'other', 'master', 'br-lab');
    const named = expect.stringContaining('still applied: make bridge br-lab: still used by other');
    expect(actualnet('undo', '--force')).toMatchObject({ exitCode: 1, stdout: named });
    expect(install('--uninstall')).toMatchObject({ exitCode: 1, stdout: named });
    expect(existsSync(path.join(hooks, 'qemu.d/50-actualnet'))).toBe(true);
    expect(install('--uninstall', '--force')).toMatchObject({ exitCode: 1, stdout: named });
    expect(existsSync(path.join(world.root, 'run/actualnet'))).toBe(false);
    expect(readdirSync(hooks)).toEqual([]);
  });
});
