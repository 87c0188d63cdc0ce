import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { afterAll, describe, expect, test } from 'vitest';
import resolveSchema from '../../schemas/resolve.schema.json' with { type: 'json' };
import { type CommandName, commands } from '../../src/cli/commands.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';
import { domainSchema, isValid } from '../helpers/relax-ng.ts';

const host = new TestHost();
afterAll(() => host.remove());

const sample = (name: string) => path.join(projectDirectory, 'samples', name);
const networks = ['--networks-dir', sample('networks')];
const readText = (file: string) => readFileSync(file, 'utf8');

describe('behind --', () => {
  test.each<[words: string[], message: string]>([
    [['status', '--', '-g'], "nothing is recorded of a guest '-g'"],
    [['explain', '--', '-g'], "nothing is recorded of a guest '-g'"],
    [['detach', '--live', '--', '-g', 'net0'], "guest '-g' does not run"],
    [['detach', '--live', '--', 'g', 'net0'], "guest 'g' does not run"],
    [['detach', '--live', '-g', 'net0'], '<guest> is missing'],
    [['status', '--', 'g', '--check'], 'Unknown argument: --check'],
  ])('%j', (words, message) => {
    expect(host.cli(words).stderr).toMatch(new RegExp(`^${message}`));
  });
});

describe('resolve', () => {
  test('as JSON follows its schema and answers for each interface and host device', () => {
    const { status, stdout, stderr } = host.cli(['resolve', sample('web1.xml'), ...networks, '--format', 'json']);
    const answer = JSON.parse(stdout);
    const isSound = new Ajv({ allowUnionTypes: true }).compile(resolveSchema);
    expect({ status, stderr, errors: isSound(answer) || isSound.errors }).toEqual({
      status: 0,
      stderr: '',
      errors: true,
    });
    expect(
      answer.interfaces.map(({ alias, actual }: { alias: string; actual: { type: string } }) => [alias, actual.type]),
    ).toEqual([
      ['net0', 'network'],
      ['ua-front', 'bridge'],
      ['hostdev0', 'hostdev'],
      ['net1', 'bridge'],
    ]);
    expect(answer.interfaces[2].because).toContain("vlan 42 from network 'vf'");
    expect(answer.hostdevs).toMatchObject([
      { alias: 'hostdev1', interface: null },
      { alias: 'hostdev0', address: '0000:5e:02.0', interface: 2 },
    ]);
  });

  test('as XML shows the started form', async () => {
    const { stdout } = host.cli(['resolve', '-', ...networks, '--format', 'xml'], readText(sample('web1.xml')));
    await expect(stdout).toMatchFileSnapshot('golden/web1-started.xml');
    if (domainSchema !== undefined) expect(isValid(domainSchema, stdout)).toBe(true);
  });

  test('as a table names reasons, errors and warnings', async () => {
    const text = readText(sample('web1.xml'))
      .replace("network='lan'", "network='gone'")
      .replace("network='prod'", "network='prod' portgroup='wbe'");
    const { status, stdout } = host.cli(['resolve', '-', ...networks], text);
    expect(status).toBe(0);
    await expect(stdout).toMatchFileSnapshot('golden/web1-table.txt');
  });

  test('without networks asks those of the host', () => {
    const started = readText(sample('web1/03-network-prod-started.xml'));
    host.hook('network', ['prod', 'started', 'begin', '-'], started);
    const { stdout } = host.cli(['resolve', sample('web1.xml'), '--format', 'json']);
    const { interfaces } = JSON.parse(stdout);
    expect(interfaces[0].error.code).toBe('NETWORK_UNKNOWN');
    expect(interfaces[1].actual).toMatchObject({ type: 'bridge', bridge: 'br0' });
  });

  test.each([
    { version: '9.0.0', actual: null },
    { version: '10.10.0', actual: null },
    { version: '11', actual: { type: 'bridge', vlan: { tags: [{ id: 7 }] } } },
  ])('a vlan on a plain bridge depends on the version: $version', ({ version, actual }) => {
    const text = readText(sample('web1.xml')).replace(
      "<source bridge='br1'/>",
      "<source bridge='br1'/><vlan><tag id='7'/></vlan>",
    );
    const words = ['resolve', '-', ...networks, '--format', 'json', '--libvirt-version', version];
    const { interfaces } = JSON.parse(host.cli(words, text).stdout);
    if (actual === null) expect(interfaces[3]).toMatchObject({ actual, error: { code: 'ACTUAL_UNSUPPORTED' } });
    else expect(interfaces[3].actual).toMatchObject(actual);
  });
});

