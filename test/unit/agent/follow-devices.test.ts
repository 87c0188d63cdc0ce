import { describe, expect, test } from 'vitest';
import { fakePort, mac, onBridge } from './fake-port.ts';

const rules = `interfaces:
  - { match: { network: A, portgroup: red }, vlan: 44 }
  - { match: { network: A }, vlan: 42, isolated: true }
  - { match: { network: B }, vlan: 43 }
`;

/** A guest with a port of network A that has been set. */
async function attached() {
  const guest = await fakePort(rules);
  guest.set(onBridge({ network: 'A' }));
  expect(await guest.follow()).toBe(true);
  expect(guest.port()).toEqual(['42 pvid untagged', 'isolated']);
  return guest;
}

describe('a port that gets another connection has nothing of the one before', () => {
  const changes = [
    { to: 'another network', xml: onBridge({ network: 'B' }), port: ['43 pvid untagged'] },
    { to: 'another portgroup', xml: onBridge({ network: 'A', portgroup: 'red' }), port: ['44 pvid untagged'] },
    { to: 'a plain bridge', xml: onBridge({}), port: ['1 pvid untagged'] },
  ];
  describe.each([
    { how: 'as the kernel has kept it', keeps: true },
    { how: 'out of the bridge and in again', keeps: false },
  ])('$how', ({ keeps }) => {
    test.each(changes)('$to', async ({ xml, port }) => {
      const guest = await attached();
      if (!keeps) guest.join('vnet1');
      guest.set(xml);
      expect(await guest.follow()).toBe(true);
      expect(guest.port()).toEqual(port);
      expect(guest.applied().filter(line => !/without vlan 1|vlan 4[34]/.test(line))).toEqual([]);
      await guest.repair();
      expect(guest.port()).toEqual(port);
    });
  });

  test('also while somebody else is at the guest’s devices', async () => {
    const guest = await attached();
    guest.state.holds = false;
    guest.set(onBridge({ network: 'B' }));
    await guest.follow();
    expect(guest.port()).toEqual(['43 pvid untagged']);
  });

  test('what libvirt has set for the new one stays', async () => {
    const guest = await attached();
    guest.set(
      onBridge({ network: 'B' }).replace("<source bridge='br0'/>", "<source bridge='br0'/><port isolated='yes'/>"),
    );
    await guest.follow();
    expect(guest.port()).toEqual(['43 pvid untagged', 'isolated']);
  });

  test('another tap under the alias and MAC of one that is gone is set, too', async () => {
    const guest = await attached();
    guest.join('vnet2');
    guest.set(onBridge({ network: 'A', dev: 'vnet2' }));
    expect(await guest.follow()).toBe(true);
    expect(guest.port()).toEqual(['42 pvid untagged', 'isolated']);
    expect(guest.log.at(-1)).toContain("was exchanged: its link was 'vnet1' and is 'vnet2'");
  });

  test('the others keep what they were given', async () => {
    const guest = await attached();
    guest.host.vlans = [{ dev: 'vnet1', id: 7, how: 'pvid untagged' }];
    guest.host.ran = [];
    expect(await guest.follow()).toBe(true);
    expect(guest.host.ran).toEqual([]);
  });
});

test('a request of a device that comes, against what is configured, is told once', async () => {
  const guest = await fakePort(`${rules}guests: { allow: [isolated] }\n`);
  guest.state.metadata = `<metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='${mac}' isolated='no'/></interfaces></metadata>`;
  guest.set(onBridge({ network: 'A' }));
  expect([await guest.follow(), await guest.follow()]).toEqual([true, true]);
  expect(guest.port()).toEqual(['42 pvid untagged', 'isolated']);
  expect(guest.log.filter(line => line.includes("'isolated' stays as it is configured"))).toHaveLength(1);
});

describe('a guest whose status file cannot be read', () => {
  const ofBridge = 'bridges: { br0: { isolated: true } }';

  test('gets for a tap that came what its bridge asks for, once, and its record says so', async () => {
    const guest = await fakePort(ofBridge);
    guest.state.isTorn = true;
    guest.join('vnet2');
    guest.set(onBridge({ dev: 'vnet2' }));
    expect(await guest.follow()).toBe(true);
    expect(guest.port()).toEqual(['1 pvid untagged', 'isolated']);
    expect(guest.record()?.findings).toEqual([
      'its status file cannot be read, so its taps get what their bridges ask for: line 1, column 1: torn [XML_SYNTAX]',
    ]);
    await guest.follow();
    expect(guest.record()?.findings).toHaveLength(1);
  });

  test('keeps what it has, also of devices that nobody can see', async () => {
    const guest = await attached();
    guest.state.isTorn = true;
    guest.set('');
    guest.host.ran = [];
    expect(await guest.follow()).toBe(true);
    expect(guest.host.ran).toEqual([]);
    expect(guest.port()).toEqual(['42 pvid untagged', 'isolated']);
  });
});

