import { expect, test } from 'vitest';
import type { PciAddress } from '../../../src/model/pci-address.ts';
import type { CountedPort } from '../../../src/resolve/network-state.ts';
import { network, resolve, running } from '../../helpers/documents.ts';

const onDev = (dev: string): CountedPort => ({ plug: { type: 'direct', dev, mode: 'passthrough' } });
const onVf: CountedPort = { plug: { type: 'hostdev-pci', address: '0000:03:00.1' as PciAddress, managed: true } };
const bridge = "<bridge name='br0'/>";
const vf = "<address type='pci' domain='0' bus='3' slot='0' function='1'/>";
const hostdev = `<forward mode='hostdev'>${vf}</forward>`;
const passthrough = "<forward mode='passthrough'><interface dev='e1'/></forward>";
const ovs = "<virtualport type='openvswitch'/>";
const qbg = "<virtualport type='802.1Qbg'/>";
const qbh = "<virtualport type='802.1Qbh'/>";
const floor = "<bandwidth><inbound average='100' floor='50'/></bandwidth>";
const inbound = (limits: string) => `<bandwidth><inbound ${limits}/></bandwidth>`;
const limits = "<bandwidth><outbound average='100'/></bandwidth>";

interface Given {
  readonly xml: string;
  readonly ports?: readonly CountedPort[];
  readonly active?: boolean;
  readonly children?: string;
  readonly before?: string;
}

function errorOf({ xml, ports = [], active = true, children = '', before = '' }: Given) {
  const state = { network: network(`<network><name>n</name>${xml}</network>`), active, ports };
  const iface = `<interface type='network'><mac address='52:54:00:00:00:0c'/><source network='n'/>${children}</interface>`;
  return resolve(before + iface, [state]).resolutions.find(({ iface }) => iface.source.network === 'n')!.error;
}

const failures: (Given & { name: string; code: string; says?: string[] })[] = [
  { name: 'an inactive network (F2)', xml: bridge, active: false, code: 'NETWORK_INACTIVE', says: ["'n'"] },
  {
    name: 'a virtualport conflict (F3)',
    xml: hostdev + qbg,
    children: ovs,
    code: 'VIRTUALPORT_CONFLICT',
    says: ['type', "'n'", 'openvswitch', '802.1Qbg'],
  },
  {
    name: 'a virtualport that the mode does not allow (F4)',
    xml: bridge,
    children: ovs,
    code: 'VIRTUALPORT_MODE',
    says: ['openvswitch', "'n'"],
  },
  {
    name: 'a direct network without any device (F5)',
    xml: "<forward mode='vepa'/>",
    code: 'NO_FORWARD_DEVICE',
    says: ["'n'"],
  },
  {
    name: 'a bridge network without bridge and device (F5)',
    xml: "<forward mode='bridge'/>",
    code: 'NO_FORWARD_DEVICE',
    says: ["'n'"],
  },
  {
    name: 'an exclusive pool that is used up (F7)',
    xml: passthrough,
    ports: [onDev('e1')],
    code: 'POOL_EXHAUSTED',
    says: ["'n'", '1'],
  },
  { name: 'a VF pool that is used up (F7)', xml: hostdev, ports: [onVf], code: 'POOL_EXHAUSTED', says: ["'n'", '1'] },
  {
    name: 'a hostdev network without any device (F7)',
    xml: "<forward mode='hostdev'/>",
    code: 'POOL_EXHAUSTED',
    says: ["'n'"],
  },
  {
    name: 'a floor on a bridge (F8)',
    xml: `<forward mode='bridge'/>${bridge}`,
    children: floor,
    code: 'FLOOR_UNSUPPORTED',
    says: ['floor'],
  },
  { name: 'a floor on macvtap (F8)', xml: passthrough, children: floor, code: 'FLOOR_UNSUPPORTED', says: ['floor'] },
  { name: 'a floor on a VF (F8)', xml: hostdev, children: floor, code: 'FLOOR_UNSUPPORTED', says: ['floor'] },
  {
    name: 'a floor without inbound bandwidth (F9)',
    xml: bridge,
    children: floor,
    code: 'FLOOR_UNSUPPORTED',
    says: ["'n'", 'inbound'],
  },
  {
    name: 'a floor above the average (F10)',
    xml: bridge + inbound("average='49'"),
    children: floor,
    code: 'FLOOR_EXCEEDED',
    says: ['50', '49', "'n'"],
  },
  {
    name: 'an incomplete virtualport (F11)',
    xml: passthrough,
    children: qbh,
    code: 'VIRTUALPORT_INCOMPLETE',
    says: ['802.1Qbh', 'profileid'],
  },
];

test.each(failures)('allocation fails: $name', ({ code, says = [], ...given }) => {
  const error = errorOf(given);
  expect(error?.code).toBe(code);
  for (const part of ['52:54:00:00:00:0c', ...says]) expect(error?.message).toContain(part);
});

test('allocation fails: an unknown network (F1)', () => {
  const xml = "<interface type='network'><mac address='52:54:00:00:00:0c'/><source network='gone'/></interface>";
  const { error } = resolve(xml, [running(`<network><name>n</name>${bridge}</network>`)]).resolutions[0]!;
  expect(error?.code).toBe('NETWORK_UNKNOWN');
  expect(error?.message).toContain("'gone'");
});

const direct = "<forward mode='passthrough'/>";
const complete = "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>";
const conflict = { xml: hostdev + qbg, children: ovs };

