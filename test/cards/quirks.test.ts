import { afterEach, describe, expect, test } from 'vitest';
import { type PciAddress, pciAddressAttributes } from '../../src/model/pci-address.ts';
import { domainXml } from '../helpers/documents.ts';
import type { FakePf } from './fake-cards.ts';
import { CardWorld } from './world.ts';

const card: FakePf = {
  dev: 'ens1f0',
  address: '0000:5e:00.0',
  driver: 'mlx4_core',
  vfDriver: 'mlx4_core',
  vfs: 3,
};
const fine = { status: 0, stdout: '', stderr: '' };
const macOf = (vf: number) => `52:54:00:00:00:0${vf}`;

let world: CardWorld;
afterEach(() => world.destroy());

const begin = (config: string, cards: readonly Partial<FakePf>[]) => {
  world = new CardWorld(
    config,
    cards.map(facts => ({ ...card, ...facts })),
  );
};

function source(dev: string, vf: number, type: string): string {
  const words = Object.entries(pciAddressAttributes(world.cards.addressOf(dev, vf) as PciAddress));
  return `<source><address ${type}${words.map(([key, value]) => `${key}='${value}'`).join(' ')}/></source>`;
}

const asInterface = (vf: number, dev = 'ens1f0') =>
  `<interface type='hostdev' managed='yes'><mac address='${macOf(vf)}'/>${source(dev, vf, "type='pci' ")}</interface>`;
const asHostdev = (vf: number, managed = 'yes') =>
  `<hostdev mode='subsystem' type='pci' managed='${managed}'>${source('ens1f0', vf, '')}</hostdev>`;

/** What libvirt does for a VF: its file names the port, and stays until it has given the VF back. */
function take(port: string, vf: number, managed = true): () => void {
  world.keptByLibvirt(`${port}_vf${vf}`);
  return world.cards.libvirtTakes(port, vf, { mac: macOf(vf), managed });
}

