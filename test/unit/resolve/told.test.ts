import { describe, expect, test } from 'vitest';
import { structureRefusals } from '../../../src/resolve/definition.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { network, resolve, running } from '../../helpers/documents.ts';

// Each of these was given to `virsh define`, `net-define` or `start`, of libvirt 9.0.0 and 12.8.0.

const nic = (type: string, inside: string, attributes = '') =>
  `<interface type='${type}' ${attributes}><mac address='52:54:00:00:00:01'/>${inside}</interface>`;
const vf = "<source><address type='pci' bus='3'/></source>";
const error = (devices: string, networks: Parameters<typeof resolve>[1] = []) =>
  resolve(devices, networks).resolutions[0]!.error;

describe('a virtualport that is not complete, whatever the interface is', () => {
  test.each([
    ['bridge', "<source bridge='b'/>"],
    ['direct', "<source dev='e'/>"],
    ['hostdev', vf],
  ])('%s', (type, source) => {
    for (const port of [
      "type='802.1Qbh'/",
      "type='802.1Qbg'/",
      "type='802.1Qbg'><parameters managerid='5'/></virtualport",
    ])
      expect(error(nic(type, `${source}<virtualport ${port}>`))?.code).toBe('VIRTUALPORT_INCOMPLETE');
    expect(error(nic(type, `${source}<virtualport type='midonet'/>`))?.code).toBe('VIRTUALPORT_INCOMPLETE');
  });

  test('an id that libvirt makes up is none of it', () => {
    expect(error(nic('bridge', "<source bridge='b'/><virtualport type='openvswitch'/>"))).toBeUndefined();
    const qbg = "<virtualport type='802.1Qbg'><parameters managerid='5' typeid='6' typeidversion='7'/></virtualport>";
    expect(error(nic('direct', `<source dev='e'/>${qbg}`))).toBeUndefined();
  });
});

test.each([
  ["type='802.1Qbh'><parameters profileid='x'/></virtualport", 1],
  ["type='openvswitch'/", 0],
])('a virtualport %s on a bridge: %i warnings', (port, expected) => {
  const { warnings } = resolve(nic('bridge', `<source bridge='b'/><virtualport ${port}>`), []).resolutions[0]!;
  expect(warnings).toHaveLength(expected);
});

describe('a target of the administrator', () => {
  test.each([
    [nic('ethernet', "<target managed='no'/>"), /needs the name of the tap/],
    [nic('ethernet', "<target managed='no' dev=''/>"), /needs the name of the tap/],
    [nic('bridge', "<source bridge='b'/><target dev='t' managed='no'/>"), /for an interface of type 'ethernet' only/],
    [nic('direct', "<source dev='e'/><target managed='no'/>"), /type 'ethernet' only/],
    [nic('user', "<target dev='t' managed='no'/>"), /type 'ethernet' only/],
    [nic('hostdev', `${vf}<target managed='no'/>`), /type 'ethernet' only/],
  ])('%s', (devices, why) => expect(error(devices)?.message).toMatch(why));

  test('is possible with a name', () => {
    expect(error(nic('ethernet', "<target dev='t' managed='no'/>"))).toBeUndefined();
    expect(error(nic('bridge', "<source bridge='b'/><target dev='t' managed='yes'/>"))).toBeUndefined();
  });
});

describe('host devices', () => {
  const pci = "<source><address bus='3'/></source>";
  const hostdev = (attributes: string, inside: string) => `<hostdev ${attributes}>${inside}</hostdev>`;
  const refused = (devices: string) => {
    const { view } = resolve(devices, []);
    return view.hostdevs.find(entry => entry.interface === null)?.error?.message;
  };

  test.each([
    [hostdev("mode='subsystem' type='pci'", `<driver name='kvm'/>${pci}`), /driver is 'kvm'.*'vfio' only/],
    [hostdev("mode='subsystem' type='pci'", `<driver name='xen'/>${pci}`), /driver is 'xen'/],
    [hostdev("mode='subsys' type='pci'", pci), /the mode 'subsys'/],
    [hostdev("mode='' type='pci'", pci), /the mode ''/],
    [hostdev("mode='Subsystem' type='usb'", '<source/>'), /the mode 'Subsystem'/],
    [hostdev("type='pci'", ''), /has no <source>/],
    [hostdev("type='usb'", ''), /has no <source>/],
    [hostdev("mode='subsystem'", pci), /has no type/],
    [hostdev("mode='subsystem' type='isa'", pci), /the type 'isa'/],
    [hostdev("type='pci'", `${pci}<teaming type='persistent'/>`), /'transient' member/],
  ])('%s', (devices, why) => expect(refused(devices)).toMatch(why));

  test.each([
    hostdev("type='pci'", pci),
    hostdev("mode='subsystem' type='pci'", `<driver name='vfio'/>${pci}`),
    hostdev("mode='subsystem' type='pci'", `${pci}<teaming type='transient' persistent='ua-x'/>`),
    hostdev("mode='capabilities' type='net'", '<source><interface>e</interface></source>'),
  ])('%s is fine', devices => expect(refused(devices)).toBeUndefined());

  test.each(['foo', 'vfio-pci', 'VFIO', 'default', ''])("a driver '%s' is none of libvirt's words", name => {
    expect(() => resolve(hostdev("type='pci'", `<driver name='${name}'/>${pci}`), [])).toThrow(
      /expected one of vfio, kvm, xen/,
    );
    expect(() => resolve(nic('hostdev', `<driver name='${name}'/>${vf}`), [])).toThrow(/expected one of/);
  });

  test.each(['kvm', 'xen'])("an interface with the driver '%s', its own or its network's", name => {
    expect(error(nic('hostdev', `<driver name='${name}'/>${vf}`))?.message).toMatch(`driver is '${name}'`);
    const pool = running(
      `<network><name>n</name><forward mode='hostdev'><driver name='${name}'/><address type='pci' bus='3'/></forward></network>`,
    );
    expect(error(nic('network', "<source network='n'/>"), [pool])?.message).toMatch(`driver is '${name}'`);
  });
});

