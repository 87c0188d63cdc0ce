import { execaSync } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import { type Domain, readDomain } from '../../src/model/domain.ts';
import { parseXml } from '../../src/xml/document.ts';
import { hasShared, type RecordedCall, recordedCalls } from '../helpers/calls.ts';
import { makeTap } from './guests.ts';
import { hostState, inNamespace, ip, World } from './world.ts';

/** Scenarios in which each guest lives through its calls one after the other on one host. */
const scenarios = hasShared ? ['domains', 'hostdev', 'failing'] : [];

afterEach(() => {
  if (inNamespace) new World().destroy();
});

const exists = (dev: string) => execaSync('ip', ['link', 'show', 'dev', dev], { reject: false }).exitCode === 0;
const documentOf = (call: RecordedCall) => readDomain(parseXml(call.stdin));

/** Bridges and physical devices that the recorded guests are connected to. */
function makeConnectedTo(calls: readonly RecordedCall[]): string[] {
  const sources = calls
    .filter(({ driver, operation }) => driver === 'qemu' && operation === 'start')
    .flatMap(call => documentOf(call).interfaces.map(({ source }) => source));
  const bridges = new Set(sources.flatMap(({ bridge }) => bridge ?? []));
  for (const bridge of bridges) ip('link', 'add', bridge, 'address', '02:00:00:00:00:b0', 'type', 'bridge');
  for (const dev of new Set(sources.flatMap(({ dev }) => dev ?? [])))
    ip('link', 'add', dev, 'type', 'veth', 'peer', 'name', `${dev}q`);
  return [...bridges];
}

/** What libvirt has done when it calls a hook. */
function playLibvirt(operation: string, document: Domain, made: Map<string, 'tap' | 'macvtap'>): void {
  const remove = (kind: 'tap' | 'macvtap') => {
    for (const [dev] of [...made].filter(([, of]) => of === kind)) {
      if (exists(dev)) ip('link', 'del', dev);
      made.delete(dev);
    }
  };
  if (operation === 'stopped') remove('tap');
  if (operation === 'release') remove('macvtap');
  for (const { source, target, type, mac } of document.interfaces) {
    const { dev } = target;
    if (dev === undefined || (operation !== 'start' && operation !== 'started')) continue;
    if (operation === 'start' && source.bridge !== undefined && !exists(dev)) {
      makeTap(dev, mac!, source.bridge);
      made.set(dev, 'tap');
    } else if (operation === 'start' && type === 'direct') {
      ip(
        'link',
        'add',
        'link',
        source.dev!,
        'name',
        dev,
        'type',
        'macvtap',
        'mode',
        source.mode === 'passthrough' ? 'passthru' : source.mode!,
      );
      made.set(dev, 'macvtap');
    } else if (operation === 'started' && type === 'direct') {
      ip('link', 'set', source.dev!, 'up');
      ip('link', 'set', dev, 'up');
    }
  }
}

describe.skipIf(!inNamespace || !hasShared)('recorded lives on real links', () => {
  test.each(scenarios)('%s: after each release the host is as it was', async scenario => {
    const calls = recordedCalls(scenario).filter(({ host }) => host === 'A');
    const bridges = makeConnectedTo(calls);
    const keep = bridges.map(bridge => `  ${bridge}: { keepForwardingTable: true }`).join('\n');
    const world = new World(`bridges:\n${keep}\ntaps: { create: true }\nmacvtap: { manage: true }\n`);
    // The recorded PCI devices are not this machine's.
    const effects = world.effects();
    const context = world.context({
      ...effects,
      view: async needs => ({ ...(await effects.view(needs)), hasPci: false }),
    });
    const before = hostState();
    const made = new Map<string, 'tap' | 'macvtap'>();
    let opened = 0;
    for (const call of calls) {
      const xml = call.stdin.toString();
      if (call.driver === 'network') {
        await world.network(call.object, call.operation, xml, context);
        continue;
      }
      const document = documentOf(call);
      playLibvirt(call.operation, document, made);
      const answer = await world.qemu(call.operation, xml, context);
      // libvirt refused these, too.
      const isRefused = /_EXHAUSTED|there is no bridge 'nosuchbr'/.test(answer.stderr);
      expect(answer, call.label).toEqual({
        status: isRefused ? 1 : 0,
        stdout: '',
        stderr: isRefused ? answer.stderr : '',
      });
      if (call.operation === 'started') {
        const kept = document.interfaces.filter(
          ({ source, target }) =>
            source.bridge !== undefined && source.macTableManager !== 'libvirt' && target.dev !== undefined,
        );
        for (const { mac, target } of kept) {
          expect(hostState(), call.label).toContainEqual(expect.stringContaining(`${mac} static on ${target.dev} `));
          opened++;
        }
      }
      if (call.operation === 'release' && made.size === 0) expect(hostState(), call.label).toEqual(before);
    }
    if (scenario === 'domains') expect(opened).toBeGreaterThan(5);
    await world.recover();
    world.destroy();
  });
});
