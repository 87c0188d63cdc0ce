import { expect, test } from 'vitest';
import { allocate } from '../../../src/resolve/allocate.ts';
import { domain, running } from '../../helpers/documents.ts';

interface Given {
  readonly portgroup?: string;
  readonly children?: string;
  readonly attributes?: string;
}

/** Allocates from an openvswitch bridge: there every setting may be given everywhere. */
function allocateFrom(networkParts: string, { portgroup, children = '', attributes = '' }: Given, trust = '') {
  const group = portgroup === undefined ? '' : ` portgroup='${portgroup}'`;
  const xml = `<interface type='network' ${attributes}><source network='n'${group}/>${children}</interface>`;
  const state = running(
    `<network ${trust}><name>n</name><forward mode='bridge'/><bridge name='br0'/>${networkParts}</network>`,
  );
  return allocate(state, domain(xml).interfaces[0]!);
}
const vlan = (id: number) => `<vlan><tag id='${id}'/></vlan>`;
const red = `<portgroup name='red' default='yes'>${vlan(10)}</portgroup>`;
const blue = `<portgroup name='blue'>${vlan(20)}</portgroup>`;

test.each([
  { name: 'none asked for takes the default one', given: {}, vlan: 10, warned: false },
  { name: 'an existing one is taken', given: { portgroup: 'blue' }, vlan: 20, warned: false },
  { name: 'the default one may be asked for', given: { portgroup: 'red' }, vlan: 10, warned: false },
  { name: 'an unknown one is none, not the default one', given: { portgroup: 'gren' }, vlan: undefined, warned: true },
  { name: 'names are compared exactly', given: { portgroup: 'BLUE' }, vlan: undefined, warned: true },
])('portgroup: $name', ({ given, vlan, warned }) => {
  const { actual, warnings } = allocateFrom(red + blue, given);
  expect(actual.vlan?.tags[0]?.id).toBe(vlan);
  expect(warnings.some(line => line.includes("'n'") && line.includes(`'${given.portgroup}'`))).toBe(warned);
});

test('portgroup: none asked for and no default is none', () => {
  expect(allocateFrom(blue, {}).actual.vlan).toBeUndefined();
});

test.each([
  { name: 'the interface wins', iface: 5, group: 6, network: 7, expected: 5 },
  { name: 'the interface wins over the network', iface: 5, network: 7, expected: 5 },
  { name: 'the portgroup wins over the network', group: 6, network: 7, expected: 6 },
  { name: 'the network is last', network: 7, expected: 7 },
  { name: 'none is none', expected: undefined },
])('vlan: $name', ({ iface, group, network, expected }) => {
  const of = (id: number | undefined) => (id === undefined ? '' : vlan(id));
  const parts = `${of(network)}<portgroup name='p' default='yes'>${of(group)}</portgroup>`;
  expect(allocateFrom(parts, { children: of(iface) }).actual.vlan?.tags[0]?.id).toBe(expected);
});

test('vlan: the whole element is taken, tags are not merged', () => {
  const trunk = "<vlan trunk='yes'><tag id='1' nativeMode='untagged'/><tag id='2'/></vlan>";
  const { actual } = allocateFrom(trunk, { children: vlan(9) });
  expect(actual.vlan).toEqual({ trunk: false, tags: [{ id: 9 }] });
});

test.each([
  { name: 'the interface wins with yes', iface: 'yes', group: 'no', network: 'no', expected: true },
  { name: 'the interface wins with no', iface: 'no', group: 'yes', network: 'yes', expected: false },
  { name: 'the portgroup wins over the network with no', group: 'no', network: 'yes', expected: false },
  { name: 'the portgroup wins over the network with yes', group: 'yes', network: 'no', expected: true },
  { name: 'the network is last', network: 'yes', expected: true },
  { name: 'unset is unset', expected: undefined },
])('trustGuestRxFilters: $name', ({ iface, group, network, expected }) => {
  const of = (value: string | undefined) => (value === undefined ? '' : `trustGuestRxFilters='${value}'`);
  const parts = `<portgroup name='p' default='yes' ${of(group)}/>`;
  const { actual } = allocateFrom(parts, { attributes: of(iface) }, of(network));
  expect(actual.trustGuestRxFilters).toBe(expected);
});

