import { type GuestContext, guestContext, type Planning } from '../guest/context.ts';
import { type PlannedPhase, planGuest, plannedPhases } from '../guest/phases.ts';
import { predictStart, type StartHost } from '../guest/predict.ts';
import { requestFindings, startFindings, startRefusals } from '../guest/refusals.ts';
import { observeInTurn } from '../journal/in-turn.ts';
import { foldLedger } from '../journal/ledger.ts';
import { decideUndo } from '../journal/ownership.ts';
import type { HostView } from '../kernel/host-view.ts';
import { type Change, commandFor, describeChange, isEqual, needsOf, observe, type Target } from '../kernel/registry.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError, asActualnetError, errorLine, printable } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import { viewError } from '../transform/error-view.ts';
import { defineCommand, formatOption } from './command.ts';
import type { CommandIo } from './io.ts';

export interface PlanOptions extends Planning, Pick<StartHost, 'accessRules'> {
  /** Where the document is read from. */
  readonly document: string;
  readonly operation: string;
  readonly format: 'table' | 'json';
  /** Whether the guest of that uuid is expected from elsewhere. */
  readonly isIncoming: (guest: Uuid) => boolean;
  /** Networks by libvirt's own count of their pools. */
  readonly findLibvirtNetwork: NetworkLookup;
}

/** One line of a plan; described by schemas/plan.schema.json. */
interface PlannedAction {
  readonly what: string;
  readonly state: 'to do' | 'already so' | 'left to libvirt' | 'to undo' | 'left alone';
  readonly why: string;
  readonly command: string | null;
}

/** The operations that have a plan: those that set up, and those that undo what the guest's ledger holds. */
const plannedOperations: readonly string[] = [...plannedPhases, 'stopped', 'release'];

/** What a call would do, or why it would be refused and do nothing; and what it would tell. */
interface Planned {
  readonly actions: readonly PlannedAction[];
  readonly refused: readonly ActualnetError[];
  readonly findings: readonly string[];
}

/**
 * `actualnet plan qemu GUEST OP`: what a hook call would do and undo, given its document. Touches nothing. Throws what libvirt
 * would be answered where the call would be refused.
 */
export async function planCommand(options: PlanOptions, io: CommandIo): Promise<void> {
  const { operation } = options;
  if (!plannedOperations.includes(operation)) {
    throw new ActualnetError('USAGE', `there is no plan for '${operation}'`, {
      hint: `one of ${plannedOperations.join(', ')}`,
    });
  }
  const domain = readDomain(io.readDocument(options.document));
  const isUndo = operation === 'stopped' || operation === 'release';
  const { actions, refused, findings } = isUndo
    ? { actions: await planUndo(domain.uuid, options), refused: [], findings: [] }
    : await planDo(domain, options);
  const told = {
    ...(refused.length > 0 && { refused: refused.map(viewError) }),
    ...(findings.length > 0 && { findings }),
  };
  const plan = { version: 1, guest: domain.name, phase: operation, actions, ...told };
  io.write(
    options.format === 'json'
      ? jsonText(plan)
      : `${formatPlan({ actions, refused, findings })}${findings.map(line => `finding: ${printable(line)}\n`).join('')}`,
  );
  const [refusal] = refused;
  if (refusal !== undefined)
    throw new ActualnetError(refusal.code, `${domain.owner}, ${operation}: ${refusal.message}`, { hint: refusal.hint });
}

async function planDo(domain: Domain, options: PlanOptions): Promise<Planned> {
  const { effects, accessRules, findNetwork, findLibvirtNetwork } = options;
  const operation = options.operation as PlannedPhase;
  const incoming = domain.uuid !== undefined && options.isIncoming(domain.uuid);
  const guest = await guestContext(domain, options, { incoming });
  const byLibvirt = () => guestContext(domain, { ...options, findNetwork: findLibvirtNetwork }, { incoming });
  const predicted =
    operation === 'prepare'
      ? await predictStart(guest, { findNetwork, accessRules, byLibvirt })
      : { refusals: operation === 'start' ? startRefusals(guest) : [], findings: [] };
  const isStart = operation === 'prepare' || operation === 'start';
  const without = isStart ? startFindings(guest, operation === 'prepare' ? 'predicted' : 'starts') : [];
  const requests = operation === 'prepare' ? requestFindings(guest) : [];
  // A network that is not known, for example: libvirt tells of it in its own words, and a call only notes it.
  const unresolved = guest.view.interfaces.flatMap(({ error }) =>
    error === undefined || predicted.refusals.some(({ code }) => code === error.code)
      ? []
      : `${error.message.replace(`${domain.owner}, `, '')} [${error.code}]`,
  );
  const findings = [...(isStart ? unresolved : []), ...predicted.findings, ...without, ...requests];
  if (predicted.refusals.length > 0) return { actions: [], refused: predicted.refusals, findings };
  const { changes, problem } = planOrSay(operation, guest);
  const host = await effects.view(needsOf(changes));
  const problems = [...(problem === undefined ? [] : [problem]), ...problemsOf(changes, host)];
  if (isStart && problems.length > 0) return { actions: [], refused: problems, findings };
  const actions = changes.map(change => {
    const state = stateOf(change, host);
    return {
      what: describeChange(change),
      state,
      why: change.why,
      command: state === 'to do' ? commandLine(change) : null,
    };
  });
  return { actions, refused: [], findings: [...findings, ...problems.map(({ message }) => message)] };
}

