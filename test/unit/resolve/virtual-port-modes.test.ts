import { expect, test } from 'vitest';
import { resolve, running } from '../../helpers/documents.ts';

const bridge = "<bridge name='br0'/>";
const pci = "<address type='pci' domain='0' bus='3' slot='0' function='1'/>";
const forwards = {
  none: bridge,
  nat: `<forward mode='nat'/>${bridge}`,
  route: `<forward mode='route'/>${bridge}`,
  open: `<forward mode='open'/>${bridge}`,
  'bridge with name': `<forward mode='bridge'/>${bridge}`,
  'bridge without name': "<forward mode='bridge'><interface dev='e1'/></forward>",
  private: "<forward mode='private'><interface dev='e1'/></forward>",
  vepa: "<forward mode='vepa'><interface dev='e1'/></forward>",
  passthrough: "<forward mode='passthrough'><interface dev='e1'/></forward>",
  hostdev: `<forward mode='hostdev'>${pci}</forward>`,
} as const;
type Mode = keyof typeof forwards;
const modes = Object.keys(forwards) as Mode[];

const id = '11111111-0000-4000-8000-000000000001';
const ports = {
  untyped: '<virtualport/>',
  '802.1Qbg': "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3'/></virtualport>",
  '802.1Qbh': "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>",
  openvswitch: "<virtualport type='openvswitch'/>",
  midonet: `<virtualport type='midonet'><parameters interfaceid='${id}'/></virtualport>`,
} as const;
type Port = keyof typeof ports;

const resolveIn = (mode: Mode, virtualport: string, networkExtra = '') =>
  resolve(`<interface type='network'><source network='n'/>${virtualport}</interface>`, [
    running(`<network><name>n</name>${forwards[mode]}${networkExtra}</network>`),
  ]).resolutions[0]!;

const allowed: Partial<Record<Mode, readonly Port[]>> = {
  'bridge with name': ['openvswitch'],
  'bridge without name': ['802.1Qbg', '802.1Qbh'],
  private: ['802.1Qbg', '802.1Qbh'],
  vepa: ['802.1Qbg', '802.1Qbh'],
  passthrough: ['802.1Qbg', '802.1Qbh'],
  hostdev: ['802.1Qbh'],
};
const rows = modes.flatMap(mode =>
  (Object.keys(ports) as Port[]).map(port => ({ mode, port, ok: allowed[mode]?.includes(port) === true })),
);

test.each(rows.filter(({ ok }) => ok))('$mode accepts virtualport $port', ({ mode, port }) => {
  expect(resolveIn(mode, ports[port]).actual?.virtualport?.type).toBe(port);
});

test.each(rows.filter(({ ok, mode, port }) => !ok && !(mode === 'hostdev' && port === '802.1Qbg')))(
  '$mode refuses virtualport $port',
  ({ mode, port }) => {
    expect(resolveIn(mode, ports[port]).error?.code).toBe('VIRTUALPORT_MODE');
  },
);

test('a hostdev network hands out a VF for 802.1Qbg, and setting the VF up then fails', () => {
  expect(resolveIn('hostdev', ports['802.1Qbg']).error?.code).toBe('ACTUAL_UNSUPPORTED');
});

test.each(modes)('%s needs no virtualport', mode => {
  expect(resolveIn(mode, '').error).toBeUndefined();
});

test.each(modes)('an untyped virtualport fails in %s although its portgroup has one without type, too', mode => {
  const portgroup =
    "<portgroup name='p' default='yes'><virtualport><parameters profileid='x'/></virtualport></portgroup>";
  expect(resolveIn(mode, ports.untyped, portgroup).error?.code).toBe('VIRTUALPORT_MODE');
});

test.each(modes)('an untyped virtualport of a portgroup alone is nothing in %s', mode => {
  const portgroup =
    "<portgroup name='p' default='yes'><virtualport><parameters profileid='x'/></virtualport></portgroup>";
  const { actual, error } = resolveIn(mode, '', portgroup);
  expect(error).toBeUndefined();
  expect(actual?.virtualport).toBeUndefined();
});

test.each([
  { type: '802.1Qbg', mode: 'vepa', has: "typeid='2' typeidversion='3'", lacks: 'managerid' },
  { type: '802.1Qbg', mode: 'vepa', has: "managerid='1' typeidversion='3'", lacks: 'typeid' },
  { type: '802.1Qbg', mode: 'private', has: "managerid='1' typeid='2'", lacks: 'typeidversion' },
  { type: '802.1Qbh', mode: 'hostdev', has: '', lacks: 'profileid' },
  { type: '802.1Qbh', mode: 'passthrough', has: '', lacks: 'profileid' },
] as const)('virtualport $type without $lacks is incomplete in $mode', ({ type, mode, has, lacks }) => {
  const { error } = resolveIn(mode, `<virtualport type='${type}'><parameters ${has}/></virtualport>`);
  expect(error?.code).toBe('VIRTUALPORT_INCOMPLETE');
  expect(error?.message).toContain(type);
  expect(error?.message).toContain(`'${lacks}'`);
});

test.each([
  { name: 'instanceid for 802.1Qbg', mode: 'vepa', port: ports['802.1Qbg'], generated: ['instanceid'] },
  {
    name: 'nothing for 802.1Qbg with an instanceid',
    mode: 'vepa',
    port: `<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3' instanceid='${id}'/></virtualport>`,
    generated: [],
  },
  { name: 'nothing for 802.1Qbh', mode: 'vepa', port: ports['802.1Qbh'], generated: [] },
  {
    name: 'interfaceid for openvswitch',
    mode: 'bridge with name',
    port: ports.openvswitch,
    generated: ['interfaceid'],
  },
  {
    name: 'nothing for openvswitch with an interfaceid',
    mode: 'bridge with name',
    port: `<virtualport type='openvswitch'><parameters interfaceid='${id}'/></virtualport>`,
    generated: [],
  },
] as const)('libvirt generates $name', ({ mode, port, generated }) => {
  expect(resolveIn(mode, port).actual?.virtualport?.generated).toEqual(generated);
  expect(resolveIn(mode, '', port).actual?.virtualport?.generated).toEqual(generated);
});

test('what the network and the portgroup lack together is missing, what they have together is enough', () => {
  const network = "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2'/></virtualport>";
  const portgroup = "<portgroup name='p'><virtualport><parameters typeidversion='3'/></virtualport></portgroup>";
  const state = running(`<network><name>n</name>${forwards.vepa}${network}${portgroup}</network>`);
  const of = (group: string) =>
    resolve(`<interface type='network'><source network='n'${group}/></interface>`, [state]).resolutions[0]!;
  expect(of('').error?.code).toBe('VIRTUALPORT_INCOMPLETE');
  expect(of(" portgroup='p'").actual?.virtualport).toEqual({
    type: '802.1Qbg',
    parameters: { managerid: '1', typeid: '2', typeidversion: '3' },
    generated: ['instanceid'],
  });
});
