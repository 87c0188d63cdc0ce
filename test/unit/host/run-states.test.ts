import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  hasEnded,
  readRunningGuest,
  runningGuests,
  runStateReader,
  tryReadRunState,
} from '../../../src/host/libvirt/run-states.ts';
import { type HostPaths, hostPaths } from '../../../src/host/paths.ts';
import type { Uuid } from '../../../src/model/values.ts';

let paths: HostPaths;
beforeEach(() => {
  paths = hostPaths(mkdtempSync(path.join(tmpdir(), 'actualnet-run-states-')));
  mkdirSync(paths.libvirtGuestStatus, { recursive: true });
});
afterEach(() => rmSync(paths.root, { recursive: true, force: true }));

const fileOf = (guest: string) => path.join(paths.libvirtGuestStatus, `${guest}.xml`);
/** As libvirt does: a new file in place of the old one. */
function write(guest: string, words: string, atMs = 1_700_000_000_000): void {
  const uuid = '0b0e1f52-0000-4000-8000-000000000001';
  writeFileSync(
    `${fileOf(guest)}.new`,
    `<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE.\n-->\n\n<domstatus ${words} pid='7'>\n<domain type='kvm' id='1'><name>${guest}</name><uuid>${uuid}</uuid></domain></domstatus>\n`,
  );
  utimesSync(`${fileOf(guest)}.new`, atMs / 1000, atMs / 1000);
  renameSync(`${fileOf(guest)}.new`, fileOf(guest));
}

test('state, reason and time of each guest, however it is quoted', async () => {
  write('a', "state='running' reason='booted'");
  write("b's", 'state="paused" reason="ioerror"', 1_700_000_001_000);
  expect(await runStateReader(paths)()).toEqual([
    { guest: 'a', state: 'running', reason: 'booted', pid: '7', atMs: 1_700_000_000_000, devices: '' },
    { guest: "b's", state: 'paused', reason: 'ioerror', pid: '7', atMs: 1_700_000_001_000, devices: '' },
  ]);
  expect(readRunningGuest(paths, 'a')?.name).toBe('a');
});

test('a guest has ended when its QEMU has, although there is a status file', () => {
  write('a', "state='running' reason='booted'");
  expect([hasEnded(paths, 'a'), hasEnded(paths, 'b')]).toEqual([true, true]);
  mkdirSync(path.join(paths.proc, '7'), { recursive: true });
  writeFileSync(path.join(paths.proc, '7/cmdline'), 'qemu\0-name\0guest=a\0');
  expect(hasEnded(paths, 'a')).toBe(false);
  // What a process that is ending shows.
  writeFileSync(path.join(paths.proc, '7/cmdline'), '');
  expect(hasEnded(paths, 'a')).toBe(true);
});

test('a file is read again only when it was written again, and one that is gone is gone', async () => {
  const read = runStateReader(paths);
  write('a', "state='running' reason='booted'");
  const [first] = await read();
  expect((await read())[0]).toBe(first);
  write('a', "state='paused' reason='migration'", 1_700_000_002_000);
  expect(await read()).toMatchObject([{ state: 'paused', reason: 'migration' }]);
  rmSync(fileOf('a'));
  expect(await read()).toEqual([]);
});

test('a file that cannot be read hides neither the others nor what it said before', async () => {
  const read = runStateReader(paths);
  write('a', "state='running' reason='booted'");
  write('b', "state='running' reason='booted'");
  await read();
  rmSync(fileOf('a'));
  mkdirSync(fileOf('a'));
  writeFileSync(fileOf('c'), 'nonsense');
  expect((await read()).map(({ guest, state }) => `${guest} ${state}`)).toEqual(['a running', 'b running']);
  expect(tryReadRunState(paths, 'a')).toBeUndefined();
});

test('a name is no path', () => {
  writeFileSync(path.join(paths.root, 'outside.xml'), "<domstatus state='running' reason='booted'/>");
  expect(
    tryReadRunState(paths, path.relative(paths.libvirtGuestStatus, path.join(paths.root, 'outside'))),
  ).toBeUndefined();
  expect(tryReadRunState(paths, 'nobody')).toBeUndefined();
});

test('who runs, by uuid; behind a file that tells none, whoever has its name', () => {
  const [known, other] = ['0b0e1f52-0000-4000-8000-000000000001', '0b0e1f52-0000-4000-8000-000000000002'] as Uuid[];
  write('a', "state='running' reason='booted'");
  writeFileSync(fileOf('torn'), '<domstatus state=');
  const isRunning = runningGuests(paths);
  expect([
    isRunning(known!, 'renamed'),
    isRunning(other!, 'a'),
    isRunning(other!, 'torn'),
    isRunning(other!, undefined),
  ]).toEqual([true, false, true, false]);
});

test('its devices, as they stand there', () => {
  const device = "<interface type='bridge'>\n  <alias name='net0'/>\n</interface>";
  write('a', "state='running' reason='booted'");
  const text = readFileSync(fileOf('a'), 'utf8').replace(
    '</domain>',
    `<devices><disk/>${device}<hostdev x='1'></hostdev></devices></domain>`,
  );
  writeFileSync(fileOf('a'), text);
  expect(tryReadRunState(paths, 'a')?.devices).toBe(`${device}\n<hostdev x='1'></hostdev>`);
});
