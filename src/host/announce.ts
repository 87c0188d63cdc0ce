import type { Announcement } from '../plan/announcements.ts';
import { printable } from '../report/error.ts';
import { runAbandonable } from './abandonable.ts';

/** Long enough for its frames, a second apart. */
const limitMs = 5000;
const frames = 3;

/** Sends what is announced, all of it at once. Resolves to a line for each announcement that could not be made. */
export async function announce(announcements: readonly Announcement[]): Promise<string[]> {
  const results = await Promise.all(
    announcements.map(async ({ dev, mac, address }) => {
      const words = ['-q', '-U', '-c', `${frames}`, '-i', dev, '-s', mac, '-S', address, address];
      const { abandoned, status, complaint } = await runAbandonable('arping', words, { limitMs });
      // Without an answer, which nobody is to give, it ends with 1.
      if (!abandoned && (status === 0 || (status === 1 && complaint === ''))) return [];
      const why = abandoned ? `it did not finish within ${limitMs / 1000} s` : complaint || `exit status ${status}`;
      return [
        `${address} behind ${mac} could not be announced on '${dev}': arping: ${printable(why)} (hint: install arping, the one with -s)`,
      ];
    }),
  );
  return results.flat();
}
