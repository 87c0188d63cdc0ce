import { expect, test } from 'vitest';
import { allocate } from '../../../src/resolve/allocate.ts';
import { claimPort } from '../../../src/resolve/claim.ts';
import type { CountedPort, NetworkState } from '../../../src/resolve/network-state.ts';
import { definitionRefusals } from '../../../src/resolve/validate.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { domain, network, resolve, running } from '../../helpers/documents.ts';

const iface = (name: string, { source = '', children = '', attributes = '' } = {}) =>
  `<interface type='network' ${attributes}><mac address='52:54:00:00:00:01'/><source network='${name}' ${source}/>${children}</interface>`;
const allocateOn = (state: NetworkState, xml = iface(state.network.name)) =>
  allocate(state, domain(xml).interfaces[0]!);
const deviceOf = (port: CountedPort) => (port.plug?.type === 'direct' ? port.plug.dev : undefined);

/** Allocates as often as there are letters; a `-` before a letter releases what that letter got. */
function play(xml: string, script: readonly string[]): Record<string, string | undefined> {
  let state = running(xml);
  const got: Record<string, string | undefined> = {};
  const ports = new Map<string, CountedPort>();
  for (const step of script) {
    if (step.startsWith('-')) {
      const gone = ports.get(step.slice(1));
      state = { ...state, ports: state.ports.filter(port => port !== gone) };
      continue;
    }
    try {
      state = allocateOn(state).state;
      ports.set(step, state.ports.at(-1)!);
      got[step] = deviceOf(state.ports.at(-1)!);
    } catch (error) {
      got[step] = (error as { code: string }).code;
    }
  }
  return got;
}

test('an isolated network plugs the interface into its bridge', () => {
  const { actual, state } = allocateOn(running("<network><name>iso</name><bridge name='virbr9'/></network>"));
  expect(actual).toEqual({ type: 'network', bridge: 'virbr9' });
  expect(state.ports[0]!.plug).toEqual({ type: 'network', bridge: 'virbr9' });
});

test('a host bridge hands its MAC table manager on to the port', () => {
  const xml =
    "<network><name>hb</name><forward mode='bridge'/><bridge name='br0' macTableManager='libvirt'/></network>";
  const { actual, state } = allocateOn(running(xml));
  expect(actual).toEqual({ type: 'bridge', bridge: 'br0', macTableManager: 'libvirt' });
  expect(state.ports[0]!.plug).toEqual({ type: 'bridge', bridge: 'br0', macTableManager: 'libvirt' });
});

test('a shared macvtap pool goes round and a tie goes to the earlier device', () => {
  const xml =
    "<network><name>mv</name><forward mode='bridge'><interface dev='e1'/><interface dev='e2'/></forward></network>";
  expect(play(xml, ['A', 'B', 'C', '-A', 'D'])).toEqual({ A: 'e1', B: 'e2', C: 'e1', D: 'e1' });
});

test('an exclusive pool refuses the third guest until a device comes back', () => {
  const xml =
    "<network><name>pt</name><forward mode='passthrough'><interface dev='v0'/><interface dev='v1'/></forward></network>";
  expect(play(xml, ['A', 'B', 'C', '-A', 'D'])).toEqual({ A: 'v0', B: 'v1', C: 'POOL_EXHAUSTED', D: 'v0' });
});

const vf = running(
  "<network><name>vf</name><forward mode='hostdev' managed='yes'><driver name='vfio'/><address type='pci' domain='0' bus='3' slot='0' function='1'/></forward><vlan><tag id='42'/></vlan></network>",
);

test('a VF pool gives address, driver, managed and vlan', () => {
  const { actual, state } = allocateOn(vf);
  expect(actual).toEqual({
    type: 'hostdev',
    address: '0000:03:00.1',
    managed: true,
    driver: 'vfio',
    vlan: { trunk: false, tags: [{ id: 42 }] },
  });
  expect(state.ports[0]!.plug).toEqual({ type: 'hostdev-pci', address: '0000:03:00.1', managed: true, driver: 'vfio' });
});

