import { needsOf } from '../apply/apply.ts';
import { guestAtHand, type PlannedPhase, type Planning, planGuest, plannedPhases } from '../apply/guest.ts';
import { foldLedger } from '../apply/ledger.ts';
import { decideUndo } from '../apply/verdict.ts';
import { readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { type Change, describeChange } from '../plan/change.ts';
import { commandFor } from '../plan/command.ts';
import { type HostView, isSame, observe } from '../plan/host-view.ts';
import { ActualnetError } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import type { CommandIo } from './io.ts';

export interface PlanOptions extends Planning {
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
  const actions = isUndo ? await planUndo(domain.uuid, options) : await planDo(domain, options);
  const plan = { version: 1, guest: domain.name, phase: operation, actions };
  io.write(options.format === 'json' ? jsonText(plan) : formatPlan(actions));
}

async function planDo(domain: ReturnType<typeof readDomain>, options: PlanOptions): Promise<PlannedAction[]> {
  const { effects } = options;
  const incoming = domain.uuid !== undefined && options.isIncoming(domain.uuid);
  const guest = guestAtHand(domain, options, { incoming });
  const first = await effects.view({});
  const changes = planGuest(options.operation as PlannedPhase, guest, first);
  const host = await effects.view(needsOf(changes));
  return changes.map(change => {
    const state = stateOf(change, host);
    return {
      what: describeChange(change),
      state,
      why: change.why,
      command: state === 'to do' ? commandLine(change) : null,
    };
  });
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

function formatPlan(actions: readonly PlannedAction[]): string {
  if (actions.length === 0) return 'nothing to do\n';
  const rows = actions.map(({ what, state, why, command }) => [what, state, command ?? '-', why]);
  return `${formatTable(['WHAT', 'STATE', 'COMMAND', 'WHY'], rows)}\n`;
}
