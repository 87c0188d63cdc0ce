import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import type { Interface } from '../../../src/model/interface.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { domain } from '../../helpers/documents.ts';

const inactive = (xml: string): Interface => domain(xml).interfaces[0]!;
const live = (xml: string): Interface => domain(xml, "type='qemu' id='3'").interfaces[0]!;
const ethernet = (child: string) => `<interface type='ethernet'>${child}</interface>`;
const refused = expect.objectContaining({ code: 'XML_VALUE' });

test.each([
  { name: 'letters, digits, _ and - after ua-', alias: 'ua-Nic_0-b' },
  { name: 'a number after ua-', alias: 'ua-5' },
])('a definition keeps an alias with $name', ({ alias }) => {
  expect(inactive(ethernet(`<alias name='${alias}'/>`)).alias).toBe(alias);
});

test.each(['net7', 'hostdev0', 'my nic', 'ua-a.b', 'ua-a b', 'UA-x', 'xua-x', 'ua-é'])(
  "a definition loses the alias '%s' and says nothing",
  alias => {
    expect(inactive(ethernet(`<alias name='${alias}'/>`)).alias).toBeUndefined();
  },
);

test.each(['net7', 'hostdev12', 'my nic', 'ua-a.b'])("a live document keeps the alias '%s'", alias => {
  expect(live(ethernet(`<alias name='${alias}'/>`)).alias).toBe(alias);
});

test('a status document keeps any alias and what libvirt has allocated', () => {
  const actual = "<actual type='direct'><source dev='e1' mode='bridge'/></actual>";
  const xml = `<interface type='network'><source network='n'/>${actual}<alias name='net7'/></interface>`;
  const status = `<domstatus state='running'><domain type='qemu'><name>g1</name><devices>${xml}</devices></domain></domstatus>`;
  expect(readDomain(parseXml(status)).interfaces[0]).toMatchObject({
    type: 'network',
    alias: 'net7',
    actual: { type: 'direct', source: { dev: 'e1', mode: 'bridge' } },
  });
});

test.each([
  { name: 'vnet5', kept: undefined },
  { name: 'macvtap0', kept: undefined },
  { name: 'macvlan1', kept: undefined },
  { name: 'tap-a', kept: 'tap-a' },
])("a definition's target dev '$name' is $kept", ({ name, kept }) => {
  const iface = inactive(`<interface type='network'><source network='n'/><target dev='${name}'/></interface>`);
  expect(iface.target.dev).toBe(kept);
});

test('an unmanaged tap keeps its name in a definition even if it looks generated', () => {
  expect(inactive(ethernet("<target dev='vnet5' managed='no'/>")).target).toEqual({ dev: 'vnet5', managed: false });
});

test('a live document keeps a generated target dev', () => {
  expect(live(ethernet("<target dev='vnet5'/>")).target.dev).toBe('vnet5');
});

const portid = '38c8c91e-e08f-4145-8149-0ce14da7c63f';

test('a definition has no port id and a live document has', () => {
  const xml = `<interface type='network'><source network='n' portid='${portid}'/></interface>`;
  expect({ inactive: inactive(xml).source.portid, live: live(xml).source.portid }).toEqual({ live: portid });
});

test('a definition has no recorded actual', () => {
  const actual = "<actual type='direct'><source dev='e1' mode='vepa'/></actual>";
  expect(inactive(`<interface type='network'><source network='n'/>${actual}</interface>`).actual).toBeUndefined();
});

