import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import schema from '../../schemas/replay.schema.json' with { type: 'json' };
import type { ReplayedCall } from '../../src/replay/played.ts';
import type { RecordedCall } from '../../src/replay/recorded.ts';
import { FakeLinks } from '../cards/fake-links.ts';
import { sampleCalls } from '../helpers/calls.ts';
import { domainXml } from '../helpers/documents.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';
import { endProcessesOf } from '../helpers/processes.ts';

const life = sampleCalls(path.join(projectDirectory, 'samples/web1'));
const isSound = new Ajv({ allowUnionTypes: true }).compile(schema);

/** Planted where documents have secrets; none of them may be found in what is kept. */
const secrets = ['Hidden-display', 'Hidden-disk', 'Hidden-metadata', 'Hidden-argument', 'Hidden-variable'].concat([
  'Hidden-text',
  'Hidden-firmware',
  'Hidden-network',
  'Hidden-neighbour',
  'Hidden-cookie',
  'Hidden-qemu-conf',
]);

let host: TestHost;
let directory: string;
let temporary: string;
beforeEach(() => {
  host = new TestHost();
  temporary = mkdtempSync(path.join(tmpdir(), 'actualnet-temporary-'));
  host.env.TMPDIR = temporary;
  directory = mkdtempSync(path.join(tmpdir(), 'actualnet-recorded-'));
  chmodSync(directory, 0o700);
  pretendHost();
});
afterEach(() => {
  endProcessesOf(`ACTUALNET_ROOT=${host.root}`);
  host.remove();
  for (const each of [directory, temporary]) rmSync(each, { recursive: true, force: true });
});

/** Links as files, and tools that take everything. */
function pretendHost(): void {
  const links = new FakeLinks(host.root);
  for (const bridge of ['br0', 'br1', 'virbr7', 'br7']) links.make(bridge, ['bridge']);
  for (const [dev, bridge] of [
    ['vnet4', 'br0'],
    ['vnet5', 'br1'],
  ] as const) {
    links.make(dev);
    links.stack(dev, bridge, { master: true, inside: ['brport'] });
  }
  writeFileSync(path.join(host.root, 'sys/class/net/vnet5/brport/isolated'), '0\n');
  const bin = path.join(host.root, 'bin');
  mkdirSync(bin);
  const tool =
    '#!/bin/sh\nwhile read -r line; do case "$1" in -j) echo "[]";; *) echo "$line" >>"$0.said";; esac; done\n';
  for (const name of ['ip', 'bridge']) writeFileSync(path.join(bin, name), tool, { mode: 0o755 });
  host.env.PATH = `${bin}:${host.env.PATH}`;
}

function configure(text: string): void {
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
  writeFileSync(path.join(host.root, 'etc/actualnet/config.yaml'), text);
}

/** The secrets in places where libvirt's documents and files have them. */
function withSecrets(xml: string): string {
  return xml
    .replace(
      /<domain([^>]*)>/,
      "<domain$1 xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><description>Hidden-text</description>" +
        "<metadata><x:user xmlns:x='urn:x' password='Hidden-metadata'>Hidden-metadata</x:user></metadata>" +
        "<sysinfo type='smbios'><oemStrings><entry>io.systemd.credential:x=Hidden-firmware</entry></oemStrings></sysinfo>",
    )
    .replace(
      '</devices>',
      "<graphics type='vnc' passwd='Hidden-display'/><disk><auth username='Hidden-disk'><secret type='ceph' usage='Hidden-disk'/></auth>" +
        "<source><cookies><cookie name='a'>Hidden-cookie</cookie></cookies></source></disk></devices>" +
        "<qemu:commandline><qemu:arg value='-object'/><qemu:arg value='secret,id=s,data=Hidden-argument'/>" +
        "<qemu:env name='X' value='Hidden-variable'/></qemu:commandline>",
    )
    .replace(/<network>|<network connections='\d+'>/, '$&<description>Hidden-network</description>');
}

