import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { editsToStarted } from '../../../src/transform/started.ts';
import { viewGuest } from '../../../src/transform/view-guest.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { applyEdits } from '../../../src/xml/edit.ts';
import { running } from '../../helpers/documents.ts';

const networks = [
  "<network><name>nat1</name><forward/><bridge name='virbr0'/></network>",
  "<network><name>vf</name><forward mode='hostdev' managed='yes'><address type='pci' domain='0' bus='3' slot='0' function='1'/></forward><vlan><tag id='42'/></vlan></network>",
  "<network><name>line</name><forward mode='bridge'/><bridge name='o'/><virtualport type='openvswitch'><parameters profileid='a&#10;b&#9;c'/></virtualport></network>",
  "<network><name>ovs</name><forward mode='bridge'/><bridge name='o'/></network>",
].map(xml => running(xml));

function startedText(text: string): string {
  const document = parseXml(text);
  const domain = readDomain(document);
  const resolutions = resolveGuest(domain, {
    findNetwork: name => networks.find(({ network }) => network.name === name),
    version: () => parseLibvirtVersion('9.0.0'),
  });
  return applyEdits(document, editsToStarted(domain, viewGuest(domain, resolutions))).text;
}

const before = `<?xml version="1.0"?>
<!-- kept -->
<domain type = "kvm"   xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>g&#49; "ä"</name>
  <metadata><app:x xmlns:app="urn:a"><devices><interface type='network'><source network='vf'/></interface></devices></app:x></metadata>
  <devices>
\t<disk  type='file'><policy>0x0001</policy></disk>
`;
const after = `
    <watchdog model='i6300esb'/><!-- <interface type='network'/> -->
    <graphics passwd="s&amp;'" ></graphics>
  </devices >
  <qemu:commandline><qemu:arg value="-S"/></qemu:commandline>
</domain>
<!-- end -->
`;
const kept = [
  '<mac\n        address = "52:54:00:00:00:01"/>',
  '<!-- in between -->',
  '<model type="virtio" ></model>',
  '<x:opaque xmlns:x="urn:x">\t<y/></x:opaque>',
];
const iface = (network: string) =>
  `    <interface  type = "network">\n      ${kept.join('\n      ')}\n      <source network="${network}"/>\n    </interface>`;
const crlf = (text: string) => text.replaceAll('\n', '\r\n');

test.each([
  { name: 'a nat interface', network: 'nat1', shows: ['virbr0', 'net0'] },
  { name: 'a pool VF', network: 'vf', shows: ['vfio', '0x03', '42', 'hostdev0'] },
])('everything around $name stays as it was written', ({ network, shows }) => {
  const result = startedText(before + iface(network) + after);
  expect(result.startsWith(before)).toBe(true);
  expect(result.endsWith(after)).toBe(true);
  const middle = result.slice(before.length, result.length - after.length);
  for (const part of [...kept, ...shows]) expect(middle).toContain(part);
});

