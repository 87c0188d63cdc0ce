import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type Connection,
  guest,
  mac,
  macvtap,
  makeHost,
  makeTap,
  plainBridge,
  startGuest,
  unmanagedTap,
} from './guests.ts';
import { hostState, inNamespace, ip, kernelLacks, lineOf, World } from './world.ts';

let world: World;
afterEach(() => world?.destroy());

/** A new world with this configuration, and the host's links. */
function begin(config: string): string[] {
  world = new World(config);
  makeHost();
  return hostState();
}

const withMac = (address: string, tap = 'vnet0') => plainBridge(address, 'br0', tap);
const kept = 'bridges: { br0: { keepForwardingTable: true } }';
const vlansOf = (dev: string) =>
  (JSON.parse(execaSync('bridge', ['-j', 'vlan', 'show']).stdout) as { ifname: string; vlans: { vlan: number }[] }[])
    .filter(({ ifname }) => ifname === dev)
    .flatMap(({ vlans }) => vlans.map(({ vlan }) => vlan));

/** What a guest lives through if nobody refuses it: hooks that were installed later, or a MAC that came later. */
async function wholeLife(connection: Connection, operations: readonly string[]): Promise<void> {
  const [prepare, start] = [guest([connection], 'prepare'), guest([connection], 'start')];
  connection.make?.();
  for (const operation of operations) {
    if (operation === 'stopped') connection.vanish?.();
    const xml = operation === 'stopped' || operation === 'release' ? prepare : start;
    expect(await world.qemu(operation, xml), operation).toMatchObject({ status: 0 });
  }
}

const noVlan = kernelLacks('link', 'add', 'link', 'lo', 'name', 'probe0', 'type', 'vlan', 'id', '7');

describe.skipIf(!inNamespace)('a guest with a MAC of the host', () => {
  /** Each gives the host a MAC in br0 and answers it with whose it is. */
  const owners: readonly { name: string; make: () => { owner: string; address: string } }[] = [
    { name: 'of the bridge', make: () => ({ owner: 'br0', address: '02:00:00:00:00:b0' }) },
    { name: 'of a port', make: () => ({ owner: 'up0', address: '02:00:00:00:01:00' }) },
    {
      name: 'of a VLAN device above the bridge, or what this kernel has instead',
      make: () => {
        const type = noVlan === undefined ? ['vlan', 'id', '7'] : ['macvlan', 'mode', 'bridge'];
        ip('link', 'add', 'link', 'br0', 'name', 'br0.7', 'address', '02:00:00:00:00:77', 'type', ...type);
        ip('link', 'set', 'br0.7', 'up');
        return { owner: 'br0.7', address: '02:00:00:00:00:77' };
      },
    },
    {
      name: "of another guest's tap",
      make: () => {
        makeTap('vnet9', mac(9), 'br0');
        return { owner: 'vnet9', address: `fe${mac(9).slice(2)}` };
      },
    },
  ];

  test.each(owners)('$name is refused at prepare', async ({ make }) => {
    begin(kept);
    const { owner, address } = make();
    const before = hostState();
    const answer = await world.qemu('prepare', guest([withMac(address)], 'prepare'));
    expect(answer).toMatchObject({ status: 1, stderr: expect.stringContaining('[MAC_TAKEN]') });
    expect(answer.stderr).toContain(`interface ${address} has the MAC address of '${owner}'`);
    await world.qemu('release', guest([withMac(address)], 'prepare'));
    expect(hostState()).toEqual(before);
  });

  test.each(owners)('$name that runs is told, and the host keeps what it has for its whole life', async ({ make }) => {
    begin(kept);
    const { owner, address } = make();
    const before = hostState();
    for (const operations of [
      ['start', 'started', 'stopped', 'release'],
      ['reconnect', 'reconnect', 'stopped', 'release'],
    ]) {
      await wholeLife(withMac(address), operations);
      expect(hostState(), operations.join()).toEqual(before);
      expect(world.log()).toContain(`${address} is the MAC address of '${owner}'`);
    }
    expect(await world.recover()).toEqual([]);
  });

  test('a permanent entry on a port of somebody else is left alone, too', async () => {
    begin(kept);
    execaSync('bridge', ['fdb', 'add', mac(1), 'dev', 'up0', 'master', 'permanent']);
    const before = hostState();
    await wholeLife(withMac(mac(1)), ['start', 'started', 'stopped', 'release']);
    expect(hostState()).toEqual(before);
  });

  test('a table that is not kept holds nothing of ours', async () => {
    const before = begin('bridges: { br1: { keepForwardingTable: true } }');
    await wholeLife(withMac('02:00:00:00:01:00'), ['start', 'started', 'stopped', 'release']);
    expect(hostState()).toEqual(before);
  });
});

