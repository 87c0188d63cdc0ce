import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domainXml } from '../helpers/documents.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';

const guest = domainXml(
  "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='nosuch'/><target dev='nosuch0'/></interface>",
  "id='1'",
);
const project = (...parts: string[]) => path.join(projectDirectory, ...parts);

let host: TestHost;
let evil: Record<string, string>;
beforeEach(() => {
  host = new TestHost();
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
  writeFileSync(path.join(host.root, 'etc/actualnet/config.yaml'), 'macvtap: { manage: true }\n');
  // Whoever loads it, or whichever tool is started with it, leaves a line.
  const script = path.join(host.root, 'evil.cjs');
  writeFileSync(script, `require('fs').appendFileSync(${JSON.stringify(traces())}, process.argv.join(' ') + '\\n')`);
  writeFileSync(path.join(host.root, 'evil.sh'), `echo shell >>'${traces()}'`);
  evil = {
    NODE_OPTIONS: `--require ${script}`,
    NODE_PATH: host.root,
    NODE_V8_COVERAGE: path.join(host.root, 'coverage'),
    NODE_REDIRECT_WARNINGS: path.join(host.root, 'warnings'),
    NODE_COMPILE_CACHE: path.join(host.root, 'compiled'),
    OPENSSL_CONF: path.join(host.root, 'openssl.cnf'),
    BASH_ENV: path.join(host.root, 'evil.sh'),
    ENV: path.join(host.root, 'evil.sh'),
    CDPATH: host.root,
    LIBVIRT_LOG_OUTPUTS: `1:file:${path.join(host.root, 'libvirt.log')}`,
  };
});
afterEach(() => host.remove());

const traces = () => path.join(host.root, 'traces');
const run = (file: string, words: readonly string[], input = '') =>
  execaSync(file, words, { input, env: { ...host.env, ...evil }, extendEnv: false, cwd: '/', reject: false });
/** What has been left by whoever followed the environment. */
const followed = () =>
  ['traces', 'coverage', 'warnings', 'compiled', 'libvirt.log'].filter(name => existsSync(path.join(host.root, name)));

/** The environments of the processes that run with this host's files. */
function environments(): string[] {
  const mine = `ACTUALNET_ROOT=${host.root}`;
  return execaSync('sh', ['-c', 'for f in /proc/[0-9]*/environ; do tr "\\0" " " <$f; echo; done 2>/dev/null'])
    .stdout.split('\n')
    .filter(line => line.includes(mine));
}

describe('of the environment is followed what was meant for us, and nothing else', () => {
  test('this test would see it', () => {
    run(process.execPath, ['-e', '0']);
    expect(followed()).toContain('traces');
  });

  test.each([
    ['hooks/qemu', ['g1', 'prepare', 'begin', '-'], guest],
    ['hooks/qemu', ['g1', 'started', 'begin', '-'], guest],
    [
      'hooks/network',
      ['n', 'started', 'begin', '-'],
      "<hookData><network><name>n</name><bridge name='b'/></network></hookData>",
    ],
    ['hooks/actualnet', ['status'], ''],
    ['hooks/actualnet', ['recover'], ''],
    ['hooks/actualnet', ['check'], ''],
  ])('%s %j', (launcher, words, input) => {
    const { exitCode } = run(project(launcher), words, input);
    expect({ exitCode, followed: followed() }).toEqual({ exitCode: 0, followed: [] });
    // It went where we said.
    if (launcher !== 'hooks/actualnet')
      expect(host.status().length + Number(existsSync(path.join(host.root, 'run')))).toBeGreaterThan(0);
  });

  test('the agent, and every process that it starts', async () => {
    const bin = path.join(host.root, 'bin');
    mkdirSync(bin);
    // A virsh that stays, to be looked at.
    writeFileSync(path.join(bin, 'virsh'), '#!/bin/sh\nexec sleep 1000\n');
    chmodSync(path.join(bin, 'virsh'), 0o755);
    const env = { ...host.env, ...evil, PATH: `${bin}:${host.env.PATH}` };
    const agent = execa(project('hooks/actualnet'), ['agent'], { env, extendEnv: false, reject: false });
    await expect.poll(() => environments().length, { timeout: 60_000 }).toBeGreaterThan(3);
    expect(environments().filter(line => /NODE_|BASH_ENV|CDPATH|LIBVIRT_/.test(line))).toEqual([]);
    agent.kill('SIGTERM');
    expect((await agent).exitCode).toBe(0);
    expect(followed()).toEqual([]);
  });

  test('what a hook leaves behind', async () => {
    run(project('hooks/qemu'), ['g1', 'prepare', 'begin', '-'], guest);
    run(project('hooks/qemu'), ['g1', 'start', 'begin', '-'], guest);
    await expect
      .poll(() => existsSync(path.join(host.root, 'run/actualnet/witness.json')), { timeout: 60_000 })
      .toBe(true);
    expect(environments().filter(line => /NODE_|BASH_ENV/.test(line))).toEqual([]);
    const { pid } = JSON.parse(readFileSync(path.join(host.root, 'run/actualnet/locks/.witness'), 'utf8'));
    process.kill(pid, 'SIGTERM');
    while (environments().length > 0) await sleep(50);
    expect(followed()).toEqual([]);
  });

  test('install.sh', () => {
    const hooks = path.join(host.root, 'hooks');
    expect(run(project('install.sh'), ['--hooks-dir', hooks]).exitCode).toBe(0);
    expect(run(path.join(hooks, 'qemu.d/50-actualnet'), ['g1', 'prepare', 'begin', '-'], guest).exitCode).toBe(0);
    expect(run(project('install.sh'), ['--hooks-dir', hooks, '--uninstall']).stderr).toBe('');
    expect(followed()).toEqual([]);
  });
});
