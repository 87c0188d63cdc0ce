import { expect, test } from 'vitest';
import type { CommandLine } from '../../../src/model/command-line.ts';
import { readDomain } from '../../../src/model/domain.ts';
import { parseXml } from '../../../src/xml/document.ts';

const uri = 'http://libvirt.org/schemas/domain/qemu/1.0';

function commandLine(words: readonly string[], { prefix = 'qemu', namespace = uri } = {}) {
  const quote = (word: string) => word.replaceAll('&', '&amp;').replaceAll("'", '&apos;').replaceAll('<', '&lt;');
  const args = words.map(word => `<${prefix}:arg value='${quote(word)}'/>`).join('\n');
  const list = `<${prefix}:commandline>${args}</${prefix}:commandline>`;
  const text = `<domain xmlns:${prefix}='${namespace}'><name>g1</name><devices/>${list}</domain>`;
  return readDomain(parseXml(text)).commandLine;
}

const netdev = (value: string) => {
  const { kind, id, options } = commandLine(['-netdev', value]).netdevs[0]!;
  return { kind, id, options: Object.fromEntries(options) };
};

test.each([
  {
    name: 'the first word is the kind',
    value: 'tap,id=hn0,ifname=tap0',
    expected: { kind: 'tap', id: 'hn0', options: { id: 'hn0', ifname: 'tap0' } },
  },
  {
    name: 'the kind may be written as type=',
    value: 'type=tap,id=hn0',
    expected: { kind: 'tap', id: 'hn0', options: { type: 'tap', id: 'hn0' } },
  },
  {
    name: 'a doubled comma is a comma',
    value: 'tap,id=hn0,ifname=a,,b,script=no',
    expected: { kind: 'tap', id: 'hn0', options: { id: 'hn0', ifname: 'a,b', script: 'no' } },
  },
  {
    name: 'three commas are a comma and an end',
    value: 'tap,ifname=a,,,script=no',
    expected: { kind: 'tap', id: undefined, options: { ifname: 'a,', script: 'no' } },
  },
  {
    name: 'an empty value is a value',
    value: 'tap,id=hn0,script=,downscript=no',
    expected: { kind: 'tap', id: 'hn0', options: { id: 'hn0', script: '', downscript: 'no' } },
  },
  {
    name: 'only the first equals sign separates',
    value: 'user,id=u,hostfwd=tcp::2222-:22,guestfwd=a=b',
    expected: { kind: 'user', id: 'u', options: { id: 'u', hostfwd: 'tcp::2222-:22', guestfwd: 'a=b' } },
  },
  {
    name: 'a name without value is on',
    value: 'tap,id=hn0,vhost',
    expected: { kind: 'tap', id: 'hn0', options: { id: 'hn0', vhost: 'on' } },
  },
  {
    name: 'JSON is read as well',
    value: '{"type":"tap","id":"hn0","ifname":"a,b","script":"no"}',
    expected: { kind: 'tap', id: 'hn0', options: { type: 'tap', id: 'hn0', ifname: 'a,b', script: 'no' } },
  },
  {
    name: 'JSON numbers and booleans become their text',
    value: ' {"type":"tap","id":"hn0","queues":2,"vhost":true}',
    expected: { kind: 'tap', id: 'hn0', options: { type: 'tap', id: 'hn0', queues: '2', vhost: 'true' } },
  },
])('-netdev: $name', ({ value, expected }) => {
  expect(netdev(value)).toMatchObject({ kind: expected.kind, id: expected.id });
  expect(netdev(value).options).toEqual(expected.options);
});

test.each([
  { name: 'broken JSON', value: '{"type":"tap"' },
  { name: 'nothing', value: '' },
])('-netdev: $name is an object of no kind and no id', ({ value }) => {
  expect(netdev(value)).toEqual({ kind: '', id: undefined, options: {} });
});

const ids = ({ netdevs, devices }: CommandLine) => ({
  netdevs: netdevs.map(({ kind, id }) => `${kind} ${id}`),
  devices: devices.map(({ kind, id }) => `${kind} ${id}`),
});

test('netdevs and devices stand in their order, other arguments are passed over', () => {
  const words = [
    '-S',
    '-netdev',
    'tap,id=a',
    '-device',
    'virtio-net-pci,netdev=a,id=d',
    '-msg',
    '-netdev',
    'user,id=b',
  ];
  expect(ids(commandLine(words))).toEqual({ netdevs: ['tap a', 'user b'], devices: ['virtio-net-pci d'] });
});

test('a device in JSON is named by its driver', () => {
  const words = ['-device', '{"driver":"virtio-net-pci","netdev":"a","id":"d"}'];
  expect(ids(commandLine(words)).devices).toEqual(['virtio-net-pci d']);
});

test('two dashes are as good as one', () => {
  expect(ids(commandLine(['--netdev', 'tap,id=a'])).netdevs).toEqual(['tap a']);
});

test('an option without a value at the end is no netdev', () => {
  expect(commandLine(['-netdev']).netdevs).toEqual([]);
});

test('the namespace counts, not its prefix', () => {
  expect(ids(commandLine(['-netdev', 'tap,id=a'], { prefix: 'q' })).netdevs).toEqual(['tap a']);
});

test('a commandline of another namespace is not read, whatever its prefix', () => {
  expect(commandLine(['-netdev', 'tap,id=a'], { namespace: 'urn:other' }).netdevs).toEqual([]);
});

test('the default namespace may be declared on the commandline itself', () => {
  const list = `<commandline xmlns='${uri}'><arg value='-netdev'/><arg value='tap,id=a'/></commandline>`;
  const text = `<domain><name>g1</name>${list}</domain>`;
  expect(ids(readDomain(parseXml(text)).commandLine).netdevs).toEqual(['tap a']);
});
