import { type Running, recover } from '../guest/recover.ts';
import type { Effects } from '../journal/effects.ts';
import { errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';

const everyMs = 60_000;

/**
 * What is to be called again and again by a program that stays: once a minute it makes up for endings whose calls were
 * missed. A guest or network that was not there twice in a row has ended; one that ends at this moment is left to its own calls.
 */
export function garbageCollector(
  whatRuns: () => Running,
  { effects, log }: { readonly effects: Effects; readonly log: Log },
): () => Promise<void> {
  let lastMs = effects.now();
  let missing = new Set<string>();
  let told = new Set<string>();
  let busy = false;
  const collectGarbage = async () => {
    const now = whatRuns();
    const before = missing;
    missing = new Set();
    const isThere = (what: string, isSeen: boolean) => {
      if (!isSeen) missing.add(what);
      return isSeen || !before.has(what);
    };
    const isRunning: typeof now.isRunning = (guest, name) => isThere(guest, now.isRunning(guest, name));
    const isNetworkActive = (name: string) => isThere(`network ${name}`, now.isNetworkActive(name));
    const { done, problems } = await recover({ ...now, isRunning, isNetworkActive }, effects);
    for (const line of done) log.info(line);
    for (const line of problems.filter(problem => !told.has(problem))) log.warn(`still applied: ${line}`);
    told = new Set(problems);
  };
  return async () => {
    if (busy || Math.abs(effects.now() - lastMs) < everyMs) return;
    lastMs = effects.now();
    busy = true;
    await collectGarbage()
      .catch(error => log.warn(`what ended unseen could not be undone: ${errorLine(error)}`))
      .finally(() => {
        busy = false;
      });
  };
}
