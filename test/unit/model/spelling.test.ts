import { describe, expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { readNetwork } from '../../../src/model/network.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { domainXml } from '../../helpers/documents.ts';

// What `virsh define` and `net-define` made of each of these, on libvirt 9.0.0 and 12.8.0.

const refused = /\[?XML_VALUE|expected/;
const guest = (devices: string, version?: number) =>
  readDomain(parseXml(domainXml(devices)), version === undefined ? undefined : () => version);
const nic = (inside: string, attributes = "type='network'") =>
  guest(`<interface ${attributes}><source network='n'/>${inside}</interface>`).interfaces[0]!;
const source = (attributes: string, type = 'network') =>
  guest(`<interface type='${type}'><source ${attributes}/></interface>`).interfaces[0]!.source;
const hostdev = (address: string, attributes = '', inside = '') =>
  guest(`<hostdev mode='subsystem' type='pci' ${attributes}>${inside}<source><address ${address}/></source></hostdev>`)
    .hostdevs[0]!;
const net = (inside: string) => readNetwork(parseXml(`<network><name>n</name>${inside}</network>`).root);
const vlan = (trunk: string, tags = "<tag id='10'/>") => nic(`<vlan ${trunk}>${tags}</vlan>`).vlan;

describe('what is empty is not there', () => {
  test.each<[string, () => unknown, unknown]>([
    ['portgroup', () => source("network='n' portgroup=''").portgroup, undefined],
    ['macTableManager of a bridge interface', () => source("bridge='b' macTableManager=''", 'bridge'), { bridge: 'b' }],
    ['an unknown macTableManager, too', () => source("bridge='b' macTableManager='x'", 'bridge'), { bridge: 'b' }],
    ['portid', () => source("network='n' portid=''").portid, undefined],
    ['<mac/>', () => nic('<mac/>').mac, undefined],
    ['model', () => nic("<model type=''/>").model, undefined],
    ['target', () => nic("<target dev=''/>").target, { managed: true }],
    ['mtu', () => nic("<mtu size=''/>").mtu, undefined],
    ['<mtu/>', () => nic('<mtu/>').mtu, undefined],
    ['an mtu of 0', () => nic("<mtu size='0'/>").mtu, undefined],
    ['an mtu of 0 in more digits', () => nic("<mtu size='+000'/>").mtu, undefined],
    ['an mtu of 0 in a network', () => net("<bridge name='b'/><mtu size='0'/>").mtu, undefined],
    ['an mtu of 0 where a network has none', () => net("<forward mode='bridge'/><mtu size='0'/>").mtu, undefined],
    ['filter', () => nic("<filterref filter=''/>").filter, undefined],
    ['alias', () => nic("<alias name=''/>").alias, undefined],
    ['teaming', () => nic("<teaming type=''/>").teaming, undefined],
    [
      'a persistent member of nobody',
      () => nic("<teaming type='persistent' persistent=''/>").teaming,
      { type: 'persistent' },
    ],
    [
      'profileid',
      () => nic("<virtualport type='802.1Qbh'><parameters profileid=''/></virtualport>").virtualport?.parameters,
      {},
    ],
    ['trunk', () => vlan("trunk=''")?.trunk, false],
    ['trunk of several', () => vlan("trunk=''", "<tag id='1'/><tag id='2'/>")?.trunk, true],
    ['uuid of a guest', () => readDomain(parseXml('<domain><name>g</name><uuid/></domain>')).uuid, undefined],
    ['uuid of a network', () => net('<uuid></uuid>').uuid, undefined],
    ['the name of a bridge', () => net("<bridge name=''/>").bridge, undefined],
    ['in a pool of host devices, too', () => net("<forward mode='hostdev'/><bridge name=''/>").bridge, undefined],
    ['macTableManager of a network', () => net("<bridge name='b' macTableManager=''/>").macTableManager, undefined],
    ['the device of a network', () => net("<forward mode='bridge' dev=''/><bridge name='b'/>").pool, []],
    ['the PF of a network', () => net("<forward mode='hostdev'><pf dev=''/></forward>").pf, undefined],
    ['the mtu of a network', () => net("<forward mode='bridge'/><mtu size=''/>").mtu, undefined],
  ])('%s', (_, read, expected) => {
    expect(read()).toEqual(expected);
  });
});

describe('but is a mistake where libvirt looks for one of its words or for a number', () => {
  test.each<[string, () => unknown]>([
    ['isolated', () => nic("<port isolated=''/>")],
    ['trustGuestRxFilters', () => nic('', "type='network' trustGuestRxFilters=''")],
    ['the type of an interface', () => nic('', "type=''")],
    ['the mode of a macvtap', () => source("dev='e' mode=''", 'direct')],
    ['a vlan tag', () => vlan('', "<tag id=''/>")],
    ['nativeMode', () => vlan('', "<tag id='1' nativeMode=''/>")],
    ['the type of a virtualport', () => nic("<virtualport type=''/>")],
    ['average', () => nic("<bandwidth><inbound average=''/></bandwidth>")],
    ['queues', () => nic("<model type='virtio'/><driver queues=''/>")],
    ['a MAC', () => nic("<mac address=''/>")],
    ['part of a PCI address', () => hostdev("domain='' bus='3' slot='0' function='0'")],
    ['the driver of a host device', () => hostdev("bus='3' slot='0'", '', "<driver name=''/>")],
    ['a uuid of blanks', () => net('<uuid>  </uuid>')],
    ['a macTableManager of a network that is none', () => net("<bridge name='b' macTableManager='x'/>")],
    ['managed of a target', () => nic("<target dev='x' managed=''/>", "type='ethernet'")],
  ])('%s', (_, read) => {
    expect(read).toThrow(refused);
  });
});

describe('words', () => {
  test.each(['true', 'YES', '', 'no'])("managed='%s' of a host device is no", managed => {
    expect(hostdev("bus='3' slot='0' function='1'", `managed='${managed}'`).managed).toBe(false);
    const iface = `<interface type='hostdev' managed='${managed}'><source><address type='pci' bus='3'/></source></interface>`;
    expect(guest(iface).interfaces[0]!.hostDevice!.managed).toBe(false);
  });

  test.each([
    ["trunk='YES'", true],
    ["trunk='Yes'", true],
    ["trunk='NO'", false],
  ])('%s is read in any case', (trunk, expected) => expect(vlan(trunk)?.trunk).toBe(expected));

  test.each(["trunk='maybe'", "trunk='true'", "trunk='1'"])('%s is refused', trunk => {
    expect(() => vlan(trunk)).toThrow(refused);
  });

  test('a profile id has 39 bytes at most', () => {
    const port = (length: number) =>
      nic(`<virtualport type='802.1Qbh'><parameters profileid='${'é'.repeat(length / 2)}'/></virtualport>`);
    expect(port(38).virtualport?.parameters.profileid).toHaveLength(19);
    expect(() => port(40)).toThrow(refused);
  });
});

describe('numbers', () => {
  test.each([
    ['010', 10],
    ['0042', 42],
    [' 7', 7],
    ['+8', 8],
    ['09', 9],
  ])("a vlan tag '%s' is %i", (id, expected) => expect(vlan('', `<tag id='${id}'/>`)?.tags[0]?.id).toBe(expected));

  test.each(['0x10', '10 ', '-1', '4096', '1e2', ''])("a vlan tag '%s' is refused", id => {
    expect(() => vlan('', `<tag id='${id}'/>`)).toThrow(refused);
  });

  test.each<[string, () => unknown, unknown]>([
    ['mtu', () => nic("<mtu size='01500'/>").mtu, 1500],
    ['queues', () => nic("<model type='virtio'/><driver queues='010'/>").queues, 10],
    [
      'rates',
      () => nic("<bandwidth><inbound average='0100' peak='010' burst='08'/></bandwidth>").bandwidth,
      { inbound: { average: 100, peak: 10, burst: 8 } },
    ],
    ['the mtu of a network', () => net("<bridge name='b'/><mtu size='09000'/>").mtu, 9000],
  ])('%s: base 10', (_, read, expected) => expect(read()).toEqual(expected));

  test.each([
    ["bus='3' slot='010' function='0'", '0000:03:08.0'],
    ["domain='0x10000' bus='0x3b' slot='0X1f' function='07'", '10000:3b:1f.7'],
    ["bus=' 3' slot='0' function='+1'", '0000:03:00.1'],
    ["bus='0x03' function='0x2'", '0000:03:00.2'],
    ['', '0000:00:00.0'],
  ])('a PCI address %s is %s: base 0, and 0 for what is not written', (address, expected) => {
    expect(hostdev(address).address).toBe(expected);
  });

  test.each(["bus='08'", "bus='a'", "bus='3 '", "bus='256'", "bus='1' slot='32'", "bus='1' function='8'"])(
    'a PCI address with %s is refused',
    address => expect(() => hostdev(address)).toThrow(refused),
  );

  test.each([
    { version: 9_000_000, managerid: '010', expected: '8' },
    { version: 9_000_000, managerid: '0x10', expected: '16' },
    { version: 12_008_000, managerid: '010', expected: '10' },
    { version: 12_008_000, managerid: '08', expected: '8' },
  ])('libvirt $version takes a managerid $managerid for $expected', ({ version, managerid, expected }) => {
    const port = `<virtualport type='802.1Qbg'><parameters managerid='${managerid}'/></virtualport>`;
    const xml = `<interface type='network'><source network='n'/>${port}</interface>`;
    expect(guest(xml, version).interfaces[0]!.virtualport!.parameters.managerid).toBe(expected);
    const network = parseXml(`<network><name>n</name>${port}</network>`).root;
    expect(readNetwork(network, () => version).virtualport!.parameters.managerid).toBe(expected);
  });

  test('and refuses 0x10 where it reads base 10', () => {
    const port = "<virtualport type='802.1Qbg'><parameters managerid='0x10'/></virtualport>";
    expect(() => guest(`<interface type='network'><source network='n'/>${port}</interface>`, 12_008_000)).toThrow(
      refused,
    );
  });

  test('a guest address of zeros leaves the choice to libvirt', () => {
    expect(nic("<address type='pci'/>").guestAddress).toBeUndefined();
    expect(nic("<address type='pci' slot='011'/>").guestAddress).toBe('0000:00:09.0');
  });
});

test.each([
  ['virtio', 4],
  ['virtio-transitional', 4],
  ['virtio-non-transitional', 4],
  ['e1000e', undefined],
  ['rtl8139', undefined],
])('a card of model %s has %s queues of four that are written', (model, expected) => {
  expect(nic(`<model type='${model}'/><driver queues='4'/>`).queues).toBe(expected);
});

test('a card without a model has one queue, and what is wrong in its <driver> does not count', () => {
  expect(nic("<driver queues='4'/>").queues).toBeUndefined();
  expect(nic("<model type='e1000'/><driver name='odd' queues='many'/>").queues).toBeUndefined();
});

test.each([
  ["<iommufd enabled='yes'/>", '', true],
  ["<iommufd enabled='yes' fdgroup='f'/>", "<driver iommufd='no'/>", undefined],
  ["<iommufd enabled='no'/>", "<driver iommufd='yes'/>", true],
  ['', '', undefined],
])('a guest with %s and a device with %s: iommufd %s', (whole, driver, expected) => {
  const devices = `<hostdev mode='subsystem' type='pci'>${driver}<source><address bus='3'/></source></hostdev>
    <interface type='hostdev'>${driver}<source><address type='pci' bus='4'/></source></interface>`;
  const { hostdevs, interfaces } = readDomain(
    parseXml(`<domain><name>g</name>${whole}<devices>${devices}</devices></domain>`),
  );
  expect([hostdevs[0]!.iommufd, interfaces[0]!.hostDevice!.iommufd]).toEqual([expected, expected]);
});

describe('uuids and MAC addresses', () => {
  const uuid = '7b1f2c0a-9d3e-4a55-8c61-2f0e5b9d0a02';
  const uuidOf = (text: string) => readDomain(parseXml(`<domain><name>g</name><uuid>${text}</uuid></domain>`)).uuid;

  test.each([
    uuid.toUpperCase(),
    ` ${uuid}\n`,
    uuid.replaceAll('-', ''),
    uuid.replaceAll('-', ' '),
    `--${uuid.replaceAll('-', ' - ')}`,
    uuid.match(/[0-9a-f]{2}/g)!.join('-'),
  ])('%j is that uuid', text => {
    expect(uuidOf(text)).toBe(uuid);
  });

  test.each([`${uuid}-`, `{${uuid}}`, `7-${uuid.slice(1)}`, `${uuid.slice(0, -1)} 2`, uuid.replaceAll('-', '\n'), ' '])(
    '%j is none',
    text => {
      expect(() => uuidOf(text)).toThrow(refused);
    },
  );

  const macOf = (text: string) => nic(`<mac address='${text}'/>`).mac;

  test.each(['52:54:00:00:00:01', '52:54:0:0:0:1', '52:54:00:00:00:01 ', '52:54:00:00:00:01&#9;x'])(
    '%j is that address',
    text => {
      expect(macOf(text)).toBe('52:54:00:00:00:01');
    },
  );

  test.each([' 52:54:00:00:00:01', '52:54:00:00:00: 01', '52:54:00:00:00:01-', '52:54:00:00:00 ', ' '])(
    '%j is none',
    text => {
      expect(() => macOf(text)).toThrow(refused);
    },
  );
});
