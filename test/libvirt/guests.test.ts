import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestXml } from './documents.ts';
import { callsOf, expectCleanCalls, expectStatusOfRunning, settles, titled, watchCalls } from './expectations.ts';
import type { LibvirtHost } from './host.ts';
import { type Kind, kinds } from './kinds.ts';
import { missingPrerequisite } from './prerequisites.ts';
import { findTraces, type Traces } from './traces.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

describe.skipIf(missingPrerequisite)(titled('a guest on two hosts', missingPrerequisite), () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    const possible = kinds.filter(({ missing }) => missing === undefined);
    hosts = await startTwoHosts(possible.flatMap(({ networks = [] }) => networks));
  });
  afterAll(() => stopHosts(hosts));

  for (const kind of kinds) {
    describe.skipIf(kind.missing)(titled(kind.name, kind.missing), () => liveThrough(kind, () => hosts));
  }

  test('no hook call failed, printed or had anything to log', () => {
    for (const host of [hosts.a, hosts.b]) {
      expectCleanCalls(host);
      expect(host.hookLog()).toEqual([]);
    }
  });
});

/** One guest of a kind through everything that can happen to it; each step takes it where the one before left it. */
function liveThrough(kind: Kind, hosts: () => TwoHosts): void {
  const { guest } = kind;
  const ports = kind.interfaces.filter(xml => xml.includes(`type='network'`)).length;
  const { starting, ending } = callsOf(ports);

  let a: LibvirtHost;
  let b: LibvirtHost;
  let before: { readonly a: Traces; readonly b: Traces };

  beforeAll(async () => {
    ({ a, b } = hosts());
    before = { a: await findTraces(a), b: await findTraces(b) };
    await a.define(guestXml(guest, kind.interfaces));
  });
  afterAll(async () => {
    for (const host of [a, b]) await host.forget(guest);
  });

  const nothingIsLeftOn = async (host: LibvirtHost) =>
    await expect.poll(() => findTraces(host), settles).toEqual(host === a ? before.a : before.b);

  test('starts', async () => {
    const seen = watchCalls(a);
    await a.virsh('start', guest);
    expect(seen()).toEqual(starting);
    await expectStatusOfRunning(a, guest, { phase: 'started', incoming: false });
  });

  test('is suspended and resumed without a hook', async () => {
    const seen = watchCalls(a);
    await a.virsh('suspend', guest);
    await a.virsh('resume', guest);
    expect(seen()).toEqual([]);
    await expectStatusOfRunning(a, guest, { phase: 'started', incoming: false });
  });

  test('is saved and restored', async () => {
    const image = `/var/lib/libvirt/${guest}.saved`;
    const seenSaving = watchCalls(a);
    await a.virsh('save', guest, image);
    expect(seenSaving()).toEqual(ending);
    if (kind.downAfterSave !== undefined) await a.run('ip', 'link', 'set', kind.downAfterSave, 'up');
    await nothingIsLeftOn(a);
    const seenRestoring = watchCalls(a);
    await a.virsh('restore', image);
    expect(seenRestoring()).toEqual(['qemu restore', ...starting]);
    await expectStatusOfRunning(a, guest, { phase: 'started', incoming: true });
  });

  test('outlives the daemon', async () => {
    const seen = watchCalls(a);
    await a.stopDaemon();
    await a.startDaemon();
    await expect.poll(seen, settles).toEqual([...starting.slice(1, -2), 'qemu reconnect']);
    await expectStatusOfRunning(a, guest, { phase: 'reconnect', incoming: true });
  });

  test('migrates to the other host and back', async () => {
    for (const [source, destination] of [
      [a, b],
      [b, a],
    ] as const) {
      const seen = { source: watchCalls(source), destination: watchCalls(destination) };
      await source.migrate(guest, destination);
      expect(seen.destination()).toEqual(['qemu migrate', ...starting]);
      await expect.poll(seen.source, settles).toEqual(ending);
      await expectStatusOfRunning(destination, guest, { phase: 'started', incoming: true });
      await nothingIsLeftOn(source);
    }
  });

  test('crashes and leaves nothing behind', async () => {
    const seen = watchCalls(a);
    await a.killQemu(guest);
    await expect.poll(seen, settles).toEqual(ending);
    await nothingIsLeftOn(a);
  });

  test('is destroyed and leaves nothing behind', async () => {
    await a.virsh('start', guest);
    const seen = watchCalls(a);
    await a.virsh('destroy', guest);
    expect(seen()).toEqual(ending);
    await nothingIsLeftOn(a);
    await nothingIsLeftOn(b);
  });
}
