import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { readRequests } from '../../../src/config/requests.ts';
import { type InterfaceSetting, interfaceSettings } from '../../../src/config/types.ts';
import type { HostView, PciDevice } from '../../../src/kernel/host-view.ts';
import { type Change, describeChange } from '../../../src/kernel/registry.ts';
import { deviceKinds } from '../../../src/kernel/settable.ts';
import { announcementsOf } from '../../../src/plan/announcements.ts';
import { guestDevices } from '../../../src/plan/guest-devices.ts';
import { planPrepare, planReachable, planStart } from '../../../src/plan/plan.ts';
import { settingFindings, settingRefusals } from '../../../src/plan/settings.ts';
import { domain, resolve } from '../../helpers/documents.ts';
import { hostView, link } from '../../helpers/host-view.ts';

const mac = '52:54:00:00:00:01';
const vfPlace = "<address type='pci' domain='0' bus='0x5e' slot='0x02' function='0'/>";
const cardPlace = "<address type='pci' domain='0' bus='0x5f' slot='0x00' function='0'/>";

/** A bridge that is VLAN-aware with an uplink, one that does not, an Open vSwitch bridge, a card with VFs. */
const links = [
  link('br0', { isBridge: true, lowers: ['up0', 'tap0', 'own0'], vlanFiltering: true }),
  link('br1', { isBridge: true, lowers: ['tap1'] }),
  link('ovs0'),
  link('up0', { master: 'br0' }),
  link('tap0', { master: 'br0', isTap: true }),
  link('tap1', { master: 'br1', isTap: true }),
  link('tap2', { isTap: true }),
  link('tap3', { master: 'ovs-system', isTap: true }),
  link('loose0', { isTap: true }),
  link('own0', { master: 'br0', isTap: true }),
  link('macvtap0', { isMacvtap: true, lowers: ['up0'] }),
  link('ens2f0', { vfs: 2 }),
  link('ens2f0v0', { pci: '0000:5e:02.0' as PciDevice['address'] }),
];
const pci = ((address: string) =>
  address === '0000:5e:02.0'
    ? { address, driver: 'vfio-pci', pf: { dev: 'ens2f0', vf: 0 }, netdevs: [], vfs: [], group: null }
    : address === '0000:5f:00.0'
      ? { address, driver: 'ice', pf: null, netdevs: ['ens3'], vfs: [], group: null }
      : undefined) as unknown as HostView['pci'];

const iface = (type: string, content: string) =>
  `<interface type='${type}'><mac address='${mac}'/>${content}</interface>`;
const bridged = (bridge: string, tap: string, more = '') =>
  iface('bridge', `<source bridge='${bridge}'/><target dev='${tap}'/>${more}`);
const direct = (dev: string, mode: string) =>
  iface('direct', `<source dev='${dev}' mode='${mode}'/><target dev='macvtap0'/>`);

