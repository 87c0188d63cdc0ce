import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { ActualnetError } from '../../../src/report/error.ts';
import { actualTypeOf } from '../../../src/resolve/actual.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { domain, network, resolve, running } from '../../helpers/documents.ts';

const iface = "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='n'/></interface>";
const bridge = "<bridge name='br0'/>";
const pool = "<interface dev='e1'/>";
const address = "<address type='pci' domain='0' bus='3' slot='0' function='1'/>";

const rows = [
  { name: 'no <forward> is isolated', xml: bridge, actual: { type: 'network', bridge: 'br0' } },
  { name: '<forward/> is nat', xml: `<forward/>${bridge}`, actual: { type: 'network', bridge: 'br0' } },
  { name: 'nat', xml: `<forward mode='nat'/>${bridge}`, actual: { type: 'network', bridge: 'br0' } },
  {
    name: 'nat through a device',
    xml: `<forward mode='nat' dev='e1'/>${bridge}`,
    actual: { type: 'network', bridge: 'br0' },
  },
  { name: 'route', xml: `<forward mode='route'/>${bridge}`, actual: { type: 'network', bridge: 'br0' } },
  { name: 'open', xml: `<forward mode='open'/>${bridge}`, actual: { type: 'network', bridge: 'br0' } },
  { name: 'none', xml: `<forward mode='none'/>${bridge}`, actual: { type: 'network', bridge: 'br0' } },
  {
    name: 'bridge with a bridge name',
    xml: `<forward mode='bridge'/>${bridge}`,
    actual: { type: 'bridge', bridge: 'br0' },
  },
  {
    name: 'bridge without a bridge name',
    xml: `<forward mode='bridge'>${pool}</forward>`,
    actual: { type: 'direct', dev: 'e1', mode: 'bridge' },
  },
  {
    name: 'private',
    xml: `<forward mode='private'>${pool}</forward>`,
    actual: { type: 'direct', dev: 'e1', mode: 'private' },
  },
  { name: 'vepa', xml: `<forward mode='vepa'>${pool}</forward>`, actual: { type: 'direct', dev: 'e1', mode: 'vepa' } },
  {
    name: 'passthrough keeps its spelling',
    xml: `<forward mode='passthrough'>${pool}</forward>`,
    actual: { type: 'direct', dev: 'e1', mode: 'passthrough' },
  },
  {
    name: 'hostdev',
    xml: `<forward mode='hostdev'>${address}</forward>`,
    actual: { type: 'hostdev', address: '0000:03:00.1', managed: false },
  },
  {
    name: 'hostdev, managed and with a driver',
    xml: `<forward mode='hostdev' managed='yes'><driver name='vfio'/>${address}</forward>`,
    actual: { type: 'hostdev', address: '0000:03:00.1', managed: true, driver: 'vfio' },
  },
];
const withName = (xml: string) => `<network><name>n</name>${xml}</network>`;

test.each(rows)('the forward mode decides the connection: $name', ({ xml, actual }) => {
  expect(resolve(iface, [running(withName(xml))]).resolutions[0]!.actual).toMatchObject(actual);
});

test.each(rows)('the type alone needs neither an active network nor a free device: $name', ({ xml, actual }) => {
  const state = { network: network(withName(xml)), active: false, ports: [] };
  const resolution = resolve(iface, [state]).resolutions[0]!;
  expect({ type: resolution.actualType, actual: resolution.actual }).toEqual({ type: actual.type, actual: undefined });
});

const managers = ['kernel', 'libvirt'].flatMap(manager => [
  { name: `${manager} in a nat network`, xml: '<forward/>', manager },
  { name: `${manager} in a bridge network`, xml: "<forward mode='bridge'/>", manager },
]);

test.each(managers)('macTableManager comes from the network: $name', ({ xml, manager }) => {
  const state = running(withName(`${xml}<bridge name='br0' macTableManager='${manager}'/>`));
  expect(resolve(iface, [state]).resolutions[0]!.actual).toMatchObject({ bridge: 'br0', macTableManager: manager });
});

