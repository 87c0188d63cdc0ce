import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultConfig } from '../../../src/config/config.ts';
import { hostPaths } from '../../../src/host/paths.ts';
import { loadConfig, readConfigFiles } from '../../../src/host/state/config-files.ts';
import { errorLine } from '../../../src/report/error.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'actualnet-config-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const inConfig = (name: string) => path.join(root, 'etc/actualnet', name);
const cacheFile = () => path.join(root, 'run/actualnet/config.json');
const load = () => loadConfig(hostPaths(root));

function write(name: string, text: string | Uint8Array): string {
  const file = inConfig(name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** Makes the cache tell something the files do not. */
function forge(): void {
  const cache = JSON.parse(readFileSync(cacheFile(), 'utf8'));
  writeFileSync(cacheFile(), JSON.stringify({ ...cache, config: { ...cache.config, taps: { owner: 'cache' } } }));
}

const loadOwner = async () => (await load()).taps.owner;

describe('the files', () => {
  test('without any, the defaults hold and nothing is written', async () => {
    expect(await load()).toEqual(defaultConfig);
    mkdirSync(inConfig('conf.d'), { recursive: true });
    expect(await load()).toEqual(defaultConfig);
    expect(existsSync(cacheFile())).toBe(false);
  });

  test('are config.yaml and then conf.d/*.yaml in byte order', () => {
    for (const name of ['b', 'a', 'B', '10', '9', '\u{1f600}', '\uff5e', '.hidden']) write(`conf.d/${name}.yaml`, '');
    for (const name of ['a.yml', 'a.yaml~', 'README']) write(`conf.d/${name}`, 'nonsense: 1');
    write('config.yaml', '');
    write('other.yaml', 'nonsense: 1');
    const expected = [
      'config.yaml',
      ...['10', '9', 'B', 'a', 'b', '\uff5e', '\u{1f600}'].map(name => `conf.d/${name}.yaml`),
    ];
    expect(readConfigFiles(hostPaths(root)).map(({ file }) => file)).toEqual(expected.map(inConfig));
  });

  test('conf.d is enough', async () => {
    write('conf.d/10.yaml', 'taps: {owner: a}');
    write('conf.d/20.yaml', 'taps: {owner: b}');
    expect(await loadOwner()).toBe('b');
  });

  test('may be links', async () => {
    const elsewhere = path.join(root, 'elsewhere');
    writeFileSync(elsewhere, 'taps: {owner: a}');
    mkdirSync(inConfig('conf.d'), { recursive: true });
    symlinkSync(elsewhere, inConfig('config.yaml'));
    expect(await loadOwner()).toBe('a');
    writeFileSync(elsewhere, 'taps: {owner: bob}');
    expect(await loadOwner()).toBe('bob');
  });

  test.each([
    {
      name: 'a directory',
      make: () => mkdirSync(inConfig('config.yaml'), { recursive: true }),
      says: /is not a regular file/,
    },
    {
      name: 'a link to nothing',
      make: () => symlinkSync('nowhere', write('x', '').replace(/x$/, 'config.yaml')),
      says: /^cannot read '.*config.yaml': ENOENT \[FILE\]$/,
    },
    {
      name: 'a link to itself',
      make: () => symlinkSync('config.yaml', write('x', '').replace(/x$/, 'config.yaml')),
      says: /^cannot read '.*config.yaml': ELOOP \[FILE\]$/,
    },
  ])('cannot be read: $name', async ({ make, says }) => {
    make();
    expect(await load().catch(errorLine)).toMatch(says);
  });

  test('of more than 1 MiB, or not in UTF-8, are refused', async () => {
    const file = write('config.yaml', `#${' \n'.repeat(600_000)}`);
    expect(await load().catch(errorLine)).toBe(
      `${file}:1: the file is larger than 1048576 bytes (hint: run 'actualnet check') [CONFIG]`,
    );
    write('config.yaml', Uint8Array.of(0x61, 0x0a, 0xff));
    expect(await load().catch(errorLine)).toContain(`${file}:2: the text is not UTF-8`);
  });

  test.each([
    { text: 'a1: 1', more: '' },
    { text: 'a1: 1\na2: 1', more: ', and 1 more mistake' },
    { text: 'a1: 1\na2: 1\na3: 1', more: ', and 2 more mistakes' },
  ])('with mistakes are one error: $text', async ({ text, more }) => {
    const file = write('config.yaml', text);
    const known =
      'known: bridges, taps, macvtap, reachability, hostdevs, limits, settings, provide, interfaces, rewrite, guests';
    expect(await load().catch(errorLine)).toBe(
      `${file}:1: a1: unknown key 'a1' (${known})${more} (hint: run 'actualnet check') [CONFIG]`,
    );
    expect(existsSync(cacheFile())).toBe(false);
  });
});

describe('the cache', () => {
  test('is used while the files stay as they were', async () => {
    write('config.yaml', 'taps: {owner: a}\nbridges: {br0: {isolated: true}}');
    write('conf.d/a.yaml', 'interfaces: [{match: {}, vlan: 5}]');
    const parsed = await load();
    expect(await load()).toEqual(parsed);
    forge();
    expect(await loadOwner()).toBe('cache');
    expect((await load()).bridges.constructor).toBeUndefined();
    expect(statSync(cacheFile()).mode & 0o777).toBe(0o600);
  });

  test.each([
    { name: 'another size', change: () => write('config.yaml', 'taps: {owner: bob}'), owner: 'bob' },
    { name: 'another time', change: () => utimesSync(inConfig('config.yaml'), 1, 1), owner: 'a' },
    {
      name: 'another file under the name',
      change: () => {
        write('new', 'taps: {owner: c}');
        utimesSync(inConfig('new'), 2, 2);
        renameSync(inConfig('new'), inConfig('config.yaml'));
      },
      owner: 'c',
    },
    { name: 'one file more', change: () => write('conf.d/a.yaml', 'taps: {owner: d}'), owner: 'd' },
    { name: 'a cache cut off', change: () => writeFileSync(cacheFile(), '{"version":1,"fil'), owner: 'a' },
    { name: 'a cache of nothing', change: () => writeFileSync(cacheFile(), 'null'), owner: 'a' },
    {
      name: 'a cache of another version',
      change: () =>
        writeFileSync(cacheFile(), readFileSync(cacheFile(), 'utf8').replace('"version":"{', '"version":"x{')),
      owner: 'a',
    },
    {
      name: 'a cache without its content',
      change: () => writeFileSync(cacheFile(), readFileSync(cacheFile(), 'utf8').replace('"config"', '"x"')),
      owner: 'a',
    },
  ])('is not used: $name', async ({ change, owner }) => {
    utimesSync(write('config.yaml', 'taps: {owner: a}'), 2, 2);
    expect(await loadOwner()).toBe('a');
    forge();
    change();
    expect(await loadOwner()).toBe(owner);
    expect(JSON.parse(readFileSync(cacheFile(), 'utf8')).config.taps.owner).toBe(owner);
  });

  test('is not used when files are fewer', async () => {
    write('config.yaml', 'taps: {owner: a}');
    const part = write('conf.d/a.yaml', 'taps: {owner: b}');
    expect(await loadOwner()).toBe('b');
    rmSync(part);
    expect(await loadOwner()).toBe('a');
    rmSync(inConfig('config.yaml'));
    expect(await load()).toEqual(defaultConfig);
  });

  test('that cannot be written is done without', async () => {
    write('config.yaml', 'taps: {owner: a}');
    writeFileSync(path.join(root, 'run'), 'not a directory');
    expect(await loadOwner()).toBe('a');
  });
});