function plantNeighbour(): void {
  const status = path.join(host.root, 'run/libvirt/qemu');
  mkdirSync(status, { recursive: true });
  const devices =
    "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>";
  const xml = domainXml(devices, "type='kvm' id='9'").replace('g1', 'other').replace('aa<', 'bb<');
  writeFileSync(
    path.join(status, 'other.xml'),
    `<domstatus state='running' reason='booted' pid='1'>${withSecrets(xml).replaceAll('Hidden-', 'Hidden-neighbour-')}</domstatus>`,
  );
  mkdirSync(path.join(host.root, 'etc/libvirt'), { recursive: true });
  writeFileSync(path.join(host.root, 'etc/libvirt/qemu.conf'), 'vnc_password = "Hidden-qemu-conf"\n');
}

function playLife(): void {
  for (const call of life) host.hook(call.driver, call.words, withSecrets(call.stdin.toString()));
}

const recorded = () => readdirSync(directory).sort();
const read = (name: string) => JSON.parse(readFileSync(path.join(directory, name), 'utf8')) as RecordedCall;
function replay(...words: string[]): { status: number | undefined; calls: ReplayedCall[]; stderr: string } {
  const { status, stdout, stderr } = host.cli(['replay', directory, '--format', 'json', ...words]);
  const { calls } = JSON.parse(stdout) as { calls: ReplayedCall[] };
  expect(isSound({ version: 1, calls }) || isSound.errors).toBe(true);
  return { status, calls, stderr };
}

