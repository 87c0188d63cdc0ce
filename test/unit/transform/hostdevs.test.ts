import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import type { PciAddress } from '../../../src/model/pci-address.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import type { GuestView } from '../../../src/transform/guest-view.ts';
import { checkHostdevs } from '../../../src/transform/hostdevs.ts';
import { viewGuest } from '../../../src/transform/view-guest.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { resolve, running } from '../../helpers/documents.ts';

const pci = (slot: number) => `<address type='pci' domain='0' bus='5' slot='${slot}' function='0'/>`;
const hostdevNic = (slot: number, inner = '') =>
  `<interface type='hostdev' managed='yes'><source>${pci(slot)}</source>${inner}</interface>`;
const hostdev = (slot: number, inner = '') =>
  `<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x05' slot='${slot}' function='0x0'/></source>${inner}</hostdev>`;
const usb = "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><product id='0x2'/></source></hostdev>";
const vf = "<interface type='network'><source network='vfpool'/></interface>";
const nat = "<interface type='network'><source network='nat1'/></interface>";
const networks = [
  running("<network><name>nat1</name><forward/><bridge name='virbr0'/></network>"),
  running(`<network><name>vfpool</name><forward mode='hostdev'>${[0x10, 0x11].map(pci).join('')}</forward></network>`),
];

const summary = (view: GuestView) =>
  view.hostdevs.map(
    ({ index, alias, address, interface: owner, type }) => `${index} ${alias} ${address ?? type} ${owner}`,
  );

test.each([
  {
    name: 'hostdev interfaces come in their order before plain host devices, whatever the document order',
    devices: hostdev(1) + hostdevNic(2) + usb + nat + hostdevNic(3),
    expected: [
      '0 hostdev0 0000:05:02.0 0',
      '1 hostdev1 0000:05:03.0 2',
      '2 hostdev2 0000:05:01.0 null',
      '3 hostdev3 usb null',
    ],
  },
  {
    name: 'pool interfaces come last although their number is lower',
    devices: hostdev(1) + vf,
    expected: ['0 hostdev1 0000:05:01.0 null', '1 hostdev0 0000:05:10.0 0'],
  },
  {
    name: 'hostdev interfaces, plain host devices, pool interfaces',
    devices: vf + hostdev(1) + hostdevNic(2) + vf,
    expected: [
      '0 hostdev1 0000:05:02.0 1',
      '1 hostdev3 0000:05:01.0 null',
      '2 hostdev0 0000:05:10.0 0',
      '3 hostdev2 0000:05:11.0 2',
    ],
  },
  {
    name: 'a user alias is shared by the interface and its entry',
    devices: hostdevNic(2, "<alias name='ua-x'/>"),
    expected: ['0 ua-x 0000:05:02.0 0'],
  },
  { name: 'emulated interfaces have no entry', devices: nat + usb, expected: ['0 hostdev0 usb null'] },
  {
    name: 'an interface whose VF cannot be had has no entry',
    devices: vf.repeat(3),
    expected: ['0 hostdev0 0000:05:10.0 0', '1 hostdev1 0000:05:11.0 1'],
  },
])('hostdev list: $name', ({ devices, expected }) => {
  expect(summary(resolve(devices, networks).view)).toEqual(expected);
});

test('hostdev list: in a status document allocated VFs stand in interface order before plain host devices', () => {
  const recorded = (slot: number, alias: string) =>
    `<interface type='network'><source network='vfpool'/><actual type='hostdev' managed='yes'><source>${pci(slot)}</source></actual><alias name='${alias}'/></interface>`;
  const devices =
    hostdev(1, "<alias name='hostdev1'/>") + recorded(0x10, 'hostdev0') + hostdevNic(2, "<alias name='hostdev2'/>");
  const status = `<domstatus><domain id='1'><name>g1</name><devices>${devices}</devices></domain></domstatus>`;
  const guest = readDomain(parseXml(status));
  const view = viewGuest(
    guest,
    resolveGuest(guest, { findNetwork: () => undefined, version: () => parseLibvirtVersion('9.0.0') }),
  );
  expect(summary(view)).toEqual([
    '0 hostdev0 0000:05:10.0 0',
    '1 hostdev2 0000:05:02.0 1',
    '2 hostdev1 0000:05:01.0 null',
  ]);
  expect(checkHostdevs(view)).toEqual([]);
});

