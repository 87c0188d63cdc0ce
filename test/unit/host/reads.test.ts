import fs, { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runningGuests } from '../../../src/host/libvirt/run-states.ts';
import { type HostPaths, hostPaths } from '../../../src/host/paths.ts';
import { fileMemory } from '../../../src/host/state/memory.ts';
import { carryOut } from '../../../src/journal/apply.ts';
import type { Effects } from '../../../src/journal/effects.ts';
import { releaseShared } from '../../../src/journal/undo.ts';
import type { Change } from '../../../src/kernel/registry.ts';
import { ownEffects } from '../../../src/main/effects.ts';
import type { Uuid } from '../../../src/model/values.ts';

import { hostView, link } from '../../helpers/host-view.ts';

const uuidOf = (number: number) => `0b0e1f52-0000-4000-8000-${number.toString(16).padStart(12, '0')}` as Uuid;
let paths: HostPaths;
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, text);
};
beforeEach(() => {
  paths = hostPaths(mkdtempSync(path.join(tmpdir(), 'actualnet-reads-')));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(paths.root, { recursive: true, force: true });
});

/** The files that are opened while something is done. */
async function opened(act: () => unknown): Promise<string[]> {
  const open = vi.spyOn(fs, 'openSync');
  await act();
  const files = open.mock.calls.map(([file]) => path.relative(paths.root, String(file)));
  open.mockRestore();
  return files;
}

function guests(count: number, device: (number: number) => string): void {
  for (let number = 0; number < count; number++) {
    const uuid = uuidOf(number);
    const document = `<domain id='1'><name>g${number}</name><uuid>${uuid}</uuid><devices>${device(number)}</devices></domain>`;
    write(
      path.join(paths.libvirtGuestStatus, `g${number}.xml`),
      `<domstatus state='running' pid='1'>${document}</domstatus>`,
    );
    const line = { at: '2026-01-01T00:00:00Z', op: 'started', name: `g${number}` };
    write(path.join(paths.state, 'guests', `${uuid}.jsonl`), `${JSON.stringify(line)}\n`);
  }
}
const hostdev = (number: number) =>
  `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x5e' slot='0x02' function='0x${number % 8}'/></source></hostdev>`;

test.each([50, 200])('who has a device is read from each of %i guests once', async count => {
  guests(count, number => (number < 5 ? hostdev(number) : "<interface type='bridge'><source bridge='b'/></interface>"));
  const host = await ownEffects(paths, Date.now).view({});
  const files = await opened(() => {
    for (let vf = 0; vf < 8; vf++)
      expect(host.assignee(`0000:5e:02.${vf}` as never)).toBe(vf < 5 ? `guest 'g${vf}'` : undefined);
  });
  // Those that have one are looked at again: whether they are gone is for their records and status to say.
  expect(files.length).toBeLessThanOrEqual(2 * count + 4 * 5);
});

test('whether a guest runs is told by the file of its name', async () => {
  guests(100, () => '');
  const isRunning = runningGuests(paths);
  const files = await opened(() => {
    for (let number = 0; number < 100; number++) expect(isRunning(uuidOf(number), `g${number}`)).toBe(true);
  });
  expect(files).toHaveLength(100);
  const others = await opened(() => {
    for (let number = 200; number < 300; number++) expect(isRunning(uuidOf(number), `g${number}`)).toBe(false);
    expect(isRunning(uuidOf(7), 'renamed')).toBe(true);
  });
  expect(others).toHaveLength(100);
});

test.each([10, 300])('a network among %i is found in one file', async count => {
  for (let number = 0; number < count; number++) {
    const xml = `<network><name>n${number}</name><forward mode='bridge'/><bridge name='br0'/></network>`;
    write(path.join(paths.libvirtNetworkConfig, `n${number}.xml`), xml);
  }
  write(path.join(paths.libvirtNetworkConfig, 'copy.xml'), '<network><name>n1</name></network>');
  const memory = fileMemory(paths, Date.now);
  const files = await opened(() => expect(memory.findNetwork('n7')?.network.name).toBe('n7'));
  expect(files).toEqual(['etc/libvirt/qemu/networks/n7.xml']);
  for (const name of ['copy', 'n', '../networks/n7', '', '..', 'n7.xml', `n${count}`])
    expect(memory.findNetwork(name)).toBeUndefined();
});

