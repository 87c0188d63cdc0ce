import { describe, expect, test } from 'vitest';
import { defaultConfig, parseConfig } from '../../../src/config/config.ts';
import { readRequests } from '../../../src/config/requests.ts';
import type { Config } from '../../../src/config/types.ts';
import type { HostView, LinkState } from '../../../src/kernel/host-view.ts';
import { commandFor, describeChange, type Subject } from '../../../src/kernel/registry.ts';
import type { PciAddress } from '../../../src/model/pci-address.ts';
import { announcementsOf } from '../../../src/plan/announcements.ts';
import { guestDevices } from '../../../src/plan/guest-devices.ts';
import { wantedBy } from '../../../src/plan/leftovers.ts';
import {
  hostSideMac,
  isPassive,
  planPrepare,
  planReachable,
  planStart,
  planUnreachable,
  verifyLibvirtTables,
} from '../../../src/plan/plan.ts';
import { planNetworkStart, provisionLinks } from '../../../src/plan/provisioned-links.ts';
import { settingRefusals } from '../../../src/plan/settings.ts';
import { domain, network, resolve, running } from '../../helpers/documents.ts';
import { hostView, link } from '../../helpers/host-view.ts';

const mac = '52:54:00:00:00:01';
const host = (links: readonly LinkState[], fdb: HostView['fdb'] = []) => hostView(links, { fdb });