test.each([
  { name: 'an interface without type is a user interface', xml: '<interface/>', expected: { type: 'user' } },
  {
    name: 'a direct interface without mode is vepa',
    xml: "<interface type='direct'><source dev='e1'/></interface>",
    expected: { type: 'direct', source: { dev: 'e1', mode: 'vepa' } },
  },
  {
    name: 'a MAC is lower case with colons and two digits',
    xml: "<interface type='user'><mac address='52:54:0:AB:cD:1'/></interface>",
    expected: { mac: '52:54:00:ab:cd:01' },
  },
  {
    name: 'a hostdev interface is unmanaged unless it says so',
    xml: "<interface type='hostdev'><source><address type='pci' domain='0' bus='0x03' slot='0x1f' function='7'/></source></interface>",
    expected: { hostDevice: { type: 'pci', address: '0000:03:1f.7', managed: false } },
  },
  {
    name: 'a hostdev interface knows its driver',
    xml: "<interface type='hostdev' managed='yes'><driver name='vfio'/><source><address type='pci' domain='0xa' bus='10' slot='010' function='0x0'/></source></interface>",
    expected: { hostDevice: { address: '000a:0a:08.0', managed: true, driver: 'vfio' } },
  },
  {
    name: 'a hostdev interface with a vendor is USB',
    xml: "<interface type='hostdev'><source><vendor id='0x1'/><product id='0x2'/></source></interface>",
    expected: { hostDevice: { type: 'usb' } },
  },
])('interface: $name', ({ xml, expected }) => {
  expect(inactive(xml)).toMatchObject(expected);
});

test.each([
  {
    name: 'a hostdev interface whose address has no type and no vendor',
    xml: "<interface type='hostdev'><source><address domain='0' bus='3' slot='0' function='1'/></source></interface>",
  },
  {
    name: 'a PCI slot above 31',
    xml: "<interface type='hostdev'><source><address type='pci' domain='0' bus='3' slot='0x20' function='1'/></source></interface>",
  },
  {
    name: 'a floor on an interface that is no network interface',
    xml: "<interface type='bridge'><source bridge='br0'/><bandwidth><inbound average='9' floor='1'/></bandwidth></interface>",
  },
  {
    name: 'an outbound floor',
    xml: "<interface type='network'><source network='n'/><bandwidth><outbound average='9' floor='1'/></bandwidth></interface>",
  },
  {
    name: 'a limit without average',
    xml: "<interface type='network'><source network='n'/><bandwidth><outbound peak='9'/></bandwidth></interface>",
  },
])('interface: $name is refused', ({ xml }) => {
  expect(() => inactive(xml)).toThrow(refused);
});

test.each([
  {
    name: 'random ids for an untyped virtualport',
    virtualport: '<virtualport/>',
    generated: ['instanceid', 'interfaceid'],
  },
  {
    name: 'a random interfaceid for openvswitch',
    virtualport: "<virtualport type='openvswitch'/>",
    generated: ['interfaceid'],
  },
  {
    name: 'only the id that is missing',
    virtualport: `<virtualport><parameters instanceid='${portid}'/></virtualport>`,
    generated: ['interfaceid'],
  },
])('libvirt makes $name while it reads an interface', ({ virtualport, generated }) => {
  const xml = `<interface type='network'><source network='n'/>${virtualport}</interface>`;
  expect(inactive(xml).virtualport!.generated).toEqual(generated);
});

test('interfaces are counted in document order whatever stands between them', () => {
  const guest = domain(`${ethernet('')}<hostdev mode='subsystem' type='usb'/>${ethernet("<alias name='ua-b'/>")}`);
  expect(guest.interfaces.map(({ index, alias }) => ({ index, alias }))).toEqual([
    { index: 0, alias: undefined },
    { index: 1, alias: 'ua-b' },
  ]);
});

test('an <interface> outside <devices> is no interface of the guest', () => {
  const metadata = "<metadata><x:app xmlns:x='urn:x'><devices><interface type='weird'/></devices></x:app></metadata>";
  expect(domain(`</devices>${metadata}<devices>${ethernet('')}`).interfaces).toHaveLength(1);
});

test.each([
  {
    name: 'PCI',
    xml: "type='pci'><source><address domain='0' bus='5' slot='0' function='0'/></source>",
    address: '0000:05:00.0',
  },
  { name: 'USB', xml: "type='usb'><source><address bus='5' device='3'/></source>", address: undefined },
  { name: 'mdev', xml: `type='mdev'><source><address uuid='${portid}'/></source>`, address: undefined },
])('a plain $name hostdev has the PCI address $address', ({ xml, address }) => {
  expect(domain(`<hostdev mode='subsystem' ${xml}</hostdev>`).hostdevs[0]!.address).toBe(address);
});
