import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type PciAddress, pciAddressAttributes } from '../../src/model/pci-address.ts';
import { domainXml, guestUuid } from '../helpers/documents.ts';
import type { FakePf } from './fake-cards.ts';
import { CardWorld } from './world.ts';

const plainCard: FakePf = { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 3 };
const mac = '52:54:00:00:00:01';
const otherUuid = '0b0e1f52-0000-4000-8000-0000000000bb';
const settings = (...words: string[]) => `interfaces: [{ match: { pf: ens1f0 }, ${words.join(', ')} }]\n`;

let world: CardWorld;
afterEach(() => world.destroy());

function begin(config: string, card: Partial<FakePf> = {}): CardWorld {
  world = new CardWorld(config, [{ ...plainCard, ...card }]);
  return world;
}

function source(vf: number, type = ''): string {
  const address = world.cards.addressOf('ens1f0', vf) as PciAddress;
  return `<source><address ${type}${Object.entries(pciAddressAttributes(address))
    .map(([key, value]) => `${key}='${value}'`)
    .join(' ')}/></source>`;
}

const asInterface = (vf: number, managed = 'yes') =>
  domainXml(
    `<interface type='hostdev' managed='${managed}'><mac address='${mac}'/>${source(vf, "type='pci' ")}</interface>`,
  );
const asHostdev = (vf: number, managed = 'yes', inside = '') =>
  domainXml(`<hostdev mode='subsystem' type='pci' managed='${managed}'>${inside}${source(vf)}</hostdev>`);
const fine = { status: 0, stdout: '', stderr: '' };
const refused = (text: string | RegExp) => ({ status: 1, stdout: '', stderr: expect.stringMatching(text) });

/** A life with one VF as an interface, as far as `until`. */
async function live(until: 'start' | 'release', meanwhile: () => void = () => {}): Promise<() => void> {
  const xml = asInterface(0);
  expect(await world.qemu('prepare', xml)).toEqual(fine);
  const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac });
  expect(await world.qemu('start', xml)).toEqual(fine);
  if (until === 'start') return giveBack;
  meanwhile();
  await world.qemu('stopped', xml);
  giveBack();
  await world.qemu('release', xml);
  return giveBack;
}

