import { expect, test } from 'vitest';
import type { NetworkState } from '../../../src/resolve/network-state.ts';
import { type AliasLists, aliasPrefix, assignAliases } from '../../../src/transform/aliases.ts';
import { resolve, running } from '../../helpers/documents.ts';

const nat = "<interface type='network'><source network='nat1'/></interface>";
const vf = "<interface type='network'><source network='vfpool'/></interface>";
const lost = "<interface type='network'><source network='gone'/></interface>";
const pci = (slot: number) => `<address type='pci' domain='0' bus='5' slot='${slot}' function='0'/>`;
const named = (alias: string) => `<alias name='${alias}'/>`;
const ethernet = (alias = '') => `<interface type='ethernet'>${alias}</interface>`;
const hostdevNic = (slot: number, alias = '') =>
  `<interface type='hostdev' managed='yes'><source>${pci(slot)}</source>${alias}</interface>`;
const hostdev = (slot: number, extra = '') =>
  `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='5' slot='${slot}' function='0'/></source>${extra}</hostdev>`;
const usb = (extra = '') =>
  `<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><product id='0x2'/></source>${extra}</hostdev>`;
const scsi = "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/></source></hostdev>";
const mdev =
  "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='0b0e1f52-0000-4000-8000-000000000001'/></source></hostdev>";
const controller = "<controller type='usb'><alias name='ua-SomeController'/></controller>";

const networks: NetworkState[] = [
  running("<network><name>nat1</name><forward/><bridge name='virbr0'/></network>"),
  running(
    `<network><name>vfpool</name><forward mode='hostdev' managed='yes'>${[20, 21, 22].map(pci).join('')}</forward></network>`,
  ),
];

const starts: { name: string; devices: string; interfaces: string[]; hostdevs?: string[] }[] = [
  {
    name: 'six emulated interfaces count from net0',
    devices: ethernet().repeat(6),
    interfaces: ['net0', 'net1', 'net2', 'net3', 'net4', 'net5'],
  },
  { name: 'one hostdev interface is hostdev0', devices: hostdevNic(1), interfaces: ['hostdev0'] },
  {
    name: 'a hostdev interface between two plain host devices comes first',
    devices: hostdev(1) + hostdevNic(2) + hostdev(3),
    interfaces: ['hostdev0'],
    hostdevs: ['hostdev1', 'hostdev2'],
  },
  {
    name: 'user aliases take no number from hostdev interfaces',
    devices: ethernet(named('ua-backup0')) + ethernet(named('ua-backup1')) + hostdevNic(1) + hostdevNic(2),
    interfaces: ['ua-backup0', 'ua-backup1', 'hostdev0', 'hostdev1'],
  },
  {
    name: 'user aliases take no number from plain host devices',
    devices: ethernet(named('ua-backup0')) + ethernet(named('ua-backup1')) + hostdev(1) + hostdev(2),
    interfaces: ['ua-backup0', 'ua-backup1'],
    hostdevs: ['hostdev0', 'hostdev1'],
  },
  {
    name: 'seven plain host devices count from hostdev0',
    devices: [1, 2, 3, 4, 5, 6, 7].map(slot => hostdev(slot)).join(''),
    interfaces: [],
    hostdevs: ['hostdev0', 'hostdev1', 'hostdev2', 'hostdev3', 'hostdev4', 'hostdev5', 'hostdev6'],
  },
  {
    name: 'a host device without guest address has a number like the others',
    devices: hostdev(1) + hostdev(2, "<address type='unassigned'/>") + hostdev(3) + hostdev(4),
    interfaces: [],
    hostdevs: ['hostdev0', 'hostdev1', 'hostdev2', 'hostdev3'],
  },
  {
    name: 'interfaces and plain host devices are counted apart',
    devices: ethernet() + hostdev(1) + ethernet() + hostdev(2),
    interfaces: ['net0', 'net1'],
    hostdevs: ['hostdev0', 'hostdev1'],
  },
  { name: 'a USB host device is a hostdev', devices: ethernet() + usb(), interfaces: ['net0'], hostdevs: ['hostdev0'] },
  {
    name: 'all kinds of host devices share the numbers',
    devices: usb() + hostdev(1) + scsi + mdev,
    interfaces: [],
    hostdevs: ['hostdev0', 'hostdev1', 'hostdev2', 'hostdev3'],
  },
  {
    name: 'user aliases of all interfaces are kept',
    devices: ['ua-AndAlsoThisOne', 'ua-CheckoutThisNIC', 'ua-WeCanAlso_1']
      .map(alias => ethernet(named(alias)))
      .join(''),
    interfaces: ['ua-AndAlsoThisOne', 'ua-CheckoutThisNIC', 'ua-WeCanAlso_1'],
  },
  {
    name: 'user aliases of other devices take no number',
    devices: controller + usb() + usb(),
    interfaces: [],
    hostdevs: ['hostdev0', 'hostdev1'],
  },
  {
    name: 'a vhost-user interface is a net like the others',
    devices: `${ethernet()}<interface type='vhostuser'><source type='unix' path='/run/v' mode='server'/></interface>${ethernet()}`,
    interfaces: ['net0', 'net1', 'net2'],
  },
  {
    name: 'a pool interface takes the low hostdev number, wherever the plain host device stands',
    devices: hostdev(0) + nat + vf + nat,
    interfaces: ['net0', 'hostdev0', 'net1'],
    hostdevs: ['hostdev1'],
  },
  {
    name: 'a user alias on a hostdev interface takes no number',
    devices: hostdevNic(1, named('ua-x')) + hostdevNic(2) + hostdev(3),
    interfaces: ['ua-x', 'hostdev0'],
    hostdevs: ['hostdev1'],
  },
  {
    name: 'a rejected alias in a definition is replaced by a generated one',
    devices: ethernet(named('net7')) + ethernet(named('ua-a.b')) + usb(named('hostdev4')),
    interfaces: ['net0', 'net1'],
    hostdevs: ['hostdev0'],
  },
  {
    name: 'a pool interface turned into a hostdev interface keeps its alias',
    devices: hostdev(0) + nat + hostdevNic(20) + nat,
    interfaces: ['net0', 'hostdev0', 'net1'],
    hostdevs: ['hostdev1'],
  },
  {
    name: 'a user alias with a number at its end takes no number',
    devices: ethernet(named('ua-net5')) + ethernet(),
    interfaces: ['ua-net5', 'net0'],
  },
  {
    name: 'an interface whose network is unknown is a net',
    devices: lost + vf,
    interfaces: ['net0', 'hostdev0'],
  },
  {
    name: 'an interface whose device cannot be had is a hostdev all the same',
    devices: vf.repeat(4),
    interfaces: ['hostdev0', 'hostdev1', 'hostdev2', 'hostdev3'],
  },
];