/** A connection of each kind, as `start` shows it. */
const connections: readonly { name: string; xml: string; kind: (typeof deviceKinds)[number] }[] = [
  { name: 'a port of a Linux bridge', xml: bridged('br0', 'tap0'), kind: 'bridge port' },
  {
    name: 'a tap of its own in a bridge',
    xml: iface('ethernet', "<target dev='own0' managed='no'/>"),
    kind: 'bridge port',
  },
  {
    name: 'a tap of its own to be made',
    xml: iface('ethernet', "<target dev='new0' managed='no'/>"),
    kind: 'bridge port',
  },
  { name: "libvirt's ethernet tap", xml: iface('ethernet', "<target dev='tap2'/>"), kind: 'bridge port' },
  {
    name: 'a port of Open vSwitch',
    xml: bridged('ovs0', 'tap3', "<virtualport type='openvswitch'/>"),
    kind: 'foreign port',
  },
  { name: 'a port of what is no Linux bridge', xml: bridged('ovs0', 'tap3'), kind: 'foreign port' },
  {
    name: 'a bridge that is asked for 802.1Qbg',
    xml: bridged(
      'br0',
      'tap2',
      "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3' instanceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f'/></virtualport>",
    ),
    kind: 'loose tap',
  },
  {
    name: 'a tap of its own in no bridge',
    xml: iface('ethernet', "<target dev='loose0' managed='no'/>"),
    kind: 'loose tap',
  },
  ...['bridge', 'vepa', 'private', 'passthrough'].map(mode => ({
    name: `a macvtap, ${mode}`,
    xml: direct('up0', mode),
    kind: 'macvtap' as const,
  })),
  { name: 'a macvtap that has a VF', xml: direct('ens2f0v0', 'passthrough'), kind: 'macvtap on a VF' },
  { name: 'a macvtap on a VF among others', xml: direct('ens2f0v0', 'bridge'), kind: 'macvtap' },
  { name: 'a VF', xml: iface('hostdev', `<source>${vfPlace}</source>`), kind: 'VF' },
  {
    name: 'a plain host device that is a VF',
    xml: `<hostdev mode='subsystem' type='pci'><source>${vfPlace.replace(" type='pci'", '')}</source></hostdev>`,
    kind: 'VF',
  },
  {
    name: 'a whole card',
    xml: `<hostdev mode='subsystem' type='pci'><source>${cardPlace.replace(" type='pci'", '')}</source></hostdev>`,
    kind: 'PCI device',
  },
  { name: 'a user-mode backend', xml: iface('user', ''), kind: 'backend' },
  {
    name: 'vhost-user',
    xml: iface('vhostuser', "<source type='unix' path='/run/v' mode='server'/>"),
    kind: 'backend',
  },
  { name: 'vdpa', xml: iface('vdpa', "<source dev='/dev/vhost-vdpa-0'/>"), kind: 'backend' },
];

/** One value of each setting that asks for something. */
const wanted: Readonly<Record<InterfaceSetting, string>> = {
  bridge: 'br0',
  vlan: '42',
  isolated: 'true',
  keepForwardingTable: 'true',
  mtu: '1400',
  trust: 'false',
  spoofchk: 'true',
  linkState: 'enable',
  maxTxRate: '100',
  minTxRate: '10',
  vlanQos: '3, vlan: 42',
  vlanProto: '802.1ad, vlan: 42',
  queryRss: 'true',
  announce: '192.0.2.1',
};

async function look(xml: string, text: string, host: HostView = hostView(links, { pci })) {
  const { domain: guest, view } = resolve(xml, [], '11.0.0');
  const result = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  const { config } = result;
  const { requests } = readRequests(guest, config.guests);
  const devices = guestDevices(guest, view, { config, requests, host, incoming: false });
  const context = { devices, config, host };
  const lines = (moment: 'predicted' | 'starts' | 'runs') => ({
    refused: settingRefusals(devices, config, moment).map(({ message }) => message),
    found: settingFindings(devices, config, moment),
  });
  const changes = (): Change[] => [planPrepare(context), planStart(context), planReachable(context)].flat();
  return { ...context, lines, changes, announced: announcementsOf(devices, host).length };
}

const needsBridge = new Set(['a tap of its own to be made', "libvirt's ethernet tap"]);

describe('every setting of every kind of device is a change, an announcement, or a line', () => {
  test('each kind is here', () => {
    const seen = new Set(connections.map(({ kind }) => kind));
    expect(deviceKinds.filter(kind => kind !== 'unknown' && !seen.has(kind))).toEqual([]);
  });

  test.each(connections.flatMap(each => interfaceSettings.map(setting => ({ ...each, setting }))))(
    '$name: $setting',
    async ({ name, xml, kind, setting }) => {
      const place = needsBridge.has(name) && setting !== 'bridge' ? ', bridge: br0' : '';
      const value = wanted[setting];
      const rule = (what: string) => `taps: { create: true }\ninterfaces: [{ match: {}${place}${what} }]`;
      const asked = await look(xml, rule(`, ${setting}: ${value}`));
      expect(asked.devices.map(device => device.kind)).toEqual([kind]);
      const without = await look(xml, rule(setting.startsWith('vlan') && setting !== 'vlan' ? ', vlan: 42' : ''));
      const key = (change: Change) => describeChange(change);
      const before = new Set(without.changes().map(key));
      const own = asked.changes().filter(change => !before.has(key(change)));
      const { refused, found } = asked.lines('starts');
      const told = [...refused, ...found].filter(line => line.includes(` cannot have ${setting}`));
      const isThere = setting === 'bridge' && kind !== 'loose tap' && asked.devices[0]?.bridge === value;
      const isDone = own.length > 0 || asked.announced > 0 || isThere;
      expect({ isDone, told: told.length }).toEqual(isDone ? { isDone, told: 0 } : { isDone, told: 1 });
      // What keeps guests apart is never a mere finding.
      const security = ['vlan', 'isolated', 'trust', 'spoofchk'].includes(setting);
      if (!isDone && !setting.startsWith('vlan')) expect(refused.length > 0).toBe(security);
    },
  );
});

