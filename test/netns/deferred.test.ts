import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { guest, mac, makeHost } from './guests.ts';
import { hostState, inNamespace, ip, lineOf, World } from './world.ts';

const config = `
bridges: { br0: { keepForwardingTable: true } }
taps: { create: true }
interfaces:
  - { match: { tap: 'wrong*' }, bridge: br0, mtu: 65535 }
  - { match: { tap: '*' }, bridge: br0, keepForwardingTable: true }
`;
let world: World;
beforeEach(() => {
  if (!inNamespace) return;
  world = new World(config);
  makeHost('up1');
});
afterEach(() => world?.destroy());

/** A guest with taps of its command line; each with its scripts off or not. */
function withTaps(taps: readonly { readonly dev: string; readonly more?: string }[]): string {
  const words = taps.flatMap(({ dev, more = ',script=no,downscript=no' }, index) => [
    '-netdev',
    `tap,id=x${index},ifname=${dev}${more}`,
    '-device',
    `virtio-net-pci,netdev=x${index},mac=${mac(index + 1)}`,
  ]);
  const args = words.map(word => `<qemu:arg value='${word}'/>`).join('');
  return guest([], 'prepare').replace('</domain>', `<qemu:commandline>${args}</qemu:commandline></domain>`);
}

const arrive = async (xml: string) => {
  await world.qemu('migrate', xml.replace(" id='1'", ''));
  return world.qemu('prepare', xml);
};
const entries = () => hostState().filter(line => line.includes('static on'));

describe.skipIf(!inNamespace)('taps of the command line of a guest that comes from elsewhere', () => {
  test('are made just before QEMU opens them, and joined to their bridge when the CPUs run', async () => {
    const before = hostState();
    const xml = withTaps([{ dev: 'late0' }, { dev: 'early0', more: '' }]);
    await arrive(xml);
    expect(lineOf('late0')).toBeUndefined();
    expect(lineOf('early0')).toMatch(/ up in br0/);
    await world.qemu('start', xml);
    expect(lineOf('late0')).toMatch(/ up/);
    expect(lineOf('late0')).not.toContain('in br0');
    await world.qemu('started', xml);
    expect(lineOf('late0')).not.toContain('in br0');
    expect(entries()).toEqual([]);
    expect(await world.reach('reachable', xml)).toEqual([]);
    expect(lineOf('late0')).toMatch(/ up in br0 learning false flood false/);
    expect(entries()).toHaveLength(2);
    await world.reach('unreachable', xml);
    expect(entries()).toEqual([]);
    await world.qemu('stopped', xml);
    await world.qemu('release', xml);
    expect(hostState()).toEqual(before);
  });

  test('are made at prepare, and joined, if it does not come from elsewhere', async () => {
    const xml = withTaps([{ dev: 'late0' }]);
    await world.qemu('prepare', xml);
    expect(lineOf('late0')).toMatch(/ up in br0/);
  });

  test.each([
    { name: 'is defined here since: it came offline', definedMs: 1000, incoming: false },
    { name: 'was defined here before', definedMs: -1000, incoming: true },
    { name: 'has a definition from the future', definedMs: 3_600_000, incoming: true },
  ])('of one that was announced and $name', async ({ definedMs, incoming }) => {
    const xml = withTaps([{ dev: 'late0' }]);
    await world.qemu('migrate', xml.replace(" id='1'", ''));
    mkdirSync(world.paths.libvirtGuestConfig, { recursive: true });
    const file = `${world.paths.libvirtGuestConfig}/g1.xml`;
    writeFileSync(file, xml);
    const written = (world.nowMs + definedMs) / 1000;
    utimesSync(file, written, written);
    world.nowMs += 60_000;
    await world.qemu('prepare', xml);
    expect(world.records()).toMatchObject([{ incoming }]);
    if (incoming) expect(lineOf('late0')).toBeUndefined();
    else expect(lineOf('late0')).toMatch(/ up in br0/);
  });

  test('after one that fails none is tried, those before it stay until the guest is given up', async () => {
    const before = hostState();
    const xml = withTaps([{ dev: 'tapa' }, { dev: 'wrong' }, { dev: 'tapc' }]);
    expect(await arrive(xml)).toMatchObject({ status: 0 });
    expect(await world.qemu('start', xml)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/MTU|mtu.*wrong|wrong.*mtu/),
    });
    expect(lineOf('tapa')).toMatch(/ up/);
    expect([lineOf('wrong'), lineOf('tapc')]).toEqual([undefined, undefined]);
    await world.qemu('stopped', xml);
    await world.qemu('release', xml);
    expect(hostState()).toEqual(before);
  });

  /** The guest runs here and comes here once more; both QEMUs open `late0`. */
  const arriveBeside = async (xml: string) => {
    await world.qemu('prepare', xml);
    await world.qemu('start', xml);
    mkdirSync(world.paths.libvirtGuestStatus, { recursive: true });
    writeFileSync(statusFile(), `<domstatus state='running' reason='booted' pid='1'>${xml}</domstatus>`);
    await world.qemu('started', xml);
    const running = hostState();
    for (const operation of ['migrate', 'prepare', 'start'] as const) {
      await world.qemu(operation, operation === 'migrate' ? xml.replace(" id='1'", '') : xml);
      expect(hostState(), operation).toEqual(running);
    }
    return running;
  };
  const statusFile = () => `${world.paths.libvirtGuestStatus}/g1.xml`;
  const end = async (xml: string) => {
    await world.qemu('stopped', xml);
    await world.qemu('release', xml);
  };

  test.each([
    { name: 'the source', succeeds: true },
    { name: 'the destination', succeeds: false },
  ])('that its source on the same host has stays until both have ended, $name first', async ({ succeeds }) => {
    const before = hostState();
    const xml = withTaps([{ dev: 'late0' }]);
    const running = await arriveBeside(xml);
    expect(lineOf('late0')).toMatch(/ up in br0/);
    expect(entries()).toHaveLength(1);
    if (succeeds) await world.qemu('started', xml);
    await end(xml);
    expect(hostState()).toEqual(running);
    rmSync(statusFile());
    await end(xml);
    expect(hostState()).toEqual(before);
    expect(world.records()).toEqual([]);
  });

  test('that is there already, somebody else’s, is used and kept', async () => {
    ip('tuntap', 'add', 'dev', 'late0', 'mode', 'tap');
    ip('link', 'set', 'late0', 'master', 'br0', 'up');
    const before = hostState();
    const xml = withTaps([{ dev: 'late0' }]);
    await arrive(xml);
    await world.qemu('start', xml);
    await world.qemu('started', xml);
    await world.qemu('stopped', xml);
    await world.qemu('release', xml);
    expect(hostState()).toEqual(before);
  });
});