describe('what somebody else does to a VF', () => {
  test('is told where all is to come back, and left, whatever it is', async () => {
    begin('hostdevs: { restore: true }');
    await live('release', () => {
      for (const what of ['trust on', 'spoofchk off', 'max_tx_rate 500 min_tx_rate 0', 'state disable'])
        world.cards.byHand(`link set dev ens1f0 vf 0 ${what}`);
    });
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: true, spoofchk: false, maxTx: 500, state: 'disable' });
    for (const what of ['trust on', 'spoofchk off', 'rate max 500 min 0', 'state disable'])
      expect(world.log()).toContain(
        `${what.split(' ')[0]} kept for the end: somebody has changed it since, to ${what.slice(what.indexOf(' ') + 1)}`,
      );
    expect(await world.recover()).toEqual([]);
  });

  test('while the guest runs stays as he left it, and is told', async () => {
    begin(settings('trust: true', 'maxTxRate: 100'));
    await live('release', () => {
      world.cards.byHand('link set dev ens1f0 vf 0 max_tx_rate 500 min_tx_rate 0');
      world.cards.byHand('link set dev ens1f0 vf 0 spoofchk off');
    });
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, maxTx: 500, spoofchk: false });
    expect(world.log()).toContain(
      'VF 0 of ens1f0: rate max 100 min 0: somebody has changed it since, to max 500 min 0',
    );
  });

  test("the guest's MAC goes in any case: the PF would swallow its traffic", async () => {
    begin('hostdevs: { restore: true }');
    await live('release', () => world.cards.byHand(`link set dev ens1f0 vf 0 mac 52:54:00:00:00:77`));
    expect(world.cards.vf('ens1f0', 0).mac).toBe('00:00:00:00:00:00');
  });

  test('a driver that does not take the all-zero MAC gets a harmless one of its own', async () => {
    begin('hostdevs: { restore: true }', { refusesZeroMac: true });
    await live('release');
    expect(world.cards.vf('ens1f0', 0).mac).toBe('02:00:00:00:5e:08');
    expect(world.log()).toContain('VF 0 of ens1f0: mac 00:00:00:00:00:00: refused, it has 02:00:00:00:5e:08 instead');
    expect(await world.recover()).toEqual([]);
  });

  test('a VF in the hands of another process is not touched, until it lets go', async () => {
    begin(settings('trust: true'));
    const node = `/dev/vfio/${world.cards.groupOf(world.cards.addressOf('ens1f0', 0))}`;
    const xml = asInterface(0);
    await world.qemu('prepare', xml);
    world.cards.libvirtTakes('ens1f0', 0, { mac });
    await world.qemu('start', xml);
    world.cards.hold(4711, node, 'other');
    await world.qemu('stopped', xml);
    await world.qemu('release', xml);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: true, mac });
    expect(world.log()).toContain("it is in use by guest 'other' (process 4711)");
    world.cards.letGo(4711);
    await world.recover();
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, mac: '00:00:00:00:00:00' });
    expect(await world.recover()).toEqual([]);
  });

  test('what a guest has left whose end we missed is not taken for what was before', async () => {
    begin(settings('trust: true'));
    const before = world.cards.state();
    (await live('start'))();
    // Its end is lost, and a start takes no such time; the next guest on that VF has another uuid, and asks for nothing.
    world.nowMs += 3_600_000;
    const next = asInterface(0)
      .replace(/<uuid>.*?<\/uuid>/, `<uuid>${otherUuid}</uuid>`)
      .replace('g1', 'g2');
    expect(await world.qemu('prepare', next)).toEqual(fine);
    const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac: '52:54:00:00:00:02' });
    await world.qemu('start', next);
    await world.qemu('stopped', next);
    giveBack();
    await world.qemu('release', next);
    expect(world.cards.state()).toEqual(before);
    expect(await world.recover()).toEqual(expect.arrayContaining([expect.stringContaining("guest 'g1' does not run")]));
    expect(world.cards.state()).toEqual(before);
  });
});

test('a PF that has another name by now is told of, with all that was left on its VF', async () => {
  begin(`hostdevs: { restore: true }\n${settings('trust: true')}`);
  await live('release', () => {
    const links = path.join(world.root, 'sys/class/net');
    renameSync(path.join(links, 'ens1f0'), path.join(links, 'lan0'));
  });
  for (const what of ['mac', 'vlan', 'trust'])
    expect(world.log()).toMatch(new RegExp(`VF 0 of ens1f0: ${what} .*: there is no 'ens1f0' any more`));
});