describe('an empty pool', () => {
  test.each(['hostdev', 'passthrough', 'vepa', 'private', 'bridge'])('of forward mode %s says so', mode => {
    const found = error(nic('network', "<source network='n'/>"), [
      running(`<network><name>n</name><forward mode='${mode}'/></network>`),
    ]);
    expect(found?.message).toMatch(/its pool is empty/);
    expect(found?.hint).toMatch(mode === 'hostdev' ? /<address type='pci'>.*<pf>/ : /<interface>/);
  });

  test('of names where addresses are needed is not told to have more of them', () => {
    const names = "<forward mode='hostdev'><interface dev='e1'/></forward>";
    const found = error(nic('network', "<source network='n'/>"), [
      running(`<network><name>n</name>${names}</network>`),
    ]);
    expect(found).toMatchObject({ code: 'NO_FORWARD_DEVICE', hint: expect.not.stringContaining('<interface>') });
  });
});

describe('settings that a macvtap, or another type, does not have', () => {
  test.each([
    nic('direct', "<source dev='e'/><mtu size='1400'/>"),
    nic('user', "<mtu size='1400'/>"),
    nic('direct', "<source dev='e'/><coalesce><rx><frames max='7'/></rx></coalesce>"),
    nic('ethernet', "<coalesce><rx><frames max='7'/></rx></coalesce>"),
    nic('bridge', "<source bridge='b'/><model type='e1000e'/><teaming type='persistent'/>"),
  ])('%s', devices => expect(error(devices)?.code).toBe('ACTUAL_UNSUPPORTED'));

  test('but are not asked of what a network makes', () => {
    const macv = running("<network><name>n</name><forward mode='bridge' dev='e'/></network>");
    const settings = "<mtu size='1400'/><coalesce><rx><frames max='7'/></rx></coalesce>";
    expect(error(nic('network', `<source network='n'/>${settings}`), [macv])).toBeUndefined();
  });
});

describe('a network that libvirt would not define', () => {
  const refusals = (inside: string, version = '9.0.0') =>
    structureRefusals(network(`<network><name>n</name>${inside}</network>`), parseLibvirtVersion(version));
  const bridge = "<bridge name='b'/>";
  const ip = "<ip address='192.0.2.1' netmask='255.255.255.0'/>";
  const pci = "<address type='pci' bus='3'/>";

  test.each<[inside: string, why: RegExp]>([
    [`<forward mode='bridge' dev='e'/>${bridge}`, /bridge 'b' and the forward device 'e'/],
    [`<forward mode='bridge'><interface dev='e'/></forward>${bridge}`, /bridge 'b' and the forward device 'e'/],
    [`<forward mode='bridge'><pf dev='e'/></forward>${bridge}`, /bridge 'b' and the forward device 'e'/],
    [`<forward mode='nat'/>${bridge}`, /'nat' needs an <ip>/],
    [`<forward/>${bridge}`, /'nat' needs an <ip>/],
    [`<forward mode='route'/>${bridge}`, /'route' needs an <ip>/],
    [`<forward mode='open'/>${bridge}`, /'open' needs an <ip>; this is libvirt 9\.0\.0/],
    ["<forward mode='hostdev'><interface dev='e'/></forward>", /has the name 'e'/],
    ["<forward mode='hostdev' dev='e'/>", /has the name 'e'/],
    [`<forward mode='nat'><interface dev='e'/><interface dev='f'/></forward>${bridge}${ip}`, /2 forward devices/],
    [`<forward mode='open' dev='e'/>${bridge}${ip}`, /'open' has no forward device/],
    [`<forward mode='route'><nat/></forward>${bridge}${ip}`, /<nat> is for forward mode 'nat'/],
    ["<forward mode='bridge'/><bridge name='b' stp='on'/>", /'stp' of a <bridge>/],
    ["<forward mode='bridge'/><bridge name='b' zone='z'/>", /'zone' of a <bridge>/],
    [`<forward mode='hostdev'><driver name='foo'/>${pci}</forward>`, /'foo' is not one of vfio, kvm$/],
    [`<forward mode='hostdev'><driver name='xen'/>${pci}</forward>`, /'xen' is not one of vfio, kvm$/],
  ])('%s', (inside, why) => expect(refusals(inside)).toEqual([expect.stringMatching(why)]));

  test.each<[inside: string, version?: string]>([
    [`<forward mode='bridge'/>${bridge}`],
    ["<forward mode='bridge' dev='e'/><bridge name=''/>"],
    [`<forward mode='bridge' dev=''/>${bridge}`],
    [`<forward mode='nat' dev='e'/>${bridge}${ip}`],
    [bridge],
    [''],
    [`<forward mode='open'/>${bridge}`, '10.8.0'],
    [`<forward mode='hostdev'><driver name='xen'/>${pci}</forward>`, '10.0.0'],
    ["<forward mode='bridge'/><bridge name='b' delay='0'/>"],
    ["<forward mode='vepa'><pf dev='p'/><interface dev='e'/></forward>"],
  ])('%s can be (%s)', (inside, version) => expect(refusals(inside, version)).toEqual([]));
});