const orders: (Given & { earlier: string; later: string; code: string })[] = [
  { earlier: 'F2', later: 'F3', ...conflict, active: false, code: 'NETWORK_INACTIVE' },
  { earlier: 'F2', later: 'F4', xml: bridge, children: ovs, active: false, code: 'NETWORK_INACTIVE' },
  { earlier: 'F2', later: 'F7', xml: passthrough, ports: [onDev('e1')], active: false, code: 'NETWORK_INACTIVE' },
  { earlier: 'F2', later: 'F9', xml: bridge, children: floor, active: false, code: 'NETWORK_INACTIVE' },
  { earlier: 'F3', later: 'F4 (nat)', xml: bridge + ovs, children: qbg, code: 'VIRTUALPORT_CONFLICT' },
  { earlier: 'F3', later: 'F5', xml: direct + qbh, children: qbg, code: 'VIRTUALPORT_CONFLICT' },
  {
    earlier: 'F3',
    later: 'F7 (direct)',
    xml: passthrough + qbh,
    children: qbg,
    ports: [onDev('e1')],
    code: 'VIRTUALPORT_CONFLICT',
  },
  { earlier: 'F3', later: 'F7 (hostdev)', ...conflict, ports: [onVf], code: 'VIRTUALPORT_CONFLICT' },
  { earlier: 'F3', later: 'F8', ...conflict, children: ovs + floor, code: 'VIRTUALPORT_CONFLICT' },
  { earlier: 'F4', later: 'F5', xml: direct, children: ovs, code: 'VIRTUALPORT_MODE' },
  {
    earlier: 'F4',
    later: 'F7 (direct)',
    xml: passthrough,
    children: ovs,
    ports: [onDev('e1')],
    code: 'VIRTUALPORT_MODE',
  },
  { earlier: 'F7', later: 'F4 (hostdev)', xml: hostdev, children: ovs, ports: [onVf], code: 'POOL_EXHAUSTED' },
  { earlier: 'F4', later: 'F8 (hostdev)', xml: hostdev, children: ovs + floor, code: 'VIRTUALPORT_MODE' },
  { earlier: 'F4', later: 'F9 (nat)', xml: bridge, children: ovs + floor, code: 'VIRTUALPORT_MODE' },
  { earlier: 'F5', later: 'F8', xml: direct, children: floor, code: 'NO_FORWARD_DEVICE' },
  {
    earlier: 'F7',
    later: 'F8 (direct)',
    xml: passthrough,
    children: floor,
    ports: [onDev('e1')],
    code: 'POOL_EXHAUSTED',
  },
  { earlier: 'F7', later: 'F8 (hostdev)', xml: hostdev, children: floor, ports: [onVf], code: 'POOL_EXHAUSTED' },
  { earlier: 'F7', later: 'F11', xml: hostdev, children: qbh, ports: [onVf], code: 'POOL_EXHAUSTED' },
  { earlier: 'F8', later: 'F11', xml: hostdev, children: qbh + floor, code: 'FLOOR_UNSUPPORTED' },
  {
    earlier: 'F11',
    later: 'the checks of the actual type',
    xml: hostdev,
    children: qbh + limits,
    code: 'VIRTUALPORT_INCOMPLETE',
  },
  { earlier: 'F8', later: 'the checks of the actual type', xml: hostdev, children: floor, code: 'FLOOR_UNSUPPORTED' },
];

test.each(orders)('$earlier is found before $later', given => {
  expect(errorOf(given)?.code).toBe(given.code);
});

test('F8 is found before F9: a bridge network without inbound bandwidth is told about its mode', () => {
  const on = (xml: string) => errorOf({ xml, children: floor })?.message;
  expect(on(`<forward mode='bridge'/>${bridge}`)).toContain("'bridge'");
  expect(on(bridge)).not.toBe(on(`<forward mode='bridge'/>${bridge}`));
});

test.each([
  {
    name: 'a plain hostdev',
    before:
      "<hostdev mode='subsystem' type='pci'><source><address domain='0x0' bus='0x03' slot='0x0' function='0x1'/></source></hostdev>",
  },
  { name: 'a hostdev interface', before: `<interface type='hostdev'><source>${vf}</source></interface>` },
])('a VF that the guest has as $name already is refused (F13)', ({ before }) => {
  const error = errorOf({ xml: hostdev, before });
  expect(error?.code).toBe('DEVICE_TWICE');
  for (const part of ['0000:03:00.1', "'n'"]) expect(error?.message).toContain(part);
});

test('a VF that another network gave to the same guest is refused (F13)', () => {
  const states = ['n', 'o'].map(name => running(`<network><name>${name}</name>${hostdev}</network>`));
  const iface = (name: string) => `<interface type='network'><source network='${name}'/></interface>`;
  const { resolutions } = resolve(iface('n') + iface('o'), states);
  expect(resolutions.map(({ error }) => error?.code)).toEqual([undefined, 'DEVICE_TWICE']);
});

test('F11 is found before F13', () => {
  const before = `<interface type='hostdev'><source>${vf}</source></interface>`;
  expect(errorOf({ xml: hostdev, before, children: qbh })?.code).toBe('VIRTUALPORT_INCOMPLETE');
  expect(errorOf({ xml: hostdev, before, children: complete })?.code).toBe('DEVICE_TWICE');
});

test('a failed interface does not keep the next one from its device', () => {
  const iface = (children: string) => `<interface type='network'><source network='n'/>${children}</interface>`;
  const { resolutions } = resolve(iface(qbh) + iface(''), [running(`<network><name>n</name>${passthrough}</network>`)]);
  expect(resolutions[0]!.error?.code).toBe('VIRTUALPORT_INCOMPLETE');
  expect(resolutions[1]!.actual).toMatchObject({ dev: 'e1' });
});
