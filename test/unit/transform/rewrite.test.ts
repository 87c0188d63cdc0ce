import { describe, expect, test } from 'vitest';
import { guestPlaces, type RewriteRule } from '../../../src/config/types.ts';
import { readDomain } from '../../../src/model/domain.ts';
import type { PciAddress } from '../../../src/model/pci-address.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { findAbiBreaks } from '../../../src/transform/abi.ts';
import { rewriteGuest } from '../../../src/transform/rewrite.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { domainXml, running } from '../../helpers/documents.ts';

const networks = [
  "<network><name>lan</name><bridge name='virbr0'/></network>",
  "<network><name>prod</name><forward mode='bridge'/><bridge name='br0'/></network>",
  "<network><name>macv</name><forward mode='bridge'><interface dev='eth7'/></forward></network>",
  "<network><name>empty</name><forward mode='vepa'/></network>",
  "<network><name>vf</name><forward mode='hostdev' managed='yes'><address type='pci' domain='0' bus='3' slot='0' function='1'/></forward></network>",
  "<network><name>vf2</name><forward mode='hostdev' managed='yes'><address type='pci' domain='0' bus='3' slot='0' function='2'/></forward></network>",
].map(xml => running(xml));
const off = { ...running("<network><name>off</name><bridge name='virbr1'/></network>"), active: false };
const findNetwork = (name: string) => [...networks, off].find(({ network }) => network.name === name);

interface Host {
  readonly free?: readonly string[];
  readonly version?: string;
  /** What guests may choose: networks, bridges and devices of these names. */
  readonly chosen?: readonly string[];
  readonly arrives?: boolean;
}

function rewrite(
  xml: string,
  rules: readonly RewriteRule[],
  { free = [], version = '9.0.0', chosen = [], arrives = false }: Host = {},
) {
  const document = parseXml(xml);
  const result = rewriteGuest(document, {
    rules,
    guests: {
      allow: chosen.length > 0 ? [...guestPlaces, 'bridge'] : [],
      bridges: chosen,
      networks: chosen,
      devices: chosen,
    },
    arrives,
    findNetwork,
    version: () => parseLibvirtVersion(version),
    pfOf: address => (address.startsWith('0000:5e:') ? 'ens2f0' : address.startsWith('0000:0a:') ? null : undefined),
    freeVfs: (_, like) => [...free].sort(each => (each === like ? -1 : 0)) as PciAddress[],
  });
  return { ...result, isSame: result.document === document, text: result.document.text };
}

const mac = "<mac address='52:54:00:aa:00:01'/>";
const model = "<model type='virtio'/>";
const nic = (type: string, inside: string) => `<interface type='${type}'>${mac}${inside}${model}</interface>`;
const one = (devices: string, rule: Omit<RewriteRule, 'match'>, host?: Host) =>
  rewrite(domainXml(devices), [{ match: {}, ...rule }], host);