test('a VF pool allocates for an interface with bandwidth, and only then it is refused', () => {
  const xml = iface('vf', { children: "<bandwidth><inbound average='9'/></bandwidth>" });
  expect(allocateOn(vf, xml).actual).toMatchObject({ type: 'hostdev', bandwidth: { inbound: { average: 9 } } });
  expect(resolve(xml, [vf]).resolutions[0]!.error?.code).toBe('ACTUAL_UNSUPPORTED');
});

const ovsXml = `<network><name>ovs</name><forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>
 <vlan><tag id='1'/></vlan>
 <portgroup name='red' default='yes'><vlan><tag id='10'/></vlan></portgroup>
 <portgroup name='blue'><virtualport type='openvswitch'><parameters profileid='b'/></virtualport></portgroup></network>`;
const blue = "portgroup='blue'";

test.each([
  { name: 'no portgroup takes the default one', given: {}, vlan: 10, profileid: undefined },
  { name: 'blue has no vlan, so the network gives it', given: { source: blue }, vlan: 1, profileid: 'b' },
  { name: 'a misspelt portgroup is none', given: { source: "portgroup='gren'" }, vlan: 1, profileid: undefined },
  {
    name: 'the own vlan wins',
    given: { source: blue, children: "<vlan><tag id='7'/></vlan>" },
    vlan: 7,
    profileid: 'b',
  },
])('portgroups of an openvswitch network: $name', ({ given, vlan, profileid }) => {
  const { actual, error } = resolve(iface('ovs', given), [running(ovsXml)]).resolutions[0]!;
  expect(error).toBeUndefined();
  expect(actual?.vlan?.tags).toEqual([{ id: vlan }]);
  expect(actual?.virtualport?.type).toBe('openvswitch');
  expect(actual?.virtualport?.parameters.profileid).toBe(profileid);
  expect(actual?.virtualport?.generated).toEqual(['interfaceid']);
});

test('portgroups of an openvswitch network: another profileid in the interface is a conflict', () => {
  const children = "<virtualport type='openvswitch'><parameters profileid='x'/></virtualport>";
  const { error } = resolve(iface('ovs', { source: blue, children }), [running(ovsXml)]).resolutions[0]!;
  expect(error?.code).toBe('VIRTUALPORT_CONFLICT');
  expect(error?.message).toMatch(/profileid.*'x'.*'b'/);
});

test.each([
  { name: 'as given', xml: ovsXml, refusals: 0 },
  {
    name: "with an untyped virtualport in 'blue'",
    xml: ovsXml.replace("<virtualport type='openvswitch'><", '<virtualport><'),
    refusals: 1,
  },
])('the openvswitch network can be defined: $name', ({ xml, refusals }) => {
  expect(definitionRefusals(network(xml), parseLibvirtVersion('9.0.0'))).toHaveLength(refusals);
});

const profile = (parameters: string) => `<virtualport type='802.1Qbg'><parameters ${parameters}/></virtualport>`;
const vepa = `<network trustGuestRxFilters='no'><name>vp</name>
 <forward mode='vepa' dev='eth1'><interface dev='eth1'/><interface dev='eth2'/><interface dev='eth3'/></forward>
 ${profile("managerid='11' typeid='1193047' typeidversion='2'")}
 <portgroup name='bob' default='yes'>${profile("typeid='2193047'")}</portgroup>
 <portgroup name='alice'>${profile("managerid='13'")}</portgroup></network>`;

test.each([
  { name: 'the default portgroup conflicts on typeid', source: '', says: ['typeid', '1193047', '2193047', "'bob'"] },
  {
    name: 'the other portgroup conflicts on managerid',
    source: "portgroup='alice'",
    says: ['managerid', '11', '13', "'alice'"],
  },
])('a vepa network whose portgroups contradict it: $name', ({ source, says }) => {
  const { error } = resolve(iface('vp', { source }), [running(vepa)]).resolutions[0]!;
  expect(error?.code).toBe('VIRTUALPORT_CONFLICT');
  for (const part of says) expect(error?.message).toContain(part);
});