const inbound = (average: number) => `<bandwidth><inbound average='${average}'/></bandwidth>`;
const outbound = (average: number) => `<bandwidth><outbound average='${average}'/></bandwidth>`;

test.each([
  { name: 'the interface wins', iface: inbound(5), group: inbound(6), expected: { inbound: { average: 5 } } },
  { name: 'the portgroup comes after it', iface: '', group: inbound(6), expected: { inbound: { average: 6 } } },
  { name: "the network's own never counts", iface: '', group: '', expected: undefined },
  {
    name: "an interface with outbound only hides the portgroup's inbound",
    iface: outbound(5),
    group: inbound(6),
    expected: { outbound: { average: 5 } },
  },
])('bandwidth: $name', ({ iface, group, expected }) => {
  const parts = `${inbound(7)}<portgroup name='p' default='yes'>${group}</portgroup>`;
  expect(allocateFrom(parts, { children: iface }).actual.bandwidth).toEqual(expected);
});

test('bandwidth: every number of the winning element is kept', () => {
  const children =
    "<bandwidth><inbound average='1' peak='2' burst='3'/><outbound average='4' peak='5' burst='6'/></bandwidth>";
  expect(allocateFrom('', { children }).actual.bandwidth).toEqual({
    inbound: { average: 1, peak: 2, burst: 3 },
    outbound: { average: 4, peak: 5, burst: 6 },
  });
});

test.each([
  { name: 'the interface wins with no', iface: 'no', network: 'yes', expected: false },
  { name: 'the interface wins with yes', iface: 'yes', network: 'no', expected: true },
  { name: 'the network comes after it', network: 'yes', expected: true },
  { name: 'unset is unset', expected: undefined },
])('isolated: $name', ({ iface, network, expected }) => {
  const of = (value: string | undefined) => (value === undefined ? '' : `<port isolated='${value}'/>`);
  expect(allocateFrom(of(network), { children: of(iface) }).actual.isolated).toBe(expected);
});

test('isolated: a portgroup cannot carry it', () => {
  const group = "<portgroup name='p' default='yes'><port isolated='yes'/></portgroup>";
  expect(allocateFrom(group, {}).actual.isolated).toBeUndefined();
});

test('only what the request carries gets into the port: mtu, model, target and filter stay behind', () => {
  const children = "<target dev='tap-a'/><model type='virtio'/><mtu size='9000'/><filterref filter='f'/>";
  const { state } = allocateFrom('', { children });
  expect(state.ports).toEqual([{ plug: { type: 'bridge', bridge: 'br0' } }]);
});

test('the port carries MAC, settings and the portgroup that was asked for', () => {
  const children = `<mac address='52:54:00:00:00:01'/>${vlan(7)}<port isolated='no'/>`;
  const { state } = allocateFrom(blue, { portgroup: 'blue', children, attributes: "trustGuestRxFilters='yes'" });
  expect(state.ports[0]).toMatchObject({
    mac: '52:54:00:00:00:01',
    group: 'blue',
    vlan: { tags: [{ id: 7 }] },
    isolated: false,
    trustGuestRxFilters: true,
  });
});

test('the port names no portgroup when the default one applied', () => {
  expect(allocateFrom(red, {}).state.ports[0]!.group).toBeUndefined();
});

test("a network's mtu does not become the interface's", () => {
  const state = running("<network><name>n</name><bridge name='virbr0'/><mtu size='9000'/></network>");
  const { actual } = allocate(
    state,
    domain("<interface type='network'><source network='n'/></interface>").interfaces[0]!,
  );
  expect(actual).toEqual({ type: 'network', bridge: 'virbr0' });
});
