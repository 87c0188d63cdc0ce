import { guestContext, type Planning } from '../guest/context.ts';
import { foldRecord, type GuestRecord } from '../guest/record.ts';
import { refusedSettings, startFindings } from '../guest/refusals.ts';
import { type Rewriting, rewriteForHost } from '../guest/rewrite.ts';
import type { Memory } from '../host/state/memory.ts';
import { readDomain } from '../model/domain.ts';
import { ActualnetError, errorLine, printable } from '../report/error.ts';
import { jsonText } from '../report/visible.ts';
import { describeActual } from '../resolve/actual.ts';
import type { XmlDocument } from '../xml/document.ts';
import { defineCommand, formatOption, guestName } from './command.ts';
import type { CommandIo } from './io.ts';

export interface ExplainOptions extends Planning, Pick<Rewriting, 'usersBeside'> {
  readonly guest: string;
  readonly format: 'table' | 'json';
  readonly memory: Memory;
  /** The definition that libvirt starts a guest from the next time. */
  readonly findDefinition: (name: string) => { readonly file: string; readonly document: XmlDocument } | undefined;
}

/** What is said of a guest; described by schemas/explain.schema.json. */
interface Explanation {
  readonly guest: string;
  readonly interfaces: readonly {
    readonly alias: string;
    readonly mac: string | null;
    /** In words; null while it is not known, and then `error` says why, if it is known. */
    readonly actual: string | null;
    readonly error: string | null;
    readonly because: readonly string[];
  }[];
  readonly rewritten: readonly string[];
  /** VFs that it was promised when it came. */
  readonly reserved: readonly string[];
  readonly findings: readonly string[];
  /** What becomes of its definition at the next start. */
  readonly definition: readonly string[];
}

/** `actualnet explain GUEST`: what each interface is here and why, and how its document was rewritten on the way. */
export async function explainCommand(options: ExplainOptions, io: CommandIo): Promise<void> {
  const record = findRecord(options);
  const view = record.actual ?? record.predicted;
  const explanation: Explanation = {
    guest: record.name,
    interfaces: (view?.interfaces ?? []).map(({ alias, mac, actual, because, error }) => ({
      alias,
      mac,
      actual: actual && describeActual(actual),
      error: error?.message ?? null,
      because,
    })),
    rewritten: record.rewritten,
    reserved: record.picks,
    findings: record.findings,
    definition: await explainDefinition(record, options),
  };
  io.write(options.format === 'json' ? jsonText(explanation) : linesOf(explanation).join(''));
}

function linesOf({ interfaces, rewritten, reserved, findings, definition }: Explanation): string[] {
  const lines = [
    ...interfaces.flatMap(({ alias, mac, actual, error, because }) => [
      `${alias} ${mac ?? ''}: ${actual ?? error ?? 'not known'}`,
      ...because.map(line => `  ${line}`),
    ]),
    ...rewritten.map(change => `rewritten when it came: ${change}`),
    ...reserved.map(address => `reserved for it: ${address}`),
    ...findings.map(finding => `finding: ${finding}`),
    ...definition,
  ];
  return lines.map(line => `${printable(line)}\n`);
}

function findRecord({ guest, memory }: ExplainOptions): GuestRecord {
  const records = [
    ...memory.listRecords().flatMap(uuid => foldRecord(uuid, memory.readRecord(uuid)) ?? []),
    ...memory.listAnnouncements().flatMap(({ guest: uuid, line }) => foldRecord(uuid, [line]) ?? []),
  ];
  const record = records.find(({ name, uuid }) => name === guest || uuid === guest);
  if (record !== undefined) return record;
  throw new ActualnetError('GUEST_UNKNOWN', `nothing is recorded of a guest '${guest}'`, {
    hint: "'actualnet resolve DOMAIN.xml' tells of one that does not run",
  });
}

/** No hook sees the definition that a persistent migration leaves behind. */
async function explainDefinition({ name }: GuestRecord, options: ExplainOptions): Promise<string[]> {
  const definition = options.findDefinition(name);
  if (definition === undefined) return [];
  const { file, document } = definition;
  try {
    const { changes } = await rewriteForHost(document, options, { usersBeside: options.usersBeside });
    const hint = `'actualnet transform ${file}' has it as it should be, for 'virsh define'`;
    const guest = await guestContext(readDomain(document), options);
    const refused = await refusedSettings(guest);
    return [
      ...changes.map(change => `its definition is not rewritten: ${change} (hint: ${hint})`),
      ...refused.map(error => `the next start would be refused: ${errorLine(error)}`),
      ...startFindings(guest, 'predicted').map(line => `at the next start: ${line}`),
    ];
  } catch (error) {
    return [`its definition '${file}' cannot be rewritten: ${errorLine(error)}`];
  }
}

/** `actualnet explain`. */
export const command = defineCommand({
  words: 'explain <guest>',
  builder: y => y.positional('guest', guestName).option('format', formatOption),
  examples: [['explain web1', 'why each interface of web1 is what it is']],
  documentation: 'docs/concepts.md',
  async run({ guest, format }, { io, memory, findDefinition, planning }) {
    await explainCommand({ guest, format, memory, findDefinition, ...(await planning()) }, io);
  },
});
