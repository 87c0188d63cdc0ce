import { expect, test } from 'vitest';
import { readHookData, readNetworkPort } from '../../../src/model/network-port.ts';
import { parseXml } from '../../../src/xml/document.ts';

const uuid = '0b0e1f52-0000-4000-8000-000000000003';
const owner = '<owner><name>g1</name><uuid>0b0e1f52-0000-4000-8000-0000000000aa</uuid></owner>';

const port = (inner: string, { mac = "<mac address='52:54:00:00:00:11'/>", id = `<uuid>${uuid}</uuid>` } = {}) =>
  readNetworkPort(parseXml(`<networkport>${id}${owner}${mac}${inner}</networkport>`).root);

const pci = "<address domain='0x0000' bus='0x03' slot='0x00' function='0x1'/>";

test.each([
  {
    name: 'network',
    xml: "<plug type='network' bridge='virbr9'/>",
    plug: { type: 'network', bridge: 'virbr9' },
  },
  {
    name: 'bridge with a MAC table manager',
    xml: "<plug type='bridge' bridge='br0' macTableManager='libvirt'/>",
    plug: { type: 'bridge', bridge: 'br0', macTableManager: 'libvirt' },
  },
  {
    name: 'direct',
    xml: "<plug type='direct' dev='e1' mode='passthrough'/>",
    plug: { type: 'direct', dev: 'e1', mode: 'passthrough' },
  },
  {
    name: 'direct without mode, which is vepa',
    xml: "<plug type='direct' dev='e1'/>",
    plug: { type: 'direct', dev: 'e1', mode: 'vepa' },
  },
  {
    name: 'hostdev-pci',
    xml: `<plug type='hostdev-pci' managed='yes'><driver name='vfio'/>${pci}</plug>`,
    plug: { type: 'hostdev-pci', managed: true, driver: 'vfio', address: '0000:03:00.1' },
  },
])('a port may be plugged: $name', ({ xml, plug }) => {
  expect(port(xml).plug).toEqual(plug);
});

test('a port without plug is not plugged yet', () => {
  expect(port('').plug).toBeUndefined();
});

test('a port carries the merged settings', () => {
  const xml =
    "<group>red</group><virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>" +
    "<bandwidth classID='4'><inbound average='100' floor='50'/></bandwidth><vlan><tag id='42'/></vlan>" +
    "<port isolated='yes'/><rxfilters trustGuest='no'/>";
  expect(port(xml)).toMatchObject({
    uuid,
    ownerName: 'g1',
    ownerUuid: '0b0e1f52-0000-4000-8000-0000000000aa',
    mac: '52:54:00:00:00:11',
    group: 'red',
    virtualport: { type: '802.1Qbh', parameters: { profileid: 'x' } },
    classId: 4,
    bandwidth: { inbound: { average: 100, floor: 50 } },
    vlan: { tags: [{ id: 42 }] },
    isolated: true,
    trustGuestRxFilters: false,
  });
});

test.each([
  { name: 'an unknown plug type', xml: "<plug type='tap' bridge='b'/>" },
  { name: 'a plug without type', xml: "<plug bridge='b'/>" },
  { name: 'a network plug without bridge', xml: "<plug type='network'/>" },
  { name: 'a bridge plug without bridge', xml: "<plug type='bridge'/>" },
  { name: 'a direct plug without dev', xml: "<plug type='direct' mode='vepa'/>" },
  { name: 'a direct plug with the mode passthru', xml: "<plug type='direct' dev='e1' mode='passthru'/>" },
  { name: 'a hostdev plug without address', xml: "<plug type='hostdev-pci' managed='yes'/>" },
])('port: $name is refused with the uuid of the port', ({ xml }) => {
  expect(() => port(xml)).toThrow(
    expect.objectContaining({ code: 'XML_VALUE', message: expect.stringContaining(uuid) }),
  );
});

test.each([
  { name: 'without uuid', parts: { id: '' } },
  { name: 'without MAC', parts: { mac: '' } },
  { name: 'with a uuid that is none', parts: { id: '<uuid>1-2-3</uuid>' } },
])('a port $name is refused', ({ parts }) => {
  expect(() => port('', parts)).toThrow(expect.objectContaining({ code: 'XML_VALUE' }));
});

test('hook data may come without a port', () => {
  const data = readHookData(parseXml('<hookData><network><name>n</name></network></hookData>'));
  expect({ network: data.network.name, port: data.port }).toEqual({ network: 'n', port: undefined });
});

test('hook data may come with a port', () => {
  const xml = `<networkport><uuid>${uuid}</uuid>${owner}<mac address='52:54:00:00:00:11'/></networkport>`;
  const data = readHookData(parseXml(`<hookData><network><name>n</name></network>${xml}</hookData>`));
  expect(data.port?.uuid).toBe(uuid);
});

test('another document is no hook data', () => {
  expect(() => readHookData(parseXml('<network><name>n</name></network>'))).toThrow(
    expect.objectContaining({ code: 'XML_KIND' }),
  );
});
