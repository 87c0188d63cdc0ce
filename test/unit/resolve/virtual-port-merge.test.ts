import { expect, test } from 'vitest';
import { readVirtualPort, type VirtualPort } from '../../../src/model/virtual-port.ts';
import { mergeVirtualPorts } from '../../../src/resolve/virtual-port.ts';
import { parseXml } from '../../../src/xml/document.ts';

const idA = '11111111-0000-4000-8000-000000000001';
const idB = '22222222-0000-4000-8000-000000000002';

/** `type key=value ...`; `-` is untyped. */
function read(text: string | undefined, generatesIds: boolean): VirtualPort | undefined {
  if (text === undefined) return undefined;
  const [type, ...pairs] = text.split(' ');
  const parameters = pairs.map(pair => pair.replace(/=(.*)/, "='$1'")).join(' ');
  const xml = `<x><virtualport${type === '-' ? '' : ` type='${type}'`}><parameters ${parameters}/></virtualport></x>`;
  return readVirtualPort('somebody', parseXml(xml).root, { typeRequired: false, generatesIds });
}

interface Given {
  readonly iface?: string;
  readonly network?: string;
  readonly portgroup?: string;
}

const merge = ({ iface, network, portgroup }: Given) =>
  mergeVirtualPorts([
    { from: 'the interface', virtualport: read(iface, true) },
    { from: "network 'n'", virtualport: read(network, false) },
    { from: "portgroup 'p'", virtualport: read(portgroup, false) },
  ]);

const qbg = '802.1Qbg';
const qbh = '802.1Qbh';
const ovs = 'openvswitch';

test.each([
  { name: 'the network gives the type', given: { network: qbh }, type: qbh, parameters: {} },
  { name: 'the portgroup gives the type', given: { portgroup: qbh }, type: qbh, parameters: {} },
  { name: 'the interface gives the type', given: { iface: qbh }, type: qbh, parameters: {} },
  {
    name: 'all may give the same type',
    given: { iface: qbh, network: qbh, portgroup: qbh },
    type: qbh,
    parameters: {},
  },
  {
    name: 'each giver fills what is empty',
    given: {
      iface: `${qbg} instanceid=${idA}`,
      network: `${qbg} managerid=11 typeid=22`,
      portgroup: `${qbg} typeidversion=3`,
    },
    type: qbg,
    parameters: { managerid: '11', typeid: '22', typeidversion: '3', instanceid: idA },
  },
  {
    name: 'equal values are no conflict',
    given: { iface: `${qbh} profileid=a`, network: `${qbh} profileid=a`, portgroup: `${qbh} profileid=a` },
    type: qbh,
    parameters: { profileid: 'a' },
  },
  {
    name: 'equal numbers in another spelling are no conflict',
    given: { iface: `${qbg} managerid=0x0b instanceid=${idA}`, network: `${qbg} managerid=11` },
    type: qbg,
    parameters: { managerid: '11', instanceid: idA },
  },
  {
    name: 'equal uuids in another spelling are no conflict',
    given: { iface: `${ovs} interfaceid=${idA}`, network: `${ovs} interfaceid=${idA.replaceAll('-', '')}` },
    type: ovs,
    parameters: { interfaceid: idA },
  },
  {
    name: 'an untyped portgroup fills a typed network',
    given: { network: qbh, portgroup: '- profileid=b' },
    type: qbh,
    parameters: { profileid: 'b' },
  },
  {
    name: 'an untyped interface takes the type of the network',
    given: { iface: '- profileid=b', network: qbh },
    type: qbh,
    parameters: { profileid: 'b' },
  },
  {
    name: 'instanceid of a portgroup does not reach an openvswitch port',
    given: { network: ovs, portgroup: `- instanceid=${idA} managerid=1 typeid=2 typeidversion=3` },
    type: ovs,
    parameters: {},
  },
  {
    name: 'profileid does not reach an 802.1Qbg port',
    given: { network: `${qbg} instanceid=${idA}`, portgroup: `- profileid=x interfaceid=${idB}` },
    type: qbg,
    parameters: { instanceid: idA },
  },
  {
    name: 'interfaceid does not reach an 802.1Qbh port',
    given: { network: qbh, portgroup: `- interfaceid=${idA} profileid=y` },
    type: qbh,
    parameters: { profileid: 'y' },
  },
  {
    name: 'interfaceid and profileid are not merged into midonet',
    given: { network: 'midonet', portgroup: `- interfaceid=${idA} profileid=y` },
    type: 'midonet',
    parameters: {},
  },
  {
    name: 'an interface of type midonet keeps its own interfaceid',
    given: { iface: `midonet interfaceid=${idA}`, network: 'midonet' },
    type: 'midonet',
    parameters: { interfaceid: idA },
  },
  {
    name: 'an irrelevant parameter of the interface is skipped',
    given: { iface: `- managerid=1 interfaceid=${idA}`, network: ovs },
    type: ovs,
    parameters: { interfaceid: idA },
  },
  {
    name: 'different irrelevant parameters are no conflict',
    given: { iface: `- managerid=1 interfaceid=${idA}`, network: ovs, portgroup: '- managerid=2' },
    type: ovs,
    parameters: { interfaceid: idA },
  },
])('virtualport merge: $name', ({ given, type, parameters }) => {
  expect(merge(given)).toMatchObject({ type });
  expect(merge(given)!.parameters).toEqual(parameters);
});

