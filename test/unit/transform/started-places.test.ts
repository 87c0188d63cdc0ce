import { describe, expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { editsToStarted } from '../../../src/transform/started.ts';
import { viewGuest } from '../../../src/transform/view-guest.ts';
import { parseXml, type XmlElement } from '../../../src/xml/document.ts';
import { applyEdits } from '../../../src/xml/edit.ts';
import { running } from '../../helpers/documents.ts';
import { domainSchema, isValid } from '../../helpers/relax-ng.ts';

const networks = [
  "<network><name>lan</name><bridge name='virbr1' macTableManager='libvirt'/></network>",
  `<network><name>ovs</name><forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>
   <vlan><tag id='7'/></vlan><portgroup name='p' default='yes'><bandwidth><inbound average='5'/></bandwidth></portgroup></network>`,
  "<network><name>iso</name><forward mode='bridge'/><bridge name='br0'/><port isolated='yes'/></network>",
  `<network><name>vepa</name><forward mode='vepa' dev='e1'/>
   <virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport></network>`,
  `<network><name>vf</name><forward mode='hostdev' managed='yes'><driver name='vfio' model='mlx5_vfio_pci' iommufd='yes'/>
   <address type='pci' bus='3'/></forward><vlan><tag id='42'/></vlan></network>`,
].map(xml => running(xml));

function startedText(devices: string, { version = '9.0.0', around = '' } = {}) {
  const text = `<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory>${around}<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>${devices}</devices></domain>`;
  const document = parseXml(text);
  const domain = readDomain(document);
  const context = {
    findNetwork: (name: string) => networks.find(({ network }) => network.name === name),
    version: () => parseLibvirtVersion(version),
  };
  const view = viewGuest(domain, resolveGuest(domain, context));
  return { before: text, after: applyEdits(document, editsToStarted(domain, view)) };
}

const mac = "<mac address='52:54:00:aa:00:01'/>";
const place = "<address type='pci' domain='0x0000' bus='0x00' slot='0x09' function='0x0'/>";
const tail = `<boot order='1'/><alias name='ua-x'/><rom bar='off'/><acpi index='5'/>${place}`;
const unnamed = tail.replace("<alias name='ua-x'/>", '');
const card = `<target dev='x0'/><model type='virtio'/><driver name='vhost' queues='4'/><tune><sndbuf>9</sndbuf></tune>
  <teaming type='persistent'/><link state='up'/><mtu size='1400'/><coalesce><rx><frames max='7'/></rx></coalesce>`;
const nic = (network: string, rest: string) =>
  `<interface type='network'>${mac}<source network='${network}'/>${rest}</interface>`;
const pci = "<source><address domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></source>";
const vf = pci.replace('<address', "<address type='pci'");
const hostdev = (inside: string) => `<hostdev mode='subsystem' type='pci' managed='yes'>${inside}</hostdev>`;
const team = "<teaming type='transient' persistent='ua-x'/>";

const documents = [
  ...['lan', 'ovs', 'iso', 'vepa'].flatMap(network => [
    nic(network, card + unnamed),
    nic(network, unnamed + card),
    nic(network, place + card),
    nic(network, ''),
  ]),
  ...['vf'].flatMap(network => [nic(network, unnamed), nic(network, ''), nic(network, place + team)]),
  `<interface type='bridge'>${unnamed}${card}<source bridge='br0'/>${mac}</interface>`,
  `<interface type='hostdev' managed='yes'>${mac}${vf}${team}${unnamed}</interface>`,
  `<interface type='hostdev' managed='yes'>${unnamed}${team}${vf}${mac}</interface>`,
  `<interface type='hostdev'>${vf}<driver queues='2'/>${place}</interface>`,
  hostdev(`${pci}<rom bar='off'/>`),
  hostdev(`<rom bar='off'/>${pci}`),
  hostdev(`${pci}${unnamed}`),
  hostdev(`${unnamed}${pci}`),
  hostdev(`${pci}${team}<boot order='2'/>`),
  hostdev(`<acpi index='9'/>${pci}${place}`),
  hostdev(`<driver name='vfio'/>${pci}<boot order='2'/>`),
];

describe.skipIf(domainSchema === undefined)("libvirt's schema", () => {
  test.each(documents)('takes what it took before: %s', devices => {
    const { before, after } = startedText(devices);
    expect(isValid(domainSchema!, before)).toBe(true);
    expect(after.text).not.toBe(before);
    expect(isValid(domainSchema!, after.text)).toBe(true);
  });
});

const names = (element: XmlElement) => element.children.map(({ name }) => name).join(' ');
const first = ({ after }: ReturnType<typeof startedText>) => after.root.child('devices')!.children[0]!;

describe('new elements stand where libvirt prints them', () => {
  test.each([
    ['a host device', hostdev(`${pci}<boot order='1'/><rom bar='off'/>`), 'driver source boot alias rom'],
    [
      'an interface that is a host device',
      `<interface type='hostdev'>${mac}${vf}<boot order='1'/>${place}</interface>`,
      'mac driver source boot alias address',
    ],
    [
      'what a network gives',
      nic('ovs', "<target dev='t0'/><model type='virtio'/><boot order='1'/><rom bar='off'/>"),
      'mac source vlan virtualport bandwidth target model boot alias rom',
    ],
    [
      'what is written stays where it is',
      nic('ovs', "<bandwidth><inbound average='1'/></bandwidth><vlan><tag id='9'/></vlan><model type='virtio'/>"),
      'mac source bandwidth vlan virtualport model alias',
    ],
  ])('%s', (_, devices, expected) => expect(names(first(startedText(devices)))).toBe(expected));
});

describe('<driver> is edited', () => {
  const driver = (devices: string, options?: Parameters<typeof startedText>[1]) => {
    const elements = first(startedText(devices, options)).childrenNamed('driver');
    expect(elements).toHaveLength(1);
    return Object.fromEntries([...elements[0]!.attributes.values()].map(({ name, value }) => [name, value]));
  };

  test.each([
    ["<driver iommufd='yes'/>", { name: 'vfio', iommufd: 'yes' }],
    ["<driver model='mlx5_vfio_pci'/>", { name: 'vfio', model: 'mlx5_vfio_pci' }],
    ["<driver name='vfio' model='m' iommufd='no'/>", { name: 'vfio', model: 'm', iommufd: 'no' }],
    ["<driver ats='on'/>", { name: 'vfio', ats: 'on' }],
    ['', { name: 'vfio' }],
  ])('%s', (written, expected) => {
    expect(driver(hostdev(written + pci), { version: '12.8.0' })).toEqual(expected);
    expect(driver(`<interface type='hostdev'>${written}${vf}</interface>`, { version: '12.8.0' })).toEqual(expected);
  });

  test("queues, which libvirt's schema does not let stand beside a name, stay", () => {
    expect(driver(`<interface type='hostdev'><driver queues='2'/>${vf}</interface>`)).toEqual({ queues: '2' });
  });

  test.each([
    ['12.8.0', '', { name: 'vfio', model: 'mlx5_vfio_pci', iommufd: 'yes' }],
    ['12.8.0', "<iommufd enabled='yes'/>", { name: 'vfio', model: 'mlx5_vfio_pci' }],
    ['11.3.0', '', { name: 'vfio', model: 'mlx5_vfio_pci' }],
    ['9.0.0', '', { name: 'vfio' }],
  ])("a network's, as libvirt %s reads it, in a guest with '%s'", (version, around, expected) => {
    expect(driver(nic('vf', ''), { version, around })).toEqual(expected);
  });
});
