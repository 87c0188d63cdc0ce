import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { guestXml, hostBridgeNetwork, interfaceXml, macvtapNetwork, onNetwork, ownBridgeNetwork } from './documents.ts';
import { settles, titled } from './expectations.ts';
import type { LibvirtHost } from './host.ts';
import { missingInKernel, missingPrerequisite } from './prerequisites.ts';
import { shownByLibvirt, shownByStatus } from './shown.ts';
import { findTraces, type Traces } from './traces.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const guest = 'plugged';
const config = `bridges: { br0: { keepForwardingTable: true }, virbr1: { keepForwardingTable: true } }
taps: { create: true }
macvtap: { manage: true }
interfaces:
  - { match: { tap: owntap }, bridge: br0, keepForwardingTable: true }
  - { match: { mac: '*:7f' }, vlan: 42 }
`;
const networks = [
  ownBridgeNetwork('lan', { bridge: "name='virbr1'" }),
  hostBridgeNetwork('prod', 'br0', "<portgroup name='red'/>"),
  ...(missingInKernel.macvtap === undefined ? [macvtapNetwork('pool', 'passthrough', 'eth2')] : []),
];

interface Kind {
  readonly name: string;
  readonly device: string;
  readonly mac: string;
  /** The bridge in whose table its MAC is to be while the CPUs run. */
  readonly bridge?: string;
  readonly alias?: string;
}

const macOf = (number: number) => `52:54:00:ac:00:${number.toString(16)}`;
const kinds: readonly Kind[] = [
  { name: 'bridge', device: interfaceXml('bridge', 0x71, "<source bridge='br0'/>"), mac: macOf(0x71), bridge: 'br0' },
  { name: "a network with libvirt's bridge", device: onNetwork('lan', 0x72), mac: macOf(0x72), bridge: 'virbr1' },
  {
    name: "a network with the host's bridge, by an alias of ours",
    device: onNetwork('prod', 0x73, { source: "portgroup='red'", inside: "<alias name='ua-front'/>" }),
    mac: macOf(0x73),
    bridge: 'br0',
    alias: 'ua-front',
  },
  { name: "ethernet, libvirt's tap", device: interfaceXml('ethernet', 0x74), mac: macOf(0x74) },
  {
    name: 'ethernet, our tap',
    device: interfaceXml('ethernet', 0x75, "<target dev='owntap' managed='no'/>"),
    mac: macOf(0x75),
    bridge: 'br0',
  },
  { name: 'user', device: interfaceXml('user', 0x76), mac: macOf(0x76) },
  ...(missingInKernel.macvtap === undefined
    ? [
        {
          name: 'direct',
          device: interfaceXml('direct', 0x77, "<source dev='eth1' mode='bridge'/>"),
          mac: macOf(0x77),
        },
        { name: 'a pool of devices', device: onNetwork('pool', 0x78), mac: macOf(0x78) },
      ]
    : []),
];