describe.skipIf(!inNamespace)('settings that an interface cannot have', () => {
  const ethernet = (target: string) =>
    `<interface type='ethernet'><mac address='${mac(1)}'/>${target}<model type='virtio'/></interface>`;
  const of = (xml: string): Connection => ({ name: 'any', mac: mac(1), prepare: xml, start: xml });
  const rule = (settings: string) => `taps: { create: true }\ninterfaces: [{ match: {}, ${settings} }]`;

  test.each<{ name: string; connection: () => Connection }>([
    { name: 'a macvtap', connection: () => macvtap(mac(1), 'eth8', 'bridge') },
    { name: 'an ethernet tap of libvirt', connection: () => of(ethernet('')) },
    {
      name: 'a tap of its own that is there',
      connection: () => {
        ip('tuntap', 'add', 'dev', 'own0', 'mode', 'tap');
        return of(ethernet("<target dev='own0' managed='no'/>"));
      },
    },
    {
      name: 'a port of Open vSwitch',
      connection: () =>
        of(
          `<interface type='bridge'><mac address='${mac(1)}'/><source bridge='up0p'/><virtualport type='openvswitch'/></interface>`,
        ),
    },
    { name: 'user mode', connection: () => of(`<interface type='user'><mac address='${mac(1)}'/></interface>`) },
  ])(
    'refuse the start of a guest with $name where they keep guests apart, and are told otherwise',
    async ({ connection }) => {
      begin(rule('isolated: true, vlan: 7, keepForwardingTable: true'));
      const prepare = guest([connection()], 'prepare');
      const before = hostState();
      const answer = await world.qemu('prepare', prepare);
      expect(answer).toMatchObject({ status: 1, stderr: expect.stringContaining('cannot have') });
      expect(answer.stderr).toContain('[ACTUAL_UNSUPPORTED]');
      for (const setting of ['isolated', 'vlan 7']) expect(world.log()).toContain(`cannot have ${setting}: `);
      await world.qemu('release', prepare);
      expect(hostState()).toEqual(before);

      world.configure(
        `settings: { refusedSecurity: warn }\n${rule('isolated: true, vlan: 7, keepForwardingTable: true')}`,
      );
      expect(await world.qemu('prepare', prepare)).toMatchObject({ status: 0 });
      const findings = world.records()[0]?.findings.join('\n');
      for (const setting of ['isolated', 'vlan 7', 'keepForwardingTable'])
        expect(findings).toContain(`cannot have ${setting}: `);
    },
  );

  test('no such thing is said to be missing', async () => {
    begin(`settings: { refusedSecurity: warn }\n${rule('isolated: true, keepForwardingTable: true')}`);
    makeTap('tap7', mac(1), 'br0');
    ip('link', 'set', 'tap7', 'nomaster');
    const xml = `<interface type='bridge'><mac address='${mac(1)}'/><source bridge='up0p'/><target dev='tap7'/><virtualport type='openvswitch'/></interface>`;
    await startGuest(world, [of(xml)]);
    expect(world.log()).not.toContain('there is no device');
    expect(world.log()).toContain('its port is not one of a Linux bridge');
  });

  test('what can be had is had: on a tap that libvirt plugs in nowhere, and on one that was there', async () => {
    const before = begin(rule('bridge: br0, isolated: true, mtu: 1400'));
    makeTap('own0', mac(2), 'br0');
    const between = hostState();
    const live: Connection = {
      name: 'ethernet',
      mac: mac(1),
      prepare: ethernet(''),
      start: ethernet("<target dev='vnet0'/>"),
      make: () => ip('tuntap', 'add', 'dev', 'vnet0', 'mode', 'tap'),
      vanish: () => ip('link', 'del', 'vnet0'),
    };
    const { prepare } = await startGuest(world, [live, unmanagedTap(mac(2), 'own0')]);
    expect(world.log()).toBe('');
    for (const tap of ['vnet0', 'own0']) expect(lineOf(tap)).toMatch(/ mtu 1400 .* in br0 .* isolated true/);
    await world.qemu('stopped', prepare);
    live.vanish?.();
    await world.qemu('release', prepare);
    expect(hostState()).toEqual(between);
    ip('link', 'del', 'own0');
    expect(hostState()).toEqual(before);
  });
});

