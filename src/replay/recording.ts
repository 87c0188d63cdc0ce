import type { GuestState } from '../guest/liveness.ts';
import type { HookContext, Invocation } from '../hook/context.ts';
import type { Effects } from '../journal/effects.ts';
import { asActualnetError } from '../report/error.ts';
import type { Answers, RecordedRun } from './recorded.ts';
import { note, notingView } from './view.ts';

/** What a call asks and does, as it goes on. */
export interface Noted {
  readonly facts: Answers;
  readonly views: Answers[];
  readonly runs: RecordedRun[];
  /** Undefined while it was not read. */
  document: Uint8Array | undefined;
}

/** The same call in the same surroundings, with everything noted that its answer comes from. */
export function noting(
  invocation: Invocation,
  context: HookContext,
  before: Answers,
): { readonly noted: Noted; readonly invocation: Invocation; readonly context: HookContext } {
  const noted: Noted = { facts: {}, views: [before], runs: [], document: undefined };
  const { facts } = noted;
  const readStdin = () => {
    noted.document = invocation.readStdin();
    return noted.document;
  };
  return {
    noted,
    invocation: { ...invocation, readStdin },
    context: {
      ...context,
      libvirtVersion: () => note(facts, 'libvirtVersion', context.libvirtVersion()),
      accessRules: () => note(facts, 'accessRules', context.accessRules()),
      runState: guest => note(facts, `runState ${guest}`, plainState(context.runState(guest))),
      definedMs: guest => note(facts, `definedMs ${guest}`, context.definedMs(guest)),
      effects: notingEffects(context.effects, noted),
    },
  };
}

function notingEffects(effects: Effects, { facts, views, runs }: Noted): Effects {
  return {
    ...effects,
    async view(needs) {
      const answers: Answers = {};
      views.push(answers);
      return notingView(await effects.view(needs), needs, answers);
    },
    async run(commands, options) {
      const tool = commands[0]?.tool ?? '';
      const lines = commands.map(({ line }) => line);
      try {
        const failures = await effects.run(commands, options);
        runs.push({ tool, lines, failures });
        return failures;
      } catch (error) {
        runs.push({ tool, lines, failures: [], threw: asActualnetError(error).message });
        throw error;
      }
    },
    async qemuAccess(guest) {
      const access = await effects.qemuAccess(guest);
      note(facts, `qemuAccess ${guest}`, access?.files);
      return access && { ...access, allows: node => note(facts, `allows ${guest} ${node}`, access.allows(node)) };
    },
  };
}

/** Whoever asks may be told more than was asked, devices included. */
function plainState(state: GuestState | undefined): GuestState | undefined {
  return state && { state: state.state, reason: state.reason };
}
