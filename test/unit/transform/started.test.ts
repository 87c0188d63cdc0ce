import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { editsToStarted } from '../../../src/transform/started.ts';
import { viewGuest } from '../../../src/transform/view-guest.ts';
import { parseXml, type XmlElement } from '../../../src/xml/document.ts';
import { applyEdits } from '../../../src/xml/edit.ts';
import { domainXml, running } from '../../helpers/documents.ts';

const networks = [
  "<network><name>nat1</name><forward/><bridge name='virbr0'/><mtu size='9000'/></network>",
  "<network><name>fdb</name><bridge name='virbr1' macTableManager='libvirt'/></network>",
  "<network><name>host</name><forward mode='bridge'/><bridge name='br0' macTableManager='libvirt'/><port isolated='yes'/></network>",
  `<network><name>ovs</name><forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'><parameters profileid='a&amp;b "c" &lt;d'/></virtualport>
   <vlan trunk='yes'><tag id='1' nativeMode='untagged'/><tag id='2'/></vlan></network>`,
  "<network><name>mac</name><forward mode='private'><interface dev='e1'/></forward><portgroup name='p'><bandwidth><inbound average='1' peak='2' burst='3'/><outbound average='4'/></bandwidth></portgroup></network>",
  "<network trustGuestRxFilters='yes'><name>pass</name><forward mode='passthrough'><interface dev='v0'/></forward></network>",
  "<network><name>vf</name><forward mode='hostdev' managed='yes'><driver name='vfio'/><address type='pci' domain='0' bus='3' slot='0' function='1'/></forward><vlan><tag id='42'/></vlan></network>",
  "<network><name>vf2</name><forward mode='hostdev'><address type='pci' domain='0' bus='3' slot='0' function='2'/></forward></network>",
  "<network><name>quote</name><bridge name='b&apos;r&amp;&quot;0'/></network>",
].map(xml => running(xml));

function edit(text: string) {
  const document = parseXml(text);
  const domain = readDomain(document);
  const resolutions = resolveGuest(domain, {
    findNetwork: name => networks.find(({ network }) => network.name === name),
    version: () => parseLibvirtVersion('9.0.0'),
  });
  const edits = editsToStarted(domain, viewGuest(domain, resolutions));
  return { edits, result: applyEdits(document, edits), resolutions };
}

interface Facts {
  readonly [attribute: string]: string;
}

/** The element as a tree of plain values, without its spelling. */
function factsOf(element: XmlElement): { facts: Facts; children: Record<string, ReturnType<typeof factsOf>[]> } {
  const children: Record<string, ReturnType<typeof factsOf>[]> = {};
  for (const child of element.children) {
    const list = children[child.name] ?? [];
    list.push(factsOf(child));
    children[child.name] = list;
  }
  return {
    facts: Object.fromEntries([...element.attributes.values()].map(({ name, value }) => [name, value])),
    children,
  };
}

function started(devices: string) {
  const { result } = edit(domainXml(devices, "type='qemu' id='1'"));
  const all = result.root.child('devices')!.children;
  return all.map(factsOf);
}

const mac = "<mac address='52:54:00:0a:0b:0c'/>";
const iface = (network: string, { source = '', children = '' } = {}) =>
  `    <interface type='network'>\n      ${mac}\n      <source network='${network}' ${source}/>\n${children}    </interface>`;
const one = (facts: Facts, children: object = {}) => [{ facts, children }];
const vfSource = [
  {
    facts: {},
    children: { address: one({ type: 'pci', domain: '0x0000', bus: '0x03', slot: '0x00', function: '0x1' }) },
  },
];

