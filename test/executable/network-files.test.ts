import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domainXml } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';

let host: TestHost;
let directory: string;
beforeEach(() => {
  host = new TestHost();
  directory = path.join(host.root, 'networks');
  mkdirSync(directory);
  write('lan.xml', lan('br0'));
});
afterEach(() => host.remove());

const lan = (bridge: string, name = 'lan') =>
  `<network><name>${name}</name><forward mode='bridge'/><bridge name='${bridge}'/></network>`;
const uses = (network: string) =>
  domainXml(
    `<interface type='network'><mac address='52:54:00:00:00:01'/><source network='${network}'/><model type='virtio'/></interface>`,
  );

function write(name: string, text: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, text);
  return file;
}

function resolve(network: string, ...words: readonly string[]) {
  const { status, stdout, stderr } = host.cli(['resolve', '-', ...words, '--format', 'json'], uses(network));
  if (status !== 0) return { status, stderr };
  const { interfaces, warnings } = JSON.parse(stdout);
  return { status, actual: interfaces[0].actual, error: interfaces[0].error, warnings };
}

const inDirectory = () => ['--networks-dir', directory];

describe('a file of a directory that is no network', () => {
  test.each([
    { name: 'no XML', text: 'not a network', says: /^'\/.*bad\.xml': .* \[XML_SYNTAX\]$/ },
    { name: 'empty', text: '', says: /^'\/.*bad\.xml': .* \[XML_SYNTAX\]$/ },
    { name: 'another kind of document', text: '<pool/>', says: /^'\/.*bad\.xml': .*<pool>.* \[XML_KIND\]$/ },
    {
      name: 'a network libvirt would not define',
      text: "<network><name>bad</name><forward mode='sideways'/></network>",
      says: /^'\/.*bad\.xml': network 'bad': .*'sideways'/,
    },
    { name: 'a name of its own', text: '<network><uuid>x</uuid></network>', says: /^'\/.*bad\.xml': / },
  ])('is told, and only who needs it fails: $name', ({ text, says }) => {
    write('bad.xml', text);
    expect(resolve('lan', ...inDirectory())).toMatchObject({
      status: 0,
      actual: { type: 'bridge', bridge: 'br0' },
      warnings: [expect.stringMatching(says)],
    });
    const { actual, error } = resolve('bad', ...inDirectory());
    expect(actual).toBeNull();
    expect(error.message).toContain("bad.xml'");
  });

  test('a pipe, a directory, a link to nothing', () => {
    execaSync('mkfifo', [path.join(directory, 'pipe.xml')]);
    mkdirSync(path.join(directory, 'directory.xml'));
    symlinkSync('nowhere', path.join(directory, 'link.xml'));
    const { status, warnings } = resolve('lan', ...inDirectory());
    expect(status).toBe(0);
    expect(warnings).toEqual([
      `'${directory}/directory.xml' is not a regular file [FILE]`,
      `cannot read '${directory}/link.xml': ENOENT [FILE]`,
      `'${directory}/pipe.xml' is not a regular file [FILE]`,
    ]);
  });

  test('is known by the name inside, where there is one', () => {
    write('other.xml', "<network><name>inside</name><forward mode='sideways'/></network>");
    expect(resolve('inside', ...inDirectory()).error.message).toContain("other.xml'");
    expect(resolve('other', ...inDirectory()).error.code).toBe('NETWORK_UNKNOWN');
  });

  test('of two for one network neither counts, unless one is named', () => {
    const second = write('second.xml', lan('br1'));
    write('more.xml', lan('br2', 'more'));
    const line = `network 'lan' is given twice, by '${directory}/lan.xml' and by '${second}'`;
    expect(resolve('more', ...inDirectory())).toMatchObject({ status: 0, warnings: [`${line} [USAGE]`] });
    expect(resolve('lan', ...inDirectory())).toMatchObject({ actual: null, error: { code: 'USAGE' } });
    const own = path.join(host.root, 'own.xml');
    writeFileSync(own, lan('br9'));
    expect(resolve('lan', '--network', own, ...inDirectory()).actual).toEqual({ type: 'bridge', bridge: 'br9' });
  });

  test('links to sound ones are followed', () => {
    const elsewhere = path.join(host.root, 'elsewhere');
    writeFileSync(elsewhere, lan('br5', 'linked'));
    symlinkSync(elsewhere, path.join(directory, 'linked.xml'));
    expect(resolve('linked', ...inDirectory())).toMatchObject({ status: 0, actual: { bridge: 'br5' }, warnings: [] });
  });
});

describe('a file that is named', () => {
  test.each([
    { name: 'no XML', text: 'x' },
    { name: 'a domain', text: domainXml('') },
    { name: 'a wrong value', text: "<network><name>n</name><bridge macTableManager='me'/></network>" },
    { name: 'a portgroup twice', text: "<network><name>n</name><portgroup name='a'/><portgroup name='a'/></network>" },
  ])('must be sound, and is named in the error: $name', ({ text }) => {
    const file = write('named.xml', text);
    const { status, stderr } = resolve('lan', '--network', file);
    expect(status).toBe(1);
    expect(stderr).toContain(`'${file}': `);
    expect(stderr?.split(file)).toHaveLength(2);
  });
});

test("one bad file among libvirt's own concerns nobody else", () => {
  const own = path.join(host.root, 'etc/libvirt/qemu/networks');
  mkdirSync(own, { recursive: true });
  writeFileSync(path.join(own, 'lan.xml'), lan('br0'));
  writeFileSync(path.join(own, 'bad.xml'), '<network');
  execaSync('mkfifo', [path.join(own, 'pipe.xml')]);
  expect(resolve('lan')).toMatchObject({ status: 0, error: { code: 'NETWORK_INACTIVE' } });
  expect(resolve('bad').error.message).toContain(`'${own}/bad.xml': `);
  expect(resolve('pipe').error.message).toContain(`'${own}/pipe.xml' is not a regular file`);
});
