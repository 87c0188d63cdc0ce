import { describe, expect, test } from 'vitest';
import type { Uuid } from '../../../src/model/values.ts';
import { fakePort, mac, onBridge } from '../agent/fake-port.ts';

const rules = `bridges: { br0: { uplinkVlans: true } }
interfaces:
  - { match: { network: A }, vlan: 42, isolated: true }
  - { match: { network: B }, vlan: 4000 }
`;
type Guest = Awaited<ReturnType<typeof fakePort>>;
const strange = '0b0e1f52-0000-4000-8000-0000000000ff' as Uuid;
const own = '0b0e1f52-0000-4000-8000-0000000000a0' as Uuid;

describe('a running guest is checked', () => {
  const checked = async (change: (guest: Guest) => void) => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }));
    await guest.follow();
    change(guest);
    return guest.check();
  };

  test('everything agrees, running or not', async () => {
    expect(await checked(() => undefined)).toEqual([]);
    expect(
      await checked(guest => {
        guest.state.paused = true;
      }),
    ).toEqual([]);
  });

  test.each<[name: string, change: (guest: Guest) => void, findings: (string | RegExp)[]]>([
    [
      'its port has lost what was set',
      ({ join }) => join('vnet1'),
      [
        `not as it should be: vnet1 isolated on (interface ${mac} is to be isolated)`,
        `not as it should be: vnet1 without vlan 1 (vlan 42 of interface ${mac})`,
        `not as it should be: vnet1 vlan 42 pvid untagged (vlan 42 of interface ${mac})`,
      ],
    ],
    [
      'its port is in another VLAN',
      ({ host }) => {
        host.vlans = [{ dev: 'vnet1', id: 7, how: 'pvid untagged' }];
      },
      [`not as it should be: vnet1 vlan 42 pvid untagged (vlan 42 of interface ${mac})`],
    ],
    [
      'what is applied has been lost, and nothing asks for it any more',
      guest => {
        guest.join('vnet1');
        guest.ask('bridges: { br0: {} }');
      },
      [
        'applied, and not so any more: vnet1 isolated on',
        'applied, and not so any more: vnet1 without vlan 1',
        'applied, and not so any more: vnet1 vlan 42 pvid untagged',
      ],
    ],
    [
      'a network counts a port that no interface has',
      ({ state }) => state.ports.push({ uuid: strange, network: 'A', mac }),
      [`port ${strange} of network 'A' (${mac}) belongs to no interface`],
    ],
    [
      'so does the record, once told',
      ({ state, note }) => {
        state.ports.push({ uuid: strange, network: 'A', mac });
        note({ op: 'port-created', port: { uuid: strange, network: 'A', mac, plug: null }, findings: [] });
      },
      [`port ${strange} of network 'A' (${mac}) belongs to no interface`],
    ],
    [
      'the record does not have its port',
      ({ note }) => note({ op: 'port-deleted', uuid: own }),
      [`interface ${mac}: its port ${own} is not in the record`],
    ],
    [
      'its network does not count its port',
      ({ state }) => {
        state.ports = [];
      },
      [/^interface 52:54:00:00:00:01: network 'A' /],
    ],
    [
      'its tap is gone',
      ({ host }) => Object.assign(host, { dev: 'vnet7' }),
      [/there is no link 'vnet1'/, /./, /./, /./],
    ],
    [
      'it is connected to something else',
      ({ state }) => {
        state.xml = onBridge({ network: 'A', portgroup: 'red' });
      },
      [/^not in the record: .* is bridge br0 of network 'A', portgroup 'red'$/],
    ],
  ])('%s', async (_, change, findings) => {
    const found = await checked(change);
    expect(found).toEqual(
      findings.map(finding => (typeof finding === 'string' ? finding : expect.stringMatching(finding))),
    );
  });

  test.each([
    { policy: 'open', told: 0 },
    { policy: 'close', told: 1 },
  ])('one that QEMU has stopped is as open as the policy says: $policy', async ({ policy, told }) => {
    const keeps = `reachability: { ioError: ${policy} }\nbridges: { br0: { keepForwardingTable: true } }\n`;
    const guest = await fakePort(keeps);
    guest.set(onBridge({ network: 'C' }));
    await guest.follow();
    Object.assign(guest.state, { paused: true, reason: 'ioerror' });
    const found = await guest.check();
    expect(found.filter(line => line.includes('is open although its CPUs are paused'))).toHaveLength(told);
  });

  test('what cannot be planned is told', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }).replaceAll("bridge='br0'", "bridge='br9'"));
    await guest.follow();
    expect(await guest.check()).toContainEqual(
      expect.stringContaining("bridge 'br9' is not VLAN-aware (vlan_filtering 0)"),
    );
  });
});
