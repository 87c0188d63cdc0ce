import type { Announcement } from '../../plan/announcements.ts';
import { printable } from '../../report/error.ts';
import { runBounded } from '../process/bounded.ts';

/** Long enough for its frames, a second apart. */
const limitMs = 5000;
const frames = 3;

export interface Announcer {
  /** Sends a guest's announcements, all at once. Resolves to a line for each that could not be made. */
  readonly announce: (guest: string, announcements: readonly Announcement[]) => Promise<readonly string[]>;
  /** Nothing more is sent for the guest: it may be somewhere else in the next moment. */
  readonly cancel: (guest: string) => void;
  /** The same for all. */
  readonly end: () => void;
}

export function announcer(): Announcer {
  const sending = new Map<string, AbortController>();
  const cancel = (guest: string) => {
    sending.get(guest)?.abort();
    sending.delete(guest);
  };
  return {
    cancel,
    end() {
      for (const guest of [...sending.keys()]) cancel(guest);
    },
    async announce(guest, announcements) {
      cancel(guest);
      const controller = new AbortController();
      sending.set(guest, controller);
      const results = await Promise.all(announcements.map(each => send(each, controller.signal)));
      if (sending.get(guest) === controller) sending.delete(guest);
      return results.flat();
    },
  };
}

async function send({ dev, mac, address }: Announcement, signal: AbortSignal): Promise<string[]> {
  const words = ['-q', '-U', '-c', `${frames}`, '-i', dev, '-s', mac, '-S', address, address];
  const { timedOut, status, complaint } = await runBounded('arping', words, { limitMs, signal });
  // Without an answer, which nobody is to give, it ends with 1.
  if (signal.aborted || (!timedOut && (status === 0 || (status === 1 && complaint === '')))) return [];
  const why = timedOut ? `it did not finish within ${limitMs / 1000} s` : complaint || `exit status ${status}`;
  return [
    `${address} behind ${mac} could not be announced on '${dev}': arping: ${printable(why)} (hint: install arping, the one with -s)`,
  ];
}
