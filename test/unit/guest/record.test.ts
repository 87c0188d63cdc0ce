import { describe, expect, test } from 'vitest';
import { compareRunning, compareViews, foldRecord } from '../../../src/guest/record.ts';
import type { GuestView } from '../../../src/transform/guest-view.ts';
import { guestUuid } from '../../helpers/documents.ts';

const uuid = guestUuid as never;
const view = (bridge: string, alias = 'net0', mac = '52:54:00:00:00:01'): GuestView => ({
  domain: { name: 'g1', uuid: null },
  interfaces: [
    {
      index: 0,
      mac,
      type: 'bridge',
      network: null,
      portgroup: null,
      alias,
      actual: { type: 'bridge', bridge },
      because: [],
    },
  ],
  hostdevs: [],
});
const at = '2026-01-01T00:00:00Z';
const port = (id: number) => ({ uuid: `00000000-0000-4000-8000-00000000000${id}`, network: 'n', mac: 'm', plug: null });

describe('a record', () => {
  test('adds up calls, ports and findings; the last operation is the phase', () => {
    const record = foldRecord(uuid, [
      { at, op: 'prepare', name: 'g1', view: view('br0'), incoming: true },
      { at, op: 'prepare', name: 'g1', findings: ['not granted'] },
      { at, op: 'port-created', port: port(1), findings: ['other'] },
      { at, op: 'port-created', port: port(2), findings: [] },
      { at, op: 'port-deleted', uuid: port(1).uuid },
      { at, op: 'start', name: 'g1', view: view('br1'), findings: ['other'] },
      { at, op: 'started', name: 'g1' },
    ]);
    expect(record).toMatchObject({
      phase: 'started',
      incoming: true,
      findings: ['not granted', 'other'],
      ports: [port(2)],
    });
    expect([record?.predicted?.interfaces[0]?.actual, record?.actual?.interfaces[0]?.actual]).toEqual([
      { type: 'bridge', bridge: 'br0' },
      { type: 'bridge', bridge: 'br1' },
    ]);
  });

  test('begins anew with another life', () => {
    const lines = [
      { at, op: 'prepare', name: 'g1', view: view('br0'), findings: ['old'], incoming: true },
      { at, op: 'start', name: 'g1', view: view('br0') },
      { at, op: 'prepare', name: 'g1', view: view('br0') },
    ];
    expect(foldRecord(uuid, lines)).toMatchObject({ phase: 'prepare', actual: null, findings: [], incoming: false });
  });

  test.each([
    { name: 'no object', line: 'text' },
    { name: 'no time', line: { op: 'start', name: 'g1' } },
    { name: 'findings that are none', line: { at, op: 'start', name: 'g1', findings: 5 } },
    {
      name: 'a view that is none',
      line: { at, op: 'start', name: 'g1', view: { domain: {}, interfaces: [null], hostdevs: [] } },
    },
    { name: 'a port whose uuid is a path', line: { at, op: 'port-created', port: { ...port(1), uuid: '../../x' } } },
    { name: 'a deleted port without uuid', line: { at, op: 'port-deleted' } },
  ])('passes over a line with $name', ({ line }) => expect(foldRecord(uuid, [line])).toBeUndefined());
});

describe('comparing', () => {
  test.each([
    { name: 'the same', was: view('br0'), is: view('br0'), findings: [] },
    {
      name: 'another bridge',
      was: view('br0'),
      is: view('br1'),
      findings: ["interface 52:54:00:00:00:01: libvirt chose bridge 'br1', predicted was 'br0'"],
    },
    {
      name: 'another alias',
      was: view('br0'),
      is: view('br0', 'net1'),
      findings: ["interface 52:54:00:00:00:01: libvirt's alias is 'net1', predicted was 'net0'"],
    },
    {
      name: 'another interface',
      was: view('br0'),
      is: view('br0', 'net0', '52:54:00:00:00:02'),
      findings: ['interface 52:54:00:00:00:02 was not predicted'],
    },
  ])('$name', ({ was, is, findings }) => expect(compareViews(was, is)).toEqual(findings));

  test('of a running guest looks only at interfaces that stayed', () => {
    const more = {
      ...view('br0'),
      interfaces: [...view('br0').interfaces, ...view('br9', 'net1', '52:54:00:00:00:09').interfaces],
    };
    expect(compareRunning(view('br0'), more)).toEqual([]);
    expect(compareRunning(more, view('br0'))).toEqual([]);
    expect(compareRunning(view('br0'), view('br1'))).toHaveLength(1);
  });
});

describe('host devices', () => {
  const hostdev = (facts: Partial<GuestView['hostdevs'][number]> = {}): GuestView => ({
    ...view('br0'),
    hostdevs: [
      { index: 0, type: 'pci', address: '0000:05:00.0' as never, alias: 'hostdev0', interface: null, ...facts },
    ],
  });
  const [here, there] = ['0000:06:00.0', '0000:07:00.0'] as never[];

  test.each([
    { name: 'as predicted', was: {}, is: {}, findings: [] },
    { name: 'in a place now known', was: {}, is: { guestAddress: here! }, findings: [] },
    {
      name: 'in another place',
      was: { guestAddress: here! },
      is: { guestAddress: there! },
      findings: ['host device 0000:05:00.0: moved in the guest from 0000:06:00.0 to 0000:07:00.0'],
    },
    {
      name: 'under another alias',
      was: {},
      is: { alias: 'hostdev1' },
      findings: ["host device 0000:05:00.0: libvirt's alias is 'hostdev1', predicted was 'hostdev0'"],
    },
    {
      name: 'another device',
      was: {},
      is: { address: there! },
      findings: ['host device 0000:07:00.0 was not predicted'],
    },
  ])('a plain one $name', ({ was, is, findings }) => {
    expect(compareViews(hostdev(was), hostdev(is))).toEqual(findings);
  });

  test('an interface that moves in the guest is found', () => {
    const at = (guestAddress: never): GuestView => ({
      ...view('br0'),
      interfaces: [{ ...view('br0').interfaces[0]!, guestAddress }],
    });
    expect(compareViews(at(here!), at(there!))).toEqual([
      'interface 52:54:00:00:00:01: moved in the guest from 0000:06:00.0 to 0000:07:00.0',
    ]);
  });
});