describe('an interface is given', () => {
  test.each<[name: string, before: string, rule: Omit<RewriteRule, 'match'>, after: string]>([
    [
      'another network',
      nic('network', "<source network='lan'/>"),
      { network: 'prod' },
      nic('network', "<source network='prod'/>"),
    ],
    [
      'a portgroup',
      nic('network', "<source network='prod'/>"),
      { portgroup: 'a&b' },
      nic('network', "<source network='prod' portgroup='a&amp;b'/>"),
    ],
    [
      'no portgroup',
      nic('network', "<source network='prod' portgroup='x'/>"),
      { portgroup: null },
      nic('network', "<source network='prod'/>"),
    ],
    [
      'another pool',
      nic('network', "<source network='vf'/>").replace(model, ''),
      { network: 'vf2' },
      nic('network', "<source network='vf2'/>").replace(model, ''),
    ],
    [
      'a bridge instead of a network',
      nic('network', "<source network='lan' portgroup='x'/>"),
      { bridge: 'br7' },
      nic('bridge', "<source bridge='br7'/>"),
    ],
    [
      'another bridge',
      nic('bridge', "<source bridge='br0'/>"),
      { bridge: 'br7' },
      nic('bridge', "<source bridge='br7'/>"),
    ],
    [
      'a macvtap instead of a bridge',
      nic('bridge', "<source bridge='br0'/>"),
      { dev: 'eno3', mode: 'bridge' },
      nic('direct', "<source dev='eno3' mode='bridge'/>"),
    ],
    [
      'a bridge instead of a macvtap',
      nic('direct', "<source dev='eno3' mode='bridge'/>"),
      { bridge: 'br0' },
      nic('bridge', "<source bridge='br0'/>"),
    ],
    [
      'a network instead of a bridge',
      nic('bridge', "<source bridge='br0'/>"),
      { network: 'prod', portgroup: 'p' },
      nic('network', "<source network='prod' portgroup='p'/>"),
    ],
    [
      'another mode',
      nic('direct', "<source dev='eno3'/>"),
      { mode: 'private' },
      nic('direct', "<source dev='eno3' mode='private'/>"),
    ],
    [
      'a bridge instead of its own tap',
      nic('ethernet', ''),
      { bridge: 'br0' },
      nic('bridge', "<source bridge='br0'/>"),
    ],
    [
      'a target',
      nic('bridge', "<source bridge='br0'/><target dev='old0'/>"),
      { target: 'web0' },
      nic('bridge', "<source bridge='br0'/><target dev='web0'/>"),
    ],
    [
      'an alias',
      nic('bridge', "<source bridge='br0'/><alias name='ua-a'/>"),
      { alias: 'ua-b' },
      nic('bridge', "<source bridge='br0'/><alias name='ua-b'/>"),
    ],
  ])('%s', (_, before, rule, after) => {
    const { text, changes } = one(before, rule);
    expect(text.replaceAll('"', "'")).toBe(domainXml(after));
    expect(changes).toEqual([expect.stringMatching(/^interface 52:54:00:aa:00:01: .* \(rule 1 of 'rewrite'\)$/)]);
    // What was rewritten needs no more rewriting.
    expect(rewrite(text, [{ match: {}, ...rule }]).isSame).toBe(true);
  });
});

