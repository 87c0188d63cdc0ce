import { listUsers, type User, type UserSources } from '../guest/users.ts';
import type { Effects } from '../journal/effects.ts';
import { tryEntriesOf } from '../journal/ledgers.ts';
import { findUse, linksToAsk, takenUses } from '../kernel/device-uses.ts';
import type { HostView, VfState } from '../kernel/host-view.ts';
import type { Value } from '../kernel/kind.ts';
import { describeValue, type Subject, sharedNameOf } from '../kernel/registry.ts';
import { describeVfRate, describeVfVlan } from '../kernel/vf.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { asActualnetError, printable } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand, formatOption } from './command.ts';
import type { CommandIo } from './io.ts';

export interface PoolOptions extends UserSources {
  readonly format: 'table' | 'json';
  readonly effects: Effects;
  readonly keptByLibvirt: () => readonly string[];
}

/** One VF; described by schemas/pool.schema.json. */
interface VfRow {
  readonly vf: number;
  readonly address: PciAddress;
  readonly netdev: string | null;
  readonly driver: string | null;
  readonly group: number | null;
  readonly numaNode: number | null;
  /** Null where the PF has no link, or does not answer. */
  readonly settings: Settings | null;
  /** Everybody who says he uses it, each with how it is known. */
  readonly usedBy: readonly User[];
  /** Actualnet keeps these settings as they were, to put them back. */
  readonly kept: Settings;
}

/** By iproute2's words. */
type Settings = Readonly<Record<string, Value>>;

interface PfRow {
  readonly pf: PciAddress;
  readonly dev: string | null;
  readonly up: boolean;
  readonly driver: string | null;
  readonly numaNode: number | null;
  readonly vfs: readonly VfRow[];
}

/** `actualnet pool`: the VFs of this host, how they are set, and who has them. */
export async function poolCommand(options: PoolOptions, io: CommandIo): Promise<void> {
  const { pfs, problems } = await readPool(options);
  io.write(
    options.format === 'json'
      ? jsonText({ pfs, problems })
      : `${[...table(pfs), ...problems.map(problem => `problem: ${printable(problem)}`)].join('\n')}\n`,
  );
}

/** The PFs with their VFs, and what could not be asked. */
export async function readPool(
  options: Omit<PoolOptions, 'format'>,
): Promise<{ readonly pfs: readonly PfRow[]; readonly problems: readonly string[] }> {
  const { effects } = options;
  const first = await effects.view({});
  const vfs = first.pfs().flatMap(pf => first.pci(pf)?.vfs ?? []);
  const links = [...new Set(vfs.flatMap(vf => first.pci(vf)?.pf?.dev ?? []))];
  const addresses = linksToAsk(vfs, first);
  const problems: string[] = [];
  const host = await effects.view({ vfs: links, addresses }).catch(error => {
    problems.push(asActualnetError(error).message);
    return first;
  });
  const users = listUsers(options);
  const pfs = host.pfs().flatMap(pf => describePf(pf, { host, users, options }) ?? []);
  return { pfs, problems };
}

interface Context {
  readonly host: HostView;
  readonly users: ReadonlyMap<string, readonly User[]>;
  readonly options: Omit<PoolOptions, 'format'>;
}

function describePf(pf: PciAddress, context: Context): PfRow | undefined {
  const { host, options } = context;
  const device = host.pci(pf);
  if (device === undefined) return undefined;
  const { driver, numaNode, vfs, ownLink: dev } = device;
  const kept = new Set(options.keptByLibvirt());
  return {
    pf,
    dev,
    up: dev !== null && host.link(dev)?.up === true,
    driver,
    numaNode,
    vfs: vfs.flatMap((address, vf) => describeVf(address, { vf, kept, context }) ?? []),
  };
}

