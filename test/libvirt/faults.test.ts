import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { guestXml, hostBridgeNetwork, interfaceXml, macvtapNetwork, onNetwork, ownBridgeNetwork } from './documents.ts';
import { callsOf, expectCleanCalls, expectStatusOfRunning, settles, titled, watchCalls } from './expectations.ts';
import type { LibvirtHost } from './host.ts';
import { missingInKernel, missingPrerequisite } from './prerequisites.ts';
import { shownByLibvirt, shownByStatus } from './shown.ts';
import { findTraces, type Traces } from './traces.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const networks = [
  ownBridgeNetwork('lan', { bridge: `name='virbr1'` }),
  hostBridgeNetwork('nowhere', 'nosuchbridge'),
  ...(missingInKernel.macvtap === undefined ? [macvtapNetwork('pool', 'passthrough', 'eth2')] : []),
];
const { starting, ending } = callsOf(1);

describe.skipIf(missingPrerequisite)(titled('when something goes wrong', missingPrerequisite), () => {
  let hosts: TwoHosts | undefined;
  let a: LibvirtHost;
  let b: LibvirtHost;
  let before: readonly Traces[];
  /** How many lines were logged on both hosts. */
  let logged: readonly number[];
  /** How many starts our hooks have refused so far, all on the first host. */
  let refused = 0;

  beforeAll(async () => {
    hosts = await startTwoHosts(networks);
    ({ a, b } = hosts);
  });
  afterAll(() => stopHosts(hosts));

  beforeEach(async () => {
    before = await Promise.all([a, b].map(findTraces));
    logged = [a, b].map(host => host.hookLog().length);
  });
  afterEach(async () => {
    for (const host of [a, b]) {
      for (const guest of ['one', 'two']) await host.forget(guest);
      expectCleanCalls(host, host === a ? refused : 0);
    }
    await expect.poll(() => Promise.all([a, b].map(findTraces)), settles).toEqual(before);
  });

  const newInLog = () => [a, b].flatMap((host, index) => host.hookLog().slice(logged[index]));

  test('a start fails late: a tap of somebody else is missing', async () => {
    const tap = interfaceXml('ethernet', 2, "<target dev='nosuchtap' managed='no'/>");
    await a.define(guestXml('one', [onNetwork('lan', 1), tap]));
    const seen = watchCalls(a);
    await expect(a.virsh('start', 'one')).rejects.toThrow("managed='no' but specified dev doesn't exist");
    expect(seen()).toEqual(['qemu prepare', 'network port-created', ...ending]);
    expect(newInLog()).toEqual([]);
  });

  test('a start is refused early: the bridge is missing', async () => {
    await a.define(guestXml('one', [onNetwork('nowhere', 1)]));
    const seen = watchCalls(a);
    refused++;
    await expect(a.virsh('start', 'one')).rejects.toThrow("there is no bridge 'nosuchbridge'");
    expect(seen()).toEqual(['qemu prepare', 'qemu stopped', 'qemu release']);
    expect(newInLog()).toEqual([expect.stringContaining('[DEVICE_MISSING]')]);
  });

  test('a start fails early, and was predicted to: the network is not running', async () => {
    await a.virsh('net-destroy', 'lan');
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    const seen = watchCalls(a);
    await expect(a.virsh('start', 'one')).rejects.toThrow(`network 'lan' is not active`);
    expect(seen()).toEqual(['qemu prepare', 'qemu stopped', 'qemu release']);
    expect(newInLog()).toEqual([expect.stringContaining('[NETWORK_INACTIVE]')]);
    await a.virsh('net-start', 'lan');
  });

  test.skipIf(missingInKernel.macvtap)(
    titled(
      'the second guest finds the pool empty, as predicted, and the first keeps its device',
      missingInKernel.macvtap,
    ),
    async () => {
      await a.define(guestXml('one', [onNetwork('pool', 1)]));
      await a.define(guestXml('two', [onNetwork('pool', 2)]));
      await a.virsh('start', 'one');
      refused++;
      await expect(a.virsh('start', 'two')).rejects.toThrow(`network 'pool': all 1 devices are in use`);
      // As a finding, and as the reason.
      expect(newInLog()).toEqual(Array(2).fill(expect.stringContaining('[POOL_EXHAUSTED]')));
      await expectStatusOfRunning(a, 'one', { phase: 'started', incoming: false });
      await a.virsh('destroy', 'one');
      await a.virsh('start', 'two');
      await expectStatusOfRunning(a, 'two', { phase: 'started', incoming: false });
    },
  );

  test('two guests start and end at once', async () => {
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.define(guestXml('two', [onNetwork('lan', 2)]));
    const both = (command: string) => Promise.all(['one', 'two'].map(guest => a.virsh(command, guest)));
    await both('start');
    for (const guest of ['one', 'two']) await expectStatusOfRunning(a, guest, { phase: 'started', incoming: false });
    await both('destroy');
    expect(newInLog()).toEqual([]);
  });

  test('a migration is refused by the destination', async () => {
    await b.virsh('net-destroy', 'lan');
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.virsh('start', 'one');
    const seen = [watchCalls(a), watchCalls(b)];
    await expect(a.migrate('one', b)).rejects.toThrow(`network 'lan' is not active`);
    expect(seen[1]!()).toEqual(['qemu migrate', 'qemu prepare', 'qemu stopped', 'qemu release']);
    expect(seen[0]!()).toEqual([]);
    await expectStatusOfRunning(a, 'one', { phase: 'started', incoming: false });
    await b.virsh('net-start', 'lan');
  });

  test('a migration is given up half-way', async () => {
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.virsh('start', 'one');
    const seen = [watchCalls(a), watchCalls(b)];
    const migration = a.migrate('one', b, '--bandwidth', '1').catch(String);
    await expect.poll(seen[1]!, settles).toContain('qemu started');
    await expect.poll(() => a.virsh('domjobabort', 'one').then(() => 'aborted', String), settles).toBe('aborted');
    expect(await migration).toContain('canceled by client');
    expect(seen[1]!()).toEqual(['qemu migrate', ...starting, ...ending]);
    expect(seen[0]!()).toEqual([]);
    await expectStatusOfRunning(a, 'one', { phase: 'started', incoming: false });
  });

  test('the daemon is killed; one guest lives on, the other ends before it comes back', async () => {
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.define(guestXml('two', [onNetwork('lan', 2)]));
    await a.virsh('start', 'one');
    await a.virsh('start', 'two');
    await a.stopDaemon('KILL');
    await a.killQemu('two');
    const seen = watchCalls(a);
    await a.startDaemon();
    const expected = ['network port-created', 'network port-created', 'qemu reconnect', ...ending];
    await expect.poll(() => seen().sort(), settles).toEqual(expected.sort());
    await expectStatusOfRunning(a, 'one', { phase: 'reconnect', incoming: false });
    await expect(a.status('two')).rejects.toThrow('GUEST_UNKNOWN');
    expect(newInLog()).toEqual([]);
  });

  test('a saved guest starts by itself from its image', async () => {
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.virsh('start', 'one');
    await a.virsh('managedsave', 'one');
    const seen = watchCalls(a);
    await a.virsh('start', 'one');
    expect(seen()).toEqual(['qemu restore', ...starting]);
    await expectStatusOfRunning(a, 'one', { phase: 'started', incoming: true });
  });

  test('the network is restarted under a running guest', async () => {
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.virsh('start', 'one');
    await a.virsh('net-destroy', 'lan');
    await a.virsh('net-start', 'lan');
    const seen = watchCalls(a);
    await a.virsh('destroy', 'one');
    // libvirt has forgotten the port.
    expect(seen()).toEqual(['qemu stopped', 'qemu release']);
    expect(newInLog()).toEqual([]);
  });

  test('an interface is attached live: its port is seen at once, itself when the daemon comes back', async () => {
    await a.define(guestXml('one', [onNetwork('lan', 1)]));
    await a.virsh('start', 'one');
    const seen = watchCalls(a);
    await a.attach('one', onNetwork('lan', 2));
    expect(seen()).toEqual(['network port-created']);
    expect((await a.status('one')).ports.map(({ mac }) => mac)).toEqual(['52:54:00:ac:00:01', '52:54:00:ac:00:02']);
    await a.stopDaemon();
    await a.startDaemon();
    await expect.poll(seen, settles).toContain('qemu reconnect');
    const { actual: chosen, ports } = await a.status('one');
    expect(shownByStatus(chosen, ports)).toEqual(shownByLibvirt(await a.virsh('dumpxml', 'one')));
    expect(newInLog()).toEqual([
      expect.stringMatching(/ info guest 'one', reconnect: interface 52:54:00:ac:00:02 attached as 'net1'/),
    ]);
  });
});