describe('refused, naming the rule and the interface', () => {
  test.each<[name: string, devices: string, rule: Omit<RewriteRule, 'match'>, why: RegExp]>([
    [
      'a pool for a card',
      nic('network', "<source network='lan'/>"),
      { network: 'vf' },
      /network 'vf' is a pool of host devices/,
    ],
    [
      'a card for a pool',
      nic('network', "<source network='vf'/>").replace(model, ''),
      { network: 'lan' },
      /'lan' is no pool of host devices/,
    ],
    [
      'a card for what was a pool elsewhere',
      nic('network', "<source network='gone'/>").replace(model, ''),
      { network: 'lan' },
      /'lan' is no pool/,
    ],
    ['a bridge for a pool', nic('network', "<source network='vf'/>"), { bridge: 'br0' }, /network 'vf' is a pool/],
    [
      'an unknown network',
      nic('network', "<source network='lan'/>"),
      { network: 'nope' },
      /network 'nope' is not known here/,
    ],
    [
      'a bridge for a VF',
      `<interface type='hostdev'>${mac}<source><address type='pci' bus='3' slot='0' function='1'/></source></interface>`,
      { bridge: 'br0' },
      /a host device cannot become anything else/,
    ],
    [
      'a macvtap with a filter',
      nic('bridge', "<source bridge='br0'/><filterref filter='clean-traffic'/>"),
      { dev: 'eno3' },
      /<filterref>/,
    ],
    [
      'a macvtap with a VLAN',
      nic('network', "<source network='prod'/><vlan><tag id='5'/></vlan>"),
      { dev: 'eno3' },
      /a vlan is not possible on macvtap in mode 'vepa'/,
    ],
    [
      'a macvtap that is isolated',
      nic('bridge', "<source bridge='br0'/><port isolated='yes'/>"),
      { dev: 'eno3' },
      /isolat/,
    ],
    [
      'a bridge with a floor',
      nic('network', "<source network='lan'/><bandwidth><inbound average='10' floor='5'/></bandwidth>"),
      { bridge: 'br0' },
      /floor/,
    ],
    [
      'a bridge with half a virtualport',
      nic('network', "<source network='lan'/><virtualport><parameters profileid='x'/></virtualport>"),
      { bridge: 'br0' },
      /<virtualport> has no type/,
    ],
    [
      'a bridge for a managed tap',
      nic('ethernet', "<target dev='tap9' managed='no'/>"),
      { bridge: 'br0' },
      /managed='no'/,
    ],
    ['a bridge for a scripted tap', nic('ethernet', "<script path='/bin/true'/>"), { bridge: 'br0' }, /<script>/],
    ['a mode on a bridge', nic('bridge', "<source bridge='br0'/>"), { mode: 'vepa' }, /a mode is for a macvtap/],
    [
      'a portgroup on a bridge',
      nic('bridge', "<source bridge='br0'/>"),
      { portgroup: 'x' },
      /a portgroup is for a network/,
    ],
    [
      'a network without shaping for a floor',
      nic('network', "<source network='lan'/><bandwidth><inbound average='10' floor='5'/></bandwidth>"),
      { network: 'prod' },
      /floor/,
    ],
    [
      'a macvtap for a port of Open vSwitch',
      nic('network', "<source network='lan'/><virtualport type='openvswitch'/>"),
      { network: 'macv' },
      /openvswitch/,
    ],
    ['a network without devices', nic('network', "<source network='lan'/>"), { network: 'empty' }, /empty/],
    ['a bridge for slirp', nic('user', ''), { bridge: 'br0' }, /type 'user'/],
    ['a target of libvirt’s', nic('bridge', "<source bridge='br0'/>"), { target: 'vnet7' }, /'vnet7'/],
    [
      'an alias twice',
      `${nic('bridge', "<source bridge='br0'/>")}<disk><alias name='ua-x'/></disk>`,
      { alias: 'ua-x' },
      /another device has the alias/,
    ],
    [
      'an alias that a partner needs',
      `${nic('bridge', "<source bridge='br0'/><alias name='ua-b0'/><teaming type='persistent'/>")}<interface type='network'><mac address='52:54:00:aa:00:02'/><source network='vf'/><teaming type='transient' persistent='ua-b0'/><alias name='ua-x'/></interface>`,
      { alias: 'ua-x' },
      /alias/,
    ],
  ])('%s', (_, devices, rule, why) => {
    expect(() => one(devices, rule)).toThrow(why);
    expect(() => one(devices, rule)).toThrow(/guest 'g1', interface .*rule 1 of 'rewrite'/);
  });

  describe('an alias, if <qemu:override> is for', () => {
    const overriding = (devices: string, name: string) =>
      domainXml(devices).replace(
        '</domain>',
        `<q:override xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:device alias='${name}'/></q:override></domain>`,
      );
    const card = (last: number, alias = '') =>
      nic('bridge', `<source bridge='br0'/>${alias}`).replace('00:01', `00:0${last}`);
    const vf = "<interface type='network'><mac address='52:54:00:aa:00:09'/><source network='gone'/></interface>";
    const first = { mac: '52:54:00:aa:00:01' };

    test.each<[name: string, devices: string, overridden: string, refused: boolean]>([
      ['the old one', card(1, "<alias name='ua-a'/>"), 'ua-a', true],
      ['the new one', card(1), 'ua-b', true],
      ['what libvirt calls it', card(1), 'net0', true],
      ['what libvirt calls the next one', card(1) + card(2), 'net1', true],
      ['what libvirt calls the one before', card(2) + card(1), 'net0', false],
      ['what libvirt calls a VF', card(1) + vf, 'hostdev0', false],
      ['what libvirt calls a card behind a VF', vf + card(2) + card(1), 'net0', false],
      ['another device', card(1, "<alias name='ua-a'/>") + card(2, "<alias name='ua-c'/>"), 'ua-c', false],
      ['a disk', card(1), 'virtio-disk0', false],
    ])('%s', (_, devices, overridden, refused) => {
      const result = () => rewrite(overriding(devices, overridden), [{ match: first, alias: 'ua-b' }]);
      if (refused) expect(result).toThrow(/interface 52:54:00:aa:00:01: rule 1 of 'rewrite'.*<qemu:override> is for/);
      else expect(result().text).toMatch(/name=.ua-b/);
    });
  });

  describe('an alias, if the command line has', () => {
    const commanding = (devices: string, words: readonly string[]) =>
      domainXml(devices).replace(
        '</domain>',
        `<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>${words
          .map(word => `<q:arg value='${word.replaceAll("'", '&apos;')}'/>`)
          .join('')}</q:commandline></domain>`,
      );
    const card = (last: number, alias = '') =>
      nic('bridge', `<source bridge='br0'/>${alias}`).replace('00:01', `00:0${last}`);
    const own = "<alias name='ua-a'/>";

    test.each<[devices: string, words: string[], refused: boolean]>([
      [card(1), ['-object', 'filter-dump,id=dump0,netdev=hostnet0,file=/x.pcap'], true],
      [card(1), ['-set', 'device.net0.tx=bh'], true],
      [card(1), ['-device', 'vfio-pci,host=3b:02.1,failover_pair_id=net0'], true],
      [card(1), ['-object', '{"qom-type":"filter-mirror","id":"m0","netdev":"hostnet0"}'], true],
      [card(1), ['-chardev', 'qom,path=/machine/peripheral/net0'], true],
      [card(1), ['-chardev', 'socket,id=c,server=on', '-object', 'x,chardev=charnet0'], true],
      [card(1, own), ['-device', '{"driver":"x","bus":"ua-a"}'], true],
      [card(1, own), ['-set', 'netdev.hostua-a.sndbuf=0'], true],
      [card(1) + card(2), ['-set', 'device.net1.tx=bh'], true],
      [card(1), ['-netdev', 'user,id=hostua-b'], true],
      [card(1), ['-device', 'e1000,id=ua-b'], true],
      [card(2) + card(1), ['-set', 'device.net0.tx=bh'], false],
      [card(1), ['-netdev', 'user,id=net01', '-object', 'x,id=mynet0,y=hostnet00'], false],
      [card(1), ['-chardev', 'file,id=c,path=/var/log/net0.log'], false],
      [card(1), [], false],
    ])('%s %j: refused %s', (devices, words, refused) => {
      const rule = { match: { mac: '52:54:00:aa:00:01' }, alias: 'ua-b' };
      const result = () => rewrite(commanding(devices, words), [rule]);
      if (refused) expect(result).toThrow(/interface 52:54:00:aa:00:01: rule 1 of 'rewrite'.*<qemu:commandline> has/);
      else expect(result().text).toMatch(/name=.ua-b/);
    });
  });

  describe('a connection that its settings do not go with', () => {
    const qbg = `<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3' instanceid='6f2c0000-0000-4000-8000-000000000011'/></virtualport>`;
    const qbh = "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>";
    const ovs =
      "<virtualport type='openvswitch'><parameters interfaceid='6f2c0000-0000-4000-8000-000000000011'/></virtualport>";
    const direct = "<source dev='eno1' mode='vepa'/>";
    const bridge = "<source bridge='br0'/>";

    test.each<[before: string, rule: Omit<RewriteRule, 'match'>, why: RegExp]>([
      [nic('direct', direct + qbg), { bridge: 'br0' }, /'802.1Qbg', with which libvirt plugs a tap into no bridge/],
      [nic('direct', direct + qbh), { bridge: 'br0' }, /'802.1Qbh', with which/],
      [nic('network', `<source network='macv'/>${qbh}`), { bridge: 'br0' }, /'802.1Qbh', with which/],
      [nic('direct', direct + qbh), { network: 'prod' }, /virtualport type '802.1Qbh' cannot be used/],
      [nic('bridge', bridge + ovs), { dev: 'eno1' }, /'openvswitch', which a macvtap cannot have/],
      [nic('bridge', `${bridge}<mtu size='1400'/>`), { dev: 'eno1' }, /an <mtu>, which libvirt refuses on a macvtap/],
      [
        nic('network', "<source network='prod'/><coalesce><rx><frames max='7'/></rx></coalesce>"),
        { dev: 'eno1' },
        /<coalesce>, which libvirt refuses/,
      ],
    ])('%s %j', (before, rule, why) => expect(() => one(before, rule)).toThrow(why));

    test.each<[before: string, rule: Omit<RewriteRule, 'match'>]>([
      [nic('bridge', bridge + ovs), { bridge: 'ovs1' }],
      [nic('direct', direct + qbg), { dev: 'eno2' }],
      [nic('direct', direct), { bridge: 'br0' }],
      [nic('ethernet', "<mtu size='1400'/>"), { bridge: 'br0' }],
      [nic('bridge', `${bridge}<mtu size=''/>`), { dev: 'eno1' }],
    ])('but %s %j is followed', (before, rule) => expect(one(before, rule).changes).toHaveLength(1));

    test('two macvtaps on one device, which is passed through', () => {
      const two = nic('direct', direct) + nic('direct', direct).replace('00:01', '00:02');
      expect(() => one(two, { dev: 'eno3', mode: 'passthrough' })).toThrow(/two macvtaps are on 'eno3'/);
      expect(one(two, { dev: 'eno3', mode: 'bridge' }).changes).toHaveLength(2);
    });

    test('the name of a tap that the command line opens', () => {
      const guest = domainXml(nic('bridge', bridge)).replace(
        '</domain>',
        `<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-netdev'/><q:arg value='tap,id=n,ifname=tapx'/></q:commandline></domain>`,
      );
      expect(() => rewrite(guest, [{ match: {}, target: 'tapx' }])).toThrow(/two devices have the target 'tapx'/);
    });
  });

  test('a document without a model is said to have none', () => {
    const device = nic('network', "<source network='lan'/>").replace(model, '');
    for (const rule of [{ network: 'prod' }, { bridge: 'br0' }, { dev: 'eno3' }])
      expect(() => one(device, rule)).toThrow(/the document has no <model>/);
    expect(() => one(device, { network: 'prod' })).not.toThrow(/its VF/);
  });

  test.each<[rule: Omit<RewriteRule, 'match'>]>([[{ network: 'lan' }], [{ bridge: 'br0' }], [{ dev: 'eno3' }]])(
    'a card for what was a VF elsewhere, although a network of that name has cards here: %j',
    rule => {
      const device = nic('network', "<source network='prod'/>").replace(model, '');
      expect(() => one(device, rule)).toThrow(/the guest would get another card/);
    },
  );

  test('one name for two', () => {
    const two =
      nic('bridge', "<source bridge='br0'/>") + nic('bridge', "<source bridge='br0'/>").replace('00:01', '00:02');
    expect(() => one(two, { target: 'web0' })).toThrow(/two devices have the target 'web0'/);
  });

  test('a network that is not active, if the guest is to start now', () => {
    const device = nic('network', "<source network='lan'/>");
    expect(one(device, { network: 'off' }).changes).toHaveLength(1);
    expect(() => one(device, { network: 'off' }, { arrives: true })).toThrow(/rule 1 of 'rewrite' .* not active/);
    const stays = device.replace('lan', 'off');
    expect(one(stays, { alias: 'ua-a' }, { arrives: true }).changes).toHaveLength(1);
  });

  test('a VLAN on a macvtap that is no longer passed through', () => {
    const device = nic('direct', "<source dev='eno3' mode='passthrough'/><vlan><tag id='5'/></vlan>");
    expect(() => one(device, { mode: 'bridge' })).toThrow(/rule 1 of 'rewrite' cannot be followed: a vlan is not/);
    const bridged = nic('network', "<source network='prod'/><vlan><tag id='5'/></vlan>");
    expect(one(bridged, { dev: 'eno3', mode: 'passthrough' }).changes).toHaveLength(1);
  });

  test('a VLAN on a bridge only by a libvirt that does not set it', () => {
    const device = nic('network', "<source network='prod'/><vlan><tag id='5'/></vlan>");
    expect(() => one(device, { bridge: 'br0' })).toThrow(
      /rule 1 of 'rewrite' cannot be followed: a vlan on a Linux bridge needs libvirt 11/,
    );
    expect(one(device, { bridge: 'br0' }, { version: '11.3.0' }).changes).toHaveLength(1);
  });
});