describe('what a setting comes to', () => {
  test.each<{ name: string; xml: string; rule: string; changes?: string[]; refused?: RegExp[]; found?: RegExp[] }>([
    {
      name: "an ethernet tap of libvirt's is plugged in, then isolated",
      xml: iface('ethernet', "<target dev='tap2'/>"),
      rule: 'bridge: br0, isolated: true, vlan: 7',
      changes: ['tap2 into bridge br0', 'tap2 isolated on', 'tap2 without vlan 1', 'tap2 vlan 7 pvid untagged'],
    },
    {
      name: 'a list of VLANs on a VF',
      xml: iface('hostdev', `<source>${vfPlace}</source>`),
      rule: 'vlan: [7, 8]',
      refused: [/cannot have vlan 7, 8: a VF takes one VLAN/],
    },
    {
      name: "another VLAN than libvirt's on a VF",
      xml: iface('hostdev', `<source>${vfPlace}</source><vlan><tag id='9'/></vlan>`),
      rule: 'vlan: 7',
      refused: [/cannot have vlan 7: libvirt sets VLAN 9 on its VF/],
    },
    {
      name: "libvirt's own VLAN on a VF",
      xml: iface('hostdev', `<source>${vfPlace}</source><vlan><tag id='9'/></vlan>`),
      rule: 'vlan: 9',
    },
    {
      name: 'a VLAN on a bridge that does not tell them apart',
      xml: bridged('br1', 'tap1'),
      rule: 'vlan: 7',
      refused: [/cannot have vlan 7: bridge 'br1' is not VLAN-aware \(vlan_filtering 0\)/],
    },
    ...[
      { name: 'another VLAN than', tags: [9], rule: 'vlan: 7' },
      { name: 'fewer VLANs than', tags: [7, 8], rule: 'vlan: 7' },
      { name: 'a list without one of', tags: [7, 8, 9], rule: 'vlan: [7, 9]' },
    ].map(({ name, tags, rule }) => ({
      name: `${name} libvirt's on a port of a Linux bridge`,
      xml: bridged('br0', 'tap0', `<vlan>${tags.map(id => `<tag id='${id}'/>`).join('')}</vlan>`),
      rule,
      refused: [new RegExp(`: libvirt sets VLAN ${tags.join(', ')} on its port`)],
    })),
    {
      name: "libvirt's own VLANs and more on a port of a Linux bridge",
      xml: bridged('br0', 'tap0', "<vlan><tag id='7'/><tag id='8'/></vlan>"),
      rule: 'vlan: [7, 8, 9]',
      changes: ['tap0 without vlan 1', 'tap0 vlan 7 tagged', 'tap0 vlan 8 tagged', 'tap0 vlan 9 tagged'],
    },
    {
      name: 'what asks for nothing',
      xml: direct('up0', 'bridge'),
      rule: 'isolated: false, keepForwardingTable: false',
    },
    {
      name: 'trust that is to be on is no matter of security',
      xml: bridged('br0', 'tap0'),
      rule: 'trust: true, spoofchk: false',
      found: [/cannot have trust on/, /cannot have spoofchk off/],
    },
    {
      name: "a definition's own MTU and trust are libvirt's",
      xml: bridged('br0', 'tap0', "<mtu size='9000'/>").replace('<interface', "<interface trustGuestRxFilters='no'"),
      rule: 'isolated: false',
    },
    {
      name: 'a bridge that it is not connected to',
      xml: bridged('br0', 'tap0'),
      rule: 'bridge: br1',
      found: [/cannot have bridge br1: it is connected to 'br0' \(hint: /],
    },
    {
      name: 'a script may plug its tap in',
      xml: iface('ethernet', "<target dev='later0'/><script path='/bin/true'/>"),
      rule: 'isolated: true',
      refused: [/cannot have isolated: what it is connected to is not known/],
    },
  ])('$name', async ({ xml, rule, changes = [], refused = [], found = [] }) => {
    const { lines, changes: plan } = await look(xml, `interfaces: [{ match: {}, ${rule} }]`);
    const told = lines('starts');
    expect(told.refused).toEqual(refused.map(line => expect.stringMatching(line)));
    expect(told.found).toEqual(found.map(line => expect.stringMatching(line)));
    const made = plan().filter(({ byLibvirt }) => !byLibvirt);
    expect(made.map(describeChange)).toEqual(changes);
    // A guest that runs keeps running, and everything is told.
    const running = lines('runs');
    expect([running.refused, running.found.length]).toEqual([[], refused.length + found.length]);
  });

  test("a bridge's own settings count where the guest is connected to it", async () => {
    const text = 'bridges: { ovs0: { isolated: true }, br0: { isolated: true } }';
    const foreign = await look(bridged('ovs0', 'tap3', "<virtualport type='openvswitch'/>"), text);
    expect(foreign.lines('predicted').refused).toHaveLength(1);
    const tap = await look(iface('ethernet', "<target dev='own0' managed='no'/>"), text);
    expect(tap.changes().map(describeChange)).toEqual(['own0 isolated on']);
  });

  test.each([
    { policy: '{}', refused: 1, found: 1 },
    { policy: '{ refusedSecurity: warn }', refused: 0, found: 2 },
    { policy: '{ refused: fail }', refused: 2, found: 0 },
    { policy: '{ refusedSecurity: warn, refused: fail }', refused: 1, found: 1 },
  ])('by the policy $policy', async ({ policy, ...expected }) => {
    const text = `settings: ${policy}\ninterfaces: [{ match: {}, isolated: true, mtu: 1400 }]`;
    const { refused, found } = (await look(direct('up0', 'bridge'), text)).lines('predicted');
    expect({ refused: refused.length, found: found.length }).toEqual(expected);
  });

  test('what is not chosen yet is looked at again when it is', async () => {
    const text = 'interfaces: [{ match: {}, isolated: true }]';
    const scripted = await look(iface('ethernet', "<target dev='later0'/><script path='/bin/true'/>"), text);
    expect(scripted.lines('predicted')).toEqual({ refused: [], found: [] });
  });

  test.each([
    { match: '{ guest: g1 }', refused: 0 },
    { match: "{ address: '0000:60:*' }", refused: 1 },
  ])('a rule for $match and a device that is no network card', async ({ match, refused }) => {
    const gpu =
      "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x60' slot='0' function='0'/></source></hostdev>";
    const { lines } = await look(gpu, `interfaces: [{ match: ${match}, isolated: true }]`);
    expect(lines('predicted').refused).toHaveLength(refused);
  });

  test.each([
    { name: 'a tap', netdev: 'tap,id=n,ifname=own0,script=no', refused: 0 },
    { name: 'a descriptor', netdev: 'tap,id=n,fd=30', refused: 1 },
    { name: 'a helper', netdev: 'bridge,id=n,br=br0', refused: 1 },
    { name: 'user mode', netdev: 'user,id=n', refused: 1 },
  ])('of a command line with $name', async ({ netdev, refused }) => {
    const [backend = '', ...pairs] = netdev.split(',');
    const options = new Map(pairs.map(pair => pair.split('=') as [string, string]));
    const guest = { ...domain(''), commandLine: { netdevs: [{ kind: backend, id: 'n', options }], devices: [] } };
    const result = await parseConfig([{ file: 'test', text: 'interfaces: [{ match: {}, isolated: true }]' }]);
    if ('mistakes' in result) throw new Error();
    const view = { domain: { name: 'g1', uuid: null }, interfaces: [], hostdevs: [] };
    const context = { config: result.config, requests: [], host: hostView(links), incoming: false };
    const devices = guestDevices(guest, view, context);
    expect(settingRefusals(devices, result.config, 'predicted')).toHaveLength(refused);
  });
});
