import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type PciAddress, pciAddressAttributes } from '../../src/model/pci-address.ts';
import type { RecordedCall } from '../../src/replay/recorded.ts';
import { domainXml } from '../helpers/documents.ts';
import { recordCall, replayAll } from '../helpers/recording.ts';
import { CardWorld } from './world.ts';

const config = `hostdevs: { restore: true, bind: true }
interfaces: [{ match: { pf: 'ens*' }, trust: true, maxTxRate: 1000 }]
rewrite: [{ match: { pf: 'enp*' }, vfs: ['ens1f0'] }, { match: { mac: '52:54:00:00:00:02' }, vfs: ['ens1f0'] }]
`;
const mac = '52:54:00:00:00:01';

let world: CardWorld;
let directory: string;
beforeEach(() => {
  vi.stubGlobal('builtFrom', { version: '0.0.1', commit: null });
  world = new CardWorld(config, [
    { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 4, refuses: ['max_tx_rate'] },
  ]);
  directory = mkdtempSync(path.join(tmpdir(), 'actualnet-recorded-'));
  chmodSync(directory, 0o700);
});
afterEach(() => {
  vi.unstubAllGlobals();
  world.destroy();
  rmSync(directory, { recursive: true, force: true });
});

function vf(number: number): string {
  const words = Object.entries(pciAddressAttributes(world.cards.addressOf('ens1f0', number) as PciAddress));
  return `<source><address type='pci' ${words.map(([key, value]) => `${key}='${value}'`).join(' ')}/></source>`;
}

const call = (operation: string, xml: string) => recordCall(world, directory, { words: ['g1', operation], xml });
const replay = (other?: string) => replayAll(directory, other);

test('a life with VFs, one of them picked on arrival, is answered again with the cards gone', async () => {
  const guest = domainXml(
    `<interface type='hostdev' managed='yes'><mac address='${mac}'/>${vf(0)}<vlan><tag id='42'/></vlan></interface>
     <hostdev mode='subsystem' type='pci' managed='no'>${vf(1)}</hostdev>`,
  );
  for (const operation of ['prepare', 'start', 'started', 'stopped', 'release']) await call(operation, guest);
  const coming = domainXml(
    `<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:02'/>${vf(0)}</interface>`,
  );
  const { status, stdout } = await call('migrate', coming);
  expect(status).toBe(0);
  const commands = [...world.cards.commands];
  expect(commands.length).toBeGreaterThan(4);
  rmSync(path.join(world.root, 'sys'), { recursive: true });

  const calls = await replay();
  expect(calls.map(({ operation, result, differences }) => [operation, result, differences])).toEqual(
    ['prepare', 'start', 'started', 'stopped', 'release', 'migrate'].map(operation => [operation, 'same', []]),
  );
  // The plan is what was run, with what the card said to it.
  const run = calls.flatMap(({ plan = [] }) => plan.filter(({ result }) => result !== 'not reached'));
  expect(run.map(({ command }) => command.replace(/^\S+ /, ''))).toEqual(commands);
  expect(calls.some(({ plan = [] }) => plan.some(({ result }) => result.includes('not supported')))).toBe(true);
  expect(calls.at(-1)?.answer?.stdout).toBe(stdout);
  expect(world.cards.commands).toEqual(commands);
});

test('a VF that somebody else has is refused again, and would not be under another configuration', async () => {
  world.keptByLibvirt('ens1f0_vf0');
  world.cards.hold(4711, `/dev/vfio/${world.cards.groupOf(world.cards.addressOf('ens1f0', 1))}`, 'other');
  const guest = domainXml(`<interface type='hostdev' managed='no'><mac address='${mac}'/>${vf(2)}</interface>`);
  world.configure('bridges: { br0: { isolated: true } }\n');
  const refused = await call('prepare', guest);
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('DEVICE_NOT_BOUND') });
  expect(await replay()).toMatchObject([{ result: 'same', answer: refused, plan: [] }]);
  const [other] = await replay('hostdevs: { bind: true }\n');
  expect(other).toMatchObject({ result: 'differs', answer: { status: 0, stderr: '' } });
  expect(other?.differences).toContainEqual({ what: 'status', before: '1', now: '0' });
  expect(other?.plan?.map(({ command }) => command)).toContainEqual(expect.stringMatching(/^pci .*vfio-pci/));
  // A changed configuration that is a mistake is told of as the hook tells it.
  const [mistaken] = await replay('hostdevs: { bind: perhaps }\n');
  expect(mistaken?.answer?.stderr).toMatch(/^guest 'g1', prepare: .*etc\/actualnet\/config.yaml:1:.*\[CONFIG\]\n$/);
  expect(mistaken?.answer?.stderr).not.toContain(tmpdir());
});

test('a call whose files are too many or too large is kept without them, and says so', async () => {
  const { memory } = world.context();
  for (let number = 0; number < 6; number++)
    memory.rememberNetwork(`n${number}`, `<network><name>n${number}</name>${' '.repeat(900 * 1024)}</network>`);
  expect((await call('prepare', domainXml(''))).status).toBe(0);
  const [name] = readdirSync(directory);
  const recorded = JSON.parse(readFileSync(path.join(directory, name!), 'utf8')) as RecordedCall;
  expect(recorded.missing).toEqual([
    expect.stringMatching(/^files: they are too large together|^files: there are more/),
  ]);
  expect(Object.keys(recorded.files)).toContain('etc/actualnet/config.yaml');
});
