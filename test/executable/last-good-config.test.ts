import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domainXml } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
});
afterEach(() => host.remove());

const guest = domainXml(
  "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>",
  "id='1'",
);
const file = () => path.join(host.root, 'etc/actualnet/config.yaml');
const copy = () => path.join(host.root, 'var/lib/actualnet/good-config.json');
const log = () => readFileSync(path.join(host.root, 'var/log/actualnet.log'), 'utf8');
const configure = (text: string) => writeFileSync(file(), text);
const call = (operation: string) => host.hook('qemu', ['g1', operation, 'begin', '-'], guest);
const fine = { status: 0, stdout: '', stderr: '' };
const status = () => JSON.parse(host.cli(['status', '--format', 'json']).stdout);
const forget = () => rmSync(path.join(host.root, 'run'), { recursive: true });

/** Asks for nothing that an empty host lacks, and is not passive. */
const good = 'interfaces:\n- match: { guest: other }\n  mtu: 1400\n';
const broken = `${good}bridgs: {}\n`;
const mistake = () => `${file()}:4: bridgs: unknown key 'bridgs' (did you mean 'bridges'?)`;

describe('a configuration that has become bad', () => {
  test('does not count: the last good one goes on, and says so', () => {
    configure(good);
    expect(call('prepare')).toEqual(fine);
    expect(status()).toMatchObject({ configuration: null, guests: [{ findings: [] }] });
    call('release');
    configure(broken);
    expect(call('prepare')).toEqual(fine);
    const { configuration, guests } = status();
    expect(configuration).toMatch(
      /^the configuration read at \d{4}-.*Z goes on counting, as it cannot be used as it is now: /,
    );
    expect(configuration).toContain(mistake());
    expect(guests).toMatchObject([{ name: 'g1', phase: 'prepare', findings: [configuration] }]);
    expect(log()).toContain(`guest 'g1', prepare: ${configuration}`);
    expect(host.cli(['status']).stdout).toContain(`configuration: ${configuration}\n`);
    // Told once for each guest.
    expect(call('started')).toEqual(fine);
    expect(status().guests[0].findings).toEqual([configuration]);
    expect(host.cli(['check'])).toMatchObject({ status: 3, stdout: `${mistake()}\n` });
    const planned = host.cli(['plan', 'qemu', 'g1', 'prepare'], guest);
    expect(planned).toMatchObject({ status: 0, stderr: `warning: ${configuration}\n` });
    configure(good);
    expect(status().configuration).toBeNull();
  });

  test.each([
    { name: 'a mistake in a value', spoil: () => configure('taps: { create: maybe }') },
    { name: 'no YAML', spoil: () => configure('a: b: c') },
    { name: 'a contradiction', spoil: () => configure('rewrite: [{ match: {}, bridge: br0, dev: eno1 }]') },
    {
      name: 'a directory in its place',
      spoil: () => {
        rmSync(file());
        mkdirSync(file());
      },
    },
  ])('after a boot as well: $name', ({ spoil }) => {
    configure(`${good}taps: { owner: before }\n`);
    call('prepare');
    expect(statSync(copy()).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(copy())).mode & 0o777).toBe(0o700);
    spoil();
    forget();
    for (const operation of ['prepare', 'start', 'started', 'release'])
      expect(call(operation), operation).toEqual(fine);
    for (const operation of ['migrate', 'restore']) expect(call(operation), operation).toEqual(fine);
    expect(status().configuration).toMatch(/goes on counting/);
    rmSync(file(), { recursive: true });
    configure(good);
    expect(call('prepare')).toEqual(fine);
    expect(status().configuration).toBeNull();
  });

  test('is not read again and again', () => {
    configure(good);
    call('prepare');
    configure(broken);
    call('prepare');
    const cacheFile = path.join(host.root, 'run/actualnet/config.json');
    const cache = JSON.parse(readFileSync(cacheFile, 'utf8'));
    expect(cache.config.outdated).toContain(mistake());
    writeFileSync(cacheFile, JSON.stringify({ ...cache, config: { ...cache.config, outdated: 'from the cache' } }));
    expect(status().configuration).toBe('from the cache');
  });

  test('counts for networks, too', () => {
    const xml = '<hookData><network><name>lan</name><forward mode="bridge"/><bridge name="br0"/></network></hookData>';
    configure(good);
    expect(host.hook('network', ['lan', 'start', 'begin', '-'], xml)).toEqual(fine);
    configure(broken);
    expect(host.hook('network', ['lan', 'start', 'begin', '-'], xml)).toEqual(fine);
    expect(log()).toMatch(/network 'lan', start: the configuration read at .* goes on counting, .*bridgs/);
  });
});

describe('without a good one', () => {
  const operations = ['start', 'started', 'reconnect', 'stopped', 'release'];

  test('a start is refused, and nothing that runs is', () => {
    configure(broken);
    for (const operation of ['prepare', 'migrate', 'restore']) {
      const { status: exit, stderr } = call(operation);
      expect({ exit, stderr }, operation).toEqual({
        exit: 1,
        stderr: `guest 'g1', ${operation}: ${mistake()} (hint: run 'actualnet check') [CONFIG]\n`,
      });
    }
    for (const operation of operations.slice(1)) expect(call(operation), operation).toEqual(fine);
    expect(status().configuration).toContain(`no guest can start: ${mistake()}`);
    expect(existsSync(copy())).toBe(false);
  });

  test.each([
    { name: 'cut off', text: '{"accepted":"2026' },
    { name: 'of another form', text: '{"accepted":1,"files":[{}]}' },
    { name: 'with a mistake itself', text: JSON.stringify({ accepted: 'x', files: [{ file: 'a', text: 'x: 1' }] }) },
  ])('a kept copy that is none: $name', ({ text }) => {
    configure(broken);
    mkdirSync(path.dirname(copy()), { recursive: true, mode: 0o700 });
    writeFileSync(copy(), text, { mode: 0o600 });
    expect(call('prepare')).toMatchObject({ status: 1, stderr: expect.stringContaining(mistake()) });
    expect(call('release')).toEqual(fine);
  });

  test('a copy that cannot be written keeps nobody from starting', () => {
    configure(good);
    mkdirSync(path.join(host.root, 'var/lib'), { recursive: true });
    writeFileSync(path.join(host.root, 'var/lib/actualnet'), 'not a directory');
    expect(call('prepare')).toEqual(fine);
    chmodSync(path.join(host.root, 'var/lib/actualnet'), 0o600);
    configure(broken);
    // What was parsed is still known until the next boot.
    expect(call('prepare')).toEqual(fine);
  });
});