test.each(starts)('at start $name', ({ devices, interfaces, hostdevs = [] }) => {
  const { view } = resolve(devices, networks);
  const plain = view.hostdevs.filter(entry => entry.interface === null);
  expect(view.interfaces.map(({ alias }) => alias)).toEqual(interfaces);
  expect(plain.map(({ alias }) => alias)).toEqual(hostdevs);
});

const lists = (interfaces: string[], hostdevs: string[] = []) => ({
  interfaces: interfaces.map(alias => ({ alias })),
  hostdevs: hostdevs.map(alias => ({ alias })),
});

const hotplugs: { name: string; interfaces: string[]; hostdevs?: string[]; net: string; hostdev: string }[] = [
  { name: 'empty lists', interfaces: [], net: 'net0', hostdev: 'hostdev0' },
  { name: 'a gap, which is not filled', interfaces: ['net0', 'net1', 'net3'], net: 'net4', hostdev: 'hostdev0' },
  { name: 'a freed highest number', interfaces: ['net0', 'net1'], net: 'net2', hostdev: 'hostdev0' },
  { name: 'only a high number', interfaces: ['net41'], net: 'net42', hostdev: 'hostdev0' },
  { name: 'numbers in any order', interfaces: ['net10', 'net9', 'net2'], net: 'net11', hostdev: 'hostdev0' },
  {
    name: 'a pool VF among the interfaces',
    interfaces: ['net0', 'hostdev9'],
    hostdevs: ['hostdev0', 'hostdev9'],
    net: 'net1',
    hostdev: 'hostdev10',
  },
  {
    name: 'a pool VF that is not in the hostdev list yet',
    interfaces: ['hostdev9'],
    hostdevs: ['hostdev0'],
    net: 'net0',
    hostdev: 'hostdev10',
  },
  {
    name: 'the next after that',
    interfaces: ['hostdev9'],
    hostdevs: ['hostdev9', 'hostdev10'],
    net: 'net0',
    hostdev: 'hostdev11',
  },
  {
    name: 'a gap among the host devices',
    interfaces: [],
    hostdevs: ['hostdev0', 'hostdev2'],
    net: 'net0',
    hostdev: 'hostdev3',
  },
  { name: 'a net in the hostdev list', interfaces: [], hostdevs: ['net7'], net: 'net0', hostdev: 'hostdev0' },
  {
    name: 'look-alikes',
    interfaces: ['net5x', 'network1', 'ua-net5', 'net-3', 'net', 'net1.5', 'xnet8', 'hostnet4', 'Net6', 'net0x9'],
    hostdevs: ['hostdev', 'hostdev-2', 'hostdevs7', 'ua-hostdev3', 'hostdev4 b'],
    net: 'net0',
    hostdev: 'hostdev0',
  },
  { name: 'user aliases', interfaces: ['ua-9'], hostdevs: ['ua-8'], net: 'net0', hostdev: 'hostdev0' },
];

/** What one more interface of that kind is called. */
function next({ interfaces, hostdevs }: AliasLists, kind: 'net' | 'hostdev'): string {
  const types = [...interfaces.map(() => undefined), kind === 'net' ? ('bridge' as const) : ('hostdev' as const)];
  return assignAliases({ interfaces: [...interfaces, {}], hostdevs }, types).interfaces.at(-1)!;
}

test.each(hotplugs)('at hotplug with $name the next interface is $net and the next host device $hostdev', given => {
  const live = lists(given.interfaces, given.hostdevs);
  expect({ net: next(live, 'net'), hostdev: next(live, 'hostdev') }).toEqual({
    net: given.net,
    hostdev: given.hostdev,
  });
});

test('after a gap is at the end, the freed numbers are used again', () => {
  expect(next(lists(['net0', 'net1', 'net3']), 'net')).toBe('net4');
  expect(next(lists(['net0', 'net1']), 'net')).toBe('net2');
});

test.each([
  { type: 'hostdev', prefix: 'hostdev' },
  { type: 'network', prefix: 'net' },
  { type: 'bridge', prefix: 'net' },
  { type: 'direct', prefix: 'net' },
  { type: 'user', prefix: 'net' },
  { type: undefined, prefix: 'net' },
] as const)('an interface of actual type $type is a $prefix', ({ type, prefix }) => {
  expect(aliasPrefix(type)).toBe(prefix);
});
