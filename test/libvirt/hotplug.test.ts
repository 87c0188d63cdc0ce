import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FaultHost, faults, installFaults, runWithFault } from '../helpers/faults.ts';
import { projectDirectory } from '../helpers/host.ts';
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
  - { match: { network: apart }, isolated: true }
`;
const networks = [
  ownBridgeNetwork('lan', { bridge: "name='virbr1'" }),
  hostBridgeNetwork('prod', 'br0', "<portgroup name='red'/>"),
  hostBridgeNetwork('apart', 'br0'),
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
      const { actual: chosen, ports } = await a.status(guest);
      expect(shownByStatus(chosen, ports)).toEqual(shownByLibvirt(await a.virsh('dumpxml', guest)));
    }
    const isOpen = async (mac: string, bridge: string) => {
      const entries = JSON.parse(await a.run('bridge', '-json', 'fdb', 'show', 'br', bridge)) as {
        mac: string;
        state?: string;
      }[];
      return entries.some(entry => entry.mac === mac && entry.state === 'static');
    };
    /** The interface as it stands in the live document. */
    const elementOf = async (mac: string) =>
      [...(await a.virsh('dumpxml', guest)).matchAll(/<interface type='\w+'>[\s\S]*?<\/interface>/g)]
        .map(([text]) => text)
        .find(text => text.includes(mac))!;
    const aliasOf = async (mac: string) =>
      shownByLibvirt(await a.virsh('dumpxml', guest)).find(shown => shown.mac === mac)?.alias;
    /** A guest without an operating system lets go when it is reset. */
    const resetUntil = async (isDone: () => boolean) => {
      while (!isDone()) {
        await sleep(300);
        await a.virsh('reset', guest);
      }
    };
    const detaching = async <T>(request: Promise<T>) => {
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
        // By the one to a guest that runs, by the other to one that is paused.
        if (by === 'actualnet') await a.virsh('suspend', guest);
        await attach(device);
        await expect.poll(() => aliasOf(mac), settles).toBe(alias ?? 'net1');
        await agrees();
        if (by === 'actualnet') {
          if (bridge !== undefined) expect(await isOpen(mac, bridge)).toBe(false);
          await a.virsh('resume', guest);
        }
        if (bridge !== undefined) await expect.poll(() => isOpen(mac, bridge), settles).toBe(true);
        await agrees();
        await a.update(guest, (await elementOf(mac)).replace('<model', "<link state='down'/><model"));
        await agrees();
        if (bridge !== undefined) expect(await isOpen(mac, bridge)).toBe(true);
        await a.stopDaemon();
        await a.startDaemon();
        await agrees();
        await detach(mac);
        await expect.poll(() => aliasOf(mac), settles).toBeUndefined();
        if (bridge !== undefined) await expect.poll(() => isOpen(mac, bridge), settles).toBe(false);
        if (needsTap) await a.run('ip', 'link', 'delete', 'owntap');
      });

      test('while the CPUs are paused: closed until they run', async () => {
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

    describe('a guest that does not let go', () => {
      const { device, mac } = kinds[2]!;

      test('is told of truthfully; what it has stays, and a second one of its MAC is refused', async () => {
        await a.actualnet(device, 'attach', guest, '-');
        const words = ['detach', guest, 'ua-front', '--timeout', '1'];
        await expect(a.actualnet('', ...words)).rejects.toThrow(
          /has not let go of interface 52:54:00:ac:00:73 \('ua-front'\) within 1 s.*\[STILL_ATTACHED\]/,
        );
        await agrees();
        expect(await aliasOf(mac)).toBe('ua-front');
        await expect(a.actualnet(device, 'attach', guest, '-')).rejects.toThrow(/'ua-front' has this MAC/);
        // Asked for again, it is still the first request that stands.
        await expect(a.actualnet('', ...words)).rejects.toThrow(/STILL_ATTACHED/);
        // The agent sees it through.
        await a.virsh('reset', guest);
        await expect.poll(() => aliasOf(mac), settles).toBeUndefined();
      });
    });

    describe('what others change', () => {
      const { device, mac } = kinds[1]!;
      test('an update makes a new port with the same MAC and deletes it again: nothing is lost', async () => {
        await a.attach(guest, device);
        await agrees();
        await a.update(guest, (await elementOf(mac)).replace('<model', "<link state='down'/><model"));
        await agrees();
        expect(await isOpen(mac, 'virbr1')).toBe(true);
        await ways[1]!.detach(mac);
      });

      test('a connection to the host’s bridge that becomes a plain one is told of', async () => {
        const front = kinds[2]!;
        await a.attach(guest, front.device);
        await agrees();
        await a.virsh('domif-setlink', guest, front.mac, 'down');
        const lost = `interface ${front.mac}: an update of it has made a plain bridge interface of its connection to network 'prod'`;
        await expect.poll(async () => (await a.status(guest)).findings.join('\n'), settles).toContain(lost);
        expect(a.hookLog().join('\n')).toContain(lost);
        expect(await isOpen(front.mac, 'br0')).toBe(true);
        await ways[1]!.detach('ua-front');
      });
    });

    test('an update to another network leaves nothing of the one before on the port', async () => {
      const mac = macOf(0x7b);
      const isolated = async () => {
        const [, dev = ''] = /<target dev='([^']+)'/.exec(await elementOf(mac)) ?? [];
        return /\bisolated on\b/.test(await a.run('bridge', '-details', 'link', 'show', 'dev', dev));
      };
      await a.attach(guest, onNetwork('apart', 0x7b));
      await expect.poll(isolated, settles).toBe(true);
      await agrees();
      const elsewhere = (await elementOf(mac))
        .replace(/<interface type='\w+'/, "<interface type='network'")
        .replace(/<source [^>]*>/, "<source network='prod'/>");
      await a.update(guest, elsewhere);
      await expect.poll(isolated, settles).toBe(false);
      await agrees();
      await a.stopDaemon();
      await a.startDaemon();
      await agrees();
      expect(await isolated()).toBe(false);
      await ways[1]!.detach(mac);
    });

    test('--live --config: into both, and by libvirt’s alias out of both', async () => {
      const { device, mac } = kinds[0]!;
      const isDefined = async () => (await a.virsh('dumpxml', '--inactive', guest)).includes(mac);
      await a.actualnet(device, 'attach', guest, '-', '--live', '--config');
      expect(await isDefined()).toBe(true);
      const alias = (await aliasOf(mac))!;
      await detaching(a.actualnet('', 'detach', guest, alias, '--live', '--config', '--timeout', '20'));
      expect([await isDefined(), await aliasOf(mac)]).toEqual([false, undefined]);
      const { uuid } = await a.status(guest);
      expect(await a.actualnet('', 'status', '--check', uuid)).toBe('everything agrees');
    });

    describe('is refused before anything is touched', () => {
      test.each<[why: string, device: string, message: RegExp]>([
        [
          'a MAC of the guest',
          interfaceXml('bridge', 0x70, "<source bridge='br0'/>"),
          /'net0' has this MAC.*DEVICE_TWICE/,
        ],
        ['no such network', onNetwork('nowhere', 0x79), /network 'nowhere' is not known here.*NETWORK_UNKNOWN/],
        [
          'no such bridge',
          interfaceXml('ethernet', 0x75, "<target dev='owntap' managed='no'/><source><ip/></source>").replace(
            'owntap',
            'owntap0',
          ),
          /./,
        ],
        ['not a device', '<disk/>', /is a <disk>, not an <interface> or <hostdev>.*XML_KIND/],
        [
          'another kind of host device',
          "<hostdev mode='subsystem' type='usb'><source/></hostdev>",
          /only PCI host devices.*XML_KIND/,
        ],
        ['no XML', 'interface', /XML_SYNTAX/],
      ])('%s', async (_, device, message) => {
        const calls = a.hookCalls().length;
        await expect(a.actualnet(device, 'attach', guest, '-')).rejects.toThrow(message);
        expect(a.hookCalls()).toHaveLength(calls);
      });

      test('an unknown guest, device or combination', async () => {
        await expect(a.actualnet(kinds[0]!.device, 'attach', 'nobody', '-', '--live')).rejects.toThrow(
          /guest 'nobody' does not run.*GUEST_UNKNOWN/,
        );
        await expect(a.actualnet('', 'detach', guest, 'net7')).rejects.toThrow(
          /no interface or PCI host device 'net7'.*DEVICE_MISSING/,
        );
        await expect(a.actualnet('', 'status', '--check')).rejects.toThrow(/--check is about one guest/);
      });
    });

    test('a guest whose name is another one’s id is the one that is meant', async () => {
      const { device, mac } = kinds[0]!;
      const number = (await a.virsh('domid', guest)).trim();
      await a.define(guestXml(number, []));
      await a.virsh('start', number);
      await a.actualnet(device, 'attach', number, '-');
      expect(await aliasOf(mac)).toBeUndefined();
      const { uuid } = await a.status(number);
      expect(await a.virsh('dumpxml', uuid)).toContain(mac);
      await a.virsh('destroy', uuid);
      await a.virsh('undefine', uuid);
    });

    test('a definition’s device is named by one selector, and changed only if the live one can go', async () => {
      const twins = [1, 2].map(() => interfaceXml('bridge', 0x7a, "<source bridge='br0'/>"));
      await a.define(guestXml('twins', twins));
      const before = await a.virsh('dumpxml', 'twins');
      const refusal = (...words: readonly string[]) => a.actualnet('', 'detach', ...words).then(() => '', String);
      expect(await refusal('twins', macOf(0x7a), '--config')).toMatch(/has several devices/);
      expect(await refusal('twins', '', '--config')).toMatch(/which device\?/);
      expect(await refusal(guest, macOf(0x7a), '--live', '--config')).toMatch(/DEVICE_MISSING/);
      expect(await a.virsh('dumpxml', 'twins')).toBe(before);
      await a.virsh('undefine', 'twins');
    });

    test('--dry-run shows the steps and takes none; --config changes the definition only', async () => {
      const { device, mac } = kinds[4]!;
      const steps = await a.actualnet(device, 'attach', guest, '-', '--dry-run');
      expect(steps.split('\n')).toEqual([
        `interface ${mac} will be 'net1': ethernet`,
        'make tap owntap',
        `owntap mac fe:${mac.slice(3)}`,
        'owntap mtu 1500',
        'owntap into bridge br0',
        'owntap up',
        expect.stringMatching(/^virsh attach-device --domain [-0-9a-f]{36} --live$/),
        'checked in both lists, and set on the host as at a start',
        'opened, since its CPUs run',
      ]);
      await a.actualnet(device, 'attach', guest, '-', '--config');
      expect(await a.virsh('dumpxml', '--inactive', guest)).toContain(mac);
      expect(await aliasOf(mac)).toBeUndefined();
      await a.actualnet('', 'detach', guest, mac, '--config');
      expect(await a.virsh('dumpxml', '--inactive', guest)).not.toContain(mac);
      expect(await a.actualnet('', 'detach', guest, 'net0', '--dry-run')).toMatch(
        /virsh detach-device-alias --domain [-0-9a-f]{36} --alias net0 --live/,
      );
    });

    test('a setting that cannot be made: the device goes again, and everything is as before', async () => {
      const device = interfaceXml('bridge', 0x7f, "<source bridge='br0'/>");
      const attaching = a.actualnet(device, 'attach', guest, '-').catch(String);
      expect(await detaching(attaching)).toMatch(/VLAN_UNSUPPORTED/);
      expect(await aliasOf(macOf(0x7f))).toBeUndefined();
    });

    test('somebody else’s hook refuses its port: nothing of it stays', async () => {
      const file = '/etc/libvirt/hooks/network.d/10-refusing';
      await a.runWith('#!/bin/sh\n[ "$2" != port-created ]\n', 'sh', '-c', `cat >${file} && chmod 755 ${file}`);
      await a.stopDaemon();
      // Ports are announced again when the daemon starts, and this hook would refuse those, too.
      await a.startDaemon();
      await expect(a.actualnet(kinds[1]!.device, 'attach', guest, '-')).rejects.toThrow(
        /virsh attach-device: .*ACTION_FAILED/,
      );
      await a.run('rm', file);
      await a.stopDaemon();
      await a.startDaemon();
    });

    describe('every program that is run on the way', () => {
      const { device, mac } = kinds[4]!;
      const points: { what: string; fault: string; met: string; state: string }[] = [];

      const host: FaultHost = {
        shell: (script, input = '') => a.runWith(input, 'sh', '-c', script),
        directory: '/run/fault',
      };
      const command = `'${process.execPath}' '${path.join(projectDirectory, 'dist/actualnet.cjs')}'`;
      const withFault = (words: string, how: Parameters<typeof runWithFault>[2]) =>
        detaching(runWithFault(host, `${command} ${words}`, how));

      beforeAll(() => installFaults(host));
      afterAll(() =>
        console.log(
          [
            '| what | fault | at | then |',
            '|---|---|---|---|',
            ...points.map(row => `| ${row.what} | ${row.fault} | ${row.met} | ${row.state} |`),
          ].join('\n'),
        ),
      );

      test.each(faults)('$fault: attaching ends with all of it or nothing', { timeout: 300_000 }, async ({ fault }) => {
        for (let at = 1; ; at++) {
          const met = await withFault(`attach ${guest} -`, { fault, at, input: device });
          if (met === undefined) break;
          await agrees();
          const alias = await aliasOf(mac);
          if (alias === undefined) await expect.poll(() => findTraces(a), settles).toEqual(before);
          else await ways[1]!.detach(mac);
          points.push({ what: 'attach', fault, met, state: alias === undefined ? 'as before' : 'as wanted' });
        }
        // It went through.
        await ways[1]!.detach(mac);
        expect(points.filter(point => point.what === 'attach' && point.fault === fault).length).toBeGreaterThan(3);
      });

      test.each(faults)('$fault: detaching ends with all of it or nothing', { timeout: 300_000 }, async ({ fault }) => {
        for (let at = 1; ; at++) {
          await a.actualnet(device, 'attach', guest, '-');
          const met = await withFault(`detach ${guest} ${mac} --timeout 20`, { fault, at });
          await agrees();
          const alias = await aliasOf(mac);
          if (alias !== undefined) await ways[1]!.detach(mac);
          await expect.poll(() => findTraces(a), settles).toEqual(before);
          if (met === undefined) break;
          points.push({ what: 'detach', fault, met, state: alias === undefined ? 'as wanted' : 'as before' });
        }
        expect(points.filter(point => point.what === 'detach' && point.fault === fault).length).toBeGreaterThan(1);
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
