import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findLibvirtVersion, findNetworkInLibvirtFiles } from '../../../src/host/libvirt/files.ts';
import { type HostPaths, hostPaths } from '../../../src/host/paths.ts';
import { fileNameOf } from '../../../src/host/state/file-names.ts';
import { fileMemory, type Memory } from '../../../src/host/state/memory.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { formatLibvirtVersion } from '../../../src/resolve/version.ts';

let root: string;
let paths: HostPaths;
let memory: Memory;
let nowMs: number;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'actualnet-memory-'));
  paths = hostPaths(root);
  nowMs = Date.now();
  memory = fileMemory(paths, () => nowMs);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const guest = '0b0e1f52-0000-4000-8000-0000000000aa' as Uuid;
const networkXml = (name: string, pool = "<interface dev='e1'/><interface dev='e2'/>") =>
  `<network><name>${name}</name><forward mode='bridge'>${pool}</forward></network>`;
const portXml = (uuid: string, dev = 'e1') =>
  `<networkport><uuid>${uuid}</uuid><owner><name>g</name><uuid>${guest}</uuid></owner><mac address='52:54:00:00:00:01'/>` +
  `<plug type='direct' dev='${dev}' mode='bridge'/></networkport>`;
const portUuid = (number: number) => `00000000-0000-4000-8000-00000000000${number}` as Uuid;

function writeLibvirtFile(place: string, content: string): void {
  const file = path.join(root, place);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
}

describe('networks', () => {
  test('a remembered network wins over libvirt files and carries its ports', () => {
    writeLibvirtFile('etc/libvirt/qemu/networks/n.xml', networkXml('n', "<interface dev='old'/>"));
    expect(memory.findNetwork('n')).toMatchObject({ active: false, network: { pool: [{ dev: 'old' }] }, ports: [] });
    memory.rememberNetwork('n', networkXml('n'));
    memory.rememberPort('n', { uuid: portUuid(1), xml: portXml(portUuid(1)) });
    memory.rememberPort('n', { uuid: portUuid(1), xml: portXml(portUuid(1)) });
    expect(memory.findNetwork('n')).toMatchObject({
      active: true,
      ports: [{ uuid: portUuid(1), plug: { dev: 'e1' } }],
    });
    memory.forgetPort('n', portUuid(1));
    memory.forgetPort('n', portUuid(1));
    expect(memory.findNetwork('n')?.ports).toEqual([]);
    memory.forgetNetwork('n');
    expect(memory.findNetwork('n')).toMatchObject({ active: false });
  });

  test('a running network met for the first time brings the ports libvirt has written down', () => {
    writeLibvirtFile('run/libvirt/network/n.xml', `<networkstatus>${networkXml('n')}</networkstatus>`);
    writeLibvirtFile(`run/libvirt/network/n/ports/${portUuid(1)}.xml`, portXml(portUuid(1)));
    expect(memory.findNetwork('n')).toMatchObject({ active: true, ports: [{ uuid: portUuid(1) }] });
    memory.rememberNetwork('n', networkXml('n'));
    memory.rememberPort('n', { uuid: portUuid(2), xml: portXml(portUuid(2), 'e2') });
    expect(memory.findNetwork('n')?.ports.map(({ uuid }) => uuid)).toEqual([portUuid(1), portUuid(2)]);
  });

  test('a name is compared with directory entries and never becomes a path', () => {
    writeLibvirtFile('etc/secret.xml', networkXml('secret'));
    expect(findNetworkInLibvirtFiles(paths, '../../secret')).toBeUndefined();
    expect(findNetworkInLibvirtFiles(paths, '../networks/x')).toBeUndefined();
  });

  test.each(['../../x', '.', '..', 'a/b', '', 'x'.repeat(255), `${'x'.repeat(254)}y`, 'é', 'A', 'a'])(
    '%j has a file name of its own',
    name => {
      expect(fileNameOf(name)).toMatch(/^[A-Za-z0-9_%~-]{0,120}$/);
      const others = ['../../x', '.', '..', 'a/b', '', 'x'.repeat(255), `${'x'.repeat(254)}y`, 'é', 'A', 'a'].filter(
        other => other !== name,
      );
      expect(others.map(fileNameOf)).not.toContain(fileNameOf(name));
    },
  );
});

describe('records', () => {
  test('lines come back in order and are gone when removed', () => {
    memory.appendRecord(guest, { n: 1 });
    memory.appendRecord(guest, { n: 2 });
    expect(memory.readRecord(guest)).toEqual([{ n: 1 }, { n: 2 }]);
    expect(memory.listRecords()).toEqual([guest]);
    memory.removeRecord(guest);
    expect([memory.readRecord(guest), memory.listRecords()]).toEqual([[], []]);
  });

  test('an announcement is taken once, and forgotten when the guest does not come', () => {
    memory.announce(guest, { op: 'migrate' });
    expect(memory.listAnnouncements()).toEqual([{ guest, line: { op: 'migrate' } }]);
    expect([memory.takeAnnouncement(guest), memory.takeAnnouncement(guest)]).toEqual([{ op: 'migrate' }, undefined]);
    memory.announce(guest, { op: 'restore' });
    nowMs += 3_700_000;
    expect(memory.listAnnouncements()).toEqual([]);
    expect(readdirSync(path.join(root, 'run/actualnet/announced'))).toEqual([]);
  });

  test('a topic is new once', () => {
    expect([memory.isFirst('x y'), memory.isFirst('x y'), memory.isFirst('x z')]).toEqual([true, false, true]);
  });

  test('files are private', () => {
    memory.appendRecord(guest, {});
    const mode = (place: string) => statSync(path.join(root, place)).mode & 0o777;
    expect(mode('run/actualnet/guests')).toBe(0o700);
  });
});

describe('the version of libvirt', () => {
  test.each([
    { place: 'usr/lib/x86_64-linux-gnu', target: 'libvirt.so.0.9000.0', version: '9.0.0' },
    { place: 'usr/lib64', target: 'libvirt.so.0.11003.0', version: '11.3.0' },
    { place: 'usr/lib', target: 'libvirt.so.0.10010.2', version: '10.10.2' },
    { place: 'usr/lib', target: 'elsewhere', version: '9.0.0' },
  ])('$target in $place is $version', ({ place, target, version }) => {
    mkdirSync(path.join(root, place), { recursive: true });
    symlinkSync(target, path.join(root, place, 'libvirt.so.0'));
    expect(formatLibvirtVersion(findLibvirtVersion(paths))).toBe(version);
  });
});
