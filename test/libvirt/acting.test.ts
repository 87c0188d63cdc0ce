import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestXml, interfaceXml } from './documents.ts';
import { expectCleanCalls, settles, titled } from './expectations.ts';
import type { LibvirtHost } from './host.ts';
import { missingInKernel, missingPrerequisite } from './prerequisites.ts';
import { findTraces, type Traces } from './traces.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const config = `
bridges: { br0: { keepForwardingTable: true } }
taps: { create: true }
macvtap: { manage: true }
interfaces:
  - match: { tap: 'ourtap*' }
    bridge: br0
    keepForwardingTable: true
`;
const number = { bridge: 0x51, tap: 0x52, direct: 0x53 };
const mac = (last: number) => interfaceXml('user', last).match(/address='(.*?)'/)![1]!;
const interfaces = [
  interfaceXml('bridge', number.bridge, `<source bridge='br0'/><target dev='guest-br0'/>`),
  interfaceXml('ethernet', number.tap, `<target dev='ourtap0' managed='no'/>`),
  ...(missingInKernel.macvtap === undefined
    ? [interfaceXml('direct', number.direct, `<source dev='eth2' mode='passthrough'/>`)]
    : []),
];

describe.skipIf(missingPrerequisite)(titled('a guest for which the host is set up', missingPrerequisite), () => {
  const guest = 'acting';
  let hosts: TwoHosts;
  let a: LibvirtHost;
  let b: LibvirtHost;
  let before: { readonly a: Traces; readonly b: Traces };

  beforeAll(async () => {
    hosts = await startTwoHosts([]);
    ({ a, b } = hosts);
    for (const host of [a, b]) host.configure(config);
    before = { a: await findTraces(a), b: await findTraces(b) };
    await a.define(guestXml(guest, interfaces));
  });
  afterAll(() => stopHosts(hosts));

  const nothingIsLeftOn = async (host: LibvirtHost) =>
    await expect.poll(() => findTraces(host), settles).toEqual(host === a ? before.a : before.b);
  /** The fixed entries for the guest's MACs, and whether its ports learn. */
  const opened = async (host: LibvirtHost) => {
    const fdb = JSON.parse(await host.run('bridge', '-j', 'fdb', 'show')) as {
      mac: string;
      ifname: string;
      state: string;
    }[];
    const learning = await host.run(
      'sh',
      '-c',
      'cat /sys/class/net/guest-br0/brport/learning /sys/class/net/ourtap0/brport/learning',
    );
    const macs = [mac(number.bridge), mac(number.tap)];
    return {
      entries: fdb
        .filter(entry => macs.includes(entry.mac) && entry.state === 'static')
        .map(entry => entry.ifname)
        .sort(),
      learning: learning.split('\n'),
    };
  };
  const open = { entries: ['guest-br0', 'ourtap0'], learning: ['0', '0'] };

  test('starts with its MACs in the table, and its own tap made', async () => {
    await a.virsh('start', guest);
    expect(await opened(a)).toEqual(open);
  });

  test('keeps them over a restart of the daemon', async () => {
    await a.stopDaemon();
    await a.startDaemon();
    await expect.poll(async () => (await a.status(guest)).phase, settles).toBe('reconnect');
    expect(await opened(a)).toEqual(open);
  });

  test('is saved: everything is as before, the passed-through device too', async () => {
    await a.virsh('save', guest, '/var/lib/libvirt/acting.saved');
    await nothingIsLeftOn(a);
  });

  test('is restored and migrates there and back: closed where it came from, opened where it is', async () => {
    await a.virsh('restore', '/var/lib/libvirt/acting.saved');
    await expect.poll(() => opened(a), settles).toEqual(open);
    for (const [source, destination] of [
      [a, b],
      [b, a],
    ] as const) {
      await source.migrate(guest, destination);
      await expect.poll(() => opened(destination), settles).toEqual(open);
      await nothingIsLeftOn(source);
    }
  });

  test('is closed and opened by hand', async () => {
    const live = await a.virsh('dumpxml', guest);
    await a.actualnet(live, 'unreachable', '-');
    expect((await opened(a)).entries).toEqual([]);
    await a.actualnet(live, 'reachable', '-');
    expect(await opened(a)).toEqual(open);
  });

  test('crashes and leaves nothing behind', async () => {
    await a.killQemu(guest);
    await nothingIsLeftOn(a);
  });

  test('is refused before QEMU runs when its bridge is not there, and leaves nothing behind', async () => {
    await a.run('ip', 'link', 'set', 'br0', 'name', 'br0away');
    await expect(a.virsh('start', guest)).rejects.toThrow(/there is no bridge 'br0'.*DEVICE_MISSING/);
    await a.run('ip', 'link', 'set', 'br0away', 'name', 'br0');
    await nothingIsLeftOn(a);
  });

  test('is destroyed and leaves nothing behind; recover finds nothing to do', async () => {
    await a.virsh('start', guest);
    await a.virsh('destroy', guest);
    for (const host of [a, b]) {
      await nothingIsLeftOn(host);
      expect(await host.actualnet('', 'recover', '--grace', '0')).toBe('nothing to recover');
    }
  });

  test('no hook call printed anything', () => {
    expectCleanCalls(b);
  });
});