describe('a function with two ports', () => {
  const second = { dev: 'ens1f0d1', vfs: [1, 2] };
  const trusting =
    "hostdevs: { restore: true }\ninterfaces: [{ match: { mac: '*' }, trust: true, linkState: enable }]\n";

  test.each([
    [0, 'ens1f0'],
    [1, 'ens1f0d1'],
    [2, 'ens1f0d1'],
  ])('has VF %i set through %s, also while no link tells of it', async (vf, port) => {
    begin(trusting, [{ second }]);
    const other = port === 'ens1f0' ? 'ens1f0d1' : 'ens1f0';
    const before = world.cards.state();
    const untouched = { ...world.cards.vf(other, vf) };
    const xml = domainXml(asInterface(vf));
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    const giveBack = take(port, vf);
    expect(await world.qemu('start', xml)).toEqual(fine);
    expect(world.cards.vf(port, vf)).toMatchObject({ trust: true, state: 'enable', mac: macOf(vf) });
    await world.qemu('stopped', xml);
    giveBack();
    await world.qemu('release', xml);
    expect(world.cards.vf(port, vf)).toMatchObject({ trust: false, state: 'auto', mac: '00:00:00:00:00:00' });
    expect(world.cards.vf(other, vf)).toEqual(untouched);
    expect(world.cards.commands.filter(line => line.includes(` ${other} `))).toEqual([]);
    expect(world.cards.state().map(line => line.replace(/ens1f0v\d \S+$/, ''))).toEqual(
      before.map(line => line.replace(/ens1f0v\d \S+$/, '')),
    );
    expect(await world.recover()).toEqual([]);
  });

  test('has a plain host device set through the port that was seen before it lost its link', async () => {
    begin('hostdevs: { restore: true }\ninterfaces: [{ match: { address: "0000:5e:01.1" }, trust: true }]\n', [
      { second },
    ]);
    const xml = domainXml(asHostdev(1));
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    world.cards.bind(world.cards.addressOf('ens1f0', 1), 'vfio-pci', 'vfio-pci');
    expect(await world.qemu('start', xml)).toEqual(fine);
    expect(world.cards.vf('ens1f0d1', 1).trust).toBe(true);
    expect(world.cards.vf('ens1f0', 1).trust).toBe(false);
    world.cards.bind(world.cards.addressOf('ens1f0', 1), 'mlx4_core', '(null)');
    await world.qemu('release', xml);
    expect(world.cards.vf('ens1f0d1', 1).trust).toBe(false);
  });

  test('has a VF below a macvtap set through its port', async () => {
    begin('interfaces: [{ match: { pf: ens1f0d1 }, trust: true }]\n', [{ second }]);
    const xml = domainXml(
      `<interface type='direct'><mac address='${macOf(2)}'/><source dev='ens1f0v2' mode='passthrough'/></interface>`,
    );
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    expect(await world.qemu('start', xml)).toEqual(fine);
    expect(world.cards.vf('ens1f0d1', 2).trust).toBe(true);
  });

  test('has a PF provided by either name, brought up by the port that a VF is on', async () => {
    begin('provide: { vfs: { ens1f0: { count: 3 } } }\n', [{ second }]);
    for (const dev of ['ens1f0', 'ens1f0d1']) world.cards.byHand(`link set dev ${dev} down`);
    expect(await world.qemu('prepare', domainXml(asInterface(1)))).toEqual(fine);
    expect(world.cards.commands).toEqual(['link set dev ens1f0d1 up']);
  });

  test('is refused by the port that a VF is on when that is down', async () => {
    begin('', [{ second }]);
    world.cards.byHand('link set dev ens1f0d1 down');
    expect(await world.qemu('prepare', domainXml(asInterface(0)))).toEqual(fine);
    expect(await world.qemu('prepare', domainXml(asInterface(1)))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/'ens1f0d1', the PF of VF 0000:5e:01\.1, is down .*\[PF_DOWN\]/),
    });
  });

  test.each([
    ['ens1f0', 0],
    ['ens1f0d1', 1],
  ])('gives a guest that comes a VF of the port %s, which a rule names', async (port, vf) => {
    begin(`rewrite: [{ match: { guest: '*' }, vfs: [${port}] }]\n`, [{ second }]);
    const { stdout } = await world.qemu('migrate', domainXml(asInterface(7)));
    expect(stdout).toContain(source('ens1f0', vf, "type='pci' "));
  });

  test('is used as ever where the ports do not tell themselves apart', async () => {
    begin(trusting, [{ representors: true }]);
    const xml = domainXml(asInterface(1));
    await world.qemu('prepare', xml);
    take('ens1f0', 1);
    expect(await world.qemu('start', xml)).toEqual(fine);
    expect(world.cards.vf('ens1f0', 1).trust).toBe(true);
  });
});

describe('a driver that takes no all-zero MAC back', () => {
  test('leaves each VF with a MAC of its own, and no other MAC is the same', async () => {
    begin('hostdevs: { restore: true }\n', [
      { refusesZeroMac: true },
      { refusesZeroMac: true, dev: 'ens2f0', address: '0000:af:00.0' },
      { refusesZeroMac: true, dev: 'ens3f0', address: '0001:5e:00.0' },
    ]);
    const vfs = ['ens1f0', 'ens2f0', 'ens3f0'].flatMap(dev => [0, 1, 2].map(vf => ({ dev, vf })));
    const xml = domainXml(vfs.map(({ dev, vf }, n) => asInterface(vf, dev).replace(macOf(vf), macOf(n))).join(''));
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    const back = vfs.map(({ dev, vf }, n) => world.cards.libvirtTakes(dev, vf, { mac: macOf(n) }));
    expect(await world.qemu('start', xml)).toEqual(fine);
    for (const giveBack of back) giveBack();
    await world.qemu('release', xml);
    const macs = vfs.map(({ dev, vf }) => world.cards.vf(dev, vf).mac);
    expect(new Set(macs).size).toBe(vfs.length);
    for (const mac of macs) expect(mac).toMatch(/^.[26ae]:(?!00:00:00:00:00)/);
    expect(await world.recover()).toEqual([]);
  });

  test('keeps them apart in the life of another guest, too, and gives each VF always the same', async () => {
    begin('hostdevs: { restore: true }\n', [{ refusesZeroMac: true }]);
    const seen = new Map<number, Set<string>>([0, 1].map(vf => [vf, new Set()]));
    for (const vf of [0, 1, 0, 1]) {
      const xml = domainXml(asInterface(vf));
      await world.qemu('prepare', xml);
      const giveBack = world.cards.libvirtTakes('ens1f0', vf, { mac: macOf(vf) });
      await world.qemu('start', xml);
      giveBack();
      // libvirt's own substitute is what it would be left with.
      if (world.cards.vf('ens1f0', vf).mac === macOf(vf)) world.cards.vf('ens1f0', vf).mac = '02:00:00:00:00:00';
      await world.qemu('release', xml);
      seen.get(vf)!.add(world.cards.vf('ens1f0', vf).mac);
    }
    expect([...seen.values()].map(macs => macs.size)).toEqual([1, 1]);
    expect([...seen.get(0)!]).not.toEqual([...seen.get(1)!]);
  });
});

