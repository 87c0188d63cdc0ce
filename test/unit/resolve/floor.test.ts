import { expect, test } from 'vitest';
import type { CountedPort } from '../../../src/resolve/network-state.ts';
import { resolve, running } from '../../helpers/documents.ts';

const classed = (classId: number, floor: number): CountedPort => ({
  classId,
  bandwidth: { inbound: { average: floor, floor } },
  plug: { type: 'network', bridge: 'virbr9' },
});
const withFloor = (floor: number) => `<bandwidth><inbound average='10' floor='${floor}'/></bandwidth>`;
const iface = (children: string, portgroup = '') =>
  `<interface type='network'><source network='n'${portgroup}/>${children}</interface>`;

function resolveOn(limits: string, interfaces: string, ports: readonly CountedPort[] = [], forward = '') {
  const bandwidth = limits === '' ? '' : `<bandwidth>${limits}</bandwidth>`;
  const state = running(`<network><name>n</name>${forward}<bridge name='virbr9'/>${bandwidth}</network>`, ports);
  return resolve(interfaces, [state]).resolutions.map(
    ({ actual, error }) => actual?.classId ?? error?.code ?? 'no class',
  );
}

test.each([
  { name: 'the first class is 3', ports: [], expected: 3 },
  { name: 'the next is 4', ports: [classed(3, 1)], expected: 4 },
  { name: 'a gap is filled', ports: [classed(3, 1), classed(5, 1)], expected: 4 },
  { name: 'the lowest number is filled first', ports: [classed(4, 1), classed(5, 1)], expected: 3 },
  { name: 'the order of the ports does not matter', ports: [classed(5, 1), classed(4, 1), classed(3, 1)], expected: 6 },
  {
    name: 'ports without a class take no number',
    ports: [{ plug: { type: 'network', bridge: 'virbr9' } }],
    expected: 3,
  },
] as { name: string; ports: CountedPort[]; expected: number }[])('class id: $name', ({ ports, expected }) => {
  expect(resolveOn("<inbound average='1000'/>", iface(withFloor(1)), ports)).toEqual([expected]);
});

test('the interfaces of one guest get one class after the other', () => {
  const interfaces = iface(withFloor(1)) + iface('') + iface(withFloor(1));
  expect(resolveOn("<inbound average='1000'/>", interfaces)).toEqual([3, 'no class', 4]);
});

test.each([
  { mode: 'none', forward: '' },
  { mode: 'nat', forward: "<forward mode='nat'/>" },
  { mode: 'route', forward: "<forward mode='route'/>" },
  { mode: 'open', forward: "<forward mode='open'/>" },
])('a floor works in a network of mode $mode', ({ forward }) => {
  expect(resolveOn("<inbound average='1000'/>", iface(withFloor(1)), [], forward)).toEqual([3]);
});

test.each([
  {
    name: 'a port without floor',
    children: "<bandwidth><inbound average='10'/></bandwidth>",
    limits: "<inbound average='99'/>",
  },
  { name: 'a port without bandwidth', children: '', limits: "<inbound average='99'/>" },
  {
    name: 'a port with outbound only',
    children: "<bandwidth><outbound average='10'/></bandwidth>",
    limits: "<inbound average='99'/>",
  },
])('$name gets no class', ({ children, limits }) => {
  expect(resolveOn(limits, iface(children))).toEqual(['no class']);
});

test.each([
  { name: 'no bandwidth at all', limits: '' },
  { name: 'outbound bandwidth only', limits: "<outbound average='1000'/>" },
])('a floor is impossible on a network with $name', ({ limits }) => {
  expect(resolveOn(limits, iface(withFloor(1)))).toEqual(['FLOOR_UNSUPPORTED']);
});

test.each([
  { name: 'a sum equal to the average is possible', limits: "average='100'", others: 60, floor: 40, expected: 4 },
  {
    name: 'a sum above the average is refused',
    limits: "average='100'",
    others: 60,
    floor: 41,
    expected: 'FLOOR_EXCEEDED',
  },
  {
    name: 'the peak counts instead of the average',
    limits: "average='100' peak='200'",
    others: 150,
    floor: 50,
    expected: 4,
  },
  {
    name: 'a sum above the peak is refused',
    limits: "average='100' peak='200'",
    others: 150,
    floor: 51,
    expected: 'FLOOR_EXCEEDED',
  },
  {
    name: 'a peak below the average counts',
    limits: "average='300' peak='200'",
    others: 150,
    floor: 51,
    expected: 'FLOOR_EXCEEDED',
  },
])('floor sum: $name', ({ limits, others, floor, expected }) => {
  expect(resolveOn(`<inbound ${limits}/>`, iface(withFloor(floor)), [classed(3, others)])).toEqual([expected]);
});

test('floor sum: the earlier interfaces of the guest count as well, a refused one does not', () => {
  const interfaces = [60, 50, 40].map(floor => iface(withFloor(floor))).join('');
  expect(resolveOn("<inbound average='100'/>", interfaces)).toEqual([3, 'FLOOR_EXCEEDED', 4]);
});

test("an interface's bandwidth without floor hides nothing less than the whole bandwidth of its portgroup", () => {
  const state = running(
    "<network><name>n</name><bridge name='virbr9'/><portgroup name='p'><bandwidth><inbound average='7'/></bandwidth></portgroup></network>",
  );
  const children = "<bandwidth><outbound average='10'/></bandwidth>";
  const { resolutions } = resolve(iface(children, " portgroup='p'"), [state]);
  expect(resolutions[0]!.actual?.bandwidth).toEqual({ outbound: { average: 10 } });
});
