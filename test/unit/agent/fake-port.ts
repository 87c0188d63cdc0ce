import { type DeviceHost, followDevices } from '../../../src/agent/follow-devices.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { repairGuest } from '../../../src/guest/phases.ts';
import { foldRecord } from '../../../src/guest/record.ts';
import { checkGuest } from '../../../src/hotplug/check.ts';
import type { HotplugHost, KnownPort } from '../../../src/hotplug/host.ts';
import type { Effects, LedgerFile } from '../../../src/journal/effects.ts';
import { foldLedger } from '../../../src/journal/ledger.ts';
import type { PortVlan } from '../../../src/kernel/host-view.ts';
import type { Command } from '../../../src/kernel/kind.ts';
import { describeChange } from '../../../src/kernel/registry.ts';
import { readDomain } from '../../../src/model/domain.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { ActualnetError } from '../../../src/report/error.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { oldestLibvirtVersion } from '../../../src/resolve/version.ts';
import { viewGuest } from '../../../src/transform/view-guest.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { running } from '../../helpers/documents.ts';
import { hostView, link } from '../../helpers/host-view.ts';

export const uuid = '0b0e1f52-0000-4000-8000-000000000001' as Uuid;
export const mac = '52:54:00:00:00:01';
const portOf = (network: string) => `0b0e1f52-0000-4000-8000-0000000000${network.toLowerCase()}0`;

/** An interface on `br0`: of a network, with a portgroup, or plain. */
export function onBridge({
  network,
  portgroup,
  dev = 'vnet1',
}: {
  network?: string;
  portgroup?: string;
  dev?: string;
}) {
  const group = portgroup === undefined ? '' : ` portgroup='${portgroup}'`;
  const head =
    network === undefined
      ? "<interface type='bridge'><source bridge='br0'/>"
      : `<interface type='network'><source network='${network}'${group} portid='${portOf(network)}'/>`;
  const actual = network === undefined ? '' : "<actual type='bridge'><source bridge='br0'/></actual>";
  return `${head}${actual}<mac address='${mac}'/><target dev='${dev}'/><alias name='net0'/></interface>`;
}

async function readConfig(text: string) {
  const parsed = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in parsed) throw new Error(parsed.mistakes.join('\n'));
  return parsed.config;
}