describe('a driver that is not ready', () => {
  const vlan = 'interfaces: [{ match: { pf: ens1f0 }, vlan: 42, spoofchk: false, trust: true }]\n';
  const again = 'RTNETLINK answers: Resource temporarily unavailable';
  const busy = 'RTNETLINK answers: Device or resource busy';

  test.each([
    ['once', 'vf 0 vlan 42', [again], vlan],
    ['three times', 'vf 0 trust on', [again, again, again], vlan],
    ['in the reset of a VF', 'vf 0 spoofchk off', [busy], vlan],
    ['where what it refuses would only be told', 'vf 0 vlan 42', [again], `hostdevs: { refused: warn }\n${vlan}`],
  ])('%s is asked again, and no other setting is made twice', async (_, part, errors, config) => {
    begin(config, [{}]);
    const xml = domainXml(asInterface(0));
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    take('ens1f0', 0);
    world.cards.putsOff.set(part, [...errors]);
    const before = world.cards.commands.length;
    expect(await world.qemu('start', xml)).toEqual(fine);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ vlan: 42, trust: true, spoofchk: false });
    const lines = world.cards.commands.slice(before);
    for (const line of new Set(lines))
      expect(lines.filter(each => each === line)).toHaveLength(line.includes(part) ? errors.length + 1 : 1);
    expect(world.log()).toBe('');
  });

  test('for good ends the start, with a sentence', async () => {
    begin(vlan, [{}]);
    const xml = domainXml(asInterface(0));
    await world.qemu('prepare', xml);
    world.cards.libvirtTakes('ens1f0', 0, { mac: macOf(0) });
    const before = { ...world.cards.vf('ens1f0', 0) };
    world.cards.putsOff.set('spoofchk off', Array<string>(1000).fill(again));
    const started = performance.now();
    expect(await world.qemu('start', xml)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/cannot set VF 0 of ens1f0: spoofchk off \(.*\): RTNETLINK answers: Resource temp/),
    });
    expect(performance.now() - started).toBeGreaterThan(1000);
    expect(world.cards.vf('ens1f0', 0)).toEqual(before);
  });

  test('any more is not asked when it refuses', async () => {
    begin(vlan, [{ refuses: ['spoofchk'] }]);
    const xml = domainXml(asInterface(0));
    await world.qemu('prepare', xml);
    take('ens1f0', 0);
    expect((await world.qemu('start', xml)).status).toBe(1);
    expect(world.cards.commands.filter(line => line.includes('spoofchk off'))).toHaveLength(1);
  });

  test('puts back what a guest has left as soon as it is', async () => {
    begin(vlan, [{}]);
    const xml = domainXml(asInterface(0));
    await world.qemu('prepare', xml);
    const giveBack = take('ens1f0', 0);
    await world.qemu('start', xml);
    giveBack();
    world.cards.putsOff.set('vf 0 trust off', [again, again]);
    await world.qemu('release', xml);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, spoofchk: true });
    expect(world.log()).toBe('');
  });
});