describe.skipIf(missingPrerequisite)(
  titled('devices that come and go while the guest runs', missingPrerequisite),
  () => {
    let hosts: TwoHosts;
    let a: LibvirtHost;
    let before: Traces;

    beforeAll(async () => {
      hosts = await startTwoHosts(networks);
      ({ a } = hosts);
      a.configure(config);
      await a.define(guestXml(guest, [interfaceXml('bridge', 0x70, "<source bridge='br0'/>")]));
      await a.virsh('start', guest);
      await a.startAgent();
      // It looks at every guest's devices once.
      await sleep(1500);
      before = await findTraces(a);
    });
    afterAll(() => stopHosts(hosts));
    beforeEach(agrees);
    afterEach(async () => {
      await agrees();
      await expect.poll(() => findTraces(a), settles).toEqual(before);
    });

    /** Lists, aliases, ports, taps, tables and records: everything that `status --check` looks at, and our record as libvirt shows it. */
    async function agrees(): Promise<void> {
      await expect
        .poll(() => a.actualnet('', 'status', '--check', guest).catch(String), settles)
        .toBe('everything agrees');
      const { chosen, ports } = await a.status(guest);
      expect(shownByStatus(chosen, ports)).toEqual(shownByLibvirt(await a.virsh('dumpxml', guest)));
    }
    const isOpen = async (mac: string, bridge: string) => {
      const entries = JSON.parse(await a.run('bridge', '-json', 'fdb', 'show', 'br', bridge)) as {
        mac: string;
        state?: string;
      }[];
      return entries.some(entry => entry.mac === mac && entry.state === 'static');
    };
    const aliasOf = async (mac: string) =>
      shownByLibvirt(await a.virsh('dumpxml', guest)).find(shown => shown.mac === mac)?.alias;
    /** A guest without an operating system lets go when it is reset. */
    const resetUntil = async (isDone: () => boolean) => {
      while (!isDone()) {
        await sleep(300);
        await a.virsh('reset', guest);
      }
    };
    const detaching = async (request: Promise<string>) => {
      let done = false;
      const ended = request.finally(() => {
        done = true;
      });
      await Promise.all([ended, resetUntil(() => done)]);
      return ended;
    };

    const ways = [
      {
        by: 'virsh',
        attach: (device: string) => a.attach(guest, device).then(() => ''),
        detach: async (mac: string) => {
          await a.virsh('detach-interface', guest, typeOf(await a.virsh('dumpxml', guest), mac), '--mac', mac);
          await a.virsh('reset', guest);
          return '';
        },
      },
      {
        by: 'actualnet',
        attach: (device: string) => a.actualnet(device, 'attach', guest, '-', '--live'),
        detach: (mac: string) => detaching(a.actualnet('', 'detach', guest, mac, '--timeout', '20')),
      },
    ];

    describe.each(ways)('by $by', ({ by, attach, detach }) => {
      test.each(kinds)('$name', async ({ device, mac, bridge, alias }) => {
        // libvirt needs this tap to be there; only our own command makes it.
        const needsTap = by === 'virsh' && device.includes('owntap');
        if (needsTap) {
          await a.run('ip', 'tuntap', 'add', 'dev', 'owntap', 'mode', 'tap');
          await a.run('ip', 'link', 'set', 'dev', 'owntap', 'master', 'br0', 'up');
        }
        await attach(device);
        await expect.poll(() => aliasOf(mac), settles).toBe(alias ?? 'net1');
        if (bridge !== undefined) await expect.poll(() => isOpen(mac, bridge), settles).toBe(true);
        await agrees();
        await a.stopDaemon();
        await a.startDaemon();
        await agrees();
        await detach(mac);
        await expect.poll(() => aliasOf(mac), settles).toBeUndefined();
        if (bridge !== undefined) await expect.poll(() => isOpen(mac, bridge), settles).toBe(false);
        if (needsTap) await a.run('ip', 'link', 'delete', 'owntap');
      });

      test('while the CPUs stand still: closed until they run', async () => {
        const { device, mac } = kinds[0]!;
        await a.virsh('suspend', guest);
        await attach(device);
        await agrees();
        expect(await isOpen(mac, 'br0')).toBe(false);
        await a.virsh('resume', guest);
        await expect.poll(() => isOpen(mac, 'br0'), settles).toBe(true);
        await a.virsh('suspend', guest);
        await expect.poll(() => isOpen(mac, 'br0'), settles).toBe(false);
        await detach(mac);
        await expect.poll(() => aliasOf(mac), settles).toBeUndefined();
        await a.virsh('resume', guest);
      });
    });
  },
);

/** `virsh detach-interface` wants the type as it stands in the live document. */
function typeOf(xml: string, mac: string): string {
  const device = [...xml.matchAll(/<interface type='(\w+)'>[\s\S]*?<\/interface>/g)].find(([text]) =>
    text.includes(mac),
  );
  return device![1]!;
}