describe('a device that cannot be set', () => {
  test('is not settled, is told of once and tried until it is', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }));
    guest.host.refuses = 'vid 42';
    expect([await guest.follow(), await guest.follow()]).toEqual([false, false]);
    expect(guest.log.filter(line => line.includes('Cannot allocate memory'))).toHaveLength(1);
    expect(guest.log.filter(line => line.includes('attached'))).toHaveLength(1);
    expect(guest.record()).toMatchObject({ unset: [mac], actual: { interfaces: [{ alias: 'net0' }] } });
    expect(guest.applied()).toEqual(['vnet1 isolated on', 'vnet1 without vlan 1']);
    guest.host.refuses = '';
    expect(await guest.follow()).toBe(true);
    expect(guest.port()).toEqual(['42 pvid untagged', 'isolated']);
    expect(guest.record()?.unset).toEqual([]);
  });

  test('because its QEMU has ended meanwhile: nothing is told, its end does the rest', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }));
    guest.host.refuses = 'vid 42';
    guest.state.ended = true;
    expect(await guest.follow()).toBe(true);
    expect(guest.log).toEqual([]);
  });

  test('what was applied before stays so in the ledger', async () => {
    const guest = await attached();
    guest.host.refuses = 'vlan add';
    guest.set(onBridge({ network: 'B' }));
    expect(await guest.follow()).toBe(false);
    expect(guest.applied()).toEqual(['vnet1 without vlan 1']);
    guest.host.refuses = '';
    expect(await guest.follow()).toBe(true);
    expect(guest.port()).toEqual(['43 pvid untagged']);
  });

  test('on a bridge that cannot have it: as soon as it can', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }).replaceAll("bridge='br0'", "bridge='br9'"));
    expect(await guest.follow()).toBe(false);
    expect(guest.log.join()).toContain("bridge 'br9' is not VLAN-aware (vlan_filtering 0)");
    guest.set(onBridge({ network: 'A' }));
    expect(await guest.follow()).toBe(true);
  });
});

describe('a guest that ran before anybody recorded it', () => {
  test('is set as one that starts now, and followed from then on', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }));
    guest.forget();
    expect(await guest.follow()).toBe(true);
    expect(guest.port()).toEqual(['42 pvid untagged', 'isolated']);
    expect(guest.record()).toMatchObject({
      phase: 'reconnect',
      unset: [],
      actual: { interfaces: [{ alias: 'net0' }] },
    });
    guest.host.ran = [];
    expect(await guest.follow()).toBe(true);
    expect(guest.host.ran).toEqual([]);
  });

  test('what it cannot have is told once, and no reason to try again', async () => {
    const guest = await fakePort("interfaces: [{ match: { network: '*' }, trust: false, isolated: true }]");
    guest.set(onBridge({ network: 'A' }));
    guest.forget();
    expect([await guest.follow(), await guest.follow()]).toEqual([true, true]);
    expect(guest.port()).toContain('isolated');
    expect(guest.log.filter(line => line.includes('cannot have trust off'))).toHaveLength(1);
    expect(await guest.check()).toContainEqual(expect.stringContaining('cannot have trust off'));
  });

  test('of one whose QEMU has ended nothing begins', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A' }));
    guest.forget();
    guest.state.ended = true;
    expect(await guest.follow()).toBe(true);
    expect([guest.record(), guest.host.ran]).toEqual([undefined, []]);
  });

  test('of one that has ended and come again meanwhile nothing is told: its devices went with it', async () => {
    const guest = await fakePort(rules);
    guest.set(onBridge({ network: 'A', dev: 'vnet7' }));
    guest.forget();
    const { findGuest } = guest.following;
    let looks = 0;
    Object.assign(guest.following, {
      findGuest(name: string) {
        if (++looks > 2) guest.state.id = 2;
        return findGuest(name);
      },
    });
    expect(await guest.follow()).toBe(true);
    expect([guest.record(), guest.log]).toEqual([undefined, []]);
  });

  test('nor where the configuration asks for nothing', async () => {
    const guest = await fakePort('');
    guest.forget();
    expect(await guest.follow()).toBe(true);
    expect(guest.record()).toBeUndefined();
  });
});
