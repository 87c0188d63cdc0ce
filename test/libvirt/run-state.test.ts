import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CutOver, Migration } from '../../src/agent/cut-over.ts';
import { guestXml, interfaceXml } from './documents.ts';
import { settles, titled } from './expectations.ts';
import type { Launched, LibvirtHost } from './host.ts';
import { gapsOf, type Moment, momentsOf } from './moments.ts';
import { missingPrerequisite } from './prerequisites.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const mac = '52:54:00:ac:00:51';
const guest = 'moving';
const device = interfaceXml('bridge', 0x51, `<source bridge='br0'/><target dev='guest-br0'/>`);
const config = `bridges: { br0: { keepForwardingTable: true } }
taps: { create: true }
interfaces:
  - { match: { tap: owntap }, bridge: br0 }
  - { match: { guest: moving }, announce: 192.0.2.51 }
`;

/** The frames by which a MAC says where it is: QEMU's own after a migration, and what is announced for it. */
const telling = `ether src ${mac} and (ether proto 0x8035 or (arp and arp src host 192.0.2.51))`;
interface Frame {
  readonly host: string;
  readonly kind: 'RARP' | 'ARP';
  readonly atUs: number;
}

/** What `tcpdump -tt -e` printed on a host: seconds since 1970 before each frame. */
function framesOf(host: LibvirtHost, lines: readonly string[]): Frame[] {
  return lines.flatMap(line => {
    const match = /^(\d+)\.(\d{6}) .*ethertype (Reverse )?ARP/.exec(line);
    if (match === null) return [];
    return { host: host.name, kind: match[3] ? 'RARP' : 'ARP', atUs: Number(match[1]) * 1e6 + Number(match[2]) };
  });
}

/** How late a monitor may notice what the kernel has done; a hook that opens at `started` is far beyond it. */
const lateUs = 15_000;

const ways = [
  { name: 'live', options: [] },
  { name: 'peer to peer', options: ['--p2p'] },
  { name: 'tunnelled', options: ['--p2p', '--tunnelled'] },
  { name: 'post-copy', options: ['--postcopy', '--postcopy-after-precopy'] },
  { name: 'not live', options: [], standing: true },
];

