import { describe, expect, test } from 'vitest';
import { readDomain } from '../../src/model/domain.ts';
import { readHookData } from '../../src/model/network-port.ts';
import { resolveGuest } from '../../src/resolve/guest.ts';
import { type NetworkState, withPort } from '../../src/resolve/network-state.ts';
import { oldestLibvirtVersion } from '../../src/resolve/version.ts';
import type { GuestView } from '../../src/transform/guest-view.ts';
import { editsToStarted } from '../../src/transform/started.ts';
import { viewGuest } from '../../src/transform/view-guest.ts';
import { parseXml } from '../../src/xml/document.ts';
import { applyEdits } from '../../src/xml/edit.ts';
import { hasShared, type RecordedCall, recordedCalls, recordedScenarios } from '../helpers/calls.ts';
import { TestHost } from '../helpers/host.ts';
import { domainSchema, isValid } from '../helpers/relax-ng.ts';

const scenarios = hasShared ? recordedScenarios() : [];

/** One start as recorded: what was given at prepare, and what libvirt showed at start. */
interface RecordedStart {
  readonly label: string;
  readonly prepare: string;
  readonly start: string;
  readonly networks: ReadonlyMap<string, NetworkState>;
}

function recordedStarts(scenario: string): RecordedStart[] {
  const starts: RecordedStart[] = [];
  const networks = new Map<string, NetworkState>();
  const prepared = new Map<string, { prepare: string; networks: ReadonlyMap<string, NetworkState> }>();
  for (const call of recordedCalls(scenario)) {
    if (call.driver === 'network') followNetwork(networks, call);
    else if (call.operation === 'prepare') {
      const ofHost = new Map(
        [...networks].filter(([key]) => key.startsWith(call.host)).map(([key, state]) => [key.slice(2), state]),
      );
      prepared.set(`${call.host} ${call.object}`, { prepare: call.stdin.toString(), networks: ofHost });
    } else if (call.operation === 'start') {
      starts.push({ label: call.label, start: call.stdin.toString(), ...prepared.get(`${call.host} ${call.object}`)! });
    }
  }
  return starts;
}

/** What the network hook would remember, kept apart from its code on purpose. */
function followNetwork(networks: Map<string, NetworkState>, call: RecordedCall): void {
  const key = `${call.host} ${call.object}`;
  const { network, port } = readHookData(parseXml(call.stdin));
  const before = networks.get(key) ?? { network, active: true, ports: [] };
  if (call.operation === 'stopped') networks.delete(key);
  else if (call.operation === 'port-created') {
    const others = before.ports.filter(other => other.uuid !== port!.uuid);
    networks.set(key, withPort({ ...before, network, ports: others }, port!));
  } else if (call.operation === 'port-deleted') {
    networks.set(key, { ...before, ports: before.ports.filter(other => other.uuid !== port!.uuid) });
  } else networks.set(key, { network, active: true, ports: call.operation === 'start' ? [] : before.ports });
}

function viewOf(text: string, networks: ReadonlyMap<string, NetworkState>): { view: GuestView; started: string } {
  const document = parseXml(text);
  const domain = readDomain(document);
  const view = viewGuest(
    domain,
    resolveGuest(domain, { findNetwork: name => networks.get(name), version: () => oldestLibvirtVersion }),
  );
  return { view, started: applyEdits(document, editsToStarted(domain, view)).text };
}

/** What a document shows of each interface, without what only a real start can tell. */
function shown(text: string) {
  return readDomain(parseXml(text)).interfaces.map(({ element, type, mac, source, hostDevice, vlan, alias }) => {
    const { portid: _, ...connection } = source;
    return { type, mac, connection, hostDevice, vlan, alias, children: element.childrenNamed('virtualport').length };
  });
}

describe.skipIf(!hasShared)('recorded starts', () => {
  const starts = scenarios.flatMap(recordedStarts);

  test('there are many', () => expect(starts.length).toBeGreaterThan(60));

  test.each(starts)('$label: what was predicted is what libvirt did', ({ prepare, start, networks }) => {
    const predicted = viewOf(prepare, networks);
    const actual = viewOf(start, new Map());
    // libvirt shows a merged trustGuestRxFilters in the port only.
    const essence = ({ interfaces, hostdevs }: GuestView) => ({
      interfaces: interfaces.map(({ alias, mac, actual }) => ({
        alias,
        mac,
        actual: { ...actual, trustGuestRxFilters: undefined },
      })),
      hostdevs: hostdevs.map(({ alias, address, type, interface: owner }) => ({ alias, address, type, owner })),
    });
    expect(essence(predicted.view)).toEqual(essence(actual.view));
  });

  test.each(starts)('$label: the started form shows the interfaces as libvirt does', ({ prepare, start, networks }) => {
    expect(shown(viewOf(prepare, networks).started)).toEqual(shown(start));
  });

  test.skipIf(domainSchema === undefined).each(starts)('$label: the started form is valid', ({ prepare, networks }) => {
    if (!isValid(domainSchema!, prepare)) return;
    expect(isValid(domainSchema!, viewOf(prepare, networks).started)).toBe(true);
  });
});

describe.skipIf(!hasShared)('recorded scenarios through the built hooks', () => {
  test.each(scenarios)(
    '%s: every call ends with 0 and silence, and the records follow',
    scenario => {
      const hosts = new Map<string, TestHost>();
      const alive = new Map<string, Set<string>>();
      const calls = recordedCalls(scenario);
      for (const [place, call] of calls.entries()) {
        const host = hosts.get(call.host) ?? new TestHost();
        hosts.set(call.host, host);
        const answer = host.hook(call.driver, call.words, call.stdin);
        // libvirt itself went no further with a guest for which the pool had nothing left.
        const next = calls.slice(place + 1).find(({ driver, object }) => driver === 'qemu' && object === call.object);
        const isRefused = answer.status === 1 && call.operation === 'prepare' && next?.operation === 'stopped';
        expect(answer, call.label).toEqual(
          isRefused
            ? { status: 1, stdout: '', stderr: expect.stringMatching(/^guest '\S+', prepare: .*\[POOL_EXHAUSTED\]\n$/) }
            : { status: 0, stdout: '', stderr: '' },
        );
        if (call.driver !== 'qemu') continue;
        const names = alive.get(call.host) ?? new Set();
        alive.set(call.host, names);
        if (['prepare', 'start', 'started', 'reconnect'].includes(call.operation)) names.add(call.object);
        if (call.operation === 'release') names.delete(call.object);
        const recorded = host.status().filter(({ phase }) => phase !== 'migrate' && phase !== 'restore');
        expect(recorded.map(({ name }) => name).sort(), call.label).toEqual([...names].sort());
        const own = recorded.find(({ name }) => name === call.object);
        if (own !== undefined) expect(own.phase, call.label).toBe(call.operation);
        expect(own?.findings.filter(finding => !/_UNKNOWN|_EXHAUSTED/.test(finding)) ?? [], call.label).toEqual([]);
      }
      for (const host of hosts.values()) host.remove();
    },
    300_000,
  );
});