describe('the host address', () => {
  const hostdev = (fn: string) =>
    `<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source><address domain='0' bus='0x5e' slot='0x02' function='0x${fn}'/></source><address type='pci' domain='0' bus='0' slot='7' function='0'/></hostdev>`;
  const vf = (bus: string, slot: string, fn: string) =>
    `<interface type='hostdev' managed='yes'><driver name='vfio'/><source><address type='pci' domain='0x0000' bus='0x${bus}' slot='0x0${slot}' function='0x${fn}'/></source></interface>`;
  const rule = { vfs: ['ens2f0'] };

  test('that is free stays', () => {
    const { isSame, picks } = one(hostdev('1'), rule, { free: ['0000:5e:02.0', '0000:5e:02.1'] });
    expect({ isSame, picks }).toEqual({ isSame: true, picks: ['0000:5e:02.1'] });
  });

  test('that is not becomes a free one, everything else staying as it is; no two get the same', () => {
    const { text, picks, changes } = one(hostdev('1') + hostdev('2'), rule, { free: ['0000:5e:02.5', '0000:5f:00.1'] });
    const expected = (hostdev('1') + hostdev('2'))
      .replace(
        "domain='0' bus='0x5e' slot='0x02' function='0x1'",
        "domain='0x0000' bus='0x5e' slot='0x02' function='0x5'",
      )
      .replace(
        "domain='0' bus='0x5e' slot='0x02' function='0x2'",
        "domain='0x0000' bus='0x5f' slot='0x00' function='0x1'",
      );
    expect(text).toBe(domainXml(expected));
    expect(picks).toEqual(['0000:5e:02.5', '0000:5f:00.1']);
    expect(changes[0]).toBe("host device 0: host address 0000:5e:02.1 becomes 0000:5e:02.5 (rule 1 of 'rewrite')");
  });

  test.each<[name: string, devices: string, match: RewriteRule['match'], free: string[], expected: string[]]>([
    [
      'of one that stays is not picked for another, which comes first',
      vf('99', '1', '0') + vf('5e', '1', '0'),
      {},
      ['0000:5e:01.0', '0000:5e:01.1'],
      ['0000:5e:01.1', '0000:5e:01.0'],
    ],
    [
      'of one that no rule changes is not picked',
      vf('99', '1', '0') + vf('5e', '1', '0'),
      { address: '0000:99:*' },
      ['0000:5e:01.0', '0000:5e:01.1'],
      ['0000:5e:01.1', '0000:5e:01.0'],
    ],
    [
      'of a plain host device that no rule changes is not picked',
      vf('99', '1', '0') + hostdev('1'),
      { address: '0000:99:*' },
      ['0000:5e:02.1', '0000:5e:02.2'],
      ['0000:5e:02.2', '0000:5e:02.1'],
    ],
    [
      'that two have stays with one',
      vf('5e', '1', '0') + vf('5e', '1', '0'),
      {},
      ['0000:5e:01.0', '0000:5e:01.1'],
      ['0000:5e:01.0', '0000:5e:01.1'],
    ],
  ])('%s', (_, devices, match, free, expected) => {
    const { document } = rewrite(domainXml(devices), [{ match, ...rule }], { free });
    const { interfaces, hostdevs } = readDomain(document);
    expect([
      ...interfaces.map(({ hostDevice }) => hostDevice?.address),
      ...hostdevs.map(({ address }) => address),
    ]).toEqual(expected);
  });

  test('of a device on the command line is not picked', () => {
    const commandLine =
      "<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'><arg value='-device'/><arg value='vfio-pci,host=5e:02.5'/></commandline>";
    const xml = domainXml(hostdev('1')).replace('</domain>', `${commandLine}</domain>`);
    const free = ['0000:5e:02.5', '0000:5e:02.6'];
    expect(rewrite(xml, [{ match: {}, ...rule }], { free }).picks).toEqual(['0000:5e:02.6']);
  });

  test('is not to be had', () => {
    expect(() => one(hostdev('1') + hostdev('2'), rule, { free: ['0000:5e:02.5'] })).toThrow(/no VF of ens2f0 is free/);
  });

  test('of an interface, its partner kept', () => {
    const device = `<interface type='hostdev' managed='yes'>${mac}<driver name='vfio'/><source><address type='pci' domain='0x0000' bus='0x5e' slot='0x02' function='0x1'/></source><teaming type='transient' persistent='ua-b0'/></interface>`;
    expect(one(device, rule, { free: ['0000:5e:02.3'] }).text).toBe(domainXml(device.replace("'0x1'", "'0x3'")));
  });

  test('of another kind of card stays; of one that nobody knows it must be named', () => {
    const other = hostdev('0').replace('0x5e', '0x0a');
    expect(one(other, rule, { free: ['0000:5e:02.5'] }).isSame).toBe(true);
    const unknown = hostdev('0').replace('0x5e', '0x81');
    expect(() => one(unknown, rule, { free: ['0000:5e:02.5'] })).toThrow(/not known here whether it is a VF/);
    const named = [{ match: { address: '0000:81:*' }, ...rule }];
    expect(rewrite(domainXml(unknown), named, { free: ['0000:5e:02.5'] }).picks).toEqual(['0000:5e:02.5']);
  });

  test('is not meant by a rule for interfaces, and a network card not by one for VFs', () => {
    expect(one(hostdev('1'), { bridge: 'br0' }).isSame).toBe(true);
    expect(one(nic('bridge', "<source bridge='br0'/>"), rule).isSame).toBe(true);
    const named = [{ match: { address: '0000:5e:*' }, bridge: 'br0' }];
    expect(() => rewrite(domainXml(hostdev('1')), named)).toThrow(/a plain host device has no network/);
  });
});