test.each(['nat1', 'vf'])('a document with CRLF line ends keeps them and gets no other: %s', network => {
  const result = startedText(crlf(before + iface(network) + after));
  expect(result).toMatch(/\r\n/);
  expect(result.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  expect(result.startsWith(crlf(before))).toBe(true);
  expect(result.endsWith(crlf(after))).toBe(true);
  for (const part of kept) expect(result).toContain(crlf(part));
});

test.each(['nat1', 'vf'])('CRLF or not, the started document says the same: %s', network => {
  const unix = startedText(before + iface(network) + after);
  expect(startedText(crlf(before + iface(network) + after))).toBe(crlf(unix));
});

const single = (devices: string) => `<domain><name>g1</name><devices>${devices}</devices></domain>`;

test.each([
  { name: 'a nat interface', devices: "<interface type='network'><source network='nat1'/></interface>" },
  {
    name: 'a pool VF with a driver',
    devices: "<interface type='network'><driver name='vhost'/><source network='vf'/></interface>",
  },
  { name: 'an interface with a dropped alias', devices: "<interface type='user'><alias name='net7'/></interface>" },
  { name: 'an interface that closes itself', devices: "<interface type='user'/>" },
  { name: 'a hostdev that closes itself', devices: "<hostdev mode='subsystem' type='usb'/>" },
])('a document on one line stays on one line: $name', ({ devices }) => {
  const result = startedText(single(devices));
  expect(result).not.toMatch(/[\r\n]/);
  expect(result).toMatch(/<alias name=/);
  expect(result).not.toContain('net7');
});

test.each([
  { name: 'an interface', element: "<interface type='user'/>", alias: 'net0', tag: 'interface' },
  {
    name: 'an interface with white space before the slash',
    element: '<interface\ttype="user" />',
    alias: 'net0',
    tag: 'interface',
  },
  {
    name: 'an interface with a slash in an attribute',
    element: '<interface type="user" a="/>"/>',
    alias: 'net0',
    tag: 'interface',
  },
  { name: 'a hostdev', element: "<hostdev mode='subsystem' type='usb'/>", alias: 'hostdev0', tag: 'hostdev' },
])('$name that closes itself is opened for its alias', ({ element, alias, tag }) => {
  for (const breaks of ['\n', '\r\n']) {
    const text = `<domain>${breaks}  <name>g1</name>${breaks}  <devices>${breaks}    ${element}${breaks}  </devices>${breaks}</domain>${breaks}`;
    const result = startedText(text);
    const device = parseXml(result).root.child('devices')!.child(tag)!;
    expect(device.children.map(child => [child.name, child.attribute('name')])).toEqual([['alias', alias]]);
    expect(device.attributes.get('type')!.value).toBe(/type=["'](\w+)/.exec(element)![1]);
    const [head, tail] = text.split(element) as [string, string];
    expect(result.startsWith(head)).toBe(true);
    expect(result.endsWith(tail)).toBe(true);
  }
});

test('a dropped alias leaves no empty line behind', () => {
  const xml = "    <interface type='user'>\n      <alias name='net7'/>\n      <address type='pci'/>\n    </interface>";
  expect(startedText(`<domain>\n<name>g1</name><devices>\n${xml}\n</devices></domain>`)).not.toMatch(/\n\s*\n/);
});

test('only elements of the interface itself count, not what an unknown child holds', () => {
  const xml =
    "<interface type='user'><x:y xmlns:x='urn:x'><alias name='ua-inner'/><driver name='q'/></x:y></interface>";
  const result = startedText(single(xml));
  expect(result).toContain("<x:y xmlns:x='urn:x'><alias name='ua-inner'/><driver name='q'/></x:y>");
  expect(result).toContain('net0');
});

test('a value with a line end and a tab is the same value once written', () => {
  const xml = "<interface type='network'><source network='line'/></interface>";
  const device = parseXml(startedText(single(xml)))
    .root.child('devices')!
    .child('interface')!;
  expect(device.child('virtualport')?.child('parameters')?.attribute('profileid')).toBe('a\nb\tc');
});

test('an own virtualport to which nothing was merged stays as it was written', () => {
  const own = '<virtualport  type="openvswitch" ><!-- mine --><parameters profileid = "p"/></virtualport>';
  const result = startedText(single(`<interface type='network'><source network='ovs'/>${own}</interface>`));
  expect(result).toContain(own);
  expect(result).toContain("type='bridge'");
});

test('a document with a byte order mark keeps it', () => {
  expect(startedText(`\ufeff${single("<interface type='user'/>")}`).startsWith('\ufeff<domain>')).toBe(true);
});

test('the started document of a running guest is the document itself, byte for byte', () => {
  const uuid = '38c8c91e-e08f-4145-8149-0ce14da7c63f';
  const running = `<domain id='4'>\r\n<name>g1</name><devices>
<interface type='network'><source network='nat1' portid='${uuid}' bridge='virbr0'/><target dev='vnet0'/><alias name='net0'/></interface>
<interface type='hostdev' managed='yes'><driver name='vfio'/><source><address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x1'/></source><alias name='hostdev0'/></interface>
</devices></domain>`;
  expect(startedText(running)).toBe(running);
});
