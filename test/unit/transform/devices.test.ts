import { describe, expect, test } from 'vitest';
import { compareDevices } from '../../../src/transform/devices.ts';
import type { GuestView, InterfaceView } from '../../../src/transform/guest-view.ts';

const iface = (index: number, facts: Partial<InterfaceView> = {}): InterfaceView => ({
  index,
  mac: `52:54:00:00:00:0${index + 1}`,
  type: 'network',
  network: 'prod',
  portgroup: null,
  alias: `net${index}`,
  actual: { type: 'bridge', bridge: 'br0' } as InterfaceView['actual'],
  because: [],
  ...facts,
});
const view = (interfaces: readonly InterfaceView[], hostdevs: GuestView['hostdevs'] = []): GuestView => ({
  domain: { name: 'g', uuid: null },
  interfaces,
  hostdevs,
});
const plain = {
  index: 0,
  type: 'pci',
  address: '0000:5e:02.1',
  alias: 'hostdev0',
  interface: null,
} as unknown as GuestView['hostdevs'][0];

describe('what has become of a guest’s devices', () => {
  test('nothing, when they are the same', () => {
    expect(compareDevices(view([iface(0)], [plain]), view([iface(0)], [plain]))).toEqual({
      news: [],
      findings: [],
      fresh: new Set(),
    });
  });

  test('one came, one went, by alias and MAC', () => {
    const again = iface(1, { index: 0, mac: iface(0).mac });
    const { news, fresh } = compareDevices(view([iface(0)]), view([again]));
    expect([...fresh]).toEqual([iface(0).mac]);
    expect(news).toEqual([
      "interface 52:54:00:00:00:01 ('net0') detached",
      "interface 52:54:00:00:00:01 attached as 'net1': bridge br0 of network 'prod'",
    ]);
  });

  test('host devices too', () => {
    const name = "pci host device 0000:5e:02.1 ('hostdev0')";
    const came = compareDevices(view([]), view([], [plain]));
    expect([came.news, [...came.fresh]]).toEqual([[`${name} attached`], ['0000:5e:02.1']]);
    expect(compareDevices(view([], [plain]), view([])).news).toEqual([`${name} detached`]);
  });

  test('one is connected to something else', () => {
    const elsewhere = iface(0, {
      network: 'other',
      actual: { type: 'bridge', bridge: 'br1' } as InterfaceView['actual'],
    });
    expect(compareDevices(view([iface(0)]), view([elsewhere])).news).toEqual([
      "interface 52:54:00:00:00:01 ('net0') was bridge br0 of network 'prod' and is bridge br1 of network 'other'",
    ]);
  });

  test.each<[name: string, was: Partial<InterfaceView>, is: Partial<InterfaceView>, news: string[]]>([
    [
      'another portgroup',
      { portgroup: 'red' },
      { portgroup: 'blue' },
      ["was bridge br0 of network 'prod', portgroup 'red' and is bridge br0 of network 'prod', portgroup 'blue'"],
    ],
    [
      'no portgroup any more',
      { portgroup: 'red' },
      {},
      ["was bridge br0 of network 'prod', portgroup 'red' and is bridge br0 of network 'prod'"],
    ],
    [
      'another tap under the same alias',
      { dev: 'vnet1' },
      { dev: 'vnet2' },
      ["was exchanged: its link was 'vnet1' and is 'vnet2'"],
    ],
    ['a tap that was not noted before', {}, { dev: 'vnet2' }, []],
  ])('%s', (_, was, is, changes) => {
    const { news, fresh } = compareDevices(view([iface(0, was)]), view([iface(0, is)]));
    expect(news.map(line => line.replace("interface 52:54:00:00:00:01 ('net0') ", ''))).toEqual(changes);
    expect([...fresh]).toEqual(changes.length > 0 ? [iface(0).mac] : []);
  });

  test('one has lost its network without a word', () => {
    const { findings } = compareDevices(view([iface(0)]), view([iface(0, { type: 'bridge', network: null })]));
    expect(findings).toEqual([expect.stringContaining("a plain bridge interface of its connection to network 'prod'")]);
    // A host device does not show its network.
    expect(compareDevices(view([iface(0)]), view([iface(0, { type: 'hostdev', network: null })])).findings).toEqual([]);
  });

  test('of one of which nothing was known, everything is new', () => {
    expect(compareDevices(null, view([iface(0)])).news).toHaveLength(1);
  });
});
