import { joinCutOvers, type Migration, readCutOvers } from '../agent/cut-over.ts';
import type { Memory } from '../host/state/memory.ts';
import { ActualnetError } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand, formatOption } from './command.ts';
import type { CommandIo } from './io.ts';

export interface MigrationsOptions {
  readonly format: 'table' | 'json';
  /** What `--format json` printed on the other host. */
  readonly peer: string | undefined;
  readonly memory: Memory;
}

/** `actualnet migrations`: when migrated guests were closed at their source and opened at their destination. */
export function migrationsCommand({ format, peer, memory }: MigrationsOptions, io: CommandIo): void {
  const here = readCutOvers(memory.readCutOvers());
  const there = peer === undefined ? [] : readPeer(io.readText(peer), peer);
  const migrations = joinCutOvers(here, there);
  io.write(format === 'json' ? jsonText({ cutOvers: here, migrations }) : table(migrations));
}

function readPeer(text: string, file: string) {
  try {
    return readCutOvers((JSON.parse(text) as { cutOvers: unknown[] }).cutOvers);
  } catch (cause) {
    throw new ActualnetError('FILE', `'${file}' is not what 'migrations --format json' prints`, { cause });
  }
}

function table(migrations: readonly Migration[]): string {
  if (migrations.length === 0) return 'no migration is recorded\n';
  const time = (ms: number | undefined) => (ms === undefined ? '-' : new Date(ms).toISOString());
  const rows = migrations.map(({ name, mac, closed, opened, gapMs }) => {
    const gap = gapMs === undefined ? '-' : `${gapMs.least.toFixed(0)} to ${gapMs.most.toFixed(0)} ms`;
    const remark = gapMs !== undefined && gapMs.least < 0 ? 'open on both at once' : '';
    return [name, mac, time(closed?.doneMs), time(opened?.doneMs), gap, remark];
  });
  return `${formatTable(['GUEST', 'MAC', 'UNREACHABLE AT SOURCE', 'REACHABLE AT DESTINATION', 'GAP', ''], rows)}\n`;
}

/** `actualnet migrations`. */
export const command = defineCommand({
  words: 'migrations',
  builder: y =>
    y
      .option('peer', {
        type: 'string',
        describe: "a file with the other host's migrations --format json, to compare with",
      })
      .option('format', formatOption),
  examples: [['migrations --peer other-host.json', 'how long each guest was reachable nowhere']],
  documentation: 'docs/run-state.md',
  async run({ format, peer }, { io, memory }) {
    migrationsCommand({ format, peer, memory }, io);
    return 0;
  },
});
