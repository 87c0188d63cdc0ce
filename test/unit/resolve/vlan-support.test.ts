import { expect, test } from 'vitest';
import { definitionRefusals } from '../../../src/resolve/validate.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { network, resolve, running } from '../../helpers/documents.ts';

const tag = "<vlan><tag id='42'/></vlan>";
const trunk = "<vlan trunk='yes'><tag id='1'/><tag id='2'/></vlan>";
const nativeTrunk = "<vlan trunk='yes'><tag id='1' nativeMode='untagged'/></vlan>";
const ovs = "<virtualport type='openvswitch'/>";
const qbh = "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>";
const bridge = "<bridge name='br0'/>";
const pci = "<address type='pci' domain='0' bus='3' slot='0' function='1'/>";
const pool = "<interface dev='e1'/>";

const forwards = {
  none: bridge,
  nat: `<forward/>${bridge}`,
  route: `<forward mode='route'/>${bridge}`,
  open: `<forward mode='open'/>${bridge}`,
  'bridge with name': `<forward mode='bridge'/>${bridge}`,
  'bridge without name': `<forward mode='bridge'>${pool}</forward>`,
  private: `<forward mode='private'>${pool}</forward>`,
  vepa: `<forward mode='vepa'>${pool}</forward>`,
  passthrough: `<forward mode='passthrough'>${pool}</forward>`,
  hostdev: `<forward mode='hostdev'>${pci}</forward>`,
} as const;
type Mode = keyof typeof forwards;

const rows: { mode: Mode; children: string; name: string; old: boolean; now: boolean }[] = [
  { mode: 'none', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'nat', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'route', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'open', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'bridge with name', children: tag, name: 'a vlan', old: false, now: true },
  { mode: 'bridge with name', children: trunk, name: 'a trunk', old: false, now: true },
  { mode: 'bridge with name', children: tag + ovs, name: 'a vlan with openvswitch', old: true, now: true },
  { mode: 'bridge with name', children: trunk + ovs, name: 'a trunk with openvswitch', old: true, now: true },
  { mode: 'bridge without name', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'private', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'vepa', children: tag, name: 'a vlan', old: false, now: false },
  { mode: 'vepa', children: tag + qbh, name: 'a vlan with 802.1Qbh', old: false, now: false },
  { mode: 'passthrough', children: tag, name: 'a vlan', old: true, now: true },
  { mode: 'passthrough', children: trunk, name: 'a trunk, on a VF or not', old: false, now: false },
  { mode: 'hostdev', children: tag, name: 'a vlan', old: true, now: true },
  { mode: 'hostdev', children: trunk, name: 'a trunk', old: false, now: false },
  { mode: 'hostdev', children: nativeTrunk, name: 'a trunk with one native tag', old: false, now: false },
  { mode: 'hostdev', children: "<vlan><tag id='1'/><tag id='2'/></vlan>", name: 'two tags', old: false, now: false },
  { mode: 'hostdev', children: tag + qbh, name: 'a vlan with 802.1Qbh', old: false, now: false },
];
const versioned = rows.flatMap(({ old, now, ...row }) => [
  { ...row, version: '9.0.0', ok: old },
  { ...row, version: '11.3.0', ok: now },
]);

const resolveIn = (mode: Mode, children: string, version: string, ofNetwork = '') =>
  resolve(
    `<interface type='network'><source network='n'/>${children}</interface>`,
    [running(`<network><name>n</name>${forwards[mode]}${ofNetwork}</network>`)],
    version,
  ).resolutions[0]!;

test.each(versioned)('libvirt $version, $mode: $name is possible: $ok', ({ mode, children, version, ok }) => {
  const { actual, error } = resolveIn(mode, children, version);
  expect({ ok: actual !== undefined, code: error?.code }).toEqual({ ok, code: ok ? undefined : 'ACTUAL_UNSUPPORTED' });
});

test.each([
  { version: '9.0.0', ok: false },
  { version: '10.10.0', ok: false },
  { version: '11.0.0', ok: true },
  { version: '11', ok: true },
])('a vlan on a plain Linux bridge is possible in libvirt $version: $ok', ({ version, ok }) => {
  expect(resolveIn('bridge with name', tag, version).actual !== undefined).toBe(ok);
});

test('a vlan of the network counts as much as one of the interface', () => {
  expect(resolveIn('vepa', '', '11.3.0', tag).error?.code).toBe('ACTUAL_UNSUPPORTED');
});

test.each(['9.0.0', '11.3.0'])('libvirt %s: a bridge interface may have a vlan with openvswitch', version => {
  const xml = `<interface type='bridge'><source bridge='br0'/>${tag}${ovs}</interface>`;
  expect(resolve(xml, [], version).resolutions[0]!.error).toBeUndefined();
});

