import { needsOf } from '../apply/apply.ts';
import { guestAtHand, type PlannedPhase, type Planning, planGuest, plannedPhases } from '../apply/guest.ts';
import { foldLedger } from '../apply/ledger.ts';
import { refusedSettings, startFindings, startRefusals } from '../apply/refusals.ts';
import { decideUndo } from '../apply/verdict.ts';
import { readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import type { AccessRules } from '../plan/access.ts';
import { type Change, describeChange } from '../plan/change.ts';
import { commandFor } from '../plan/command.ts';
import { type HostView, isSame, observe } from '../plan/host-view.ts';
import { ActualnetError, errorLine, printable } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import type { CommandIo } from './io.ts';

export interface PlanOptions extends Planning {
  readonly accessRules: () => AccessRules | undefined;
  /** Where the document is read from. */
  readonly document: string;
  readonly operation: string;
  readonly format: 'table' | 'json';
  /** Whether the guest of that uuid is expected from elsewhere. */
  readonly isIncoming: (guest: Uuid) => boolean;
}

/** One line of a plan; described by schemas/plan.schema.json. */
interface PlannedAction {
  readonly what: string;
  readonly state: 'to do' | 'already so' | 'left to libvirt' | 'to undo' | 'left alone';
  readonly why: string;
  readonly command: string | null;
}

/** The operations that have a plan: those that set up, and those that undo what the guest's ledger holds. */
export const plannedOperations: readonly string[] = [...plannedPhases, 'stopped', 'release'];

/** `actualnet plan qemu GUEST OP`: what a hook call would do and undo, given its document. Touches nothing. */
export async function planCommand(options: PlanOptions, io: CommandIo): Promise<void> {
  const { operation } = options;
  if (!plannedOperations.includes(operation)) {
    throw new ActualnetError('USAGE', `there is no plan for '${operation}'`, {
      hint: `one of ${plannedOperations.join(', ')}`,
    });
  }
  const domain = readDomain(io.readDocument(options.document));
  const isUndo = operation === 'stopped' || operation === 'release';
  const planned: Planned = isUndo
    ? { refusals: [], findings: [], actions: await planUndo(domain.uuid, options) }
    : await planDo(domain, options);
  const { refusals, findings, actions } = planned;
  const told = { ...(refusals.length > 0 && { refusals }), ...(findings.length > 0 && { findings }) };
  const plan = { version: 1, guest: domain.name, phase: operation, ...told, actions };
  io.write(options.format === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : formatPlan(planned, operation));
}

interface Planned {
  /** Why the operation would be refused, and what the guest would be without: a line each. */
  readonly refusals: readonly string[];
  readonly findings: readonly string[];
  readonly actions: readonly PlannedAction[];
}

async function planDo(domain: ReturnType<typeof readDomain>, options: PlanOptions): Promise<Planned> {
  const { effects } = options;
  const incoming = domain.uuid !== undefined && options.isIncoming(domain.uuid);
  const guest = guestAtHand(domain, options, { incoming });
  const { operation, accessRules } = options;
  const refused =
    operation === 'prepare'
      ? await startRefusals(guest, accessRules)
      : operation === 'start'
        ? await refusedSettings(guest, 'starts')
        : [];
  const isStart = operation === 'prepare' || operation === 'start';
  const findings = isStart ? await startFindings(guest, operation === 'prepare' ? 'foreseen' : 'starts') : [];
  const first = await effects.view({});
  const changes = planGuest(options.operation as PlannedPhase, guest, first);
  const host = await effects.view(needsOf(changes));
  const actions = changes.map((change): PlannedAction => {
    const state = stateOf(change, host);
    return {
      what: describeChange(change),
      state,
      why: change.why,
      command: state === 'to do' ? commandLine(change) : null,
    };
  });
  return { refusals: refused.map(error => errorLine(error)), findings, actions };
}

async function planUndo(
  guest: ReturnType<typeof readDomain>['uuid'],
  { effects, operation }: PlanOptions,
): Promise<PlannedAction[]> {
  const entries = guest === undefined ? [] : [...foldLedger(effects.guestLedger(guest).read()).values()];
  const chosen = entries.filter(({ reach }) => operation === 'release' || reach).map(entry => ({ entry }));
  const host = await effects.view(needsOf(chosen.map(({ entry }) => entry)));
  const { steps, left, waiting } = decideUndo(chosen, host);
  return [
    ...steps.map(
      ({ change }): PlannedAction => ({
        what: describeChange(change),
        state: 'to undo',
        why: 'it was so before',
        command: commandLine(change),
      }),
    ),
    ...waiting.map(
      (line): PlannedAction => ({ what: line, state: 'left alone', why: 'until nobody uses it', command: null }),
    ),
    ...left.map(
      (line): PlannedAction => ({ what: line, state: 'left alone', why: 'it is not ours any more', command: null }),
    ),
  ];
}

function stateOf(change: Change, host: HostView): PlannedAction['state'] {
  if (isSame(observe(change.subject, host), change.to)) return 'already so';
  return change.byLibvirt ? 'left to libvirt' : 'to do';
}

function commandLine(change: Pick<Change, 'subject' | 'to'>): string {
  const { tool, line } = commandFor(change);
  return `${tool} ${line}`;
}

function formatPlan({ refusals, findings, actions }: Planned, operation: string): string {
  const told = [
    ...refusals.map(line => `'${operation}' would be refused: ${line}`),
    ...findings.map(line => `finding: ${line}`),
  ].map(line => `${printable(line)}\n`);
  if (actions.length === 0) return told.length === 0 ? 'nothing to do\n' : told.join('');
  const rows = actions.map(({ what, state, why, command }) => [what, state, command ?? '-', why].map(printable));
  return `${told.join('')}${formatTable(['WHAT', 'STATE', 'COMMAND', 'WHY'], rows)}\n`;
}