describe('a VF that another guest is being given', () => {
  const other = () =>
    asInterface(0)
      .replace(/<uuid>.*?<\/uuid>/, `<uuid>${otherUuid}</uuid>`)
      .replace('g1', 'g2');

  test('stays as it is, although nobody holds it yet', async () => {
    begin(settings('trust: true'));
    const giveBack = await live('start');
    const state = world.cards.state();
    await world.qemu('prepare', other());
    expect(world.cards.state()).toEqual(state);
    // libvirt refuses the second guest; the first one's end is as ever.
    await world.qemu('release', other());
    expect(world.cards.state()).toEqual(state);
    giveBack();
    await world.qemu('release', asInterface(0));
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, mac: '00:00:00:00:00:00' });
    expect(await world.recover()).toEqual([]);
  });

  test('from one that has stopped, and is released late, keeps nothing of that one and loses nothing', async () => {
    begin(`interfaces: [{ match: { guest: g1 }, trust: true }]\n`);
    world.cards.byHand('link set dev ens1f0 vf 0 vlan 99 qos 5');
    const giveBack = await live('start');
    mkdirSync(world.paths.libvirtGuestStatus, { recursive: true });
    // libvirt removes it only just before it calls the last hook, and gives devices back before that.
    const status = path.join(world.paths.libvirtGuestStatus, 'g1.xml');
    writeFileSync(status, `<domstatus state='running' reason='booted' pid='4711'>${asInterface(0)}</domstatus>`);
    await world.qemu('stopped', asInterface(0));
    giveBack();
    expect(await world.qemu('prepare', other())).toEqual(fine);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, vlan: 99, qos: 5 });
    world.cards.libvirtTakes('ens1f0', 0, { mac: '52:54:00:00:00:02', vlan: 42 });
    world.keptByLibvirt('ens1f0_vf0');
    await world.qemu('start', other());
    rmSync(status);
    await world.qemu('release', asInterface(0));
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, mac: '52:54:00:00:00:02', vlan: 42 });
  });

  test('is not touched by the end of one before, and put back when that is possible', async () => {
    begin(`interfaces: [{ match: { guest: g1 }, trust: true }]\n`);
    const giveBack = await live('start');
    // Whatever has kept the other one's calls from being seen: libvirt has given it the VF, and QEMU is not there yet.
    giveBack();
    const backFromOther = world.cards.libvirtTakes('ens1f0', 0, { mac: '52:54:00:00:00:02', vlan: 42 });
    world.keptByLibvirt('ens1f0_vf0');
    await world.qemu('stopped', asInterface(0));
    await world.qemu('release', asInterface(0));
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: true, mac: '52:54:00:00:00:02', vlan: 42 });
    expect(world.log()).toContain('in use by libvirt, for a guest');
    backFromOther();
    await world.recover();
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, mac: '00:00:00:00:00:00', vlan: 0 });
  });

  test('and its state, put aside by libvirt, is not taken for what was before', async () => {
    // Restoring is switched on while the guest runs; QEMU has died while the daemon was away, so nobody holds the VF.
    begin('hostdevs: { restore: true }');
    const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac });
    world.keptByLibvirt('ens1f0_vf0');
    await world.qemu('prepare', asInterface(0));
    giveBack();
    await world.qemu('release', asInterface(0));
    expect(world.cards.vf('ens1f0', 0).mac).not.toBe(mac);
  });
});

describe('what a driver refuses', () => {
  const asked = settings('trust: true', 'linkState: enable', 'queryRss: true');
  const card = { refuses: ['state', 'query_rss'] };

  test('ends the start, and nothing is left', async () => {
    begin(`hostdevs: { refused: fail }\n${asked}`, card);
    const xml = asInterface(0);
    await world.qemu('prepare', xml);
    const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac });
    expect(await world.qemu('start', xml)).toEqual(refused(/VF 0 of ens1f0: query_rss on .*not supported/));
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, mac });
    giveBack();
    await world.qemu('release', xml);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: false, mac: '00:00:00:00:00:00' });
  });

  test('or is told, if so configured, and the rest is set', async () => {
    begin(`hostdevs: { refused: warn }\n${asked}`, card);
    (await live('start'))();
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: true, state: 'auto' });
    for (const what of ['query_rss on', 'state enable'])
      expect(world.log()).toContain(`VF 0 of ens1f0: ${what}: RTNETLINK answers: Operation not supported`);
  });
});