test('the first rule that fits counts, and what it does not name stays', () => {
  const xml = domainXml(nic('network', "<source network='lan'/><target dev='web0'/>"));
  const rules: RewriteRule[] = [
    { match: { network: 'prod' }, bridge: 'br1' },
    { match: { guest: 'g*', tap: 'web0' }, network: 'prod' },
    { match: {}, bridge: 'br2' },
  ];
  expect(rewrite(xml, rules).text).toBe(xml.replace("'lan'", "'prod'"));
});

describe('what the guest asks for in its metadata', () => {
  const xml = (asks: string) =>
    domainXml(nic('bridge', "<source bridge='br0'/>")).replace(
      '<devices>',
      `<metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='52:54:00:aa:00:01' ${asks}/></interfaces></metadata><devices>`,
    );

  test('goes before a rule, as far as it may choose', () => {
    const rules = [{ match: {}, bridge: 'br7', target: 'web0' }];
    const { text, changes } = rewrite(xml("network='prod' portgroup='red'"), rules, { chosen: ['pr*'] });
    expect(text.replaceAll('"', "'")).toContain(
      "<interface type='network'><mac address='52:54:00:aa:00:01'/><source network='prod' portgroup='red'/>",
    );
    expect(text).toMatch(/web0/);
    expect(changes[0]).toMatch(/\(what its <metadata> asks for\)$/);
    expect(rewrite(xml("network='lan'"), rules, { chosen: ['pr*'] }).text).toContain("bridge='br7'");
    expect(rewrite(xml("network='prod'"), [], {}).isSame).toBe(true);
  });

  test.each<[asks: string, shows: string]>([
    ["bridge='br7'", `<interface type='bridge'>${mac}<source bridge='br7'/>`],
    ["dev='eth1' mode='private'", `<interface type='direct'>${mac}<source dev='eth1' mode='private'/>`],
    ["dev='eth1'", "<source dev='eth1' mode='vepa'/>"],
    ["target='web0'", "<target dev='web0'/>"],
    ["alias='ua-web'", "<alias name='ua-web'/>"],
  ])('may be %s', (asks, shows) => {
    const { text } = rewrite(xml(asks), [], { chosen: ['br*', 'eth*'] });
    expect(text.replaceAll('"', "'")).toContain(shows);
  });

  test('may be the card of a VF, of those it may choose', () => {
    const address = "<address type='pci' domain='0' bus='0x5e' slot='0x02' function='0x1'/>";
    const device = `<interface type='hostdev'>${mac}<source>${address}</source></interface>`;
    const asking = (vfs: string) => `${xml(`vfs='${vfs}'`).split('<devices>')[0]}<devices>${device}</devices></domain>`;
    const free = ['0000:5e:02.3'];
    expect(rewrite(asking('ens2f0'), [], { free, chosen: ['ens2*'] }).picks).toEqual(free);
    expect(rewrite(asking('ens2f0,eth0'), [], { free, chosen: ['ens2*'] }).isSame).toBe(true);
  });

  test('leaves in place what a rule says of something else', () => {
    const rules = [{ match: {}, bridge: 'br7', alias: 'ua-ruled', target: 'ruled0' }];
    const { text } = rewrite(xml("dev='eth1' alias='ua-own'"), rules, { chosen: ['*'] });
    expect(text).toMatch(/type='direct'.*eth1.*ua-own/);
    expect(text).toContain('ruled0');
    expect(text).not.toContain('br7');
  });

  test.each<{ asks: string; rule: Omit<RewriteRule, 'match'>; shows: RegExp; refused: readonly string[] }>([
    { asks: "network='prod'", rule: { bridge: 'br7' }, shows: /bridge='br7'/, refused: ['network'] },
    { asks: "bridge='br8' target='web0'", rule: { bridge: 'br7' }, shows: /br7.*web0/s, refused: ['bridge'] },
    { asks: "dev='eth1' mode='private'", rule: { network: 'prod' }, shows: /prod/, refused: ['dev', 'mode'] },
    { asks: "target='web0'", rule: { target: 'fixed0' }, shows: /fixed0/, refused: ['target'] },
    { asks: "alias='ua-web'", rule: { bridge: 'br7' }, shows: /br7.*ua-web/s, refused: [] },
    { asks: "bridge='br8'", rule: { alias: 'ua-fixed' }, shows: /br8.*ua-fixed/s, refused: [] },
    { asks: "portgroup='red' network='prod'", rule: {}, shows: /prod.*red/, refused: [] },
  ])('does not override a final rule: $asks', ({ asks, rule, shows, refused }) => {
    const result = rewrite(xml(asks), [{ match: {}, final: true, ...rule }], { chosen: ['*'] });
    expect(result.text.replaceAll('"', "'")).toMatch(shows);
    expect(result.refused).toEqual(
      refused.map(
        key => `interface 52:54:00:aa:00:01: '${key}' in its <metadata> does not count: rule 1 of 'rewrite' is final`,
      ),
    );
  });

  test('is refused as a rule is', () => {
    expect(() => rewrite(xml("network='vf'"), [], { chosen: ['*'] })).toThrow(
      /what its <metadata> asks for cannot be followed: network 'vf' is a pool/,
    );
  });
});

