import { afterEach, describe, expect, test } from 'vitest';
import { type PciAddress, pciAddressAttributes } from '../../src/model/pci-address.ts';
import { domainXml, guestUuid } from '../helpers/documents.ts';
import { CardWorld } from './world.ts';

const mac = '52:54:00:00:00:01';
const used = 'ens1f0v1';
const fine = { status: 0, stdout: '', stderr: '' };
const refused = (text: string | RegExp) => ({ status: 1, stdout: '', stderr: expect.stringMatching(text) });

let world: CardWorld;
afterEach(() => world.destroy());

function begin(config = ''): CardWorld {
  world = new CardWorld(config, [{ dev: 'ens1f0', address: '0000:5e:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 3 }]);
  return world;
}

function address(vf: number, type = ''): string {
  const words = Object.entries(pciAddressAttributes(world.cards.addressOf('ens1f0', vf) as PciAddress));
  return `<address ${type}${words.map(([key, value]) => `${key}='${value}'`).join(' ')}/>`;
}

const asInterface = (vf = 1) =>
  domainXml(
    `<interface type='hostdev' managed='yes'><mac address='${mac}'/><source>${address(vf, "type='pci' ")}</source></interface>`,
  );
const asHostdev = (vf = 1) =>
  domainXml(`<hostdev mode='subsystem' type='pci' managed='yes'><source>${address(vf)}</source></hostdev>`);
const asPassthrough = (dev = used) =>
  domainXml(`<interface type='direct'><mac address='${mac}'/><source dev='${dev}' mode='passthrough'/></interface>`);
const fromNetwork = (network: string) =>
  domainXml(`<interface type='network'><mac address='${mac}'/><source network='${network}'/></interface>`);
const poolOf = (inside: string, mode = 'hostdev') =>
  `<network><name>vfs</name><forward mode='${mode}'${mode === 'hostdev' ? " managed='yes'" : ''}>${inside}</forward></network>`;

function remember(xml: string): void {
  world.context().memory.rememberNetwork('vfs', xml);
}

/** What the host can do with the link of a VF, and how that is told. */
const uses: Record<string, { make: (dev: string) => void; who: RegExp; byHost: boolean }> = {
  'is a port of a bridge': {
    make: dev => {
      world.cards.links.make('br0', ['bridge']);
      world.cards.links.stack(dev, 'br0', { master: true, inside: ['brport'] });
    },
    who: /bridge 'br0', whose port (its link 'ens1f0v1'|it) is \(hint: ip link set ens1f0v1 nomaster/,
    byHost: true,
  },
  'is a member of a bond': {
    make: dev => {
      world.cards.links.make('bond0', ['bonding']);
      world.cards.links.stack(dev, 'bond0', { master: true, inside: ['bonding_slave'] });
    },
    who: /'bond0', whose member (its link 'ens1f0v1'|it) is/,
    byHost: true,
  },
  'is a port of Open vSwitch': {
    make: dev => {
      world.cards.links.make('ovs-system');
      world.cards.links.stack(dev, 'ovs-system', { master: true });
    },
    who: /Open vSwitch, whose port (its link 'ens1f0v1'|it) is \(hint: ovs-vsctl del-port ens1f0v1/,
    byHost: true,
  },
  'carries a VLAN device': {
    make: dev => {
      world.cards.links.make('lan.42');
      world.cards.links.stack(dev, 'lan.42');
    },
    who: /'lan\.42' on (its link 'ens1f0v1'|it)/,
    byHost: true,
  },
  'has an address': {
    make: dev => world.cards.links.configure(dev, '192.0.2.7/24'),
    who: /the host, whose address 192\.0\.2\.7\/24 (its link 'ens1f0v1'|it) has \(hint: ip address flush dev ens1f0v1/,
    byHost: true,
  },
  'carries the default route': {
    make: dev => world.cards.links.routeThrough(dev),
    who: /the host, whose default route leads through (its link 'ens1f0v1'|it)/,
    byHost: false,
  },
  'carries the default route of IPv6': {
    make: dev => world.cards.links.routeThrough(dev, 6),
    who: /the host, whose default route leads through (its link 'ens1f0v1'|it)/,
    byHost: false,
  },
  'carries a macvtap': {
    make: dev => {
      world.cards.links.make('macvtap0', ['macvtap'], { index: 77 });
      world.cards.links.stack(dev, 'macvtap0');
    },
    who: /'macvtap0' on (its link 'ens1f0v1'|it) \(hint: nobody has it open: ip link delete macvtap0/,
    byHost: false,
  },
};
const inUse = ({ who }: { who: RegExp }) => new RegExp(`in use by ${who.source}.*\\[DEVICE_IN_USE\\]`);

describe.each(Object.entries(uses))('a VF whose link %s', (_, kind) => {
  test.each([
    ['an interface', () => asInterface()],
    ['a plain host device', () => asHostdev()],
    ['a macvtap in passthrough mode', () => asPassthrough()],
  ])('is not given away as %s', async (_name, xml) => {
    begin();
    kind.make(used);
    const state = world.cards.state();
    expect(await world.qemu('prepare', xml())).toEqual(refused(inUse(kind)));
    expect(world.cards.state()).toEqual(state);
  });

  test('is not given away from the VFs of a PF', async () => {
    begin();
    kind.make(used);
    remember(poolOf(`<pf dev='ens1f0'/>${address(1, "type='pci' ")}`));
    expect(await world.qemu('prepare', fromNetwork('vfs'))).toEqual(refused(inUse(kind)));
  });

  test('from a pool that names it is told, unless that would cut somebody off', async () => {
    begin();
    kind.make(used);
    remember(poolOf(address(1, "type='pci' ")));
    const answer = await world.qemu('prepare', fromNetwork('vfs'));
    if (!kind.byHost) return expect(answer).toEqual(refused(inUse(kind)));
    expect(answer).toEqual(fine);
    expect(world.records()[0]?.findings).toEqual([expect.stringMatching(inUse(kind))]);
  });

  test('is not picked for a guest that comes', async () => {
    begin("rewrite: [{ match: { guest: '*' }, vfs: [ens1f0] }]\n");
    world.cards.byHand('link set dev ens1f0 up');
    kind.make(used);
    const { stdout } = await world.qemu('migrate', asInterface(7));
    expect(stdout).toContain(address(0, "type='pci' ").match(/slot.*(?=\/)/)![0]);
    const next = await world.qemu('migrate', asInterface(7).replace(guestUuid, guestUuid.replace('aa', 'ab')));
    expect(next.stdout).toContain(address(2, "type='pci' ").match(/slot.*(?=\/)/)![0]);
  });

  test('keeps the number of VFs from being changed', async () => {
    begin('provide: { vfs: { ens1f0: { count: 5 } } }\n');
    kind.make(used);
    const xml = `<hookData>${poolOf("<pf dev='ens1f0'/>")}</hookData>`;
    expect(await world.network('vfs', 'start', xml)).toEqual(fine);
    expect(world.log()).toMatch(/VF 0000:5e:01\.1: it(s link 'ens1f0v1' is up| is used by)/);
    expect(world.cards.commands.filter(line => line.startsWith('numvfs'))).toEqual([]);
  });
});

describe('a VF whose link is in another network namespace', () => {
  test.each([
    ['an interface', () => asInterface()],
    ['a plain host device', () => asHostdev()],
    ['one of a pool that names it', () => fromNetwork('vfs')],
  ])('is not given away as %s', async (_, xml) => {
    begin();
    world.cards.moveLinkAway('ens1f0', 1);
    remember(poolOf(address(1, "type='pci' ")));
    expect(await world.qemu('prepare', xml())).toEqual(
      refused(/in use by another network namespace, where its link is .*container.*\[DEVICE_IN_USE\]/),
    );
  });

  test('cannot be below a macvtap either', async () => {
    begin();
    world.cards.moveLinkAway('ens1f0', 1);
    expect(await world.qemu('prepare', asPassthrough())).toEqual(
      refused(/there is no device 'ens1f0v1' for its macvtap .*\[DEVICE_MISSING\]/),
    );
  });
});

describe('is given away', () => {
  test.each<[string, () => void]>([
    ['a VF that is down, whatever addresses it had', () => {}],
    ['a VF that is up with nothing but the address every link has', () => world.cards.links.configure(used)],
    [
      'a VF beside one that is in use',
      () => {
        world.cards.links.make('br0', ['bridge']);
        world.cards.links.stack('ens1f0v2', 'br0', { master: true, inside: ['brport'] });
        world.cards.links.configure('ens1f0v0', '192.0.2.7/24');
      },
    ],
    ['a VF of a PF that the host uses itself', () => world.cards.links.configure('ens1f0', '192.0.2.7/24')],
  ])('%s', async (_, make) => {
    begin();
    make();
    expect(await world.qemu('prepare', asInterface())).toEqual(fine);
    expect(world.records()[0]?.findings).toEqual([]);
  });
});

describe('a card as a whole', () => {
  test.each<[string, () => void, RegExp]>([
    [
      'whose own link the host uses',
      () => world.cards.links.configure('ens1f0', '192.0.2.7/24'),
      /0000:5e:00\.0 is in use by the host, whose address 192\.0\.2\.7\/24 its link 'ens1f0' has/,
    ],
    [
      'one of whose VFs the host uses',
      () => uses['is a port of a bridge']!.make(used),
      /0000:5e:00\.0 has VFs, one of which is in use by bridge 'br0', whose port its link 'ens1f0v1' is/,
    ],
    [
      'one of whose VFs is in a container',
      () => world.cards.moveLinkAway('ens1f0', 1),
      /0000:5e:00\.0 has VFs, one of which is in use by another network namespace/,
    ],
  ])('%s', async (_, make, line) => {
    begin();
    make();
    expect(await world.qemu('prepare', asHostdev(-8))).toEqual(refused(line));
  });
});

describe('a VF that libvirt has chosen otherwise than predicted', () => {
  const port = (inside: string) =>
    `<networkport><uuid>${guestUuid.replace('aa', 'cc')}</uuid><owner><name>g1</name><uuid>${guestUuid}</uuid></owner><mac address='${mac}'/>${inside}</networkport>`;

  test.each([
    ['is refused', (xml: string) => `<pf dev='ens1f0'/>${xml}`, true],
    ['is told, where it was named', (xml: string) => xml, false],
  ])('%s when its port is made', async (_, pool, isRefused) => {
    begin();
    const network = poolOf(pool(address(0, "type='pci' ") + address(1, "type='pci' ")));
    remember(network);
    expect(await world.qemu('prepare', fromNetwork('vfs'))).toEqual(fine);
    uses['is a port of a bridge']!.make(used);
    const plug = `<plug type='hostdev-pci' managed='yes'>${address(1)}</plug>`;
    const answer = await world.network('vfs', 'port-created', `<hookData>${network}${port(plug)}</hookData>`);
    expect(answer).toEqual(isRefused ? refused(inUse(uses['is a port of a bridge']!)) : fine);
    expect(world.log()).toMatch(/in use by bridge 'br0'/);
    expect(world.records()[0]?.ports).toHaveLength(isRefused ? 0 : 1);
  });

  test('is not refused to a guest that runs with it, of whose port nothing is recorded', async () => {
    begin();
    uses['carries a macvtap']!.make(used);
    const network = poolOf(`<interface dev='${used}'/>`, 'passthrough');
    const running = domainXml(
      `<interface type='direct'><mac address='${mac}'/><source network='vfs' dev='${used}' mode='passthrough'/><target dev='macvtap0'/><alias name='net0'/></interface>`,
      "type='kvm' id='1'",
    );
    expect(await world.qemu('reconnect', running)).toEqual(fine);
    const plug = `<plug type='direct' dev='${used}' mode='passthrough'/>`;
    expect(await world.network('vfs', 'port-created', `<hookData>${network}${port(plug)}</hookData>`)).toEqual(fine);
    expect(world.records()[0]?.ports).toHaveLength(1);
    const other = port(plug).replace(mac, '52:54:00:00:00:02').replace('cc<', 'cd<');
    expect(await world.network('vfs', 'port-created', `<hookData>${network}${other}</hookData>`)).toEqual(
      refused(/in use by 'macvtap0' on it/),
    );
  });

  test('is not refused when a daemon that restarts tells of the port again', async () => {
    begin();
    const network = poolOf(`<pf dev='ens1f0'/>${address(0, "type='pci' ")}`);
    remember(network);
    await world.qemu('prepare', fromNetwork('vfs'));
    const plug = `<plug type='hostdev-pci' managed='yes'>${address(0)}</plug>`;
    const call = () => world.network('vfs', 'port-created', `<hookData>${network}${port(plug)}</hookData>`);
    expect(await call()).toEqual(fine);
    uses['is a port of a bridge']!.make('ens1f0v0');
    expect(await call()).toEqual(fine);
    expect(world.log()).toBe('');
  });
});
