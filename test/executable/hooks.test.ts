import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { networkPhases, qemuPhases } from '../../src/hook/phases.ts';
import { domainXml } from '../helpers/documents.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
});
afterEach(() => host.remove());

const guest = domainXml(
  "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>",
  "id='1'",
);
const logFile = () => path.join(host.root, 'var/log/actualnet.log');

describe('a document that is no document', () => {
  const operations = [
    ...Object.keys(qemuPhases).map(operation => ['qemu', operation] as const),
    ...Object.keys(networkPhases).map(operation => ['network', operation] as const),
  ].filter(([, operation]) => operation !== 'attach');

  /** Where a failure ends a start, a migration or a port, and nobody loses what runs. */
  const refusing = ['prepare', 'start', 'migrate', 'restore'].map(operation => `qemu ${operation}`);
  refusing.push('network start', 'network port-created');

  test.each(operations)('%s %s: one line where refusing is safe, silence where it would kill', (driver, operation) => {
    const answer = host.hook(driver, ['g1', operation, 'begin', '-'], '<domain><name>g1</name');
    const refuses = refusing.includes(`${driver} ${operation}`);
    expect(answer.status).toBe(refuses ? 1 : 0);
    expect(answer.stdout).toBe('');
    const line = 'line 1, column 17: a tag that does not end, or is not one [XML_SYNTAX]\n';
    expect(answer.stderr).toBe(
      refuses ? `${driver === 'qemu' ? "guest 'g1'" : "network 'g1'"}, ${operation}: ${line}` : '',
    );
    expect(readFileSync(logFile(), 'utf8')).toContain('line 1, column 17');
  });
});

describe('operations', () => {
  test('an unknown one is answered with 0 and logged once', () => {
    for (const _ of [1, 2, 3]) {
      expect(host.hook('qemu', ['g1', 'hibernate', 'begin', '-'], 'no xml at all')).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
    }
    expect(readFileSync(logFile(), 'utf8').match(/'hibernate'/g)).toHaveLength(1);
  });

  test.each(['../../x', '$(touch /x)', 'a b', '', '\n'])('the operation %j is answered with 0', operation => {
    expect(host.hook('network', ['n', operation, 'begin', '-'], '')).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test.each(['migrate', 'restore'])('%s prints nothing and announces the guest', operation => {
    const document = domainXml("<interface type='user'/>");
    expect(host.hook('qemu', ['g1', operation, 'begin', '-'], document)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(host.status()).toMatchObject([{ name: 'g1', phase: operation }]);
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest);
    expect(host.status()).toMatchObject([{ name: 'g1', phase: 'prepare', incoming: true }]);
    host.hook('qemu', ['g1', 'release', 'end', '-'], guest);
    expect(host.status()).toEqual([]);
  });

  test('release finds the guest by name when stdin is broken', () => {
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest);
    expect(host.hook('qemu', ['g1', 'release', 'end', '-'], '')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(host.status()).toEqual([]);
  });
});

describe('a broken installation', () => {
  const never = ['started', 'stopped', 'release', 'reconnect'];

  test.each(never)('%s ends with 0 without the program', operation => {
    const launcher = path.join(host.root, 'qemu');
    copyFileSync(path.join(projectDirectory, 'hooks/qemu'), launcher);
    chmodSync(launcher, 0o755);
    expect(host.hook('qemu', ['g1', operation, 'begin', '-'], guest, launcher).status).toBe(0);
    const refused = host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest, launcher);
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^actualnet is not built or not installed: .* is missing \[FILE\]\n$/),
    });
  });

  test.each(['prepare', 'start', 'migrate', ...never])('%s ends with 0 when nothing can be remembered', operation => {
    mkdirSync(path.join(host.root, 'run'));
    writeFileSync(path.join(host.root, 'run/actualnet'), 'a file where a directory should be');
    expect(host.hook('qemu', ['g1', operation, 'begin', '-'], guest)).toEqual({ status: 0, stdout: '', stderr: '' });
    if (operation === 'prepare')
      expect(readFileSync(logFile(), 'utf8')).toMatch(/cannot use the directory '.*': \w+ \[FILE\]/);
  });

  test.each([
    ['the guest itself', (file: string) => mkdirSync(file)],
    [
      'the guest itself, as valid JSON of another shape',
      (file: string) =>
        writeFileSync(
          file,
          '{"op":"prepare","at":"x","name":"g1","view":{"domain":{},"interfaces":[null]}}\n{"op":"port-created","at":"x","port":{"network":"n","uuid":"../../../../victim","mac":"x"}}\n',
        ),
    ],
  ])('a damaged record of %s costs nothing', (_, damage) => {
    const victim = path.join(host.root, 'victim.xml');
    writeFileSync(victim, 'precious');
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest);
    const file = path.join(host.root, 'run/actualnet/guests', `${host.status()[0]?.uuid}.jsonl`);
    rmSync(file);
    damage(file);
    for (const operation of ['started', 'reconnect', 'stopped', 'release']) {
      expect(host.hook('qemu', ['g1', operation, 'begin', '-'], guest)).toEqual({ status: 0, stdout: '', stderr: '' });
    }
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });

  test('damaged files of other guests and networks cost nothing', () => {
    const state = path.join(host.root, 'run/actualnet');
    const other = '0b0e1f52-0000-4000-8000-0000000000bb';
    mkdirSync(path.join(state, `announced/${other}.json`), { recursive: true, mode: 0o700 });
    mkdirSync(path.join(state, `guests/${other}.jsonl`), { recursive: true, mode: 0o700 });
    mkdirSync(path.join(state, 'networks/n'), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(state, 'networks/n/network.json'), '{"name":"n","xml":"<a","active":true}');
    writeFileSync(path.join(state, `networks/n/${other}.xml`), 'no port');
    const document = domainXml("<interface type='network'><source network='n'/></interface>", "id='1'");
    expect(host.hook('qemu', ['g1', 'migrate', 'begin', '-'], document)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], document)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(host.status()).toMatchObject([
      { name: 'g1', predicted: { interfaces: [{ error: { code: 'NETWORK_UNKNOWN' } }] } },
    ]);
    expect(host.hook('qemu', ['g1', 'release', 'end', '-'], '').status).toBe(0);
    expect(host.status()).toEqual([]);
  });

  test('a torn record line is passed over', () => {
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest);
    const [record] = host.status();
    const file = path.join(host.root, 'run/actualnet/guests', `${record?.uuid}.jsonl`);
    writeFileSync(file, `${readFileSync(file, 'utf8')}{"at":"2026-01-01T00:00:00Z","op":"sta`);
    expect(host.hook('qemu', ['g1', 'start', 'begin', '-'], guest).status).toBe(0);
    expect(host.status()).toMatchObject([{ name: 'g1', phase: 'start' }]);
  });

  test('a record that is a link is not followed', () => {
    const elsewhere = path.join(host.root, 'elsewhere');
    writeFileSync(elsewhere, 'precious');
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest);
    const file = path.join(host.root, 'run/actualnet/guests', `${host.status()[0]?.uuid}.jsonl`);
    rmSync(file);
    symlinkSync(elsewhere, file);
    expect(host.hook('qemu', ['g1', 'start', 'begin', '-'], guest).status).toBe(0);
    expect(readFileSync(elsewhere, 'utf8')).toBe('precious');
  });
});