test('namespaces, comments, secrets and line ends survive byte for byte', () => {
  const devices = `<!-- keep -->\r\n\t${nic('network', '\n  <source   network = "lan" ><!-- x --></source>')}<graphics type='vnc' passwd='s&#x20;3'/>`;
  const xml = domainXml(devices).replace(
    '</devices>',
    "</devices><q:commandline xmlns:q='urn:q'><q:arg value='&quot;'/></q:commandline>",
  );
  expect(one(devices, { network: 'prod' }).text).toBe(domainXml(devices.replace('"lan"', '"prod"')));
  const { text, changes } = rewrite(xml, [{ match: {}, network: 'prod' }]);
  expect(text).toBe(xml.replace('"lan"', '"prod"'));
  expect(changes.join()).not.toContain('s 3');
});

describe('what libvirt compares', () => {
  const base = nic(
    'network',
    "<source network='lan'/><mtu size='1400'/><driver name='vhost'/><acpi index='3'/><address type='pci' bus='0' slot='3' function='0'/>",
  );
  const vf = `<interface type='network'>${mac}<source network='vf'/></interface>`;
  const breaks = (before: string, after: string) => {
    const read = (devices: string) => readDomain(parseXml(domainXml(devices)));
    return findAbiBreaks(read(before), read(after), findNetwork);
  };

  test.each<[string, string, string, RegExp | undefined]>([
    ['nothing', base, base, undefined],
    ['the host side', base, base.replace("network='lan'", "network='prod'"), undefined],
    ['another spelling of the address', base, base.replace("slot='3'", "domain='0x0000' slot='0x03'"), undefined],
    ['MAC', base, base.replace('00:01', '00:02'), /MAC '52:54:00:aa:00:02' instead of/],
    ['model', base, base.replace('virtio', 'e1000'), /model 'e1000' instead of 'virtio'/],
    ['MTU', base, base.replace('1400', '1500'), /MTU/],
    ['no driver', base, base.replace("<driver name='vhost'/>", ''), /virtio options/],
    ['another driver name', base, base.replace('vhost', 'qemu'), undefined],
    ['a virtio flag', base, base.replace("name='vhost'", "name='vhost' packed='on'"), /virtio options/],
    ['guest address', base, base.replace("slot='3'", "slot='4'"), /guest address/],
    ['ACPI index', base, base.replace("index='3'", "index='4'"), /ACPI index/],
    ['one more', base, base + base, /number of interfaces '2' instead of '1'/],
    [
      'a pool instead of a card',
      base.replace(model, ''),
      base.replace(model, '').replace("'lan'", "'vf'"),
      /model none instead of 'libvirt's default'/,
    ],
    ['an unknown network instead of a pool', vf, vf.replace("'vf'", "'gone'"), /model/],
    [
      'a host device instead of a network',
      vf,
      `<interface type='hostdev'>${mac}<source><address type='pci' bus='3' slot='0' function='1'/></source></interface>`,
      /number of host devices '1' instead of '0'/,
    ],
  ])('%s', (_, before, after, expected) => {
    const found = breaks(before, after);
    if (expected === undefined) expect(found).toEqual([]);
    else expect(found.join()).toMatch(expected);
  });
});
