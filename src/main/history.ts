import type { History } from '../host/state/history.ts';
import type { Effects } from '../journal/effects.ts';
import type { ChangeEntry } from '../report/history.ts';
import type { Log } from '../report/log.ts';

/** Who acts, and in which operation or command. */
export type Actor = Pick<ChangeEntry, 'by' | 'operation'>;

/** The same effects; each command that is run through them is kept in the history, with what it is for. */
export function withHistory(effects: Effects, history: History, actor: Actor): Effects {
  const run: Effects['run'] = async (commands, options) => {
    const fromMs = effects.now();
    const keep = (resultOf: (place: number) => string) => {
      const nowMs = effects.now();
      history.append(
        commands.map(({ tool, line }, place) => {
          const { what = line, why = '', owner, user } = options.notes?.[place] ?? {};
          return {
            at: new Date(nowMs).toISOString(),
            kind: 'change' as const,
            ...actor,
            ...(owner !== undefined && { owner }),
            ...(user !== undefined && { user }),
            what,
            why,
            command: `${tool} ${line}`,
            result: resultOf(place),
            durationMs: nowMs - fromMs,
          };
        }),
      );
    };
    try {
      const failures = await effects.run(commands, options);
      const messages = new Map(failures.map(({ place, message }) => [place, message]));
      const stopped = options.keepGoing || failures.length === 0 ? commands.length : Math.min(...messages.keys());
      keep(place => messages.get(place) ?? (place > stopped ? 'not reached' : 'done'));
      return failures;
    } catch (error) {
      keep(() => `not known: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    }
  };
  return { ...effects, run };
}

/** So much of what was told is kept of a call. */
const maxSaid = 20;

/** The same log, and what was told through it that is more than news. */
export function listening(log: Log): { readonly log: Log; readonly said: readonly string[] } {
  const said: string[] = [];
  const warn = (line: string) => {
    if (said.length < maxSaid) said.push(line.slice(0, 500));
    log.warn(line);
  };
  return { log: { ...log, warn }, said };
}
