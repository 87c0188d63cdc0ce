import { expect, test } from 'vitest';
import type { PciAddress } from '../../../src/model/pci-address.ts';
import type { CountedPort } from '../../../src/resolve/network-state.ts';
import { resolve, running } from '../../helpers/documents.ts';

const onDev = (dev: string): CountedPort => ({ plug: { type: 'direct', dev, mode: 'vepa' } });
const onVf = (address: string): CountedPort => ({
  plug: { type: 'hostdev-pci', address: address as PciAddress, managed: true },
});

const pci = (fn: number) => `<address type='pci' domain='0' bus='3' slot='0' function='${fn}'/>`;
const forward = (mode: string, devices = ['e1', 'e2', 'e3']) =>
  mode === 'hostdev'
    ? `<forward mode='hostdev'>${[1, 2, 3].map(pci).join('')}</forward>`
    : `<forward mode='${mode}'>${devices.map(dev => `<interface dev='${dev}'/>`).join('')}</forward>`;
const qbh = "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>";
const iface = (children = '') => `<interface type='network'><source network='n'/>${children}</interface>`;

function picked(network: string, ports: readonly CountedPort[], interfaces = iface()) {
  const { resolutions } = resolve(interfaces, [running(`<network><name>n</name>${network}</network>`, ports)]);
  return resolutions.map(({ actual, error }) => {
    if (actual === undefined) return error?.code;
    return 'dev' in actual ? actual.dev : 'address' in actual ? actual.address : undefined;
  });
}

const shared = ['private', 'vepa', 'bridge'].flatMap(mode => [
  { mode, used: [], expected: 'e1', name: 'the earliest wins when none is used' },
  { mode, used: ['e1'], expected: 'e2', name: 'the least used, the earliest of them' },
  { mode, used: ['e1', 'e2', 'e3'], expected: 'e1', name: 'the earliest wins when all are used equally' },
  { mode, used: ['e1', 'e1', 'e2', 'e3', 'e3'], expected: 'e2', name: 'a used one with the fewest connections' },
  { mode, used: ['e1', 'e1', 'e2', 'e2', 'e3'], expected: 'e3', name: 'the last one with the fewest connections' },
  { mode, used: ['x1', 'x1'], expected: 'e1', name: 'connections of devices that left the pool do not count' },
]);

test.each(shared)('$mode picks $name: $expected', ({ mode, used, expected }) => {
  expect(picked(forward(mode), used.map(onDev))).toEqual([expected]);
});

const exclusive = [
  { used: [], expected: 'e1', name: 'the first' },
  { used: ['e1'], expected: 'e2', name: 'the first free' },
  { used: ['e2'], expected: 'e1', name: 'the first even if a later one is used' },
  { used: ['e1', 'e3'], expected: 'e2', name: 'the only free one' },
  { used: ['e1', 'e2', 'e3'], expected: 'POOL_EXHAUSTED', name: 'none when all are used' },
];

test.each(exclusive)('passthrough picks $name: $expected', ({ used, expected }) => {
  expect(picked(forward('passthrough'), used.map(onDev))).toEqual([expected]);
});

test.each(exclusive)('private with 802.1Qbh picks $name: $expected', ({ used, expected }) => {
  expect(picked(forward('private'), used.map(onDev), iface(qbh))).toEqual([expected]);
  expect(picked(forward('private') + qbh, used.map(onDev))).toEqual([expected]);
});

test.each(['vepa', 'bridge'])('%s with 802.1Qbh shares its devices', mode => {
  expect(picked(forward(mode), ['e1', 'e1', 'e2', 'e3'].map(onDev), iface(qbh))).toEqual(['e2']);
});

test('private with 802.1Qbg shares its devices', () => {
  const qbg = "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3'/></virtualport>";
  expect(picked(forward('private'), ['e1', 'e2', 'e3'].map(onDev), iface(qbg))).toEqual(['e1']);
});

test.each([
  { used: [], expected: '0000:03:00.1', name: 'the first' },
  { used: ['0000:03:00.1'], expected: '0000:03:00.2', name: 'the first free' },
  { used: ['0000:03:00.1', '0000:03:00.2'], expected: '0000:03:00.3', name: 'the only free one' },
  {
    used: ['0000:03:00.1', '0000:03:00.2', '0000:03:00.3'],
    expected: 'POOL_EXHAUSTED',
    name: 'none when all are used',
  },
])('hostdev picks $name: $expected', ({ used, expected }) => {
  expect(picked(forward('hostdev'), used.map(onVf))).toEqual([expected]);
});

test('the interfaces of one guest are allocated one after the other', () => {
  expect(picked(forward('hostdev'), [onVf('0000:03:00.2')], iface().repeat(3))).toEqual([
    '0000:03:00.1',
    '0000:03:00.3',
    'POOL_EXHAUSTED',
  ]);
  expect(picked(forward('vepa', ['e1', 'e2']), [], iface().repeat(3))).toEqual(['e1', 'e2', 'e1']);
});

test('an interface of another network between them takes nothing from the pool', () => {
  const other = running("<network><name>o</name><forward mode='passthrough'><interface dev='e1'/></forward></network>");
  const own = running(`<network><name>n</name>${forward('passthrough', ['e1', 'e2'])}</network>`);
  const xml = `${iface()}<interface type='network'><source network='o'/></interface>${iface()}`;
  const { resolutions } = resolve(xml, [own, other]);
  expect(resolutions.map(({ actual }) => actual)).toMatchObject([{ dev: 'e1' }, { dev: 'e1' }, { dev: 'e2' }]);
});

test('the count on a pool entry is output only: ports alone say what is used', () => {
  const live = "<forward mode='passthrough'><interface dev='e1' connections='1'/><interface dev='e2'/></forward>";
  expect(picked(live, [])).toEqual(['e1']);
});

test('a VF in use outside the network is handed out all the same', () => {
  const other = running(`<network><name>o</name>${forward('hostdev')}</network>`, [onVf('0000:03:00.1')]);
  const own = running(`<network><name>n</name>${forward('hostdev')}</network>`);
  expect(resolve(iface(), [other, own]).resolutions[0]!.actual).toMatchObject({ address: '0000:03:00.1' });
});

test.each([
  { mode: 'hostdev', actual: { type: 'hostdev', managed: false } },
  { mode: 'passthrough', actual: { type: 'direct', mode: 'passthrough' } },
  { mode: 'vepa', actual: { type: 'direct', mode: 'vepa' } },
])('a pf that is not expanded leaves the device of a $mode network open', ({ mode, actual }) => {
  const state = running(`<network><name>n</name><forward mode='${mode}'><pf dev='p0'/></forward></network>`);
  const [resolution] = resolve(iface(), [state]).resolutions;
  expect(resolution!.actual).toMatchObject(actual);
  for (const key of ['dev', 'address']) expect(resolution!.actual).not.toHaveProperty(key);
  expect(resolution!.because.join('\n')).toContain("'p0'");
});

test('an expanded pf is a pool like any other', () => {
  const state = `<forward mode='hostdev'><pf dev='p0'/>${pci(1)}${pci(2)}</forward>`;
  expect(picked(state, [onVf('0000:03:00.1')])).toEqual(['0000:03:00.2']);
});