describe('transform', () => {
  test('gives back the same bytes, also many of them through a pipe', () => {
    const text = `\ufeff<a>\r\n${'<b c="&#65;"/>é\n'.repeat(50_000)}</a>\r\n`;
    const file = path.join(host.root, 'large.xml');
    writeFileSync(file, text);
    expect(host.cli(['transform', file]).stdout).toBe(text);
    expect(host.cli(['transform', '-'], text).stdout).toBe(text);
  });
});

describe('status', () => {
  test('of a guest nobody has seen is an error', () => {
    expect(host.cli(['status', 'nobody'])).toEqual({
      status: 1,
      stdout: '',
      stderr:
        "nothing is recorded of a guest 'nobody' (hint: a record begins when the hooks see the guest start) [GUEST_UNKNOWN]\n",
    });
    expect(host.cli(['status']).stdout).toBe('no guest is recorded\n');
  });
});

describe('help', () => {
  test('of all commands names each once, and the exit statuses', () => {
    const { status, stdout, stderr } = host.cli(['--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const listed = [...stdout.matchAll(/^ {2}(\S+) +\S/gm)].map(([, name]) => name);
    expect(listed).toEqual(Object.keys(commands));
    expect(stdout).toContain('0 fine, 1 failed, 2 wrong usage, 3 refused or differs');
  });

  test.each(Object.keys(commands) as CommandName[])('of %s describes its words and has an example', async name => {
    const { status, stdout, stderr } = host.cli([name, '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { words, examples, documentation } = await commands[name].load();
    expect(stdout.startsWith(`actualnet ${words}\n`)).toBe(true);
    for (const [, word] of words.matchAll(/[<[]([\w-]+)[>\]]/g))
      expect(stdout).toMatch(new RegExp(`^ +${word} +\\S`, 'm'));
    expect(examples.length).toBeGreaterThan(0);
    for (const [line] of examples) expect(stdout).toContain(`actualnet ${line.split(' --')[0]}`);
    expect(existsSync(path.join(projectDirectory, documentation))).toBe(true);
    for (const [line, option] of stdout.matchAll(/^ +(--[\w-]+) *(.*)$/gm))
      expect(line, option).toMatch(/--[\w-]+ {2,}[a-z]/i);
  });
});

test('a plan says of a network that nobody knows', () => {
  const document =
    "<domain><name>g</name><uuid>7b1f2c0a-9d3e-4a55-8c61-2f0e5b9d0a09</uuid><devices><interface type='network'><mac address='52:54:00:57:00:01'/><source network='nosuch'/></interface></devices></domain>";
  expect(host.cli(['plan', 'qemu', 'g', 'prepare'], document).stdout).toMatch(
    /^finding: .*'nosuch'.*\[NETWORK_UNKNOWN\]$/m,
  );
  expect(host.cli(['plan', 'qemu', 'g', 'prepare', 'begin', '-'], document).stderr).toMatch(
    /^Unknown arguments: begin, - /,
  );
});

describe('--format json', () => {
  const withJson = (Object.keys(commands) as CommandName[]).filter(name => !['hook', 'agent'].includes(name));
  test.each(withJson)('of %s, where it has one, has a schema', async name => {
    const { describeWords } = await import('../../src/cli/describe.ts');
    const { choices = [] } = describeWords(await commands[name].load()).find(word => word.name === 'format') ?? {};
    const file = path.join(projectDirectory, 'schemas', `${name}.schema.json`);
    expect(existsSync(file)).toBe(choices.includes('json'));
  });

  test('what looks at an empty host prints by it', () => {
    const lines = [['check'], ['status'], ['pool'], ['migrations'], ['log'], ['doctor']];
    for (const line of lines) {
      const { stdout } = host.cli([...line, '--format', 'json']);
      const schema = JSON.parse(readText(path.join(projectDirectory, `schemas/${line[0]}.schema.json`)));
      const isSound = new Ajv({ allowUnionTypes: true, schemas: [resolveSchema] }).compile(schema);
      expect(isSound(JSON.parse(stdout)) || isSound.errors, line[0]).toBe(true);
    }
  });

  test('what explain says of a guest that came', () => {
    const other = new TestHost();
    try {
      mkdirSync(path.join(other.root, 'etc/actualnet'), { recursive: true });
      writeFileSync(
        path.join(other.root, 'etc/actualnet/config.yaml'),
        'rewrite: [{ match: { bridge: br0 }, bridge: br7 }]\n',
      );
      const document = readText(sample('cookbook/move-on-migration/running.xml'));
      other.hook('qemu', ['web1', 'restore', 'begin', '-'], document);
      const { stdout, status } = other.cli(['explain', 'web1', '--format', 'json']);
      const schema = JSON.parse(readText(path.join(projectDirectory, 'schemas/explain.schema.json')));
      const isSound = new Ajv({ allowUnionTypes: true }).compile(schema);
      const told = JSON.parse(stdout);
      expect({ status, sound: isSound(told) || isSound.errors }).toEqual({ status: 0, sound: true });
      expect(told).toMatchObject({ guest: 'web1', interfaces: [{ alias: 'net0' }] });
    } finally {
      other.remove();
    }
  });

  test('a migration, as two hosts tell of it', () => {
    const cutOver = (reachable: boolean, doneMs: number) =>
      JSON.stringify({
        guest: '7b1f2c0a-9d3e-4a55-8c61-2f0e5b9d0a01',
        name: 'web1',
        reachable,
        cause: 'Resumed Migrated',
        heardMs: doneMs - 2,
        beganMs: doneMs - 1,
        doneMs,
        macs: ['52:54:00:57:00:01'],
      });
    const other = new TestHost();
    try {
      for (const [each, reachable, ms] of [
        [host, true, 1010],
        [other, false, 1000],
      ] as const) {
        mkdirSync(path.join(each.root, 'run/actualnet'), { recursive: true, mode: 0o700 });
        writeFileSync(path.join(each.root, 'run/actualnet/migrations.jsonl'), `${cutOver(reachable, ms)}\n`, {
          mode: 0o600,
        });
      }
      const peer = path.join(other.root, 'peer.json');
      writeFileSync(peer, other.cli(['migrations', '--format', 'json']).stdout);
      const view = JSON.parse(host.cli(['migrations', '--peer', peer, '--format', 'json']).stdout);
      const schema = JSON.parse(readText(path.join(projectDirectory, 'schemas/migrations.schema.json')));
      const isSound = new Ajv({ allowUnionTypes: true }).compile(schema);
      expect(isSound(view) || isSound.errors).toBe(true);
      expect(view.migrations).toMatchObject([{ name: 'web1', closed: { doneMs: 1000 }, opened: { doneMs: 1010 } }]);
    } finally {
      rmSync(path.join(host.root, 'run/actualnet/migrations.jsonl'));
      other.remove();
    }
  });
});

test('the version, and what it runs on', () => {
  const { version } = JSON.parse(readFileSync(path.join(projectDirectory, 'package.json'), 'utf8'));
  expect(host.cli(['--version'])).toEqual({ status: 0, stdout: `actualnet ${version}\n`, stderr: '' });
  const { stdout } = host.cli(['--version', '--verbose']);
  expect(stdout).toMatch(/\ncommit .*\nnode {4}v\d+\..*\nlibvirt \d+\.\d+\.\d+\nkernel {2}\S+/);
});

test('without a command: this host at a glance, and what to do next', () => {
  const { status, stdout } = host.cli([]);
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^hooks +not installed\nagent +does not run\nguests +0 recorded\nfindings +none\nconfiguration +is in order\n/,
  );
  expect(stdout).toMatch(/\nnext: 'actualnet install'/);
});

test('what were modes of status are commands of their own, and the old flags say the same', () => {
  expect(host.cli(['status', '--migrations'])).toEqual(host.cli(['migrations']));
  expect(host.cli(['status', '--pool'])).toEqual(host.cli(['pool']));
  expect(host.cli(['status', '--check', 'nobody'])).toEqual(host.cli(['verify', 'nobody']));
});

describe('errors', () => {
  test.each([
    { words: ['--format', 'json'], status: 2, line: /^a command is needed before '--format' .*\[USAGE\]\n$/ },
    {
      words: ['statsu'],
      status: 2,
      line: /^there is no command 'statsu' \(hint: did you mean 'status'\?\) \[USAGE\]\n$/,
    },
    { words: ['status', '--formt', 'json'], status: 2, line: /did you mean '--format'\?/ },
    { words: ['status', '--format', 'jsn'], status: 2, line: /^Invalid values: [^\\]*\[USAGE\]\n$/ },
    { words: ['fly'], status: 2, line: /\[USAGE\]\n$/ },
    { words: ['--version', '--verbos'], status: 2, line: /did you mean '--verbose'\?/ },
    { words: ['--verson'], status: 2, line: /did you mean '--version'\?/ },
    {
      words: ['attach', 'web1'],
      status: 2,
      line: /^<device> is missing \(hint: see 'actualnet attach --help'\) \[USAGE\]\n$/,
    },
    { words: ['plan', 'qemu', 'g', 'prepare', 'x.xml'], status: 2, line: /^Unknown argument: x\.xml \(hint: see / },
    { words: ['resolve'], status: 2, line: /\[USAGE\]\n$/ },
    { words: ['resolve', 'x', '--colour'], status: 2, line: /\[USAGE\]\n$/ },
    {
      words: ['resolve', sample('web1.xml'), '--libvirt-version', 'new'],
      status: 2,
      line: /^'new' is not a libvirt version .*\[USAGE\]\n$/,
    },
    { words: ['resolve', '/nowhere.xml'], status: 1, line: /^cannot read '\/nowhere.xml': ENOENT \[FILE\]\n$/ },
    {
      words: ['resolve', sample('networks/lan.xml')],
      status: 1,
      line: /^the document is a <network>, not a <domain> \[XML_KIND\]\n$/,
    },
    {
      words: ['resolve', '-'],
      status: 1,
      line: /^stdin: line 1, column 1: no root element: the document is empty \[XML_SYNTAX\]\n$/,
    },
    { words: ['resolve', sample('web1.xml'), '--networks-dir', '/nowhere'], status: 1, line: /\[FILE\]\n$/ },
    { words: ['plan', 'qemu', 'g', 'fly'], status: 2, line: /^there is no plan for 'fly' .*\[USAGE\]\n$/ },
    { words: ['hook', 'lxc', 'g', 'start'], status: 2, line: /\[USAGE\]\n$/ },
  ])('$words ends with $status', ({ words, status, line }) => {
    const answer = host.cli(words);
    expect(answer.stderr).toMatch(line);
    expect(answer.status).toBe(status);
  });

  test('hook answers as the launchers do', () => {
    expect(host.cli(['hook', 'qemu', 'g1', 'prepare', 'begin', '-'], '<a')).toEqual({
      status: 1,
      stdout: '',
      stderr: "guest 'g1', prepare: line 1, column 1: a tag that does not end, or is not one [XML_SYNTAX]\n",
    });
    expect(host.cli(['hook', 'qemu', 'g1', 'reconnect', 'begin', '-'], '<a')).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });
});