const rows: { name: string; xml: string; facts: Facts; children: object; absent?: string[] }[] = [
  {
    name: 'nat shows its bridge beside the network, and no mtu of the network',
    xml: iface('nat1', { source: "portgroup='any'" }),
    facts: { type: 'network' },
    children: { source: one({ network: 'nat1', portgroup: 'any', bridge: 'virbr0' }), alias: one({ name: 'net0' }) },
    absent: ['mtu', 'driver', 'vlan', 'virtualport', 'bandwidth', 'port'],
  },
  {
    name: 'an isolated network shows bridge and MAC table manager',
    xml: iface('fdb'),
    facts: { type: 'network' },
    children: { source: one({ network: 'fdb', bridge: 'virbr1', macTableManager: 'libvirt' }) },
  },
  {
    name: 'bridge shows bridge, MAC table manager and merged isolation',
    xml: iface('host'),
    facts: { type: 'bridge' },
    children: {
      source: one({ network: 'host', bridge: 'br0', macTableManager: 'libvirt' }),
      port: one({ isolated: 'yes' }),
      alias: one({ name: 'net0' }),
    },
  },
  {
    name: 'openvswitch shows merged vlan and virtualport, special characters intact',
    xml: iface('ovs'),
    facts: { type: 'bridge' },
    children: {
      vlan: [
        {
          facts: { trunk: 'yes' },
          children: { tag: [...one({ id: '1', nativeMode: 'untagged' }), ...one({ id: '2' })] },
        },
      ],
      virtualport: [{ facts: { type: 'openvswitch' }, children: { parameters: one({ profileid: 'a&b "c" <d' }) } }],
    },
  },
  {
    name: 'the own vlan and the own virtualport stay where the network has another vlan',
    xml: iface('ovs', { children: "<vlan><tag id='7'/></vlan><virtualport type='openvswitch'/>" }),
    facts: { type: 'bridge' },
    children: {
      vlan: [{ facts: {}, children: { tag: one({ id: '7' }) } }],
      virtualport: [{ facts: { type: 'openvswitch' }, children: { parameters: one({ profileid: 'a&b "c" <d' }) } }],
    },
  },
  {
    name: 'macvtap shows dev, mode and the bandwidth of the portgroup',
    xml: iface('mac', { source: "portgroup='p'" }),
    facts: { type: 'direct' },
    children: {
      source: one({ network: 'mac', portgroup: 'p', dev: 'e1', mode: 'private' }),
      bandwidth: [
        {
          facts: {},
          children: { inbound: one({ average: '1', peak: '2', burst: '3' }), outbound: one({ average: '4' }) },
        },
      ],
      alias: one({ name: 'net0' }),
    },
  },
  {
    name: 'passthrough shows dev and mode, and only the own trustGuestRxFilters',
    xml: iface('pass'),
    facts: { type: 'direct' },
    children: { source: one({ network: 'pass', dev: 'v0', mode: 'passthrough' }) },
  },
  {
    name: 'a managed VF shows address, driver and vlan and loses its network',
    xml: iface('vf'),
    facts: { type: 'hostdev', managed: 'yes' },
    children: {
      mac: one({ address: '52:54:00:0a:0b:0c' }),
      driver: one({ name: 'vfio' }),
      source: vfSource,
      vlan: [{ facts: {}, children: { tag: one({ id: '42' }) } }],
      alias: one({ name: 'hostdev0' }),
    },
    absent: ['model'],
  },
  {
    name: 'a VF replaces an existing driver by its own, once',
    xml: iface('vf', {
      children: "      <driver name='vhost' queues='1'>\n        <host csum='off'/>\n      </driver>\n",
    }),
    facts: { type: 'hostdev', managed: 'yes' },
    children: { driver: one({ name: 'vfio' }), source: vfSource },
  },
  {
    name: 'special characters in the name of a bridge survive',
    xml: iface('quote'),
    facts: { type: 'network' },
    children: { source: one({ network: 'quote', bridge: 'b\'r&"0' }) },
  },
  {
    name: 'an unknown network leaves the interface alone but for the alias',
    xml: iface('gone'),
    facts: { type: 'network' },
    children: {
      mac: one({ address: '52:54:00:0a:0b:0c' }),
      source: one({ network: 'gone' }),
      alias: one({ name: 'net0' }),
    },
  },
];

test.each(rows)('once started, $name', ({ xml, facts, children, absent = [] }) => {
  const [shown] = started(xml);
  expect(shown!.facts).toEqual(facts);
  expect(shown!.children).toMatchObject(children);
  for (const name of absent) expect(shown!.children).not.toHaveProperty(name);
  expect(shown!.children.source).toHaveLength(1);
});

test('once started, an unmanaged VF is not managed', () => {
  const { result } = edit(domainXml(iface('vf2'), "type='qemu' id='1'"));
  expect(readDomain(result).interfaces[0]).toMatchObject({
    type: 'hostdev',
    hostDevice: { managed: false, address: '0000:03:00.2', driver: 'vfio' },
    alias: 'hostdev0',
  });
});

test('once started, a hostdev interface shows the driver that was resolved, and one that has a driver keeps it', () => {
  const vf = (slot: number, driver: string) =>
    `<interface type='hostdev'>${driver}<source><address type='pci' domain='0' bus='5' slot='${slot}' function='0'/></source></interface>`;
  const [without, given] = started(vf(1, '') + vf(2, "<driver name='vfio' model='mlx5_vfio_pci'/>"));
  expect(without!.children.driver).toEqual(one({ name: 'vfio' }));
  expect(given!.children.driver).toEqual(one({ name: 'vfio', model: 'mlx5_vfio_pci' }));
});

test('once started, interfaces and plain host devices have their aliases', () => {
  const hostdev = (slot: number, inner = '') =>
    `<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='5' slot='${slot}' function='0'/></source>${inner}</hostdev>`;
  const shown = started(
    `${hostdev(1)}${iface('nat1')}${iface('vf')}${hostdev(2, "<alias name='ua-h'/>")}${hostdev(3)}`,
  );
  const aliases = shown.map(({ children }) => children.alias?.map(({ facts }) => facts.name));
  expect(aliases).toEqual([['hostdev1'], ['net0'], ['hostdev0'], ['ua-h'], ['hostdev2']]);
});

test.each(['net9', 'my nic', 'ua-a.b'])("a definition's alias '%s' is replaced by the generated one", alias => {
  const { result } = edit(domainXml(iface('nat1', { children: `      <alias name='${alias}'/>\n` })));
  const aliases = result.root.child('devices')!.child('interface')!.childrenNamed('alias');
  expect(aliases.map(element => element.attribute('name'))).toEqual(['net0']);
});

test.each(['nat1', 'fdb', 'host', 'ovs', 'mac', 'pass', 'vf', 'vf2'])(
  'a started document of %s is as started as it can be',
  network => {
    const first = edit(domainXml(iface(network), "type='qemu' id='1'"));
    const again = edit(first.result.text);
    expect(again.edits).toEqual([]);
    const { type } = first.resolutions[0]!.actual!;
    expect(again.resolutions[0]!.actual).toMatchObject({ type });
  },
);

test('an interface that is what it was configured to be gets an alias and nothing else', () => {
  const xml = "<interface type='bridge'><source bridge='br7'/></interface>";
  const [shown] = started(xml);
  expect(shown).toEqual({
    facts: { type: 'bridge' },
    children: { source: one({ bridge: 'br7' }), alias: one({ name: 'net0' }) },
  });
});

test('every edit says why and names the interface where it changes the type', () => {
  const { edits } = edit(domainXml(iface('vf')));
  expect(edits.length).toBeGreaterThan(1);
  for (const { why } of edits) expect(why).not.toBe('');
  expect(edits.some(({ why }) => why.includes('52:54:00:0a:0b:0c'))).toBe(true);
});
