import { guestContext, type Planning } from '../guest/context.ts';
import { foldRecord, type GuestRecord } from '../guest/record.ts';
import { refusedSettings, startFindings } from '../guest/refusals.ts';
import { type Rewriting, rewriteForHost } from '../guest/rewrite.ts';
import type { Memory } from '../host/state/memory.ts';
import { readDomain } from '../model/domain.ts';
import { ActualnetError, errorLine, printable } from '../report/error.ts';
import { describeActual } from '../resolve/actual.ts';
import type { XmlDocument } from '../xml/document.ts';
import { defineCommand, guestName } from './command.ts';
import type { CommandIo } from './io.ts';

export interface ExplainOptions extends Planning, Pick<Rewriting, 'usersBeside'> {
  readonly guest: string;
  readonly memory: Memory;
  /** The definition that libvirt starts a guest from the next time. */
  readonly findDefinition: (name: string) => { readonly file: string; readonly document: XmlDocument } | undefined;
}

/** `actualnet explain GUEST`: what each interface is here and why, and how its document was rewritten on the way. */
export async function explainCommand(options: ExplainOptions, io: CommandIo): Promise<void> {
  const record = findRecord(options);
  const view = record.actual ?? record.predicted;
  const interfaces = (view?.interfaces ?? []).flatMap(({ alias, mac, actual, because, error }) => [
    `${alias} ${mac ?? ''}: ${actual === null ? (error?.message ?? 'not known') : describeActual(actual)}`,
    ...because.map(line => `  ${line}`),
  ]);
  const rewritten = record.rewritten.map(change => `rewritten when it came: ${change}`);
  const promised = record.picks.map(address => `promised to it: ${address}`);
  const findings = record.findings.map(finding => `finding: ${finding}`);
  const definition = await explainDefinition(record, options);
  const lines = [...interfaces, ...rewritten, ...promised, ...findings, ...definition];
  io.write(lines.map(line => `${printable(line)}\n`).join(''));
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
  builder: y => y.positional('guest', guestName),
  examples: [['explain web1', 'why each interface of web1 is what it is']],
  documentation: 'docs/concepts.md',
  async run({ guest }, { io, memory, findDefinition, planning }) {
    await explainCommand({ guest, memory, findDefinition, ...(await planning()) }, io);
  },
});