describe('a life that was recorded', () => {
  beforeEach(() => {
    host.env.ACTUALNET_RECORD = directory;
    configure('interfaces: [{ match: { bridge: br1 }, isolated: true }]\n');
    plantNeighbour();
  });

  test('is answered again as it was: what was done, a refusal, and a document that was rewritten', () => {
    playLife();
    configure('hostdevs: { restore: true }\n');
    const missing = domainXml(
      "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='nosuch'/></interface>",
    );
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], missing)).toMatchObject({ status: 1 });
    configure('rewrite: [{ match: { bridge: br0 }, bridge: br7 }]\n');
    const running = domainXml(
      "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>",
    );
    const rewritten = host.hook('qemu', ['g1', 'migrate', 'begin', '-'], withSecrets(running));
    expect(rewritten.stdout).toContain('br7');
    expect(rewritten.stdout).toContain('Hidden-display');

    expect(recorded()).toHaveLength(life.length + 2);
    const { status, calls } = replay();
    expect(calls.filter(({ result }) => result !== 'same')).toEqual([]);
    expect(status).toBe(0);
    expect(calls.flatMap(({ operation, plan }) => plan?.map(({ command }) => `${operation}: ${command}`))).toEqual([
      'start: ip link set dev vnet5 type bridge_slave isolated on',
    ]);
    expect(calls.at(-2)?.answer).toMatchObject({ status: 1, stderr: expect.stringContaining('nosuch') });
    expect(calls.at(-1)?.answer?.stdout).toContain("bridge='br7'");
    expect(calls.flatMap(({ missing }) => missing)).toEqual([]);
    // As a table the same, and nothing is left of the private root.
    const { stdout } = host.cli(['replay', directory]);
    expect(stdout).toContain('switch vnet5 isolated on');
    expect(stdout).toContain(`${life.length + 2} of ${life.length + 2} calls are answered as then`);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('has none of the secrets that were in documents and files', () => {
    playLife();
    // They were there to be found, and the places where they were are.
    expect(withSecrets(life[4]!.stdin.toString()).match(/Hidden-[a-z]+/g)!.length).toBeGreaterThan(7);
    const all = recorded().map(name => readFileSync(path.join(directory, name), 'utf8'));
    expect(all.filter(text => /passwd='redacted'/.test(text)).length).toBeGreaterThan(2);
    expect(all.some(text => text.includes('run/libvirt/qemu/other.xml'))).toBe(true);
    expect(secrets.filter(secret => all.some(text => text.includes(secret)))).toEqual([]);
  });

  test('with another configuration shows what would have been otherwise', () => {
    playLife();
    const other = path.join(host.root, 'other.yaml');
    writeFileSync(other, 'interfaces: [{ match: { bridge: br1 }, keepForwardingTable: true }]\n');
    const { status, calls } = replay('--config', other);
    expect(status).toBe(3);
    const started = calls.find(({ operation, driver }) => driver === 'qemu' && operation === 'start');
    expect(started?.differences).toContainEqual({
      what: 'command',
      before: 'ip link set dev vnet5 type bridge_slave isolated on',
      now: null,
    });
    const table = host.cli(['replay', directory, '--config', other]);
    expect(table.stdout).toMatch(/^ {2}- command: ip link set dev vnet5 type bridge_slave isolated on$/m);
    // The same with the configuration that they had.
    expect(replay('--config', path.join(host.root, 'etc/actualnet/config.yaml')).status).toBe(0);
  });

  test('has the configuration also where that is a link', () => {
    const file = path.join(host.root, 'etc/actualnet/config.yaml');
    renameSync(file, path.join(host.root, 'elsewhere.yaml'));
    symlinkSync('../../elsewhere.yaml', file);
    const { driver, words, stdin } = life.find(({ label }) => label.includes('web1-start.'))!;
    host.hook(driver, words, stdin);
    const [call] = recorded().map(read);
    expect(call?.files['etc/actualnet/config.yaml']?.text).toContain('isolated: true');
    expect(replay()).toMatchObject({
      status: 0,
      calls: [{ result: 'same', plan: [{ what: expect.stringContaining('isolated') }] }],
    });
  });

  test('with a configuration that is a mistake is recorded as any other, and refused as it was', () => {
    configure('interfaces: 7\n');
    const refused = host.hook('qemu', ['g1', 'prepare', 'begin', '-'], domainXml(''));
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('[CONFIG]') });
    const { status, calls } = replay();
    expect({ status, calls }).toMatchObject({ status: 0, calls: [{ result: 'same', answer: { status: 1 } }] });
    expect(calls[0]?.answer?.stderr).toContain('/etc/actualnet/config.yaml:1');
    // One that was good before goes on counting, and says since when.
    configure('taps: { create: true }\n');
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], domainXml(''));
    configure('interfaces: 7\n');
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], domainXml('')).status).toBe(0);
    const again = replay();
    expect(again.calls.map(({ result, differences }) => ({ result, differences }))).toEqual(
      again.calls.map(() => ({ result: 'same', differences: [] })),
    );
  });

  test('with a recorded configuration that somebody changed differs, too', () => {
    playLife();
    const name = recorded().find(each => each.endsWith('qemu-web1-start.json'))!;
    const call = read(name);
    const files = { ...call.files, 'etc/actualnet/config.yaml': { text: 'taps: { create: true }\n', mtimeMs: 1 } };
    writeFileSync(path.join(directory, name), JSON.stringify({ ...call, files }));
    const { status, calls } = replay();
    expect(status).toBe(3);
    expect(calls.filter(({ result }) => result !== 'same').map(({ file }) => file)).toEqual([name]);
  });

  test('tells of a document that could not be kept, since it is none', () => {
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], "<domain><graphics passwd='Hidden-display'");
    expect(readFileSync(path.join(directory, recorded()[0]!), 'utf8')).not.toContain('Hidden');
    const { status, calls } = replay();
    expect({ status, calls }).toMatchObject({
      status: 0,
      calls: [{ result: 'not played', why: expect.stringContaining('the document is not kept') }],
    });
  });
});

test.each(['qemu', 'network'] as const)('a file asks for it, too, of the %s hook', driver => {
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
  writeFileSync(path.join(host.root, 'etc/actualnet/record'), `${directory}\n`);
  const call = life.find(each => each.driver === driver)!;
  host.hook(driver, call.words, call.stdin);
  expect(recorded()).toHaveLength(1);
  // What the environment says counts first, and a file of another kind keeps nobody waiting.
  host.env.ACTUALNET_RECORD = path.join(directory, 'nosuch');
  host.hook(driver, call.words, call.stdin);
  delete host.env.ACTUALNET_RECORD;
  rmSync(path.join(host.root, 'etc/actualnet/record'));
  execFileSync('mkfifo', [path.join(host.root, 'etc/actualnet/record')]);
  host.hook(driver, call.words, call.stdin);
  expect(recorded()).toHaveLength(1);
});

