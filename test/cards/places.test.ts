import { afterEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { attach } from '../../src/hotplug/attach.ts';
import type { HotplugHost } from '../../src/hotplug/host.ts';
import { readDomain } from '../../src/model/domain.ts';
import { oldestLibvirtVersion } from '../../src/resolve/version.ts';
import { parseXml } from '../../src/xml/document.ts';
import { domainXml } from '../helpers/documents.ts';
import { CardWorld } from './world.ts';

const mac = '52:54:00:00:00:01';
const fine = { status: 0, stdout: '', stderr: '' };
const refused = (text: string | RegExp) => ({ status: 1, stdout: '', stderr: expect.stringMatching(text) });
const iface = (type: string, source: string, inside = '') =>
  `<interface type='${type}'><mac address='${mac}'/><source ${source}/>${inside}<model type='virtio'/></interface>`;
const onBridge = (bridge: string, inside = '') => iface('bridge', `bridge='${bridge}'`, inside);
const onDevice = (dev: string, mode = 'bridge') => iface('direct', `dev='${dev}' mode='${mode}'`);
const onNetwork = iface('network', "network='lan'");

let world: CardWorld;
afterEach(() => world.destroy());

/** A host with a bridge `br0`, a device `eth1`, and a macvtap `macvtap3` upon it. */
function begin(config = '', macvtap: { mac?: string; up?: boolean } = {}): void {
  world = new CardWorld(config, []);
  const { links } = world.cards;
  links.make('br0', ['bridge']);
  links.make('eth1', [], { mac: '02:00:00:00:00:e1' });
  links.make('eth2', [], { mac: '02:00:00:00:00:e2' });
  links.make('macvtap3', ['macvtap'], { index: 33, mac: '52:54:00:00:00:33', ...macvtap });
  links.stack('eth1', 'macvtap3');
}

function remember(forward: string): void {
  world.context().memory.rememberNetwork('lan', `<network><name>lan</name>${forward}</network>`);
}

const bridged = "<forward mode='bridge'/><bridge name='br9'/>";
const missing: [name: string, device: string, line: RegExp, make?: () => void][] = [
  ['a bridge', onBridge('br9'), /there is no bridge 'br9' \(hint: make it.*\[DEVICE_MISSING\]/],
  ['a bridge of a network', onNetwork, /there is no bridge 'br9'.*\[DEVICE_MISSING\]/, () => remember(bridged)],
  [
    'a bridge of a network of libvirt',
    onNetwork,
    /there is no bridge 'virbr9'.*\[DEVICE_MISSING\]/,
    () => remember("<forward mode='nat'/><bridge name='virbr9'/><ip address='192.0.2.1' prefix='24'/>"),
  ],
  [
    'a bridge, but another device of that name',
    onBridge('eth2'),
    /'eth2' is no bridge.*openvswitch.*\[DEVICE_MISSING\]/,
  ],
  ['the device below a macvtap', onDevice('eth9'), /there is no device 'eth9' for its macvtap.*\[DEVICE_MISSING\]/],
  [
    'the device of a network',
    onNetwork,
    /there is no device 'eth9' for its macvtap.*\[DEVICE_MISSING\]/,
    () => remember("<forward mode='bridge'><interface dev='eth9'/></forward>"),
  ],
];

test.each(missing)('prepare misses %s', async (_, device, line, make) => {
  begin();
  make?.();
  expect(await world.qemu('prepare', domainXml(device))).toEqual(refused(line));
});

test.each<[string, string, string?]>([
  ['a bridge that is there', onBridge('br0')],
  ['a bridge that the configuration provides', onBridge('br9'), 'provide: { bridges: { br9: {} } }'],
  ['a bridge of Open vSwitch', onBridge('ovs9', "<virtualport type='openvswitch'/>")],
  ['an interface that is nowhere', iface('user', '')],
  ['a macvtap beside another', onDevice('eth1')],
  [
    'a macvtap upon a VLAN that is provided',
    onDevice('eth1.5'),
    'provide: { vlans: { eth1.5: { link: eth1, id: 5 } } }',
  ],
])('prepare misses nothing with %s', async (_, device, config) => {
  begin();
  // What is provided is made; here only what is looked at make.
  if (config !== undefined) {
    const parsed = await parseConfig([{ file: 'test', text: config }]);
    if ('mistakes' in parsed) expect.fail(parsed.mistakes.join());
    const effects = { ...world.effects(), run: async () => [] };
    const context = { ...world.context(effects), config: async () => parsed.config };
    const { stderr } = await world.qemu('prepare', domainXml(device), context);
    return expect(stderr).not.toContain('[DEVICE_MISSING]');
  }
  expect(await world.qemu('prepare', domainXml(device))).toEqual(fine);
});

describe('a guest that comes', () => {
  test.each([
    ['a bridge', 'bridge: br9', onBridge('br0'), /after 'rewrite': interface .* there is no bridge 'br9'/],
    ['a device', 'dev: eth9', onDevice('eth1'), /after 'rewrite': interface .* there is no device 'eth9'/],
    ['a network whose bridge is missing', 'network: lan', onBridge('br0'), /after 'rewrite': .* no bridge 'br9'/],
  ])('is refused when a rule names %s that is not here', async (_, rule, device, line) => {
    begin(`rewrite: [{ match: { guest: '*' }, ${rule} }]\n`);
    remember(bridged);
    for (const operation of ['migrate', 'restore']) {
      const answer = await world.qemu(operation, domainXml(device));
      expect(answer).toEqual(refused(line));
      expect(answer.stderr).toContain('[DEVICE_MISSING]');
    }
    expect(world.context().memory.listAnnouncements()).toEqual([]);
  });

  test.each([
    ['which is here', 'bridge: br0', ''],
    ['which is provided', 'bridge: br9', 'provide: { bridges: { br9: {} } }\n'],
  ])('gets the bridge of a rule, %s', async (_, rule, config) => {
    begin(`${config}rewrite: [{ match: { guest: '*' }, ${rule} }]\n`);
    const { status, stdout } = await world.qemu('migrate', domainXml(onBridge('old')));
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining(`'${rule.slice(8)}'`) });
  });

  test('and that no rule touches is looked at when it starts', async () => {
    begin('rewrite: [{ match: { guest: other }, bridge: br9 }]\n');
    expect(await world.qemu('migrate', domainXml(onBridge('br9')))).toEqual(fine);
    expect(await world.qemu('prepare', domainXml(onBridge('br9')))).toEqual(refused(/no bridge 'br9'/));
  });
});