function describeVf(
  address: PciAddress,
  at: {
    readonly vf: number;
    readonly kept: ReadonlySet<string>;
    readonly context: Context;
  },
): VfRow | undefined {
  const { vf, kept, context } = at;
  const { host, users, options } = context;
  const device = host.pci(address);
  if (device === undefined) return undefined;
  const dev = device.pf?.dev ?? null;
  const use = findUse(address, host, [...takenUses, 'foreign']);
  const entries =
    dev === null ? [] : tryEntriesOf(options.effects.sharedLedger(sharedNameOf({ kind: 'vf-mac', dev, vf }))).entries;
  return {
    vf,
    address,
    netdev: device.netdevs[0] ?? null,
    driver: device.driver,
    group: device.group?.number ?? null,
    numaNode: device.numaNode,
    settings: settingsOf((dev !== null && host.vf(dev, vf)) || undefined),
    usedBy: [
      ...(use === undefined ? [] : [{ who: use.who, by: use.kind === 'process' ? 'VFIO' : 'the kernel' }]),
      ...(users.get(address) ?? []),
      ...device.netdevs.flatMap(netdev => users.get(netdev) ?? []),
      ...(kept.has(`${dev}_vf${vf}`) ? [{ who: 'libvirt', by: 'the state it has put aside' }] : []),
    ],
    kept: Object.fromEntries(
      entries.map(({ subject, before }) => [subject.kind.slice('vf-'.length), shown(subject, before)]),
    ),
  };
}

function settingsOf(state: VfState | undefined): Settings | null {
  if (state === undefined) return null;
  const { vlan, rate, ...plain } = state;
  return { ...plain, vlan: vlan && describeVfVlan(vlan), rate: rate && describeVfRate(rate) };
}

/** A value as `settings` have it. */
function shown(subject: Subject, to: Value): Value {
  return typeof to === 'object' && to !== null ? describeValue({ subject, to }) : to;
}

function table(pfs: readonly PfRow[]): string[] {
  if (pfs.length === 0) return ['no device here can have VFs'];
  const head = ['PF', 'VF', 'ADDRESS', 'LINK', 'DRIVER', 'GROUP', 'NUMA', 'MAC', 'VLAN', 'SETTINGS', 'USED BY'];
  const rows = pfs.flatMap(({ dev, pf, up, vfs }) => {
    const name = `${dev ?? pf}${up ? '' : ' (down)'}`;
    if (vfs.length === 0) return [[name, ...head.slice(1).map(() => '-')]];
    return vfs.map((row, place) => [
      place === 0 ? name : '',
      `${row.vf}`,
      row.address,
      row.netdev ?? '-',
      row.driver ?? '-',
      `${row.group ?? '-'}`,
      `${row.numaNode ?? '-'}`,
      `${row.settings?.mac ?? '-'}`,
      `${row.settings?.vlan ?? '-'}`,
      describeSettings(row.settings),
      [...new Set(row.usedBy.map(({ who }) => who))].join(', ') || '-',
    ]);
  });
  return [formatTable(head, rows)];
}

/** What differs from a fresh VF. */
function describeSettings(settings: Settings | null): string {
  if (settings === null) return '-';
  const { trust, spoofchk, rate, state, query_rss } = settings;
  const words = [
    trust === true ? 'trusted' : '',
    spoofchk === false ? 'no spoof check' : '',
    rate === 'max 0 min 0' ? '' : `rate ${rate}`,
    state === 'auto' || state === null ? '' : `link ${state}`,
    query_rss === true ? 'RSS query' : '',
  ];
  return words.filter(word => word !== '').join(', ') || '-';
}

/** `actualnet pool`. */
export const command = defineCommand({
  words: 'pool',
  builder: y => y.option('format', formatOption),
  examples: [['pool', 'each VF with its settings and who has it']],
  documentation: 'docs/sriov.md',
  async run({ format }, { io, effects, deviceSources, keptByLibvirt }) {
    await poolCommand({ format, effects: await effects(), ...(await deviceSources()), keptByLibvirt }, io);
    return 0;
  },
});
