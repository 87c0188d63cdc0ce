import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileMemory } from '../../src/host/state/memory.ts';
import { readDomain } from '../../src/model/domain.ts';
import { parseXml } from '../../src/xml/document.ts';
import { CardWorld } from './world.ts';

const rule = (vfs: string) => `rewrite: [{ match: { address: '0000:99:*' }, vfs: [${vfs}] }]\n`;
let world: CardWorld;
beforeEach(() => {
  world = new CardWorld(rule("'ens*'"), [
    { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'igb', vfDriver: 'igbvf', vfs: 2, numaNode: 0 },
    { dev: 'ens2f0', address: '0000:af:00.0', driver: 'igb', vfDriver: 'igbvf', vfs: 2, numaNode: 1 },
  ]);
});
afterEach(() => world.destroy());

const uuid = (last: string) => `0b0e1f52-0000-4000-8000-0000000000${last}`;
/** The document of a guest that has VFs of another host; each is that host's `0000:99:SLOT.0`. */
function guest(last: string, slots: readonly number[] = [1]): string {
  const vfs = slots.map(
    slot => `<interface type='hostdev' managed='yes'><mac address='52:54:00:00:${last}:0${slot}'/><driver name='vfio'/>
      <source><address type='pci' domain='0x0000' bus='0x99' slot='0x0${slot}' function='0x0'/></source></interface>`,
  );
  return `<domain type='kvm'><name>g${last}</name><uuid>${uuid(last)}</uuid><devices>${vfs.join('')}</devices></domain>`;
}

/** The same guest, which asks for VFs of one PF. */
const wishing = (last: string) =>
  guest(last).replace(
    '<devices>',
    `<metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='52:54:00:00:${last}:01' vfs='ens1f0'/></interfaces></metadata><devices>`,
  );

const addressesIn = (xml: string) => readDomain(parseXml(xml)).interfaces.map(({ hostDevice }) => hostDevice?.address);
/** The addresses a guest gets that comes now. */
async function arrive(xml: string, context = world.context()): Promise<(string | undefined)[]> {
  const { status, stdout, stderr } = await world.qemu('migrate', xml, context);
  if (status !== 0) throw new Error(stderr);
  return stdout === '' ? [] : addressesIn(stdout);
}

/** Another process has it open through VFIO. */
function hold(address: string, pid = 4711): void {
  world.cards.bind(address, 'vfio-pci', 'vfio-pci');
  world.cards.hold(pid, `/dev/vfio/${world.cards.groupOf(address)}`, 'other');
}