describe('a macvtap', () => {
  test.each<[name: string, device: string, macvtap: Parameters<typeof begin>[1], line: RegExp, make?: () => void]>([
    [
      'with the MAC of one that a dead QEMU has left',
      onDevice('eth1'),
      { mac },
      /'eth1', the device below its macvtap, carries 'macvtap3' with the same MAC 52:54:00:00:00:01 \(hint: nobody has it open: ip link delete macvtap3\) \[DEVICE_IN_USE\]/,
    ],
    [
      'with the MAC of one that a guest has',
      onDevice('eth1'),
      { mac },
      /carries 'macvtap3' with the same MAC .*\(hint: stop guest 'other' \(process 4711\)\) \[DEVICE_IN_USE\]/,
      () => world.cards.hold(4711, '/dev/tap33', 'other'),
    ],
    [
      'with the MAC of its own device',
      onDevice('eth1').replace(mac, '02:00:00:00:00:e1'),
      {},
      /has the same MAC 02:00:00:00:00:e1 .*\[DEVICE_IN_USE\]/,
    ],
    [
      'upon a device that is passed through',
      onDevice('eth1'),
      { mac: '02:00:00:00:00:e1' },
      /in use by 'macvtap3', through which it is passed to a guest \(hint: nobody has it open: ip link delete macvtap3/,
    ],
    [
      'that wants a device for itself which has another one',
      onDevice('eth1', 'passthrough'),
      {},
      /in use by 'macvtap3' on it \(hint: .*ip link delete macvtap3/,
    ],
    [
      "upon a bridge's port",
      onDevice('eth2'),
      {},
      /in use by bridge 'br0', whose port it is \(hint: ip link set eth2 nomaster/,
      () => world.cards.links.stack('eth2', 'br0', { master: true, inside: ['brport'] }),
    ],
    [
      "upon a bond's member",
      onDevice('eth2', 'vepa'),
      {},
      /in use by 'bond0', whose member it is/,
      () => {
        world.cards.links.make('bond0', ['bonding']);
        world.cards.links.stack('eth2', 'bond0', { master: true, inside: ['bonding_slave'] });
      },
    ],
    [
      "upon a bridge's port that its network names",
      onNetwork,
      {},
      /in use by bridge 'br0', whose port it is/,
      () => {
        remember("<forward mode='passthrough'><interface dev='eth2'/></forward>");
        world.cards.links.stack('eth2', 'br0', { master: true, inside: ['brport'] });
      },
    ],
  ])('%s is refused', async (_, device, macvtap, line, make) => {
    begin('', macvtap);
    make?.();
    expect(await world.qemu('prepare', domainXml(device))).toEqual(refused(line));
  });

  test.each<[name: string, device: string, finding: RegExp, make: () => void]>([
    [
      'beside one with its MAC that is down',
      onDevice('eth1'),
      /carries 'macvtap3' with the same MAC .*, which is down/,
      () => world.cards.links.make('macvtap3', [], { mac, up: false }),
    ],
    [
      'that takes an address of the host, as its network says',
      onNetwork,
      /in use by the host, whose address 192\.0\.2\.7\/24 it has/,
      () => {
        remember("<forward mode='passthrough'><interface dev='eth2'/></forward>");
        world.cards.links.configure('eth2', '192.0.2.7/24');
      },
    ],
  ])('%s is told', async (_, device, finding, make) => {
    begin();
    make();
    expect(await world.qemu('prepare', domainXml(device))).toEqual(fine);
    expect(world.records()[0]?.findings).toEqual([expect.stringMatching(finding)]);
  });

  test.each<[string, () => void]>([
    ['an address', () => world.cards.links.configure('eth2', '192.0.2.7/24')],
    ['the default route', () => world.cards.links.routeThrough('eth2')],
    [
      'a VRF',
      () => {
        world.cards.links.make('vrf0');
        world.cards.links.stack('eth2', 'vrf0', { master: true });
      },
    ],
  ])('shares a device with %s', async (_, make) => {
    begin();
    make();
    expect(await world.qemu('prepare', domainXml(onDevice('eth2')))).toEqual(fine);
    expect(world.records()[0]?.findings).toEqual([]);
  });
});

describe('attach', () => {
  async function dryRun(device: string): Promise<string[]> {
    const said: string[] = [];
    const parsed = await parseConfig([]);
    const config = 'mistakes' in parsed ? expect.fail() : parsed.config;
    const findGuest = () =>
      readDomain(parseXml(`<domstatus state='running' pid='1'>${domainXml('', "type='kvm' id='1'")}</domstatus>`));
    const { memory, effects } = world.context();
    const { findNetwork } = memory;
    const planning = async () => ({ config, effects, findNetwork, version: () => oldestLibvirtVersion });
    const host = { findGuest, planning, runState: () => 'running', say: (line: string) => void said.push(line) };
    const where = { live: true, config: false };
    await attach('g1', parseXml(device), { where, dryRun: true, host: host as unknown as HotplugHost });
    return said;
  }

  test.each(missing)('tells in a dry run that it misses %s', async (_, device, line, make) => {
    begin();
    make?.();
    await expect(dryRun(device)).rejects.toMatchObject({
      code: 'DEVICE_MISSING',
      message: expect.stringMatching(line.source.split(/ \\\(hint| ?\.\*/)[0]!),
    });
  });

  test('tells what may be in the way', async () => {
    begin('', { mac, up: false });
    expect(await dryRun(onDevice('eth1'))).toContainEqual(expect.stringMatching(/same MAC .*\[DEVICE_IN_USE\]/));
  });
});
