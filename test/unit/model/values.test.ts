import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { type GuestName, parseUuid, type Uuid } from '../../../src/model/values.ts';
import { errorLine } from '../../../src/report/error.ts';
import { parseXml } from '../../../src/xml/document.ts';

const mac = '52:54:00:00:00:0a';

/** The error line for a guest whose first interface holds `inner` on line 5; the MAC stands on line 4. */
function lineFor(inner: string, attributes = "type='network'"): string {
  const text = `<domain>\n<name>web</name>\n<devices><interface ${attributes}>\n<mac address='${mac}'/>\n${inner}\n</interface></devices></domain>`;
  try {
    readDomain(parseXml(text));
  } catch (error) {
    return errorLine(error);
  }
  return 'no error';
}

const source = "<source network='n'/>";

test.each([
  { name: 'an unknown isolated', inner: `${source}<port isolated='maybe'/>`, wrong: 'maybe' },
  { name: 'a vlan id above 4095', inner: `${source}<vlan><tag id='4096'/></vlan>`, wrong: '4096' },
  { name: 'a vlan id that is no number', inner: `${source}<vlan><tag id='ten'/></vlan>`, wrong: 'ten' },
  { name: 'a negative vlan id', inner: `${source}<vlan><tag id='-1'/></vlan>`, wrong: '-1' },
  { name: 'an unknown nativeMode', inner: `${source}<vlan><tag id='1' nativeMode='mixed'/></vlan>`, wrong: 'mixed' },
  { name: 'an unknown virtualport type', inner: `${source}<virtualport type='802.1Qxx'/>`, wrong: '802.1Qxx' },
  {
    name: 'a managerid above 255',
    inner: `${source}<virtualport><parameters managerid='256'/></virtualport>`,
    wrong: '256',
  },
  {
    name: 'a typeid above 16777215',
    inner: `${source}<virtualport><parameters typeid='16777216'/></virtualport>`,
    wrong: '16777216',
  },
  {
    name: 'a typeidversion above 255',
    inner: `${source}<virtualport><parameters typeidversion='256'/></virtualport>`,
    wrong: '256',
  },
  {
    name: 'an interfaceid that is no uuid',
    inner: `${source}<virtualport><parameters interfaceid='x-1'/></virtualport>`,
    wrong: 'x-1',
  },
  {
    name: 'an instanceid that is no uuid',
    inner: `${source}<virtualport><parameters instanceid='x-2'/></virtualport>`,
    wrong: 'x-2',
  },
  {
    name: 'an average that is no number',
    inner: `${source}<bandwidth><inbound average='fast'/></bandwidth>`,
    wrong: 'fast',
  },
  { name: 'an mtu that is no number', inner: `${source}<mtu size='big'/>`, wrong: 'big' },
  { name: 'queues that are no number', inner: `${source}<model type='virtio'/><driver queues='many'/>`, wrong: 'many' },
  { name: 'an unknown teaming type', inner: `${source}<teaming type='third'/>`, wrong: 'third' },
  { name: 'a transient team member without its partner', inner: `${source}<teaming type='transient'/>`, wrong: '' },
  {
    name: 'a persistent team member that names a partner',
    inner: `${source}<teaming type='persistent' persistent='ua-x'/>`,
    wrong: 'ua-x',
  },
  { name: 'a network interface whose source names no network', inner: "<source portgroup='p'/>", wrong: '' },
  { name: 'a value with a line end in it', inner: `${source}<mtu size='1&#10;2'/>`, wrong: '1\\n2' },
])('one line names guest, interface, line and value for $name', ({ inner, wrong }) => {
  const line = lineFor(inner);
  expect(line).toContain("guest 'web'");
  expect(line).toContain(mac);
  expect(line).toMatch(/line 5\b/);
  expect(line).toContain(wrong);
  expect(line).toMatch(/\[XML_VALUE\]$/);
  expect(line).not.toMatch(/[\r\n]/);
});

test.each([
  { name: 'a network interface without source', inner: '', attributes: "type='network'" },
  { name: 'a bridge interface without source', inner: '', attributes: "type='bridge'" },
  { name: 'a direct interface without source', inner: '', attributes: "type='direct'" },
  { name: 'a hostdev interface without source', inner: '', attributes: "type='hostdev'" },
  { name: 'an unknown interface type', inner: source, attributes: "type='tunnel'" },
  { name: 'an unknown trustGuestRxFilters', inner: source, attributes: "type='network' trustGuestRxFilters='on'" },
  { name: 'a virtualport on a user interface', inner: "<virtualport type='openvswitch'/>", attributes: "type='user'" },
  {
    name: 'a virtualport on an ethernet interface',
    inner: "<virtualport type='openvswitch'/>",
    attributes: "type='ethernet'",
  },
])('one line names guest, interface and the line of the interface or what is inside it for $name', given => {
  const line = lineFor(given.inner, given.attributes);
  expect(line).toContain("guest 'web'");
  expect(line).toContain(mac);
  expect(line).toMatch(/line [35]\b/);
  expect(line).toMatch(/\[XML_VALUE\]$/);
});

test.each([
  { name: 'bridge', source: "<source bridge='br0'/>" },
  { name: 'direct', source: "<source dev='eth0'/>" },
  { name: 'hostdev', source: "<source><address type='pci' domain='0' bus='3' slot='0' function='1'/></source>" },
])('a virtualport on a $name interface needs a type', given => {
  expect(lineFor(`${given.source}<virtualport/>`, `type='${given.name}'`)).toMatch(/virtualport.*line 5.*XML_VALUE/);
  expect(lineFor(`${given.source}<virtualport type='802.1Qbh'/>`, `type='${given.name}'`)).toBe('no error');
});

test('a virtualport on a network interface needs no type', () => {
  expect(lineFor(`${source}<virtualport/>`)).toBe('no error');
});

test.each([
  { name: 'a multicast MAC', address: '01:00:5e:00:00:01' },
  { name: 'a MAC with five octets', address: '52:54:00:00:01' },
  { name: 'a MAC with other letters', address: '52:54:00:00:00:0g' },
  { name: 'an empty MAC', address: '' },
])('$name is refused with guest, position of the interface and line', ({ address }) => {
  const devices = `<interface type='user'/>\n<interface type='user'>\n<mac address='${address}'/></interface>`;
  const text = `<domain><name>web</name><devices>\n${devices}</devices></domain>`;
  expect(() => readDomain(parseXml(text))).toThrow(/^guest 'web', interface 1\b.*line 4\b/);
});

test('the error of a nameless guest says that the name is missing', () => {
  expect(() => readDomain(parseXml('<domain>\n<devices/></domain>'))).toThrow(/line 1 has no <name>/);
});

test('a document that is no domain is refused as another kind', () => {
  expect(() => readDomain(parseXml('<network><name>n</name></network>'))).toThrow(
    expect.objectContaining({ code: 'XML_KIND' }),
  );
});

test('the compiler does not take a uuid for a guest’s name, nor a name for a uuid', () => {
  const uuid = parseUuid('7b1f2c0a-9d3e-4a55-8c61-2f0e5b9d0a01')!;
  // @ts-expect-error a name is no uuid
  const wrongName: GuestName = uuid;
  const name: GuestName = 'web1';
  // @ts-expect-error a uuid is no name
  const wrongUuid: Uuid = name;
  expect([wrongName, wrongUuid]).toEqual([uuid, 'web1']);
});