test.each([
  {
    name: 'a hostdev interface with one tag',
    xml: `<interface type='hostdev'><source>${pci}</source>${tag}</interface>`,
    ok: true,
  },
  {
    name: 'a hostdev interface with a trunk',
    xml: `<interface type='hostdev'><source>${pci}</source>${trunk}</interface>`,
    ok: false,
  },
  {
    name: 'a macvtap passthrough interface',
    xml: `<interface type='direct'><source dev='e1' mode='passthrough'/>${tag}</interface>`,
    ok: true,
  },
  { name: 'a macvtap vepa interface', xml: `<interface type='direct'><source dev='e1'/>${tag}</interface>`, ok: false },
  { name: 'a user interface', xml: `<interface type='user'>${tag}</interface>`, ok: false },
  { name: 'an ethernet interface', xml: `<interface type='ethernet'>${tag}</interface>`, ok: false },
])('$name may have a vlan: $ok', ({ xml, ok }) => {
  expect(resolve(xml, [], '11.3.0').resolutions[0]!.error?.code).toBe(ok ? undefined : 'ACTUAL_UNSUPPORTED');
});

const group = (inner: string, isDefault = false) =>
  `<portgroup name='p'${isDefault ? " default='yes'" : ''}>${inner}</portgroup>`;
const untyped = '<virtualport><parameters profileid="x"/></virtualport>';

const definitions: { name: string; xml: string; old: boolean; now: boolean }[] = [
  { name: 'hostdev with a vlan', xml: forwards.hostdev + tag, old: true, now: true },
  { name: 'passthrough with a vlan', xml: forwards.passthrough + tag, old: true, now: true },
  { name: 'bridge with openvswitch and a vlan', xml: forwards['bridge with name'] + ovs + tag, old: true, now: true },
  { name: 'bridge with a vlan and no virtualport', xml: forwards['bridge with name'] + tag, old: false, now: true },
  {
    name: 'bridge with a vlan and another virtualport',
    xml: forwards['bridge with name'] + qbh + tag,
    old: false,
    now: false,
  },
  { name: 'bridge without a name with a vlan', xml: forwards['bridge without name'] + tag, old: false, now: true },
  { name: 'private with a vlan', xml: forwards.private + tag, old: false, now: false },
  { name: 'vepa with a vlan', xml: forwards.vepa + tag, old: false, now: false },
  { name: 'nat with a vlan', xml: forwards.nat + tag, old: false, now: false },
  { name: 'isolated with a vlan', xml: forwards.none + tag, old: false, now: false },
  { name: 'route with a vlan', xml: forwards.route + tag, old: false, now: false },
  { name: 'open with a vlan', xml: forwards.open + tag, old: false, now: false },
  { name: 'nat without any vlan', xml: forwards.nat + group(''), old: true, now: true },
  { name: 'nat with a vlan in a portgroup', xml: forwards.nat + group(tag), old: false, now: false },
  {
    name: 'nat with a vlan and a default portgroup',
    xml: forwards.nat + tag + group('', true),
    old: false,
    now: false,
  },
  { name: 'hostdev with a vlan in a portgroup', xml: forwards.hostdev + group(tag), old: true, now: true },
  {
    name: 'hostdev with a vlan and a virtualport in a portgroup',
    xml: forwards.hostdev + group(tag + qbh),
    old: false,
    now: false,
  },
  {
    name: 'hostdev with a vlan of its own and an openvswitch portgroup',
    xml: forwards.hostdev + tag + group(ovs),
    old: false,
    now: false,
  },
  {
    name: 'an openvswitch bridge with a vlan portgroup whose virtualport is untyped',
    xml: forwards['bridge with name'] + ovs + group(tag + untyped),
    old: false,
    now: false,
  },
  {
    name: 'an openvswitch bridge with its own vlan and a portgroup whose virtualport is untyped',
    xml: forwards['bridge with name'] + ovs + tag + group(untyped),
    old: false,
    now: false,
  },
  {
    name: 'an openvswitch bridge with its own vlan and an openvswitch portgroup',
    xml: forwards['bridge with name'] + ovs + tag + group(ovs),
    old: true,
    now: true,
  },
  {
    name: 'a plain bridge with a vlan portgroup that is openvswitch itself',
    xml: forwards['bridge with name'] + group(tag + ovs),
    old: true,
    now: true,
  },
  {
    name: 'a plain bridge with its own vlan and a default portgroup that is openvswitch itself',
    xml: forwards['bridge with name'] + tag + group(ovs, true),
    old: true,
    now: true,
  },
  {
    name: 'a plain bridge with a vlan portgroup without virtualport',
    xml: forwards['bridge with name'] + group(tag),
    old: false,
    now: true,
  },
];

test.each(
  definitions.flatMap(({ old, now, ...row }) => [
    { ...row, version: '9.0.0', ok: old },
    { ...row, version: '11.3.0', ok: now },
  ]),
)('libvirt $version defines the network: $name: $ok', ({ xml, version, ok }) => {
  const refusals = definitionRefusals(network(`<network><name>n</name>${xml}</network>`), parseLibvirtVersion(version));
  expect(refusals.length === 0).toBe(ok);
});

test('a refused definition names the network and the portgroup', () => {
  const given = network(`<network><name>n</name>${forwards.nat}${group(tag)}</network>`);
  const [refusal] = definitionRefusals(given, parseLibvirtVersion('9.0.0'));
  expect(refusal).toContain("'n'");
  expect(refusal).toContain("'p'");
});