test.each([
  { name: 'type', given: { iface: `${qbg} instanceid=${idA}`, network: qbh }, says: [qbg, qbh, "network 'n'"] },
  { name: 'type', given: { network: qbg, portgroup: ovs }, says: [qbg, ovs, "network 'n'", "portgroup 'p'"] },
  { name: 'type', given: { iface: ovs, portgroup: qbh }, says: [ovs, qbh, 'interface', "portgroup 'p'"] },
  {
    name: 'managerid',
    given: { network: `${qbg} managerid=1`, portgroup: `${qbg} managerid=2` },
    says: ["'1'", "'2'", "network 'n'", "portgroup 'p'"],
  },
  { name: 'typeid', given: { network: `${qbg} typeid=1`, portgroup: '- typeid=2' }, says: ["'1'", "'2'"] },
  {
    name: 'typeidversion',
    given: { network: `${qbg} typeidversion=1`, portgroup: '- typeidversion=2' },
    says: ["'1'", "'2'"],
  },
  {
    name: 'instanceid',
    given: { iface: `${qbg} instanceid=${idA}`, network: `${qbg} instanceid=${idB}` },
    says: [idA, idB],
  },
  {
    name: 'interfaceid',
    given: { iface: `${ovs} interfaceid=${idA}`, portgroup: `${ovs} interfaceid=${idB}` },
    says: [idA, idB],
  },
  { name: 'profileid', given: { iface: `${qbh} profileid=x`, portgroup: `${qbh} profileid=b` }, says: ["'x'", "'b'"] },
  {
    name: 'profileid',
    given: { iface: '- profileid=x', network: ovs, portgroup: '- profileid=b' },
    says: ["'x'", "'b'"],
  },
  {
    name: 'interfaceid',
    given: { iface: ovs, network: `${ovs} interfaceid=${idB}` },
    says: [idB],
  },
])('virtualport merge: a conflict names $name and both sides ($given)', ({ name, given, says }) => {
  expect(() => merge(given)).toThrow(expect.objectContaining({ code: 'VIRTUALPORT_CONFLICT' }));
  for (const part of [name, ...says]) expect(() => merge(given)).toThrow(part);
});

test.each([
  { name: 'nothing anywhere is nothing', given: {}, expected: undefined },
  {
    name: 'an untyped one in the network or portgroup only is nothing',
    given: { portgroup: '- profileid=x' },
    expected: undefined,
  },
])('virtualport merge without a type: $name', ({ given, expected }) => {
  expect(merge(given)).toBe(expected);
});

test("virtualport merge without a type: the interface's own stays as it is", () => {
  const merged = merge({ iface: '- profileid=x', portgroup: '- profileid=y' })!;
  expect(merged.type).toBeUndefined();
  expect(merged.parameters).toEqual({ profileid: 'x' });
});

test.each([
  { name: 'openvswitch keeps only the generated interfaceid', network: ovs, generated: ['interfaceid'] },
  { name: '802.1Qbg keeps only the generated instanceid', network: qbg, generated: ['instanceid'] },
  { name: '802.1Qbh keeps none', network: qbh, generated: [] },
])('virtualport merge: of the ids made for an untyped interface, $name', ({ network, generated }) => {
  expect(merge({ iface: '-', network })!.generated).toEqual(generated);
});