describe.skipIf(missingPrerequisite).each([{ by: 'the agent' }, { by: 'what the hooks leave behind' }])(
  titled('a MAC is open only while its CPUs run, by $by', missingPrerequisite),
  ({ by }) => {
    let hosts: TwoHosts;
    let a: LibvirtHost;
    let b: LibvirtHost;
    let monitors: Map<LibvirtHost, Launched>;
    let sniffers: Map<LibvirtHost, Launched>;
    const agents = new Map<LibvirtHost, Launched>();

    beforeAll(async () => {
      hosts = await startTwoHosts([]);
      ({ a, b } = hosts);
      for (const host of [a, b]) host.configure(config);
      monitors = new Map([a, b].map(host => [host, host.launch('bridge', '-timestamp', 'monitor', 'fdb')]));
      const sniff = ['-i', 'br0', '-l', '-n', '-e', '-tt', telling];
      sniffers = new Map([a, b].map(host => [host, host.launch('tcpdump', ...sniff)]));
      if (by === 'the agent') for (const host of [a, b]) agents.set(host, await host.startAgent());
      await a.define(guestXml(guest, [device]));
    });
    afterAll(() => stopHosts(hosts));

    const isOpenOn = async (host: LibvirtHost) => {
      const entries = JSON.parse(await host.run('bridge', '-json', 'fdb', 'show', 'br', 'br0')) as {
        mac: string;
        state?: string;
      }[];
      return entries.some(entry => entry.mac === mac && entry.state === 'static');
    };
    const opensOn = (host: LibvirtHost) => expect.poll(() => isOpenOn(host), settles).toBe(true);
    const closesOn = (host: LibvirtHost) => expect.poll(() => isOpenOn(host), settles).toBe(false);
    const moments = () => [...monitors].flatMap(([host, { lines }]) => momentsOf(host, mac, lines));
    /** Nothing is opened for a while. */
    const staysClosedOn = async (host: LibvirtHost) => {
      await sleep(1500);
      expect(await isOpenOn(host)).toBe(false);
    };

    test('start, suspend, resume', async () => {
      await a.virsh('start', guest);
      expect(await isOpenOn(a)).toBe(true);
      await a.virsh('suspend', guest);
      await closesOn(a);
      await a.virsh('resume', guest);
      await opensOn(a);
    });

    test('save and restore, running and paused', async () => {
      const image = '/var/lib/libvirt/moving.saved';
      await a.virsh('save', guest, image);
      await a.virsh('restore', image);
      await opensOn(a);
      await a.virsh('save', guest, image, '--paused');
      await a.virsh('restore', image);
      await staysClosedOn(a);
      await a.virsh('resume', guest);
      await opensOn(a);
      await a.virsh('destroy', guest);
      await closesOn(a);
    });

    test('start --paused', async () => {
      await a.virsh('start', guest, '--paused');
      await staysClosedOn(a);
      await a.virsh('resume', guest);
      await opensOn(a);
    });

    test.each(ways)('migrates there and back: $name', async ({ options, standing }) => {
      for (const [source, destination] of [
        [a, b],
        [b, a],
      ] as const) {
        const beganUs = Date.now() * 1000;
        if (standing) await source.migrateStanding(guest, destination);
        else await source.migrate(guest, destination, ...options);
        await opensOn(destination);
        await closesOn(source);
        // The monitors may be a little behind.
        const lastOn = (host: LibvirtHost) => moments().findLast(moment => moment.host === host.name);
        const last = () => [source, destination].map(host => lastOn(host)?.opened);
        const isNew = () => [source, destination].every(host => (lastOn(host)?.atUs ?? 0) > beganUs);
        await expect.poll(() => [...last(), isNew()], settles).toEqual([false, true, true]);
        expect(lastOn(destination)!.atUs).toBeGreaterThan(lastOn(source)!.atUs - lateUs);
        const leftUs = lastOn(source)!.atUs;
        const frames = (host: LibvirtHost) =>
          framesOf(host, sniffers.get(host)!.lines).map(({ kind, atUs }) => ({ kind, afterUs: atUs - leftUs }));
        const kindsAfter = (host: LibvirtHost, us: number) =>
          [...new Set(frames(host).flatMap(({ kind, afterUs }) => (afterUs > us ? kind : [])))].sort();
        await expect.poll(() => kindsAfter(destination, -lateUs), settles).toEqual(['ARP', 'RARP']);
        // Here nobody tells of the MAC any more, and there nobody did before.
        expect(kindsAfter(source, lateUs)).toEqual([]);
        const before = frames(destination).filter(({ afterUs }) => afterUs > beganUs - leftUs && afterUs < -lateUs);
        expect(before).toEqual([]);
      }
    });

    test('migrates paused, and is resumed there', async () => {
      await a.migrate(guest, b, '--suspend');
      await staysClosedOn(b);
      await b.virsh('resume', guest);
      await opensOn(b);
      await b.virsh('suspend', guest);
      await closesOn(b);
      await b.migrate(guest, a);
      await staysClosedOn(a);
      await a.virsh('resume', guest);
      await opensOn(a);
    });

    test('a migration that the destination refuses changes nothing', async () => {
      await b.run('ip', 'link', 'set', 'br0', 'name', 'br0away');
      await expect(a.migrate(guest, b)).rejects.toThrow(/br0/);
      await b.run('ip', 'link', 'set', 'br0away', 'name', 'br0');
      expect(await isOpenOn(a)).toBe(true);
    });

    /** A migration at 1 MiB/s, so that its memory takes seconds; resolves when it has begun. */
    const beginSlowly = async () => {
      const migrating = a.migrate(guest, b, '--bandwidth', '1').then(
        () => 'migrated',
        () => 'failed',
      );
      await expect
        .poll(() => b.virsh('domstate', '--reason', guest).catch(() => ''), settles)
        .toMatch(/paused \(migrat/);
      return { migrating };
    };

    test.each<{ name: string; fault: () => Promise<unknown> }>([
      { name: 'is aborted', fault: () => a.virsh('domjobabort', guest) },
      { name: 'loses QEMU at its destination', fault: () => b.killQemu(guest) },
      { name: 'loses the daemon of its destination', fault: () => b.stopDaemon('KILL').then(() => b.startDaemon()) },
      { name: 'loses the daemon of its source', fault: () => a.stopDaemon('KILL').then(() => a.startDaemon()) },
    ])('a migration that $name leaves the guest open where it is, and nothing there', async ({ fault }) => {
      const earlier = moments().length;
      const { migrating } = await beginSlowly();
      await fault();
      expect(await migrating).toBe('failed');
      await expect.poll(() => a.virsh('domstate', guest), settles).toMatch(/running/);
      await expect.poll(() => b.virsh('list', '--all', '--name'), settles).not.toContain(guest);
      await opensOn(a);
      expect(await isOpenOn(b)).toBe(false);
      // It was never closed here, or opened there.
      expect(moments().length).toBe(earlier);
    });

    test('a migration that loses QEMU at its source leaves the guest open nowhere', async () => {
      const { migrating } = await beginSlowly();
      await a.killQemu(guest);
      expect(await migrating).toBe('failed');
      await closesOn(a);
      for (const host of [a, b]) {
        await expect.poll(() => host.virsh('list', '--name'), settles).not.toContain(guest);
        expect(await isOpenOn(host)).toBe(false);
      }
      await a.virsh('start', guest);
      await opensOn(a);
    });

    test.skipIf(by !== 'the agent').each([
      { name: 'source', at: () => a },
      { name: 'destination', at: () => b },
    ])('a migration during which the agent of its $name is killed, and comes back', async ({ at }) => {
      const { migrating } = await beginSlowly();
      await agents.get(at())!.end('KILL');
      await a.virsh('migrate-setspeed', guest, '10000');
      expect(await migrating).toBe('migrated');
      // Its source closes it at the latest when QEMU has ended; nobody opens it in the place of an agent that is to come back.
      await closesOn(a);
      agents.set(at(), await at().startAgent());
      await opensOn(b);
      await b.migrate(guest, a);
      await opensOn(a);
      await closesOn(b);
    });

    test('a restart of the daemon: what happens after it is followed as before', async () => {
      await a.stopDaemon();
      await a.startDaemon();
      await sleep(500);
      expect(await isOpenOn(a)).toBe(true);
      await a.virsh('suspend', guest);
      await closesOn(a);
      await a.virsh('resume', guest);
      await opensOn(a);
    });

    test.skipIf(by !== 'the agent')('an agent that was killed makes up for what it missed', async () => {
      await agents.get(a)!.end('KILL');
      await a.virsh('suspend', guest);
      await sleep(1000);
      expect(await isOpenOn(a)).toBe(true);
      agents.set(a, await a.startAgent());
      await closesOn(a);
      await a.virsh('resume', guest);
      await opensOn(a);
    });

    test('both hosts tell when they opened and closed it, and it was never open on both', async () => {
      const seen = moments();
      expect(gapsOf(seen).filter(gapUs => gapUs < -lateUs)).toEqual([]);
      // Each opening is followed by a closing: nothing is done twice.
      for (const { name } of [a, b]) {
        const own = seen.filter(({ host }) => host === name).map(({ opened }) => opened);
        expect(own).toEqual(own.map((_, place) => place % 2 === 0));
      }
      const there = await b.actualnet('', 'status', '--migrations', '--format', 'json');
      const told = await a.actualnet(there, 'status', '--migrations', '--format', 'json', '--peer', '-');
      const { cutOvers, migrations } = JSON.parse(told) as { cutOvers: CutOver[]; migrations: Migration[] };
      expect(migrations.filter(({ gapMs }) => gapMs !== undefined).length).toBeGreaterThanOrEqual(2 * ways.length);
      // The monitors' times are within those that were noted; an entry may have gone with its tap before we came to it.
      for (const { reachable, heardMs, beganMs, doneMs } of cutOvers.filter(each => each.doneMs > each.beganMs)) {
        const fromMs = reachable ? beganMs : heardMs - 1000;
        const isWithin = ({ host, opened, atUs }: Moment) =>
          host === a.name && opened === reachable && atUs / 1000 > fromMs - 2 && atUs / 1000 < doneMs + 500;
        expect(seen.some(isWithin), `${reachable ? 'opened' : 'closed'} from ${fromMs} to ${doneMs}`).toBe(true);
      }
    });

    test('a tap of the command line is joined to its bridge only when the CPUs run, in the place of the old one', async () => {
      const other = 'own-tap';
      const words = ['-netdev', 'tap,id=own,ifname=owntap,script=no,downscript=no'];
      const card = ['-device', 'virtio-net-pci,netdev=own,id=owncard,addr=0x1c,mac=52:54:00:ac:00:59'];
      const args = [...words, ...card].map(value => `<qemu:arg value='${value}'/>`).join('');
      const xml = guestXml(other, [])
        .replace('<domain ', "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ")
        .replace('</domain>', `<qemu:commandline>${args}</qemu:commandline></domain>`);
      const bridgeOf = async (host: LibvirtHost) => {
        const [link] = JSON.parse(await host.run('ip', '-json', 'link', 'show', 'dev', 'owntap').catch(() => '[]'));
        return link === undefined ? 'no tap' : (link.master ?? 'no bridge');
      };
      await a.define(xml);
      await a.virsh('start', other);
      expect(await bridgeOf(a)).toBe('br0');
      await a.migrate(other, b, '--suspend');
      expect(await bridgeOf(b)).toBe('no bridge');
      await expect.poll(() => bridgeOf(a), settles).toBe('no tap');
      await b.virsh('resume', other);
      await expect.poll(() => bridgeOf(b), settles).toBe('br0');
      await b.virsh('destroy', other);
      await expect.poll(() => bridgeOf(b), settles).toBe('no tap');
      await a.virsh('undefine', other);
    });

    test('is destroyed: nothing of it is left', async () => {
      await a.virsh('destroy', guest);
      for (const host of [a, b]) {
        await closesOn(host);
        await expect.poll(() => host.actualnet('', 'recover', '--grace', '0'), settles).toBe('nothing to recover');
        // Of the migration that was refused, there is one.
        const refused = / prepare: .* there is no bridge 'br0' .*DEVICE_MISSING/;
        expect(host.hookLog().filter(line => / warn /.test(line) && !refused.test(line))).toEqual([]);
      }
    });
  },
);