async function config(text: string): Promise<Config> {
  const result = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

/** The context of a guest made of `devices`, on `links`, with `text` as configuration. */
async function context(
  devices: string,
  links: readonly LinkState[],
  text: string,
  networks = [] as Parameters<typeof resolve>[1],
  facts: Partial<HostView> = {},
) {
  const { domain: guest, view } = resolve(devices, networks, '11.0.0');
  const asked = await config(text);
  const { requests } = readRequests(guest, asked.guests);
  const seen = hostView(links, facts);
  return {
    devices: guestDevices(guest, view, { config: asked, requests, host: seen, incoming: false }),
    config: asked,
    host: seen,
  };
}

const plain = (target = '') =>
  `<interface type='bridge'><mac address='${mac}'/><source bridge='br0'/>${target}</interface>`;
const started = plain("<target dev='tap7'/>");
const commands = (changes: readonly Parameters<typeof commandFor>[0][]) =>
  changes.map(change => commandFor(change).line);
const filtering = [
  link('br0', { isBridge: true, lowers: ['up0', 'up1', 'tap7'], vlanFiltering: true }),
  link('up0', { master: 'br0' }),
  link('up1', { master: 'br0' }),
  link('tap7', { master: 'br0', isTap: true }),
];

describe('vlans', () => {
  const rule = (vlan: string) =>
    `bridges: { br0: { uplinkVlans: true } }\ninterfaces: [{ match: { mac: '*' }, vlan: ${vlan} }]`;

  test('one is the access vlan of the port, and tagged on the uplinks', async () => {
    expect(commands(planStart(await context(started, filtering, rule('42'))))).toEqual([
      'vlan delete dev tap7 vid 1',
      'vlan add dev tap7 vid 42 pvid untagged',
      'vlan add dev up0 vid 42',
      'vlan add dev up1 vid 42',
    ]);
  });

  test('several are tagged everywhere, and those on the uplinks are shared with other guests', async () => {
    const changes = planStart(await context(started, filtering, rule('[10, 20]')));
    expect(commands(changes)).toEqual([
      'vlan delete dev tap7 vid 1',
      'vlan add dev tap7 vid 10',
      'vlan add dev tap7 vid 20',
      ...['up0', 'up1'].flatMap(dev => [`vlan add dev ${dev} vid 10`, `vlan add dev ${dev} vid 20`]),
    ]);
    expect(changes.map(({ shared = false }) => shared)).toEqual([false, false, false, true, true, true, true]);
  });

  test('on a bridge that does not filter they are refused with the remedy', async () => {
    const unfiltered = filtering.map(each => ({ ...each, vlanFiltering: false }));
    const given = await context(started, unfiltered, rule('42'));
    expect(planStart(given)).toEqual([]);
    expect(settingRefusals(given.devices, given.config, 'starts')).toEqual([
      expect.objectContaining({ code: 'VLAN_UNSUPPORTED', hint: expect.stringContaining('vlan_filtering 1') }),
    ]);
  });
});

describe('the forwarding table of a PF', () => {
  const pfTable = 'bridges: { br0: { pfForwardingTable: true } }';

  test.each([
    { name: 'the uplink is the PF', links: [link('up0', { vfs: 4, master: 'br0' })], pfs: ['up0'] },
    {
      name: 'the uplink is a bond of two PFs',
      links: [link('up0', { lowers: ['p0', 'p1'] }), link('p0', { vfs: 2 }), link('p1', { vfs: 2 })],
      pfs: ['p0', 'p1'],
    },
    {
      name: 'the uplink is a VLAN on a bond on a PF',
      links: [link('up0', { lowers: ['b0'] }), link('b0', { lowers: ['p0'] }), link('p0', { vfs: 2 })],
      pfs: ['p0'],
    },
    { name: 'there is no PF with VFs', links: [link('up0', { lowers: ['p0'] }), link('p0')], pfs: [] },
    { name: 'the links go in a circle', links: [link('up0', { lowers: ['up0'] })], pfs: [] },
  ])('$name', async ({ links, pfs }) => {
    const all = [
      link('br0', { isBridge: true, lowers: ['up0', 'tap7'] }),
      link('tap7', { isTap: true, vfs: 9 }),
      ...links,
    ];
    const changes = planReachable(await context(started, all, pfTable));
    expect(commands(changes)).toEqual(pfs.map(pf => `fdb add ${mac} dev ${pf} self permanent`));
    expect(changes.every(({ reach }) => reach)).toBe(true);
  });

  test('also knows guests on bridges whose own table libvirt keeps', async () => {
    const xml =
      "<network><name>n</name><forward mode='bridge'/><bridge name='br0' macTableManager='libvirt'/></network>";
    const iface = `<interface type='network'><mac address='${mac}'/><source network='n'/><target dev='tap7'/></interface>`;
    const links = [
      link('br0', { isBridge: true, lowers: ['up0', 'tap7'] }),
      link('up0', { vfs: 1 }),
      link('tap7', { isTap: true }),
    ];
    const given = await context(
      iface,
      links,
      'bridges: { br0: { pfForwardingTable: true, keepForwardingTable: true } }',
      [running(xml)],
    );
    expect(commands(planReachable(given))).toEqual([`fdb add ${mac} dev up0 self permanent`]);
  });
});

describe('tables that libvirt keeps are verified', () => {
  const xml = "<network><name>n</name><forward mode='bridge'/><bridge name='br0' macTableManager='libvirt'/></network>";
  const iface = `<interface type='network'><mac address='${mac}'/><source network='n'/><target dev='tap7'/></interface>`;
  const entry = { mac, dev: 'tap7', table: 'bridge', fixed: true } as const;
  const quiet = { learning: false, flood: false, isolated: false };

  test.each([
    { name: 'all is well', port: quiet, fdb: [entry], findings: [] },
    { name: 'no entry', port: quiet, fdb: [], findings: ['no entry'] },
    { name: 'only a learnt entry', port: quiet, fdb: [{ ...entry, fixed: false }], findings: ['no entry'] },
    { name: 'learning left on', port: { ...quiet, learning: true }, fdb: [entry], findings: ['learns or floods'] },
    { name: 'in no bridge', port: undefined, fdb: [entry], findings: ['in no bridge'] },
  ])('$name', async ({ port, fdb, findings }) => {
    const { devices } = await context(iface, [], '', [running(xml)]);
    const seen = host([link('tap7', { isTap: true, ...(port && { port }) })], fdb);
    expect(verifyLibvirtTables({ devices, host: seen })).toEqual(
      findings.map(finding => expect.stringContaining(finding)),
    );
  });
});

describe('macvtaps', () => {
  const direct = (mode: string) =>
    `<interface type='direct'><mac address='${mac}'/><source dev='eth7' mode='${mode}'/><target dev='tap8'/></interface>`;

  test.each([
    { mode: 'passthrough', down: ['tap8', 'eth7'] },
    { mode: 'bridge', down: ['tap8'] },
    { mode: 'vepa', down: ['tap8'] },
    { mode: 'private', down: ['tap8'] },
  ])('in mode $mode $down go down when the CPUs stop', async ({ mode, down }) => {
    const given = await context(direct(mode), [], 'macvtap: { manage: true }');
    expect(commands(planUnreachable(given))).toEqual(down.map(dev => `link set dev ${dev} down`));
  });

  test('are left alone unless they are to be managed', async () => {
    const given = await context(direct('bridge'), [], '');
    expect([planStart(given), planReachable(given), planUnreachable(given)].flat()).toEqual([]);
  });
});

describe('taps', () => {
  const unmanaged = `<interface type='ethernet'><mac address='${mac}'/><target dev='t1' managed='no'/><mtu size='9000'/><driver queues='4'/><model type='virtio'/></interface>`;
  const rules =
    "taps: { create: true, owner: qemu }\ninterfaces: [{ match: { tap: 't*' }, bridge: br0, keepForwardingTable: true, isolated: true }]";
  const bridge = link('br0', { isBridge: true, mtu: 1400 });

  test('are made with owner, queues, host-side MAC and MTU, and go up last', async () => {
    expect(commands(planPrepare(await context(unmanaged, [bridge], rules)))).toEqual([
      'tuntap add dev t1 mode tap user qemu multi_queue',
      'link set dev t1 address fe:54:00:00:00:01',
      'link set dev t1 mtu 9000',
      'link set dev t1 master br0',
      'link set dev t1 type bridge_slave isolated on',
      'link set dev t1 up',
    ]);
  });

  test('that exist are used as they are', async () => {
    expect(planPrepare(await context(unmanaged, [bridge, link('t1', { isTap: true })], rules))).toEqual([]);
  });

  test.each([
    { from: '52:54:00:00:00:01', to: 'fe:54:00:00:00:01' },
    { from: 'fe:54:00:00:00:01', to: 'fa:54:00:00:00:01' },
  ])('the host side of $from is $to', ({ from, to }) => expect(hostSideMac(from)).toBe(to));

  test.each([
    { name: 'a tap by name', netdev: 'tap,id=n,ifname=x1,script=no', made: ['x1'] },
    { name: 'a descriptor', netdev: 'tap,id=n,fd=30', made: [] },
    { name: 'descriptors', netdev: 'tap,id=n,fds=30:31,ifname=x1', made: [] },
    { name: 'a helper', netdev: 'tap,id=n,helper=/bin/h,ifname=x1', made: [] },
    { name: 'a template', netdev: 'tap,id=n,ifname=x%d', made: [] },
    { name: 'no tap', netdev: 'user,id=n', made: [] },
  ])('of a command line with $name', async ({ netdev, made }) => {
    const guest = domain('', "type='kvm'");
    const commandLine = { netdevs: [parse(netdev)], devices: [] };
    const asked = await config('taps: { create: true }');
    const devices = guestDevices(
      { ...guest, commandLine },
      { domain: { name: 'g1', uuid: null }, interfaces: [], hostdevs: [] },
      { config: asked, requests: [], host: host([]), incoming: false },
    );
    const changes = planPrepare({ devices, config: asked, host: host([]) });
    expect(changes.filter(({ subject }) => subject.kind === 'link').map(({ subject }) => subject.dev)).toEqual(made);
  });

  test.each([
    { mac: '52-54-00-AA-00-01', host: 'fe:54:00:aa:00:01' },
    { mac: '52:54:00:12:34', host: undefined },
    { mac: '52-54-00-12-3G-01', host: undefined },
    { mac: '5254.0012.3401', host: undefined },
  ])('of a command line: the card has $mac, its tap $host', async ({ mac, host: expected }) => {
    const guest = domain('', "type='kvm'");
    const commandLine = {
      netdevs: [parse('tap,id=n,ifname=x1,script=no')],
      devices: [parse(`virtio-net-pci,netdev=n,mac=${mac}`)],
    };
    const asked = await config('taps: { create: true }');
    const devices = guestDevices(
      { ...guest, commandLine },
      { domain: { name: 'g1', uuid: null }, interfaces: [], hostdevs: [] },
      { config: asked, requests: [], host: host([]), incoming: false },
    );
    const plan = () => planPrepare({ devices, config: asked, host: host([]) });
    if (expected === undefined) expect(plan).toThrow(`'${mac}'`);
    else expect(plan().find(({ subject }) => subject.kind === 'mac')?.to).toBe(expected);
  });
});

function parse(text: string) {
  const [kind = '', ...pairs] = text.split(',');
  const options = new Map(pairs.map(pair => pair.split('=') as [string, string]));
  return { kind, id: options.get('id')!, options };
}

describe('parts to provide', () => {
  test('come with what they stand on', async () => {
    const asked = await config(
      'provide: { bridges: { br7: { ports: [eth0.5], vlanFiltering: true } }, vlans: { eth0.5: { link: eth0, id: 5 } } }',
    );
    const changes = planNetworkStart(
      network("<network><name>n</name><forward mode='bridge'/><bridge name='br7'/></network>"),
      asked,
    );
    expect(commands(changes).slice(0, 3)).toEqual([
      'link add link eth0 name eth0.5 type vlan id 5',
      'link set dev eth0.5 up',
      'link add name br7 type bridge vlan_filtering 1',
    ]);
    expect(changes.every(({ shared }) => shared)).toBe(true);
  });

  test.each([
    { name: 'in the order of the file', vlans: 'q1: { link: eth0, id: 5 }, q2: { link: q1, id: 6 }' },
    { name: 'against it', vlans: 'q2: { link: q1, id: 6 }, q1: { link: eth0, id: 5 }' },
  ])('a VLAN on a VLAN on a link: $name', async ({ vlans }) => {
    const asked = await config(`provide: { bridges: { br7: { ports: [q2] } }, vlans: { ${vlans} } }`);
    const made = commands(provisionLinks(['br7'], asked));
    expect(made.slice(0, 5)).toEqual([
      'link add link eth0 name q1 type vlan id 5',
      'link set dev q1 up',
      'link add link q1 name q2 type vlan id 6',
      'link set dev q2 up',
      expect.stringContaining('link add name br7 type bridge'),
    ]);
  });

  test('a VLAN on a bridge, and on a PF with its VFs', async () => {
    const onBridge = await config('provide: { bridges: { br7: }, vlans: { v: { link: br7, id: 5 } } }');
    expect(commands(provisionLinks(['v'], onBridge))[0]).toContain('link add name br7 type bridge');
    const onPf = await config('provide: { vfs: { pf0: { count: 2 } }, vlans: { v: { link: pf0, id: 5 } } }');
    expect(commands(provisionLinks(['v'], onPf))[0]).toBe('link set dev pf0 up');
  });

  test('a circle, which no configuration has, ends', () => {
    const vlans = { a: { link: 'b', id: 1 }, b: { link: 'a', id: 1 } };
    expect(provisionLinks(['a'], { ...defaultConfig, provide: { bridges: {}, vlans, vfs: {} } })).toHaveLength(4);
  });

  test('are nothing for a network that needs none of them', async () => {
    const asked = await config('provide: { bridges: { br7: {} } }');
    expect(
      planNetworkStart(network("<network><name>n</name><forward mode='bridge'/><bridge name='br8'/></network>"), asked),
    ).toEqual([]);
  });
});

describe('a configuration that asks for nothing', () => {
  test('is passive, and any other is not', async () => {
    expect(isPassive(defaultConfig)).toBe(true);
    const active = [
      'bridges: { br0: {} }',
      'taps: { create: true }',
      'macvtap: { manage: true }',
      'provide: { vlans: { v: { link: e, id: 2 } } }',
      'guests: { allow: [mtu] }',
    ];
    for (const text of active) expect(isPassive(await config(text)), text).toBe(false);
  });
});

describe('words from outside never become other commands', () => {
  test.each([
    'a b',
    'x\nlink delete dev eth0',
    '-all',
    'a/b',
    '..',
    '',
    'a"b',
    "a'b",
    'a#b',
    'a\\b',
    'sixteen-chars-xx',
    'é',
  ])('the device name %j is refused', dev => {
    expect(() => commandFor({ subject: { kind: 'up', dev }, to: true })).toThrow(
      expect.objectContaining({ code: 'XML_VALUE' }),
    );
    expect(() => commandFor({ subject: { kind: 'master', dev: 'tap0' }, to: dev })).toThrow(
      expect.objectContaining({ code: 'XML_VALUE' }),
    );
  });

  test('every kind of change says what it is', () => {
    expect(describeChange({ subject: { kind: 'vlan', dev: 't', id: 5 }, to: 'tagged' })).toBe('t vlan 5 tagged');
    expect(describeChange({ subject: { kind: 'fdb', dev: 'p', mac, table: 'self' }, to: true })).toBe(
      `add ${mac} in the table of p`,
    );
    expect(describeChange({ subject: { kind: 'master', dev: 't' }, to: null })).toBe('t out of its bridge');
  });
});

describe('announcements', () => {
  const rule = "interfaces: [{ match: { mac: '*' }, announce: [192.0.2.1, 192.0.2.2] }]";
  const macvtap = `<interface type='direct'><mac address='${mac}'/><source dev='up0' mode='bridge'/></interface>`;
  const vf = `<interface type='hostdev'><mac address='${mac}'/><source><address type='pci' domain='0' bus='0x5e' slot='0x02' function='0'/></source></interface>`;
  const pci = () =>
    ({ driver: 'vfio-pci', pf: { dev: 'ens2f0', vf: 0 }, netdevs: [] }) as unknown as ReturnType<HostView['pci']>;

  test.each([
    { name: 'a tap goes through its bridge', devices: started, dev: 'br0' },
    { name: 'a macvtap through the device below', devices: macvtap, dev: 'up0' },
    { name: 'a VF through its PF', devices: vf, dev: 'ens2f0' },
  ])('of $name', async ({ devices, dev }) => {
    const { devices: planned, host: withCard } = await context(devices, filtering, rule, [], { pci });
    const expected = ['192.0.2.1', '192.0.2.2'].map(address => ({ dev, mac, address }));
    expect(announcementsOf(planned, withCard)).toEqual(expected);
  });

  test('are made only where they are asked for, and where something leads out', async () => {
    const { devices, host: seen } = await context(started, filtering, 'bridges: { br0: { isolated: true } }');
    expect(announcementsOf(devices, seen)).toEqual([]);
    const user = await context(`<interface type='user'><mac address='${mac}'/></interface>`, filtering, rule);
    expect(announcementsOf(user.devices, user.host)).toEqual([]);
  });
});

describe('what a device that is gone has left', () => {
  const rule = `bridges: { br0: { keepForwardingTable: true, uplinkVlans: true } }
macvtap: { manage: true }
provide: { bridges: { br7: { ports: [up1] } } }
interfaces: [{ match: { mac: '*' }, vlan: 42 }]`;
  const macvtap =
    "<interface type='direct'><mac address='52:54:00:00:00:02'/><source dev='up1' mode='bridge'/><target dev='vtap0'/></interface>";
  const links = [...filtering, link('vtap0', { isMacvtap: true, lowers: ['up1'] })];

  test.each<[what: string, subject: Subject, wanted: boolean]>([
    ['the tap', { kind: 'learning', dev: 'tap7' }, true],
    ['its entry', { kind: 'fdb', dev: 'tap7', mac, table: 'bridge' }, true],
    ['its VLAN', { kind: 'vlan', dev: 'tap7', id: 1 }, true],
    ['its VLAN on an uplink', { kind: 'vlan', dev: 'up0', id: 42 }, true],
    ['the macvtap', { kind: 'up', dev: 'vtap0' }, true],
    ['the device below it', { kind: 'up', dev: 'up1' }, true],
    ['another tap', { kind: 'link', dev: 'tap8' }, false],
    ['an entry on another tap', { kind: 'fdb', dev: 'tap8', mac, table: 'bridge' }, false],
    ['another MAC in the table of a PF', { kind: 'fdb', dev: 'up0', mac: '52:54:00:00:00:09', table: 'self' }, false],
    ['another VLAN on an uplink', { kind: 'vlan', dev: 'up0', id: 43 }, false],
    ['a VF', { kind: 'vf-mac', dev: 'ens2f0', vf: 1 }, false],
    ['a driver', { kind: 'driver', dev: '0000:5e:02.1' as PciAddress }, false],
    ['a bridge of nobody', { kind: 'link', dev: 'br7' }, false],
  ])('%s: wanted or not', async (_, subject, wanted) => {
    const seen = await context(started + macvtap, links, rule);
    expect(wantedBy(seen, planStart(seen))(subject)).toBe(wanted);
  });

  test('a VF and its driver belong to their device', async () => {
    const device =
      "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x5e' slot='0x02' function='0x1'/></source></hostdev>";
    const seen = await context(device, filtering, 'hostdevs: { bind: true }');
    const pci = () =>
      ({ driver: 'vfio-pci', pf: { dev: 'ens2f0', vf: 1 }, netdevs: [] }) as unknown as ReturnType<HostView['pci']>;
    const isWanted = wantedBy({ ...seen, host: hostView(filtering, { pci }) }, []);
    expect(isWanted({ kind: 'vf-mac', dev: 'ens2f0', vf: 1 })).toBe(true);
    expect(isWanted({ kind: 'vf-mac', dev: 'ens2f0', vf: 2 })).toBe(false);
    expect(isWanted({ kind: 'driver', dev: '0000:5e:02.1' as PciAddress })).toBe(true);
  });

  test('a bridge that the configuration provides stays with all it stands on', async () => {
    const own = plain("<target dev='tap7'/>").replace("'br0'", "'br7'");
    const isWanted = wantedBy(await context(own, [...filtering, link('br7', { isBridge: true })], rule), []);
    expect([isWanted({ kind: 'link', dev: 'br7' }), isWanted({ kind: 'master', dev: 'up1' })]).toEqual([true, true]);
  });
});