test('a ledger is read once for a call, however many changes it has', async () => {
  const taps = Array.from({ length: 64 }, (_, number) => `tap${number}`);
  const effects: Effects = {
    ...ownEffects(paths, Date.now),
    view: async () => hostView(taps.map(dev => link(dev, {}))),
    run: async () => [],
  };
  const changes = taps.map((dev): Change => ({ subject: { kind: 'up', dev }, to: true, why: 'test' }));
  const user = uuidOf(1);
  const call = { owner: 'guest', user, ledger: effects.guestLedger(user), effects, keepGoing: false };
  const files = await opened(() => carryOut(changes, call));
  expect(files.filter(file => file.includes('ledgers/')).length).toBeLessThanOrEqual(3);
});

test('a user leaves what is shared without all ledgers being read, also of what was written before there was an index', async () => {
  const entry = (number: number) => ({
    at: '2026-01-01T00:00:00Z',
    intend: { subject: { kind: 'up', dev: `d${number}` }, before: false, to: true, user: uuidOf(number) },
  });
  for (let number = 0; number < 100; number++)
    write(path.join(paths.state, 'shared', `d${number}.jsonl`), `${JSON.stringify(entry(number))}\n`);
  const effects: Effects = { ...ownEffects(paths, Date.now), view: async () => hostView([]) };
  await releaseShared(uuidOf(1), effects);
  expect(effects.sharedLedger('d1').read()).toEqual([]);
  const files = await opened(() => releaseShared(uuidOf(2), effects));
  expect(files.filter(file => file.includes('shared/d') && !file.includes('shared/d2.'))).toEqual([]);
  expect(effects.sharedLedger('d2').read()).toEqual([]);
  effects.sharedLedger('d3').append([{ at: 'x', join: 'up d3', user: uuidOf(500) }]);
  expect(effects.sharedIndex?.namesOf(uuidOf(500))).toEqual(['d3']);
  expect(await opened(() => releaseShared(uuidOf(600), effects))).toEqual([]);
});

test('the ports of a pool are counted in one look at their directory', async () => {
  const memory = fileMemory(paths, Date.now);
  memory.rememberNetwork(
    'n',
    "<network><name>n</name><forward mode='bridge'><interface dev='e1'/></forward></network>",
  );
  const port = (number: number, more = '') =>
    `<networkport><uuid>${uuidOf(number)}</uuid><owner><name>g</name><uuid>${uuidOf(1)}</uuid></owner><mac address='52:54:00:00:00:01'/>${more}<plug type='direct' dev='e${number % 3}' mode='bridge'/></networkport>`;
  for (let number = 0; number < 30; number++) memory.rememberPort('n', { uuid: uuidOf(number), xml: port(number) });
  memory.rememberPort('n', {
    uuid: uuidOf(99),
    xml: port(99, "<bandwidth classID='4'><inbound average='9' floor='5'/></bandwidth>"),
  });
  let ports: readonly unknown[] = [];
  const files = await opened(() => {
    ports = memory.findNetwork('n')!.ports;
  });
  expect(files).toHaveLength(2);
  expect(ports).toHaveLength(31);
  expect(ports).toContainEqual({ uuid: uuidOf(5), plug: { type: 'direct', dev: 'e2', mode: 'bridge' } });
  expect(ports.at(-1)).toMatchObject({ classId: 4, bandwidth: { inbound: { floor: 5 } }, plug: { dev: 'e0' } });
  memory.rememberPort('n', { uuid: uuidOf(5), xml: port(5).replace("dev='e2'", "dev='other'") });
  expect(memory.findNetwork('n')!.ports).toHaveLength(31);
  memory.forgetPort('n', uuidOf(5));
  expect(memory.findNetwork('n')!.ports).toHaveLength(30);
});