describe('what a guest asks for in its metadata', () => {
  test('is set on a VF of a pool, and what was there before comes back', async () => {
    begin('guests: { allow: [trust, vlanQos] }\n');
    world.cards.byHand('link set dev ens1f0 vf 0 mac 52:54:00:de:ad:01');
    world.cards.byHand('link set dev ens1f0 vf 0 vlan 99 qos 5');
    const before = world.cards.vf('ens1f0', 0);
    const kept = { ...before };
    const request = `<metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='${mac}' trust='yes' vlanQos='3'/></interfaces></metadata>`;
    const vlan = "<vlan><tag id='42'/></vlan>";
    const asking = (device: string) => domainXml(device).replace('<devices>', `${request}<devices>`);
    const prepared = asking(
      `<interface type='network'><mac address='${mac}'/><source network='vfs'/>${vlan}</interface>`,
    );
    const running = asking(
      `<interface type='hostdev' managed='yes'><mac address='${mac}'/>${source(0, "type='pci' ")}${vlan}<alias name='hostdev0'/></interface>`,
    );
    const address = source(0).replace(/<\/?source>/g, '');
    const network = `<network><name>vfs</name><forward mode='hostdev' managed='yes'>${address.replace('<address', "<address type='pci'")}</forward></network>`;
    const port = `<networkport><uuid>${otherUuid}</uuid><owner><name>g1</name><uuid>${guestUuid}</uuid></owner><mac address='${mac}'/>${vlan}<plug type='hostdev-pci' managed='yes'>${address}</plug></networkport>`;
    const call = (operation: string, inside = '') =>
      world.network('vfs', operation, `<hookData>${network}${inside}</hookData>`);
    await call('started');
    expect(await world.qemu('prepare', prepared)).toEqual(fine);
    expect(await call('port-created', port)).toEqual(fine);
    const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac, vlan: 42 });
    expect(await world.qemu('start', running)).toEqual(fine);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ trust: true, vlan: 42, qos: 3 });
    await world.qemu('stopped', prepared);
    giveBack();
    await call('port-deleted', port);
    await world.qemu('release', prepared);
    expect(world.cards.vf('ens1f0', 0)).toEqual(kept);
    expect(world.log()).toBe('');
  });

  test.each([
    { name: 'counts, where it may ask', allow: '[trust, maxTxRate]', is: { trust: true, maxTx: 300, spoofchk: true } },
    { name: 'is refused, where it may not', allow: '[maxTxRate]', is: { trust: false, maxTx: 300, spoofchk: true } },
  ])('$name', async ({ allow, is }) => {
    begin(`guests: { allow: ${allow} }\n${settings('trust: false', 'maxTxRate: 100')}`);
    const before = world.cards.state();
    const request = `<interface mac='${mac}' trust='yes' spoofchk='no' maxTxRate='300'/>`;
    const metadata = `<metadata><interfaces xmlns='urn:actualnet:guest:1'>${request}</interfaces></metadata>`;
    const xml = asInterface(0).replace('<devices>', `${metadata}<devices>`);
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac });
    expect(await world.qemu('start', xml)).toEqual(fine);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject(is);
    expect(world.records()[0]?.findings.join()).toContain("does not let guests choose 'spoofchk'");
    giveBack();
    await world.qemu('release', xml);
    expect(world.cards.state()).toEqual(before);
  });
});

describe('what other cards can', () => {
  test('every setting, in the order in which drivers take them, and back', async () => {
    begin(
      settings(
        ...['trust: true', 'spoofchk: false', 'queryRss: true', 'maxTxRate: 1000', 'minTxRate: 100'],
        ...['linkState: disable', 'vlan: 7', 'vlanQos: 5', "vlanProto: '802.1ad'"],
      ),
    );
    const before = world.cards.state();
    await live('release');
    expect(world.cards.state()).toEqual(before);
    expect(world.cards.commands).toMatchInlineSnapshot(`
      [
        "link set dev ens1f0 vf 0 trust on",
        "link set dev ens1f0 vf 0 vlan 7 qos 5 proto 802.1ad",
        "link set dev ens1f0 vf 0 spoofchk off",
        "link set dev ens1f0 vf 0 query_rss on",
        "link set dev ens1f0 vf 0 max_tx_rate 1000 min_tx_rate 100",
        "link set dev ens1f0 vf 0 state disable",
        "link set dev ens1f0 vf 0 state auto",
        "link set dev ens1f0 vf 0 max_tx_rate 0 min_tx_rate 0",
        "link set dev ens1f0 vf 0 query_rss off",
        "link set dev ens1f0 vf 0 spoofchk on",
        "link set dev ens1f0 vf 0 trust off",
        "link set dev ens1f0 vf 0 mac 00:00:00:00:00:00",
      ]
    `);
  });

  test('a PF with representors is set through its own link', async () => {
    begin(settings('trust: true'), { representors: true, driver: 'mlx5_core', vfDriver: 'mlx5_core' });
    await live('release');
    expect(world.cards.commands).toEqual([
      'link set dev ens1f0 vf 0 trust on',
      'link set dev ens1f0 vf 0 trust off',
      'link set dev ens1f0 vf 0 mac 00:00:00:00:00:00',
    ]);
  });
});