test.each([
  { name: 'a guest without host devices', devices: nat + nat },
  { name: 'a guest of every kind', devices: vf + hostdev(1) + hostdevNic(2) + usb + nat },
  { name: 'two USB devices, which have no PCI address', devices: usb + usb },
  { name: 'an interface that could not be connected', devices: vf.repeat(3) },
])('nothing is found in $name', ({ devices }) => {
  expect(checkHostdevs(resolve(devices, networks).view)).toEqual([]);
});

const address = (slot: string) => `0000:05:${slot}.0` as PciAddress;
const clean = () => resolve(nat + hostdevNic(2) + hostdev(1), networks).view;
type Hostdevs = GuestView['hostdevs'];
const withHostdevs = (change: (hostdevs: Hostdevs) => Hostdevs): GuestView => {
  const view = clean();
  return { ...view, hostdevs: change(view.hostdevs) };
};

test.each([
  {
    name: 'a host device interface without entry',
    view: withHostdevs(([, plain]) => [plain!]),
    says: ['interface 1'],
  },
  {
    name: 'an entry for an interface that is no host device',
    view: withHostdevs(([own, plain]) => [
      own!,
      plain!,
      { ...own!, interface: 0, alias: 'net0', address: address('07') },
    ]),
    says: ['interface 0'],
  },
  {
    name: 'an entry under another alias',
    view: withHostdevs(([own, plain]) => [{ ...own!, alias: 'hostdev8' }, plain!]),
    says: ['interface 1', "'hostdev0'", "'hostdev8'"],
  },
  {
    name: 'an entry with another address',
    view: withHostdevs(([own, plain]) => [{ ...own!, address: address('07') }, plain!]),
    says: ['interface 1', '0000:05:02.0', '0000:05:07.0'],
  },
  {
    name: 'one PCI device under two aliases',
    view: withHostdevs(([own, plain]) => [own!, { ...plain!, address: address('02') }]),
    says: ['0000:05:02.0'],
  },
  {
    name: 'one alias on an interface and a plain host device',
    view: withHostdevs(([own, plain]) => [own!, { ...plain!, alias: 'net0' }]),
    says: ["'net0'"],
  },
])('exactly one line is found for $name', ({ view, says }) => {
  const findings = checkHostdevs(view);
  expect(findings).toHaveLength(1);
  for (const part of says) expect(findings[0]).toContain(part);
});

test('a host device interface with two entries is found', () => {
  const view = withHostdevs(([own, plain]) => [own!, plain!, own!]);
  expect(checkHostdevs(view)).toContainEqual(expect.stringMatching(/^interface 1 .*\b2\b/));
});

const userAlias = "<alias name='ua-twice'/>";
const place = "<address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>";

test.each([
  {
    name: 'the same VF as interface and as plain host device',
    devices: hostdevNic(1) + hostdev(1),
    says: '0000:05:01.0',
  },
  { name: 'the same VF as two interfaces', devices: hostdevNic(1) + hostdevNic(1), says: '0000:05:01.0' },
  { name: 'the same PCI device as two plain host devices', devices: hostdev(1) + hostdev(1), says: '0000:05:01.0' },
  {
    name: 'the same user alias on two interfaces',
    devices: `<interface type='user'>${userAlias}</interface>`.repeat(2),
    says: "'ua-twice'",
  },
  {
    name: 'the same user alias on an interface and a plain host device',
    devices: `<interface type='user'>${userAlias}</interface>${hostdev(1, userAlias)}`,
    says: "'ua-twice'",
  },
  {
    name: 'the same user alias on two plain host devices',
    devices: hostdev(1, userAlias) + hostdev(2, userAlias),
    says: "'ua-twice'",
  },
  {
    name: 'the same place in the guest for an interface and a plain host device',
    devices: `<interface type='user'>${place}</interface>${hostdev(1, place)}`,
    says: 'guest address 0000:07:00.0',
  },
  {
    name: 'the same place in the guest for two interfaces',
    devices: hostdevNic(1, place) + hostdevNic(2, place),
    says: 'guest address 0000:07:00.0',
  },
])('a document that breaks a rule is found out: $name', ({ devices, says }) => {
  const findings = checkHostdevs(resolve(devices, networks).view);
  expect(findings).toHaveLength(1);
  expect(findings[0]).toContain(says);
});

test('what a hostdev interface shares with its own entry is used once', () => {
  expect(checkHostdevs(resolve(hostdevNic(1, userAlias + place), networks).view)).toEqual([]);
});