test('a vepa network whose portgroups contradict it can be defined', () => {
  expect(definitionRefusals(network(vepa), parseLibvirtVersion('9.0.0'))).toEqual([]);
});

test('a vepa network whose portgroups contradict it works for an unknown portgroup', () => {
  const ports: CountedPort[] = ['eth1', 'eth1', 'eth2', 'eth3', 'eth3'].map(dev => ({
    plug: { type: 'direct', dev, mode: 'vepa' },
  }));
  const { actual } = resolve(iface('vp', { source: "portgroup='carol'" }), [running(vepa, ports)]).resolutions[0]!;
  expect(actual).toEqual({
    type: 'direct',
    dev: 'eth2',
    mode: 'vepa',
    trustGuestRxFilters: false,
    virtualport: {
      type: '802.1Qbg',
      parameters: { managerid: '11', typeid: '1193047', typeidversion: '2' },
      generated: ['instanceid'],
    },
  });
});

test.each([
  { name: 'an interface that says nothing gets the no of its portgroup', attributes: '', trust: false },
  { name: 'an interface that says yes gets yes', attributes: "trustGuestRxFilters='yes'", trust: true },
])('trust in a network that says yes and a portgroup that says no: $name', ({ attributes, trust }) => {
  const state = running(
    "<network trustGuestRxFilters='yes'><name>t</name><bridge name='b'/><portgroup name='p' default='yes' trustGuestRxFilters='no'/></network>",
  );
  expect(resolve(iface('t', { attributes }), [state]).resolutions[0]!.actual?.trustGuestRxFilters).toBe(trust);
});

test('isolation of a macvtap network is copied into the port and then refused', () => {
  const state = running("<network><name>m</name><forward mode='vepa' dev='e1'/><port isolated='yes'/></network>");
  expect(allocateOn(state).state.ports[0]!.isolated).toBe(true);
  expect(resolve(iface('m'), [state]).resolutions[0]!.error?.code).toBe('ACTUAL_UNSUPPORTED');
});

test('isolation of a bridge network is accepted', () => {
  const state = running(
    "<network><name>m</name><forward mode='bridge'/><bridge name='br0'/><port isolated='yes'/></network>",
  );
  expect(resolve(iface('m'), [state]).resolutions[0]!.actual).toEqual({
    type: 'bridge',
    bridge: 'br0',
    isolated: true,
  });
});

test('a port whose device has left the pool can neither be claimed nor released', () => {
  const edited = running(
    "<network><name>pt</name><forward mode='passthrough'><interface dev='e3'/><interface dev='e4'/></forward></network>",
  );
  const port: CountedPort = { plug: { type: 'direct', dev: 'e2', mode: 'passthrough' } };
  expect(() => claimPort(edited, port)).toThrow(
    expect.objectContaining({ code: 'CLAIM_FAILED', message: expect.stringContaining('e2') }),
  );
});

test.each(['9.0.0', '11.3.0'])(
  'libvirt %s: forward bridge without bridge refuses openvswitch at allocation and at definition',
  version => {
    const xml = `<network><name>o</name><forward mode='bridge'/><virtualport type='openvswitch'/>
   <portgroup name='p' default='yes'><vlan><tag id='5'/></vlan><virtualport><parameters profileid='x'/></virtualport></portgroup></network>`;
    const [resolution] = resolve(iface('o'), [running(xml)], version).resolutions;
    expect(resolution).toMatchObject({ actualType: 'direct', error: { code: 'VIRTUALPORT_MODE' } });
    expect(definitionRefusals(network(xml), parseLibvirtVersion(version)).length).toBeGreaterThan(0);
  },
);