/** The changes, or what keeps them from being planned: a tap whose bridge is not there, for example. */
function planOrSay(operation: PlannedPhase, guest: GuestContext) {
  try {
    return { changes: planGuest(operation, guest), problem: undefined };
  } catch (error) {
    return { changes: [], problem: asActualnetError(error) };
  }
}

/** What is not there, and will not have been made by then. */
function problemsOf(changes: readonly Change[], host: HostView): ActualnetError[] {
  const observeNext = observeInTurn(host);
  return changes.flatMap(change => {
    const { problem } = observeNext(change);
    return problem === undefined ? [] : new ActualnetError('DEVICE_MISSING', `${problem} (${change.why})`);
  });
}

async function planUndo(
  guest: ReturnType<typeof readDomain>['uuid'],
  { effects, operation }: PlanOptions,
): Promise<PlannedAction[]> {
  const entries = guest === undefined ? [] : [...foldLedger(effects.guestLedger(guest).read()).values()];
  const chosen = entries.filter(({ reach }) => operation === 'release' || reach).map(entry => ({ entry }));
  const host = await effects.view(needsOf(chosen.map(({ entry }) => entry)));
  const { steps, leftAlone, deferred } = decideUndo(chosen, host);
  return [
    ...steps.map(
      ({ change }): PlannedAction => ({
        what: describeChange(change),
        state: 'to undo',
        why: 'it was so before',
        command: commandLine(change),
      }),
    ),
    ...deferred.map(
      (line): PlannedAction => ({ what: line, state: 'left alone', why: 'until nobody uses it', command: null }),
    ),
    ...leftAlone.map(
      (line): PlannedAction => ({ what: line, state: 'left alone', why: 'it is not ours any more', command: null }),
    ),
  ];
}

function stateOf(change: Change, host: HostView): PlannedAction['state'] {
  if (isEqual(change.subject, observe(change.subject, host), change.to)) return 'already so';
  return change.byLibvirt ? 'left to libvirt' : 'to do';
}

function commandLine(change: Target): string {
  const { tool, line } = commandFor(change);
  return `${tool} ${line}`;
}

function formatPlan({ actions, refused }: Planned): string {
  if (refused.length > 0) return refused.map(error => `would be refused: ${errorLine(error)}\n`).join('');
  if (actions.length === 0) return 'nothing to do\n';
  const rows = actions.map(({ what, state, why, command }) => [what, state, command ?? '-', why]);
  return `${formatTable(['WHAT', 'STATE', 'COMMAND', 'WHY'], rows)}\n`;
}

/** `actualnet plan`. */
export const command = defineCommand({
  words: 'plan <driver> <guest> <operation>',
  builder: y =>
    y
      .positional('driver', { choices: ['qemu'] as const, demandOption: true, describe: "the hook's driver" })
      .positional('guest', { type: 'string', demandOption: true, describe: "the guest's name, as libvirt gives it" })
      .positional('operation', {
        type: 'string',
        demandOption: true,
        describe: `one of ${plannedOperations.join(', ')}`,
      })
      .option('format', formatOption),
  examples: [['plan qemu web1 prepare <web1.xml', 'what would be done before web1 starts']],
  documentation: 'docs/acting.md',
  async run({ operation, format }, { io, stdin, memory, planning }) {
    const { findLibvirtNetwork } = memory;
    const context = { ...(await planning()), findLibvirtNetwork };
    await planCommand({ document: stdin, operation, format, ...context }, io);
    return 0;
  },
});