/** A launcher of a program that hangs; its limit is in a file of the administrator's. */
function hanging(driver: 'qemu' | 'network'): string {
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
  writeFileSync(path.join(host.root, 'etc/actualnet/launcher-limit'), '1\n');
  writeFileSync(path.join(host.root, 'hang.cjs'), 'setInterval(() => {}, 1000);');
  const launcher = path.join(host.root, driver);
  const text = readFileSync(path.join(projectDirectory, 'hooks', driver), 'utf8');
  writeFileSync(launcher, text.replace(/^program=$/m, `program='${path.join(host.root, 'hang.cjs')}'`), {
    mode: 0o755,
  });
  return launcher;
}

describe('a call that does not end', () => {
  const told = 'actualnet did not finish within 1 s and was stopped [TIME_LIMIT]';

  test.each([
    ['qemu', 'prepare', 1],
    ['qemu', 'started', 0],
    ['qemu', 'reconnect', 0],
    ['network', 'start', 1],
    ['network', 'stopped', 0],
  ] as const)('%s %s is ended, and the log says which it was', (driver, operation, status) => {
    const answer = host.hook(driver, ['web\u001b1', operation, 'begin', '-'], '', hanging(driver));
    expect(answer).toEqual({ status, stdout: '', stderr: `${told}\n` });
    const object = driver === 'qemu' ? 'guest' : 'network';
    const line = `^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z WARN ${object} 'web\\?1', ${operation}: `;
    expect(readFileSync(logFile(), 'utf8')).toMatch(new RegExp(line));
    expect(readFileSync(logFile(), 'utf8')).toContain(told);
  });

  test.each(['', '0', '-1', '1x', '99999', '$(touch x)', 'many words'])('the limit %j is none', text => {
    mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
    writeFileSync(path.join(host.root, 'etc/actualnet/launcher-limit'), text);
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest)).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('what a launcher opens', () => {
  const strange: Record<string, (file: string) => void> = {
    'a pipe': file => execFileSync('mkfifo', [file]),
    'a directory': file => mkdirSync(file),
    'a link to nothing': file => symlinkSync(path.join(host.root, 'elsewhere'), file),
    'a link to a pipe': file => {
      execFileSync('mkfifo', [`${file}.pipe`]);
      symlinkSync(`${file}.pipe`, file);
    },
  };

  test.each(Object.keys(strange))('%s in the place of the limit is none', kind => {
    mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
    strange[kind]!(path.join(host.root, 'etc/actualnet/launcher-limit'));
    for (const driver of ['qemu', 'network'] as const)
      expect(host.hook(driver, ['g1', 'started', 'begin', '-'], '')).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test.each(Object.keys(strange))('%s in the place of the log is left alone by a call that is ended', kind => {
    strange[kind]!(logFile());
    for (const driver of ['qemu', 'network'] as const)
      expect(host.hook(driver, ['g1', 'start', 'begin', '-'], '', hanging(driver))).toMatchObject({ status: 1 });
    expect(existsSync(path.join(host.root, 'elsewhere'))).toBe(false);
  });

  test('a name is shown in the log without what would not be seen', () => {
    host.hook('qemu', ['g\u202e\u200b1', 'start', 'begin', '-'], '', hanging('qemu'));
    expect(readFileSync(logFile(), 'utf8')).toMatch(/^[\x20-\x7e\n]+$/);
  });
});

describe('guests are listed although nobody can see whether there is an agent', () => {
  test.each<[string, string, (file: string) => void]>([
    ['a pipe', 'locks', file => execFileSync('mkfifo', [file])],
    ['a file', 'locks', file => writeFileSync(file, '')],
    ['a link', 'locks', file => symlinkSync('/tmp', file)],
    ['a pipe', 'locks/.witness', file => execFileSync('mkfifo', [file])],
    ['a directory', 'locks/.witness', file => mkdirSync(file)],
  ])('with %s in the place of %s', (_, place, make) => {
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest);
    const file = path.join(host.root, 'run/actualnet', place);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    rmSync(file, { recursive: true, force: true });
    make(file);
    const answer = host.cli(['status', '--format', 'json']);
    expect(answer).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(answer.stdout)).toMatchObject({
      guests: [{ name: 'g1' }],
      agent: null,
      unreadable: [expect.stringContaining(`'${file}'`)],
    });
    expect(host.cli(['status']).stdout).toContain(`not readable: `);
  });
});

describe('where the launcher stands', () => {
  test.each(['qemu', 'qemu.d/50-actualnet'])('a link to the launcher at hooks/%s works', place => {
    const launcher = path.join(host.root, 'hooks', place);
    mkdirSync(path.dirname(launcher), { recursive: true });
    symlinkSync(path.join(projectDirectory, 'hooks/qemu'), launcher);
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest, launcher).status).toBe(0);
    expect(host.status()).toMatchObject([{ name: 'g1', phase: 'prepare' }]);
  });

  test('a link to its directory works', () => {
    const hooks = path.join(host.root, 'all hooks');
    symlinkSync(path.join(projectDirectory, 'hooks'), hooks);
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest, path.join(hooks, 'qemu')).status).toBe(0);
  });

  test('install.sh --hooks-dir makes hooks that run this checkout, and --uninstall takes back exactly those', () => {
    const hooks = path.join(host.root, "a host's hooks");
    mkdirSync(path.join(hooks, 'qemu.d'), { recursive: true });
    writeFileSync(path.join(hooks, 'qemu.d/10-other'), '#!/bin/sh\n');
    const install = (...words: string[]) =>
      host.hook('qemu', ['--hooks-dir', hooks, ...words], '', path.join(projectDirectory, 'install.sh'));
    writeFileSync(path.join(hooks, 'network'), 'somebody else');
    expect(install('--main')).toMatchObject({ status: 1, stderr: expect.stringContaining('is not ours') });
    expect(install('--uninstall').status).toBe(0);
    expect(install().status).toBe(0);
    const launcher = path.join(hooks, 'qemu.d/50-actualnet');
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], guest, launcher)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(install('--uninstall').status).toBe(0);
    expect([launcher, path.join(hooks, 'network.d'), path.join(hooks, 'qemu')].filter(existsSync)).toEqual([]);
    expect([path.join(hooks, 'qemu.d/10-other'), path.join(hooks, 'network')].filter(existsSync)).toHaveLength(2);
  });
});