/** Networks `A` and `B` on a bridge that is VLAN-aware, and a guest with a port there that others change. */
export async function fakePort(text: string) {
  const host = { dev: 'vnet1', vlans: [] as PortVlan[], isolated: false, refuses: '', ran: [] as string[] };
  const lines: Record<'record' | 'ledger', object[]> = { record: [], ledger: [] };
  const log: string[] = [];
  const state = {
    metadata: '',
    xml: '',
    isTorn: false,
    paused: false,
    reason: 'user',
    holds: true,
    ended: false,
    /** libvirt's number of its present life. */
    id: 1,
    asked: text,
    ports: [] as KnownPort[],
  };
  const ledgerOf = (own: object[]): LedgerFile => ({
    read: () => own,
    append: more => void own.push(...more),
    replace: instead => void own.splice(0, own.length, ...instead),
  });
  const act = (line: string): boolean => {
    if (host.refuses !== '' && line.includes(host.refuses)) return false;
    host.ran.push(line);
    const [, verb, id, how = ''] = /^vlan (add|delete) dev \S+ vid (\d+) ?(.*)$/.exec(line) ?? [];
    if (verb !== undefined) host.vlans = host.vlans.filter(vlan => vlan.id !== Number(id));
    if (verb === 'add') host.vlans.push({ dev: host.dev, id: Number(id), how: how as PortVlan['how'] });
    const [, isolated] = / isolated (on|off)/.exec(line) ?? [];
    if (isolated !== undefined) host.isolated = isolated === 'on';
    return true;
  };
  const effects = {
    view: async () => {
      const port = { learning: true, flood: true, isolated: host.isolated };
      const index = Number(host.dev.slice(4));
      return hostView(
        [
          link('br0', { isBridge: true, vlanFiltering: true }),
          link(host.dev, { master: 'br0', isTap: true, index, port }),
        ],
        { vlans: [...host.vlans] },
      );
    },
    sharedNames: () => [],
    guestLedger: () => ledgerOf(lines.ledger),
    sharedLedger: () => ledgerOf([]),
    lock: async () => () => undefined,
    now: () => 0,
    run: async (commands: readonly Command[]) =>
      commands.flatMap(({ line }, place) => (act(line) ? [] : { place, message: 'Cannot allocate memory' })),
  } as unknown as Effects;
  const network = (name: string) =>
    `<network><name>${name}</name><forward mode='bridge'/><bridge name='br0'/></network>`;
  const planning = async () => ({
    config: await readConfig(state.asked),
    effects,
    findNetwork: (name: string) =>
      running(
        network(name),
        state.ports.filter(port => port.network === name).map(({ uuid: port }) => ({ uuid: port })),
      ),
    version: () => oldestLibvirtVersion,
  });
  const liveXml = () =>
    `<domain id='${state.id}'><name>g</name><uuid>${uuid}</uuid>${state.metadata}<devices>${state.xml}</devices></domain>`;
  const findGuest = () => readDomain(parseXml(`<domstatus state='running' pid='1'>${liveXml()}</domstatus>`));
  const findRecord = () => foldRecord(uuid, lines.record);
  const following: DeviceHost = {
    findGuest() {
      if (state.isTorn) throw new ActualnetError('XML_SYNTAX', 'line 1, column 1: torn');
      return findGuest();
    },
    findByTaps: () => readDomain(parseXml(`<domstatus>${liveXml()}</domstatus>`)),
    noteFinding: (_, name, finding) => void lines.record.push({ at: 'then', op: 'devices', name, findings: [finding] }),
    hasEnded: () => state.ended,
    isOwn: false,
    planning,
    findRecord,
    note: (_, view, found) =>
      void lines.record.push({ at: 'then', op: found.isFirst ? 'reconnect' : 'devices', name: 'g', view, ...found }),
    hold: async () => (state.holds ? () => undefined : undefined),
    log: { info: line => void log.push(line), warn: line => void log.push(`warn: ${line}`) },
  };
  const viewNow = () => {
    const domain = findGuest();
    return viewGuest(
      domain,
      resolveGuest(domain, { findNetwork: () => undefined, version: () => oldestLibvirtVersion }),
    );
  };
  lines.record.push({ at: 'then', op: 'started', name: 'g', view: viewNow() });
  /** As a bridge makes a port. */
  const join = (dev: string) => {
    Object.assign(host, { dev, isolated: false, vlans: [{ dev, id: 1, how: 'pvid untagged' }] });
  };
  join('vnet1');
  const hotplug = {
    following,
    planning,
    findGuest,
    runState: () => ({ state: state.paused ? 'paused' : 'running', reason: state.paused ? state.reason : 'booted' }),
    libvirtPorts: () => state.ports,
    virsh: async () => liveXml(),
  } as unknown as HotplugHost;
  return {
    effects,
    following,
    host,
    state,
    log,
    join,
    /** libvirt has it like this now, with the ports that go with it. */
    set(xml: string) {
      state.xml = xml;
      for (const port of state.ports) lines.record.push({ at: 'then', op: 'port-deleted', uuid: port.uuid });
      state.ports = [...xml.matchAll(/network='(\w)'.*? portid='([^']+)'/g)].map(([, of = '', portid = '']) => ({
        uuid: portid as Uuid,
        network: of,
        mac,
      }));
      for (const port of state.ports)
        lines.record.push({ at: 'then', op: 'port-created', port: { ...port, plug: null }, findings: [] });
    },
    /** The configuration says something else. */
    ask(instead: string) {
      state.asked = instead;
    },
    note: (line: object) => void lines.record.push({ at: 'then', ...line }),
    follow: () => followDevices('g', { paused: state.paused, host: following }),
    /** What a restart of libvirt's daemon leads to. */
    repair: () => repairGuest({ uuid, domain: findGuest(), effects }),
    check: () => checkGuest('g', hotplug),
    record: findRecord,
    /** As if the hooks had been installed only now. */
    forget: () => void lines.record.splice(0),
    applied: () => [...foldLedger(lines.ledger).values()].map(entry => describeChange(entry)),
    /** The port as the kernel has it. */
    port: () => [...host.vlans.map(({ id, how }) => `${id} ${how}`), ...(host.isolated ? ['isolated'] : [])],
  };
}
