import { expect, test } from 'vitest';
import { resolve, running } from '../../helpers/documents.ts';

const mac = '52:54:00:00:00:0b';
const bridge = "<bridge name='br0'/>";
const pci = (fn: number) => `<address type='pci' domain='0' bus='3' slot='0' function='${fn}'/>`;
const networks = [
  running(`<network><name>nat</name><forward/>${bridge}</network>`),
  running(`<network><name>bridge</name><forward mode='bridge'/>${bridge}</network>`),
  running("<network><name>direct</name><forward mode='vepa'><interface dev='e1'/></forward></network>"),
  running(`<network><name>hostdev</name><forward mode='hostdev'>${pci(1)}</forward></network>`),
];
const configured = {
  ethernet: '',
  user: '',
  null: '',
  vhostuser: "<source type='unix' path='/run/v.sock' mode='server'/>",
  vdpa: "<source dev='/dev/vhost-vdpa-0'/>",
  udp: "<source address='127.0.0.1' port='1'/>",
} as const;
type Connection = 'nat' | 'bridge' | 'direct' | 'hostdev' | keyof typeof configured;

function errorOf(connection: Connection, children: string) {
  const address = `<mac address='${mac}'/>`;
  const xml =
    connection in configured
      ? `<interface type='${connection}'>${address}${configured[connection as keyof typeof configured]}${children}</interface>`
      : `<interface type='network'>${address}<source network='${connection}'/>${children}</interface>`;
  return resolve(xml, networks, '11.3.0').resolutions[0]!.error;
}

const limits = "<bandwidth><outbound average='100'/></bandwidth>";
const isolated = "<port isolated='yes'/>";
const ovs = "<virtualport type='openvswitch'/>";
const qbh = "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>";
const queues = "<model type='virtio'/><driver queues='4'/>";
const filter = "<filterref filter='clean-traffic'/>";
const tap = "<backend tap='/dev/other-tun'/>";
const transient = "<teaming type='transient' persistent='ua-x'/>";

const refused: { name: string; children: string; on: Connection[] }[] = [
  { name: 'a bandwidth', children: limits, on: ['hostdev'] },
  { name: 'port isolation', children: isolated, on: ['direct', 'hostdev', 'ethernet', 'user', 'vhostuser'] },
  { name: 'port isolation with openvswitch', children: isolated + ovs, on: ['bridge'] },
  { name: 'multiqueue', children: queues, on: ['hostdev', 'user', 'null', 'udp'] },
  { name: 'a filter', children: filter, on: ['direct', 'hostdev', 'user', 'vhostuser', 'vdpa'] },
  { name: 'a filter with openvswitch', children: filter + ovs, on: ['bridge'] },
  { name: 'a filter with 802.1Qbh', children: filter + qbh, on: ['direct'] },
  { name: 'a custom tap path', children: tap, on: ['direct', 'hostdev', 'user', 'vhostuser', 'vdpa'] },
  {
    name: 'the transient member of a team',
    children: transient,
    on: ['nat', 'bridge', 'direct', 'ethernet', 'user', 'vhostuser'],
  },
];
const accepted: { name: string; children: string; on: Connection[] }[] = [
  { name: 'a bandwidth', children: limits, on: ['nat', 'bridge', 'direct', 'ethernet'] },
  { name: 'port isolation', children: isolated, on: ['nat', 'bridge'] },
  { name: "isolated='no'", children: "<port isolated='no'/>", on: ['nat', 'bridge', 'direct', 'hostdev'] },
  { name: "isolated='no' with openvswitch", children: `<port isolated='no'/>${ovs}`, on: ['bridge'] },
  { name: 'multiqueue', children: queues, on: ['nat', 'bridge', 'direct', 'ethernet', 'vhostuser', 'vdpa'] },
  { name: 'queues=1, which is unset', children: "<model type='virtio'/><driver queues='1'/>", on: ['hostdev', 'user'] },
  { name: 'a filter', children: filter, on: ['nat', 'bridge', 'ethernet'] },
  { name: 'a custom tap path', children: tap, on: ['nat', 'bridge', 'ethernet'] },
  { name: 'the transient member of a team', children: transient, on: ['hostdev'] },
  {
    name: 'the persistent member of a team',
    children: "<teaming type='persistent'/>",
    on: ['nat', 'bridge', 'direct'],
  },
];
const each = (rows: typeof refused) => rows.flatMap(({ on, ...row }) => on.map(connection => ({ ...row, connection })));

test.each(each(refused))('$name is refused on $connection, in a line that names the interface', row => {
  const error = errorOf(row.connection, row.children);
  expect(error?.code).toBe('ACTUAL_UNSUPPORTED');
  expect(error?.message).toContain(mac);
  expect(error?.message).not.toContain('\n');
});

test.each(each(accepted))('$name is possible on $connection', row => {
  expect(errorOf(row.connection, row.children)).toBeUndefined();
});

test('the message of a team says what the transient member would be', () => {
  expect(errorOf('nat', transient)?.message).toContain("'network'");
});

test.each([
  {
    name: 'bandwidth of a portgroup',
    xml: `<forward mode='hostdev'>${pci(1)}</forward><portgroup name='p' default='yes'>${limits}</portgroup>`,
  },
  { name: 'isolation of the network', xml: `<forward mode='vepa'><interface dev='e1'/></forward>${isolated}` },
  {
    name: 'isolation of the network with an openvswitch portgroup',
    xml: `<forward mode='bridge'/>${bridge}${isolated}<portgroup name='p' default='yes'>${ovs}</portgroup>`,
  },
])('merged settings are checked like own ones: $name', ({ xml }) => {
  const states = [running(`<network><name>n</name>${xml}</network>`)];
  const { resolutions } = resolve("<interface type='network'><source network='n'/></interface>", states);
  expect(resolutions[0]!.error?.code).toBe('ACTUAL_UNSUPPORTED');
});

test('a refused interface gives its device back to the pool', () => {
  const iface = (children: string) => `<interface type='network'><source network='hostdev'/>${children}</interface>`;
  const { resolutions } = resolve(iface(limits) + iface(''), networks);
  expect(resolutions[0]!.error?.code).toBe('ACTUAL_UNSUPPORTED');
  expect(resolutions[1]!.actual).toMatchObject({ address: '0000:03:00.1' });
});

test('the type of a refused interface is known all the same', () => {
  const xml = `<interface type='network'><source network='hostdev'/>${limits}</interface>`;
  expect(resolve(xml, networks).resolutions[0]).toMatchObject({ actualType: 'hostdev', actual: undefined });
});
