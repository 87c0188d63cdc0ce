import type { AgentState } from '../agent/queue.ts';
import { foldRecord, type GuestRecord } from '../guest/record.ts';
import type { Memory } from '../host/state/memory.ts';
import type { Effects } from '../journal/effects.ts';
import { ledgerProblems } from '../journal/ledgers.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError, printable } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import { describeActual } from '../resolve/actual.ts';
import { defineCommand, formatOption } from './command.ts';
import type { CommandIo } from './io.ts';

/** `actualnet status [GUEST]`: what the hooks know about the guests of this host. */
export function statusCommand(
  options: {
    readonly guest: string | undefined;
    readonly format: 'table' | 'json';
    readonly memory: Memory;
    readonly effects: Effects;
    /** What the agent of this host says of itself; undefined if there is none. */
    readonly agentState: AgentState | undefined;
    /** Why that is not known. */
    readonly unseen?: string;
    /** What is wrong with the configuration of this host. */
    readonly problem: string | undefined;
  },
  io: CommandIo,
): void {
  const guests = readGuests(options).filter(
    ({ name, uuid }) => options.guest === undefined || options.guest === name || options.guest === uuid,
  );
  if (options.guest !== undefined && guests.length === 0) {
    throw new ActualnetError('GUEST_UNKNOWN', `nothing is recorded of a guest '${options.guest}'`, {
      hint: 'a record begins when the hooks see the guest start',
    });
  }
  const { format, agentState = null, unseen, problem: configuration = null, memory, effects } = options;
  const problem = configuration === null ? '' : `${printable(`configuration: ${configuration}`)}\n`;
  const read = [...ledgerProblems(effects), ...memory.listUnreadable(), ...(unseen === undefined ? [] : [unseen])];
  const unreadable = [...new Set(read)];
  const lines = unreadable.map(line => `not readable: ${printable(line)}\n`);
  io.write(
    format === 'json'
      ? jsonText({ guests, agent: agentState, configuration, unreadable })
      : table(guests) + problem + describe(agentState) + lines.join(''),
  );
}

function readGuests({ memory, effects }: { memory: Memory; effects: Effects }): GuestRecord[] {
  const ledgerOf = (guest: Uuid) => {
    try {
      return effects.guestLedger(guest).read();
    } catch {
      // It is told of with all others that cannot be read.
      return [];
    }
  };
  const recorded = memory
    .listRecords()
    .flatMap(uuid => foldRecord(uuid, memory.readRecord(uuid), ledgerOf(uuid)) ?? []);
  const expected = memory.listAnnouncements().flatMap(({ guest, line }) => foldRecord(guest, [line]) ?? []);
  return [...recorded, ...expected].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function describe(agentState: AgentState | null): string {
  if (agentState === null) return '';
  const time = (ms: number) => new Date(ms).toISOString();
  const { role, pid, sinceMs, listeningSinceMs, guests } = agentState;
  const events = listeningSinceMs === null ? 'no events come from libvirt' : `events since ${time(listeningSinceMs)}`;
  return [
    `run states are followed by the ${role} (process ${pid}) since ${time(sinceMs)}, ${events}`,
    ...guests.map(({ guest, wanted, done, cause, sinceMs: atMs }) => {
      const late = wanted === done ? '' : ', not carried out yet';
      return `guest '${guest}': ${wanted === 'open' ? 'open' : 'closed'} since ${time(atMs)}, ${cause}${late}`;
    }),
  ]
    .map(line => `${printable(line)}\n`)
    .join('');
}

function table(guests: readonly GuestRecord[]): string {
  if (guests.length === 0) return 'no guest is recorded\n';
  const rows = guests.flatMap(guest => {
    const view = guest.actual ?? guest.predicted;
    const interfaces = view?.interfaces ?? [];
    const head = [guest.name, guest.phase];
    if (interfaces.length === 0) return [[...head, '-', '-', '-']];
    return interfaces.map(({ alias, mac, actual, error }, index) => {
      const what = actual === null ? `none: ${error?.code ?? 'unknown'}` : describeActual(actual);
      return [...(index === 0 ? head : ['', '']), alias, mac ?? '-', what];
    });
  });
  const findings = guests.flatMap(({ name, findings }) =>
    findings.map(finding => `finding: guest '${name}': ${finding}`),
  );
  const applied = guests.flatMap(({ name, applied: changes }) =>
    changes.map(change => `applied for '${name}': ${change}`),
  );
  return `${[
    formatTable(['GUEST', 'PHASE', 'ALIAS', 'MAC', 'ACTUAL'], rows),
    ...[...applied, ...findings].map(printable),
  ].join('\n')}\n`;
}

/** `actualnet status`, and in older words what are commands of their own now. */
export const command = defineCommand({
  words: 'status [guest]',
  builder: y =>
    y
      .positional('guest', { type: 'string', describe: 'name or uuid of one guest' })
      .option('pool', { type: 'boolean', default: false, describe: "as 'actualnet pool'" })
      .option('migrations', { type: 'boolean', default: false, describe: "as 'actualnet migrations'" })
      .option('check', { type: 'boolean', default: false, describe: "as 'actualnet verify GUEST'" })
      .option('peer', { type: 'string', implies: 'migrations', describe: "as 'actualnet migrations --peer'" })
      .option('format', formatOption),
  examples: [
    ['status', 'every guest with its interfaces'],
    ['status web1 --format json', 'all that is recorded of one'],
  ],
  documentation: 'docs/operations.md',
  async run(words, host) {
    const { guest, format, ...mode } = words;
    if (mode.check) {
      if (guest === undefined || mode.pool || mode.migrations)
        throw new ActualnetError('USAGE', '--check is about one guest, and nothing else');
      const { command: verify } = await import('./verify.ts');
      return verify.run({ ...words, guest }, host);
    }
    if (mode.migrations) {
      if (mode.pool || guest !== undefined)
        throw new ActualnetError('USAGE', '--migrations is about all guests, and no pool');
      const { command: migrations } = await import('./migrations.ts');
      return migrations.run(words, host);
    }
    if (mode.pool) {
      if (guest !== undefined) throw new ActualnetError('USAGE', '--pool is about all guests, so it takes no guest');
      const { command: pool } = await import('./pool.ts');
      return pool.run(words, host);
    }
    const { memory, io } = host;
    const problem = await host.configProblem();
    statusCommand({ guest, format, memory, problem, effects: await host.effects(), ...(await host.agent()) }, io);
    return 0;
  },
});