describe('names from outside', () => {
  const names = [
    '../../x',
    'a b',
    '$(id)',
    "it's",
    'x'.repeat(255),
    'line\nbreak',
    '.',
    '..',
    '-rf',
    'é\u202e',
    '%2e%2e',
  ];

  test.each(names)('%j is a name and nothing else', name => {
    const text = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const network = `<hookData><network><name>${text}</name><forward mode='bridge'/><bridge name='br9'/></network></hookData>`;
    expect(host.hook('network', [name, 'started', 'begin', '-'], network)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    const attribute = text.replaceAll("'", '&apos;').replaceAll('\n', '&#10;');
    const document = domainXml(
      `<interface type='network'><source network='${attribute}'/></interface>`,
      "id='1'",
    ).replace('>g1<', `>${text}<`);
    expect(host.hook('qemu', [name, 'prepare', 'begin', '-'], document)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(host.status()).toMatchObject([
      { name, predicted: { interfaces: [{ actual: { type: 'bridge', bridge: 'br9' } }] } },
    ]);
    host.hook('network', [name, 'stopped', 'end', '-'], network);
    host.hook('qemu', [name, 'prepare', 'begin', '-'], document);
    expect(host.status()).toMatchObject([{ predicted: { interfaces: [{ error: { code: 'NETWORK_UNKNOWN' } }] } }]);
  });
});