describe('a guest that comes with VFs of another host', () => {
  test('gets free ones of this host, each its own, and keeps them when it is asked again', async () => {
    const { stdout } = await world.qemu('migrate', guest('01', [1, 2, 3]));
    const picked = addressesIn(stdout);
    expect(picked).toEqual(['0000:5e:01.0', '0000:5e:01.1', expect.stringMatching(/^0000:af:/)]);
    expect(await arrive(stdout)).toEqual([]);
    expect(await arrive(guest('01', [1, 2, 3]))).toEqual(picked);
  });

  test('is promised what no other one is promised, also if both come at once', async () => {
    const all = await Promise.all(['01', '02', '03'].map(last => arrive(guest(last))));
    expect(new Set(all.flat()).size).toBe(3);
    await arrive(guest('04'));
    await expect(arrive(guest('05'))).rejects.toThrow(/no VF of ens\* is free.*POOL_EXHAUSTED/);
  });

  test.each([
    "{ allow: [vfs], devices: ['ens*'] }",
    "{ rules: [{ match: { guest: 'g0*' }, allow: [vfs], devices: ['ens*'] }] }",
  ])('by its own request is promised what no other one is promised, also if both come at once: %s', async guests => {
    world.configure(`guests: ${guests}\n`);
    const all = await Promise.all(['01', '02'].map(last => arrive(wishing(last))));
    expect(new Set(all.flat())).toEqual(new Set(['0000:5e:01.0', '0000:5e:01.1']));
  });

  test.each([
    "{ allow: [vfs], devices: ['ens*'] }",
    "{ rules: [{ match: { guest: 'other' } }, { match: { uuid: '0b0e1f52*' }, allow: [vfs], devices: ['ens*'] }] }",
  ])('by its own request gets none whose link has an address of the host: %s', async guests => {
    world.configure(`guests: ${guests}\n`);
    world.cards.links.configure('ens1f0v0', '192.0.2.7/24');
    expect(await arrive(wishing('01'))).toEqual(['0000:5e:01.1']);
  });

  test('that never comes frees them after an hour', async () => {
    for (const last of ['01', '02', '03', '04']) await arrive(guest(last));
    const context = world.context();
    const later = fileMemory(world.paths, () => Date.now() + 3_700_000);
    later.listAnnouncements();
    expect(await arrive(guest('05'), context)).toHaveLength(1);
  });

  test('that has come keeps them while it runs', async () => {
    const { stdout } = await world.qemu('migrate', guest('01'));
    await world.qemu('prepare', stdout);
    expect(fileMemory(world.paths, Date.now).listAnnouncements()).toEqual([]);
    const [mine] = addressesIn(stdout);
    expect(await arrive(guest('02', [1, 2, 3]))).not.toContain(mine);
    expect(world.records()).toMatchObject([
      { name: 'g01', picks: [mine], rewritten: [expect.stringContaining(mine!)] },
    ]);
  });

  test('gets none of a pool that is libvirt’s to give away', async () => {
    const pool =
      "<network><name>p</name><uuid>0b0e1f52-0000-4000-8000-0000000000ff</uuid><forward mode='hostdev' managed='yes'><pf dev='ens2f0'/></forward></network>";
    mkdirSync(world.paths.libvirtNetworkStatus, { recursive: true });
    writeFileSync(`${world.paths.libvirtNetworkStatus}/p.xml`, `<networkstatus>${pool}</networkstatus>`);
    expect(await arrive(guest('01', [1, 2]))).toEqual(['0000:5e:01.0', '0000:5e:01.1']);
    await expect(arrive(guest('02'))).rejects.toThrow(/POOL_EXHAUSTED/);
  });

  test.each([
    { name: 'its own PF', taken: 1, pf: 'ens2f0', vf: 1 },
    { name: 'its NUMA node, if its own PF has none', taken: 2, pf: 'ens3f0', vf: 0 },
  ])('and an address of this host gets one of $name', async ({ taken, pf, vf }) => {
    world.destroy();
    const card = { driver: 'igb', vfDriver: 'igbvf', vfs: 2 };
    world = new CardWorld(rule("'ens*'").replace('0000:99:*', '*'), [
      { dev: 'ens1f0', address: '0000:5e:00.0', ...card, numaNode: 0 },
      { dev: 'ens2f0', address: '0000:af:00.0', ...card, numaNode: 1 },
      { dev: 'ens3f0', address: '0000:b0:00.0', ...card, numaNode: 1 },
    ]);
    const { cards } = world;
    for (let each = 0; each < taken; each++) hold(cards.addressOf('ens2f0', each), 4711 + each);
    const [, bus, slot, fn] = /:(..):(..)\.(.)$/.exec(cards.addressOf('ens2f0', 0))!;
    const xml = guest('01').replace(
      "bus='0x99' slot='0x01' function='0x0'",
      `bus='0x${bus}' slot='0x${slot}' function='0x${fn}'`,
    );
    expect(await arrive(xml)).toEqual([cards.addressOf(pf, vf)]);
  });

  test.each<{ name: string; take: (address: string) => void }>([
    {
      name: 'a process that holds it through VFIO',
      take: address => hold(address),
    },
    { name: 'a container that its link was given to', take: () => world.cards.moveLinkAway('ens1f0', 0) },
  ])('does not get what $name has', async ({ take }) => {
    const first = world.cards.addressOf('ens1f0', 0);
    expect(await arrive(guest('01'))).toEqual([first]);
    take(first);
    expect(await arrive(guest('01'))).toEqual([world.cards.addressOf('ens1f0', 1)]);
  });
});