test.each([
  { type: 'user', source: '' },
  { type: 'ethernet', source: '' },
  { type: 'null', source: '' },
  { type: 'vhostuser', source: "<source type='unix' path='/run/v.sock' mode='server'/>" },
  { type: 'vdpa', source: "<source dev='/dev/vhost-vdpa-0'/>" },
  { type: 'udp', source: "<source address='127.0.0.1' port='1'/>" },
  { type: 'server', source: "<source port='1'/>" },
  { type: 'client', source: "<source port='1'/>" },
  { type: 'mcast', source: "<source port='1'/>" },
  { type: 'internal', source: "<source name='n'/>" },
  { type: 'vds', source: "<source switchid='1'/>" },
  { type: 'bridge', source: "<source bridge='br7'/>" },
  { type: 'direct', source: "<source dev='e7' mode='private'/>" },
  { type: 'hostdev', source: `<source>${address}</source>` },
])('an interface of type $type is of actual type $type', ({ type, source }) => {
  const { resolutions } = resolve(`<interface type='${type}'>${source}</interface>`, []);
  expect(resolutions[0]).toMatchObject({ actualType: type, actual: { type } });
});

test("a bridge interface is on the bridge it names, and its MAC table is never libvirt's to manage", () => {
  const xml = "<interface type='bridge'><source bridge='br7' macTableManager='libvirt'/></interface>";
  const { actual } = resolve(xml, []).resolutions[0]!;
  expect(actual).toMatchObject({ type: 'bridge', bridge: 'br7' });
  expect(actual).not.toHaveProperty('macTableManager', 'libvirt');
});

const version = () => parseLibvirtVersion('9.0.0');

test('what a status document records stays, even if the network is another one by now', () => {
  const recorded = "<actual type='direct'><source dev='old0' mode='passthrough'/></actual>";
  const xml = `<interface type='network'><source network='n'/>${recorded}</interface>`;
  const status = `<domstatus><domain id='1'><name>g1</name><devices>${xml}</devices></domain></domstatus>`;
  const now = running(withName("<forward mode='bridge'/><bridge name='br0'/>"));
  const [resolution] = resolveGuest(readDomain(parseXml(status)), { findNetwork: () => now, version });
  expect(resolution).toMatchObject({
    actualType: 'direct',
    actual: { type: 'direct', dev: 'old0', mode: 'passthrough' },
  });
});

test('what a live document shows stays, even if the network is another one by now', () => {
  const source = "<source network='n' portid='38c8c91e-e08f-4145-8149-0ce14da7c63f' bridge='virbr12'/>";
  const guest = domain(`<interface type='network'>${source}</interface>`, "type='qemu' id='3'");
  const now = running(withName(`<forward mode='hostdev'>${address}</forward>`));
  const [resolution] = resolveGuest(guest, { findNetwork: () => now, version });
  expect(resolution!.actual).toEqual({ type: 'network', bridge: 'virbr12' });
});

test('a bridge written beside the network of a definition does not count', () => {
  const xml = "<interface type='network'><source network='n' bridge='virbr12'/></interface>";
  const now = running(withName(`<forward mode='vepa'>${pool}</forward>`));
  expect(resolve(xml, [now]).resolutions[0]!.actual).toEqual({ type: 'direct', dev: 'e1', mode: 'vepa' });
});

test('an unknown network leaves the type unknown and is an error of that interface only', () => {
  const other = "<interface type='network'><source network='other'/></interface>";
  const { resolutions } = resolve(`${other}${iface}`, [running(withName(bridge))]);
  expect(resolutions[0]).toMatchObject({ actualType: undefined, error: { code: 'NETWORK_UNKNOWN' } });
  expect(resolutions[1]!.actual).toEqual({ type: 'network', bridge: 'br0' });
});

test('a network that cannot be looked up leaves the type unknown and is an error of that interface only', () => {
  const findNetwork = () => {
    throw new ActualnetError('FILE', 'the network service does not answer');
  };
  const [lost, own] = resolveGuest(domain(`${iface}<interface type='user'/>`), { findNetwork, version });
  expect(lost).toMatchObject({ actualType: undefined, actual: undefined, error: { code: 'FILE' } });
  expect(own).toMatchObject({ actualType: 'user', actual: { type: 'user' } });
});

test('networks are found by name, names with quotes and ampersands included', () => {
  const name = 'a&amp;b&apos;c';
  const xml = `<interface type='network'><source network='${name}'/></interface>`;
  const state = running(`<network><name>${name}</name>${bridge}</network>`);
  expect(resolve(xml, [state]).resolutions[0]!.actual).toEqual({ type: 'network', bridge: 'br0' });
});

test('the default portgroup, vlan or virtualport of a network do not change its actual type', () => {
  const extras = "<virtualport type='openvswitch'/><vlan><tag id='1'/></vlan><portgroup name='p' default='yes'/>";
  expect(actualTypeOf(network(withName(`<forward mode='bridge'/>${bridge}${extras}`)))).toBe('bridge');
});
