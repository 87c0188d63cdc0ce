import { type StartTool, startTool } from '../kernel/batches.ts';
import type { BoundedProcess } from './bounded.ts';

/** What the agent runs: whatever takes part in opening and closing a guest. */
const kept = [
  ['bridge', '-j', '-batch', '-'],
  ['bridge', '-force', '-batch', '-'],
  ['ip', '-force', '-batch', '-'],
] as const;

/** Long enough for the work at hand to be over. */
const refillMs = 50;

export interface Prestarted {
  readonly start: StartTool;
  readonly end: () => void;
}

/**
 * Keeps a process of each tool ready that only waits for its stdin: between an event and the act it asks for, starting
 * processes would take most of the time. Each is used once. One that went on would remember devices of the past by their
 * names: iproute2 looks a name up only the first time.
 */
export function keepPrestarted(): Prestarted {
  const prestarted = new Map<string, BoundedProcess>();
  const timers = new Set<NodeJS.Timeout>();
  const fill = (key: string, tool: string, words: readonly string[]) => {
    prestarted.set(key, startTool(tool, words));
  };
  const fillSoon = (key: string, tool: string, words: readonly string[]) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!prestarted.has(key)) fill(key, tool, words);
    }, refillMs);
    timers.add(timer);
  };
  for (const [tool, ...words] of kept) fill([tool, ...words].join(' '), tool, words);
  return {
    start(tool, words) {
      const key = [tool, ...words].join(' ');
      const spare = prestarted.get(key);
      if (!kept.some(each => each.join(' ') === key)) return startTool(tool, words);
      prestarted.delete(key);
      fillSoon(key, tool, words);
      return spare?.isRunning() ? spare : startTool(tool, words);
    },
    end() {
      for (const timer of timers) clearTimeout(timer);
      for (const spare of prestarted.values()) spare.giveUp();
      prestarted.clear();
    },
  };
}