describe('calls are not recorded', () => {
  const prepare = () => host.hook('qemu', ['g1', 'prepare', 'begin', '-'], domainXml(''));
  const log = () => readFileSync(path.join(host.root, 'var/log/actualnet.log'), 'utf8');

  test('where nobody asks for it', () => {
    expect(prepare().status).toBe(0);
    expect(recorded()).toEqual([]);
    host.env.ACTUALNET_RECORD = '';
    expect(prepare().status).toBe(0);
    expect(existsSync(path.join(host.root, 'var/log/actualnet.log'))).toBe(false);
  });

  test.each<[string, string, () => string]>([
    ['a path that is not absolute', 'its path does not begin with a slash', () => 'recorded'],
    ['a directory that is not there', 'there is none', () => path.join(directory, 'nosuch')],
    [
      'a directory that others may look into',
      'others may look into it',
      () => {
        chmodSync(directory, 0o755);
        return directory;
      },
    ],
    [
      'a link to a directory',
      'it is not a directory',
      () => {
        symlinkSync(directory, path.join(host.root, 'link'));
        return path.join(host.root, 'link');
      },
    ],
    [
      'a file',
      'it is not a directory',
      () => {
        writeFileSync(path.join(host.root, 'file'), '');
        return path.join(host.root, 'file');
      },
    ],
  ])('in %s, which is told once', (_, why, where) => {
    host.env.ACTUALNET_RECORD = where();
    for (const __ of [1, 2, 3]) expect(prepare()).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(recorded()).toEqual([]);
    expect(log().match(new RegExp(`${why} \\(hint: a directory|${why}`, 'g'))).toHaveLength(1);
  });
});