/** A guest has the first VF of a card that is one group, and nobody the rest of it. */
function hasNeighbour(node: string, guest: string): void {
  world.cards.bind('0000:5e:00.0', null, '(null)');
  world.cards.bind(world.cards.addressOf('ens1f0', 0), 'vfio-pci', 'vfio-pci');
  world.cards.bind(world.cards.addressOf('ens1f0', 1), null, '(null)');
  world.cards.hold(4711, node, guest);
}

describe('a guest is refused at prepare', () => {
  test.each<{ name: string; card?: Partial<FakePf>; before?: () => void; xml: () => string; line: RegExp }>([
    {
      name: 'a device that is not there',
      xml: () => asInterface(0).replace("slot='0x01'", "slot='0x1f'"),
      line: /interface 52:54:00:00:00:01: there is no PCI device 0000:5e:1f\.0 \(hint: .*\[DEVICE_MISSING\]/,
    },
    {
      name: 'its PF is down',
      before: () => world.cards.byHand('link set dev ens1f0 down'),
      xml: () => asInterface(0),
      line: /'ens1f0', the PF of VF 0000:5e:01\.0, is down \(hint: ip link set ens1f0 up\) \[PF_DOWN\]/,
    },
    {
      name: 'not managed and on its host driver',
      xml: () => asHostdev(1, 'no'),
      line: /0000:5e:01\.1 is not managed by libvirt and still bound to 'iavf' \(hint: virsh nodedev-detach pci_0000_5e_01_1.*\[DEVICE_NOT_BOUND\]/,
    },
    {
      name: 'another function of the card is on a host driver in the same group',
      card: { sharedGroup: true },
      xml: () => asHostdev(1),
      line: /0000:5e:01\.1 shares IOMMU group 77 with 0000:5e:00\.0, which is on driver 'ice' .*\[GROUP_NOT_VIABLE\]/,
    },
    {
      name: 'another guest has it',
      before: () => {
        const address = world.cards.addressOf('ens1f0', 1);
        world.cards.bind(address, 'vfio-pci', 'vfio-pci');
        world.cards.hold(4711, `/dev/vfio/${world.cards.groupOf(address)}`, 'other');
      },
      xml: () => asHostdev(1),
      line: /0000:5e:01\.1 is in use by guest 'other' \(process 4711\) .*\[DEVICE_IN_USE\]/,
    },
    {
      name: 'another guest has it open by IOMMUFD',
      card: { iommufd: true },
      before: () => {
        world.cards.bind(world.cards.addressOf('ens1f0', 1), 'vfio-pci', 'vfio-pci');
        world.cards.hold(4712, '/dev/vfio/devices/vfio1', 'other');
      },
      xml: () => asHostdev(1),
      line: /in use by guest 'other' \(process 4712\) .*\[DEVICE_IN_USE\]/,
    },
    {
      name: 'another guest has its group, through a neighbour',
      card: { sharedGroup: true, vfs: 2 },
      before: () => hasNeighbour('/dev/vfio/77', 'other'),
      xml: () => asHostdev(1),
      line: /0000:5e:01\.1 is in IOMMU group 77, which guest 'other' \(process 4711\) has .*\[DEVICE_IN_USE\]/,
    },
    {
      name: 'another guest has a neighbour, by IOMMUFD',
      card: { sharedGroup: true, vfs: 2, iommufd: true },
      before: () => hasNeighbour('/dev/vfio/devices/vfio0', 'other'),
      xml: () => asHostdev(1),
      line: /0000:5e:01\.1 is in IOMMU group 77, which guest 'other' \(process 4711\) has .*\[DEVICE_IN_USE\]/,
    },
    {
      name: 'another guest has one of its VFs',
      before: () => {
        const address = world.cards.addressOf('ens1f0', 1);
        world.cards.bind(address, 'vfio-pci', 'vfio-pci');
        world.cards.hold(4711, `/dev/vfio/${world.cards.groupOf(address)}`, 'other');
      },
      xml: () => asHostdev(-8),
      line: /0000:5e:00\.0 has VFs, one of which is in use by guest 'other' .*\[DEVICE_IN_USE\]/,
    },
    {
      name: 'not managed and on a driver that QEMU cannot open it through',
      before: () => world.cards.bind(world.cards.addressOf('ens1f0', 1), 'pci-stub', '(null)'),
      xml: () => asHostdev(1, 'no'),
      line: /0000:5e:01\.1 is not managed by libvirt and still bound to 'pci-stub' .*\[DEVICE_NOT_BOUND\]/,
    },
    {
      name: 'it has it twice',
      xml: () => domainXml([0, 0].map(vf => asHostdev(vf).match(/<hostdev.*<\/hostdev>/)![0]).join('')),
      line: /0000:5e:01\.0 is given to this guest twice .*\[DEVICE_TWICE\]/,
    },
    {
      name: 'it also names what its pool will give',
      before: () => {
        const address = source(0, "type='pci' ").replace(/<\/?source>/g, '');
        const xml = `<network><name>one</name><forward mode='hostdev' managed='yes'>${address}</forward></network>`;
        world.context().memory.rememberNetwork('one', xml);
      },
      xml: () =>
        domainXml(
          `<interface type='network'><mac address='${mac}'/><source network='one'/></interface>${asHostdev(0).match(/<hostdev.*<\/hostdev>/)![0]}`,
        ),
      line: /VF 0000:5e:01\.0 from network 'one' is already assigned to this guest .*\[DEVICE_TWICE\]/,
    },
    {
      name: 'no VF at all',
      xml: () => asInterface(0).replace("slot='0x01'", "slot='0x00'"),
      line: /0000:5e:00\.0 is not a VF.*\[NOT_A_VF\]/,
    },
    {
      name: 'the pool is used up',
      xml: () => domainXml(`<interface type='network'><mac address='${mac}'/><source network='none'/></interface>`),
      before: () => {
        const address = source(0, "type='pci' ").replace(/<\/?source>/g, '');
        const xml = `<network><name>none</name><forward mode='hostdev' managed='yes'>${address}</forward></network>`;
        const port = `<networkport><uuid>${otherUuid}</uuid><owner><name>o</name><uuid>${otherUuid}</uuid></owner><mac address='52:54:00:00:00:09'/><plug type='hostdev-pci'>${address.replace("type='pci' ", '')}</plug></networkport>`;
        const { memory } = world.context();
        memory.rememberNetwork('none', xml);
        memory.rememberPort('none', { uuid: otherUuid as never, xml: port });
      },
      line: /network 'none': all 1 devices are in use .*\[POOL_EXHAUSTED\]/,
    },
  ])('$name', async ({ card = {}, before, xml, line }) => {
    begin('', card);
    before?.();
    const state = world.cards.state();
    expect(await world.qemu('prepare', xml())).toEqual(refused(line));
    expect(world.cards.state()).toEqual(state);
  });

  test.each<{ name: string; card?: Partial<FakePf>; present?: () => void; xml: () => string }>([
    {
      name: 'a group that it has already',
      card: { sharedGroup: true, vfs: 2 },
      present: () => {
        hasNeighbour('/dev/vfio/77', 'g1');
        world.cards.bind(world.cards.addressOf('ens1f0', 1), 'vfio-pci', 'vfio-pci');
      },
      xml: () => asHostdev(1),
    },
    {
      name: 'all of a group given to it',
      card: { sharedGroup: true, vfs: 1 },
      xml: () => domainXml([0, -8].map(vf => asHostdev(vf).match(/<hostdev.*<\/hostdev>/)![0]).join('')),
    },
    { name: 'an unbound neighbour', card: { sharedGroup: true, vfs: 1, driver: 'none' }, xml: () => asHostdev(0) },
  ])('but not with $name', async ({ card = {}, present, xml }) => {
    begin('', card);
    present?.();
    if (card.driver === 'none') world.cards.bind('0000:5e:00.0', null, '(null)');
    expect(await world.qemu('prepare', xml())).toEqual(fine);
  });
});