describe.skipIf(!inNamespace)('a guest that ran before anybody recorded it', () => {
  test.each([
    'bridges: { br0: { keepForwardingTable: true, isolated: true } }',
    'interfaces: [{ match: {}, isolated: true }]',
  ])('gets what one gets that starts now: %s', async config => {
    const before = begin(config);
    const connection = withMac(mac(1));
    const start = guest([connection], 'start');
    connection.make?.();
    for (const _ of [1, 2]) {
      await world.qemu('reconnect', start);
      expect(lineOf('vnet0')).toContain('isolated true');
    }
    expect(world.records()[0]).toMatchObject({ phase: 'reconnect', unset: [], findings: [] });
    connection.vanish?.();
    await world.qemu('stopped', start);
    await world.qemu('release', start);
    expect(hostState()).toEqual(before);
  });

  test.each([
    { state: 'running', reason: 'booted', policy: 'close', open: true },
    { state: 'paused', reason: 'user', policy: 'open', open: false },
    { state: 'paused', reason: 'ioerror', policy: 'open', open: true },
    { state: 'paused', reason: 'ioerror', policy: 'close', open: false },
  ])('and is open if it is $state ($reason) with ioError: $policy: $open', async ({ state, reason, policy, open }) => {
    begin(`reachability: { ioError: ${policy} }\n${kept}`);
    const connection = withMac(mac(1));
    const start = guest([connection], 'start');
    connection.make?.();
    mkdirSync(world.paths.libvirtGuestStatus, { recursive: true });
    const status = `<domstatus state='${state}' reason='${reason}' pid='${process.pid}'>${start}</domstatus>`;
    writeFileSync(path.join(world.paths.libvirtGuestStatus, 'g1.xml'), status);
    await world.qemu('reconnect', start);
    expect(hostState().includes(`${mac(1)} static on vnet0 of br0`)).toBe(open);
  });

  test('also on a tap of its command line', async () => {
    begin('interfaces: [{ match: {}, isolated: true }]');
    makeTap('tapx0', mac(8), 'br0');
    for (const _ of [1, 2]) await world.qemu('reconnect', guest([], 'start', { tap: 'tapx0' }));
    expect(lineOf('tapx0')).toContain('isolated true');
    expect(world.records()[0]).toMatchObject({ unset: [], findings: [] });
  });

  test('and what it cannot have is told, once', async () => {
    begin('interfaces: [{ match: {}, isolated: true }]');
    const connection = macvtap(mac(1), 'eth8', 'bridge');
    connection.make?.();
    for (const _ of [1, 2])
      expect(await world.qemu('reconnect', guest([connection], 'start'))).toMatchObject({ status: 0 });
    expect(world.log().match(/cannot have isolated/g)).toHaveLength(1);
    connection.remove?.();
  });
});

describe.skipIf(!inNamespace)('a state directory on a file system that is read-only', () => {
  test('is named as such, and refuses what needs a ledger', async () => {
    begin(`taps: { create: true }`);
    const run = path.dirname(world.paths.state);
    mkdirSync(run, { recursive: true });
    execaSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', run]);
    try {
      const answer = await world.qemu('prepare', guest([unmanagedTap(mac(2), 't1')], 'prepare'));
      expect(answer).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('the file system is read-only [FILE]'),
      });
      expect(lineOf('t1')).toBeUndefined();
    } finally {
      execaSync('umount', [run]);
    }
  });
});

const noFiltering = kernelLacks('link', 'add', 'probe0', 'type', 'bridge', 'vlan_filtering', '1');
const noTunnel = kernelLacks('link', 'add', 'probe0', 'type', 'vxlan', 'id', '9', 'dstport', '4789');

describe.skipIf(!inNamespace || noFiltering !== undefined)('VLANs', () => {
  test.skipIf(noTunnel !== undefined)('pass what leads out of the host alone', async () => {
    begin('bridges: { br0: { uplinkVlans: true, uplinks: [up0] } }\ninterfaces: [{ match: {}, vlan: 42 }]');
    ip('link', 'set', 'br0', 'type', 'bridge', 'vlan_filtering', '1');
    ip('link', 'add', 'vx0', 'type', 'vxlan', 'id', '9', 'dstport', '4789');
    ip('link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'c1');
    makeTap('vnet9', mac(9), 'br0');
    for (const dev of ['vx0', 'c0']) ip('link', 'set', dev, 'master', 'br0');
    await startGuest(world, [withMac(mac(1))]);
    expect(vlansOf('vnet0')).toEqual([42]);
    expect(vlansOf('up0')).toEqual([1, 42]);
    for (const dev of ['vx0', 'c0', 'vnet9']) expect(vlansOf(dev), dev).toEqual([1]);
  });

  test('a tap that is plugged in when the CPUs run has only its own', async () => {
    begin('taps: { create: true }\ninterfaces: [{ match: {}, bridge: br0, vlan: 42, isolated: true }]');
    ip('link', 'set', 'br0', 'type', 'bridge', 'vlan_filtering', '1');
    const xml = guest([], 'prepare', { tap: 'tapx0' }).replace(',queues=2', '');
    await world.qemu('migrate', xml.replace(" id='1'", ''));
    for (const operation of ['prepare', 'start', 'started']) await world.qemu(operation, xml);
    if (lineOf('tapx0')?.includes(' in br0') !== true) await world.reach('reachable', xml);
    expect(vlansOf('tapx0')).toEqual([42]);
    expect(lineOf('tapx0')).toContain('isolated true');
  });
});
