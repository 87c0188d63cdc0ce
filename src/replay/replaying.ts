import type { HookContext, Outcome } from '../hook/context.ts';
import type { CommandFailure, Effects } from '../journal/effects.ts';
import type { Command } from '../kernel/kind.ts';
import { ActualnetError } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import { documentNotKept, type RecordedCall, type RecordedRun } from './recorded.ts';
import { Recollection } from './view.ts';

/** A change that the call would make now. */
export interface ReplayedChange {
  readonly what: string;
  readonly why: string;
  readonly command: string;
  readonly result: string;
}

/** Something that was so then and is otherwise now; null is "there was none". */
export interface Difference {
  readonly what: 'status' | 'error' | 'document' | 'log' | 'command' | 'host';
  readonly before: string | null;
  readonly now: string | null;
}

/** What a call answers and does now. */
export interface Answered {
  readonly outcome: Outcome;
  readonly said: readonly string[];
  readonly changes: readonly ReplayedChange[];
  readonly unasked: readonly string[];
}

/** Surroundings in which a recorded call meets the host that it met then; nothing of this host is seen or touched. */
export class RecordedHost {
  readonly changes: ReplayedChange[] = [];
  readonly said: string[] = [];
  readonly recollection: Recollection;
  readonly nowMs: number;
  readonly #call: RecordedCall;
  readonly #outcomes: Map<string, (string | undefined)[]>;

  constructor(call: RecordedCall) {
    this.#call = call;
    this.nowMs = Date.parse(call.at);
    this.recollection = new Recollection(call.views);
    this.#outcomes = outcomesOf(call.runs);
  }

  /** `files` are those of a private root. */
  context(files: Pick<HookContext, 'memory' | 'config' | 'deviceUsers' | 'effects'>): HookContext {
    const log: Log = { info: () => undefined, warn: line => void this.said.push(line) };
    return {
      ...files,
      log,
      now: () => this.nowMs,
      libvirtVersion: () => this.#fact('libvirtVersion') as LibvirtVersion,
      accessRules: () => this.#fact('accessRules') as ReturnType<HookContext['accessRules']>,
      runState: guest => this.#fact(`runState ${guest}`) as ReturnType<HookContext['runState']>,
      definedMs: guest => this.#fact(`definedMs ${guest}`) as number | undefined,
      letQemuOpen: async () => undefined,
      holdDevices: async () => () => undefined,
      ensureAgent: async () => undefined,
      effects: {
        ...files.effects,
        view: async needs => this.recollection.view(needs),
        run: async (commands, options) => this.#run(commands, options),
        lock: async () => () => undefined,
        now: () => this.nowMs,
        qemuAccess: async guest => {
          const opened = this.#fact(`qemuAccess ${guest}`) as readonly string[] | undefined;
          const allows = (node: string) => this.#fact(`allows ${guest} ${node}`) as boolean | undefined;
          return opened && { files: opened, allows };
        },
      },
    };
  }

  #fact(question: string): unknown {
    return this.recollection.answer([this.#call.facts], question, undefined);
  }

  /** A line ends as it did then; one that was not run then is taken to succeed. */
  #run(commands: readonly Command[], { keepGoing, notes }: Parameters<Effects['run']>[1]): readonly CommandFailure[] {
    const failures: CommandFailure[] = [];
    for (const [place, command] of commands.entries()) {
      const { tool, line } = command;
      const outcomes = this.#outcomes.get(`${tool} ${line}`);
      const message = outcomes !== undefined && outcomes.length > 1 ? outcomes.shift() : outcomes?.[0];
      const { what = line, why = '' } = notes?.[place] ?? {};
      const isStopped = !keepGoing && failures.length > 0;
      const result = isStopped ? 'not reached' : (message ?? 'done');
      this.changes.push({ what, why, command: `${tool} ${line}`, result });
      if (message !== undefined && !isStopped) failures.push({ place, message });
      const action = command.tool === 'pci' ? command.action : undefined;
      if (action?.do === 'bind' && outcomes === undefined && !isStopped)
        this.recollection.bind(action.address, action.driver);
    }
    const lines = commands.map(({ line }) => line);
    const isSame = (run: RecordedRun) => run.tool === commands[0]?.tool && sameLines(run.lines, lines);
    const threw = this.#call.runs.find(isSame)?.threw;
    if (threw !== undefined) throw new ActualnetError('ACTION_FAILED', threw);
    return failures;
  }
}

function outcomesOf(runs: readonly RecordedRun[]): Map<string, (string | undefined)[]> {
  const outcomes = new Map<string, (string | undefined)[]>();
  for (const { tool, lines, failures } of runs) {
    const messages = new Map(failures.map(({ place, message }) => [place, message]));
    for (const [place, line] of lines.entries()) {
      const key = `${tool} ${line}`;
      outcomes.set(key, [...(outcomes.get(key) ?? []), messages.get(place)]);
    }
  }
  return outcomes;
}

function sameLines(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((line, place) => line === others[place]);
}

/** Whether a call can be played again at all. */
export function isReplayable({ missing }: RecordedCall): boolean {
  return !missing.some(line => line.startsWith(documentNotKept));
}

/** What the call answers and does now, against what it answered and did then. */
export function compareReplay({ answer, runs }: RecordedCall, now: Answered): Difference[] {
  const { outcome } = now;
  const commands = runs.flatMap(({ tool, lines }) => lines.map(line => `${tool} ${line}`));
  return [
    ...differ('status', [`${answer.status}`], [`${outcome.status}`]),
    ...differ('error', linesOf(answer.stderr), linesOf(outcome.stderr)),
    ...differ('document', linesOf(answer.stdout), linesOf(outcome.stdout)),
    ...differ('log', answer.said, now.said),
    ...differ(
      'command',
      commands,
      now.changes.map(({ command }) => command),
    ),
    ...now.unasked.map(question => ({ what: 'host' as const, before: null, now: `asked for '${question}'` })),
  ];
}

/** So many lines are shown of what differs in one respect. */
const maxShown = 50;

/** The lines that are only in one of two lists, then those that are in another order. */
function differ(what: Difference['what'], before: readonly string[], now: readonly string[]): Difference[] {
  if (sameLines(before, now)) return [];
  const only = (some: readonly string[], others: readonly string[]) => {
    const left = new Map<string, number>();
    for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
    return some.filter(line => {
      const count = left.get(line) ?? 0;
      left.set(line, count - 1);
      return count <= 0;
    });
  };
  const gone = only(before, now);
  const come = only(now, before);
  if (gone.length + come.length === 0) return [{ what, before: 'the same lines', now: 'in another order' }];
  const pairs = Array.from({ length: Math.min(maxShown, Math.max(gone.length, come.length)) }, (_, place) => ({
    what,
    before: gone[place] ?? null,
    now: come[place] ?? null,
  }));
  const hidden = Math.max(gone.length, come.length) - pairs.length;
  return hidden > 0 ? [...pairs, { what, before: null, now: `and ${hidden} lines more` }] : pairs;
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