describe('a directory from somebody else', () => {
  const sound = (): RecordedCall => ({
    format: 1,
    at: '2026-05-04T10:00:00.000Z',
    durationMs: 1,
    by: { version: '0.1.0', commit: null, node: 'v20' },
    call: { driver: 'qemu', object: 'g1', operation: 'prepare', subOperation: 'begin', extra: '-' },
    document: domainXml(''),
    facts: {},
    views: [{ hasPci: { is: false }, hasLinks: { is: false } }],
    files: {},
    runs: [],
    answer: { status: 0, stdout: '', stderr: '', said: [] },
    missing: [],
  });
  const file = (text: string) => ({ 'run/actualnet/x': { text, mtimeMs: 0 } });
  const put = (content: string | Uint8Array) => writeFileSync(path.join(directory, 'a.json'), content);
  const putCall = (part: object) => put(JSON.stringify({ ...sound(), ...part }));

  test('is read, if it is what it says', () => {
    putCall({});
    expect(replay()).toMatchObject({ status: 0, calls: [{ result: 'same', differences: [] }] });
    // What it did not ask then is told of: nobody knows the answer.
    putCall({ views: [{ hasPci: { is: false } }] });
    const differences = [{ what: 'host', before: null, now: "asked for 'hasLinks'" }];
    expect(replay()).toMatchObject({ status: 3, calls: [{ result: 'differs', differences }] });
  });

  test.each<[string, RegExp, () => void]>([
    [
      'a path that leads out',
      /wrong place/,
      () => putCall({ files: { 'run/actualnet/../../../../tmp/x': file('')['run/actualnet/x'] } }),
    ],
    ['an absolute path', /wrong place/, () => putCall({ files: { '/tmp/x': { text: '', mtimeMs: 0 } } })],
    ['a path elsewhere', /wrong place/, () => putCall({ files: { 'var/log/x': { text: '', mtimeMs: 0 } } })],
    [
      'a file where a directory is',
      /^its file 'run\/actualnet\/x' cannot be written: E/,
      () => putCall({ files: { 'run/actualnet/x/y': { text: '', mtimeMs: 0 }, ...file('') } }),
    ],
    [
      'a name with a zero byte',
      /wrong place/,
      () => putCall({ files: { 'run/actualnet/\0': { text: '', mtimeMs: 0 } } }),
    ],
    ['a file that is no text', /missing or of another kind/, () => putCall({ files: { 'run/actualnet/x': 7 } })],
    ['another format', /format is not known/, () => putCall({ format: 2 })],
    ['no JSON', /not JSON/, () => put('{"format":1')],
    ['nothing', /not JSON/, () => put('')],
    ['an array', /format/, () => put('[]')],
    ['a million brackets', /nested too deep/, () => put('['.repeat(1_000_000))],
    ['text that is not UTF-8', /not UTF-8/, () => put(Uint8Array.of(0x22, 0xff, 0x22))],
    ['too much', /larger than/, () => put(Buffer.alloc(17 * 1024 * 1024, 0x20))],
    ['a link', /cannot read/, () => symlinkSync('/etc/passwd', path.join(directory, 'a.json'))],
    ['a pipe', /not a regular file/, () => execFileSync('mkfifo', [path.join(directory, 'a.json')])],
    ['a directory', /not a regular file|cannot read/, () => mkdirSync(path.join(directory, 'a.json'))],
    ['a time that is none', /another kind/, () => putCall({ at: 'then' })],
    ['a driver that is none', /another kind/, () => putCall({ call: { ...sound().call, driver: 'sh' } })],
    [
      'a link whose uppers are a number',
      /another kind/,
      () => putCall({ views: [{ 'link eth0': { is: { dev: 'eth0', uppers: 7 } } }] }),
    ],
    [
      'a prototype',
      /another kind/,
      () => put(JSON.stringify(sound()).replace('"facts":{}', '"facts":{"__proto__":7}')),
    ],
  ])('with %s is told of in one line', (_, why, plant) => {
    plant();
    const { status, calls, stderr } = replay();
    expect(status).toBe(1);
    expect(calls).toMatchObject([{ file: 'a.json', result: 'unreadable', why: expect.stringMatching(why) }]);
    expect(stderr).toBe('1 of 1 calls cannot be read [FILE]\n');
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('in which links stand upon each other in every way ends soon', () => {
    const devs = Array.from({ length: 40 }, (_, index) => `e${index}`);
    const link = {
      index: 1,
      up: true,
      mtu: 1500,
      mac: '',
      master: null,
      isBridge: false,
      kind: 'vlan',
      vfs: 0,
      pci: null,
    };
    const links = devs.map(dev => [`link ${dev}`, { is: { ...link, dev, lowers: devs, uppers: devs } }]);
    const br0 = { ...link, dev: 'br0', isBridge: true, vlanFiltering: true, kind: 'other', lowers: devs, uppers: devs };
    const config = 'bridges: { br0: { uplinkVlans: true } }\ninterfaces: [{ match: { bridge: br0 }, vlan: 10 }]\n';
    putCall({
      document: domainXml(
        "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>",
      ),
      views: [{ ...Object.fromEntries(links), 'link br0': { is: br0 }, hasLinks: { is: true }, hasPci: { is: false } }],
      files: { 'etc/actualnet/config.yaml': { text: config, mtimeMs: 0 } },
    });
    const fromMs = performance.now();
    const [call] = replay().calls;
    expect(`${call?.answer?.stderr} ${call?.said}`).toContain('asks more of the host than any call does');
    expect(performance.now() - fromMs).toBeLessThan(20_000);
  });

  test('shows what a terminal would obey', () => {
    putCall({ call: { ...sound().call, object: '\u001b[2J\u202e' }, missing: ['\u001b]0;x\u0007'] });
    const { stdout } = host.cli(['replay', directory]);
    expect(stdout).toContain('\\u001b[2J\\u202e');
    expect(stdout).not.toMatch(/[\u001b\u202e\u0007]/);
  });

  test.each([
    ['that is not there', () => rmSync(directory, { recursive: true }), 'there is no directory'],
    ['with nothing in it', () => undefined, 'there is no recorded call'],
  ])('%s is a failure', (_, plant, why) => {
    plant();
    const { status, stderr } = host.cli(['replay', directory]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(why) });
  });

  test('does nothing to this host: no tool is run, and no file of it is read or written', () => {
    putCall({ files: { 'etc/actualnet/config.yaml': { text: 'bridges: { br1: { isolated: true } }\n', mtimeMs: 0 } } });
    configure('a mistake\n');
    const before = execFileSync('find', [host.root, '-printf', '%p %T@\n']).toString();
    expect(replay().calls).toMatchObject([{ object: 'g1', answer: { status: 0 } }]);
    expect(execFileSync('find', [host.root, '-printf', '%p %T@\n']).toString()).toBe(before);
  });
});
