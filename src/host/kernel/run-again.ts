import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandFailure } from '../../journal/effects.ts';
import type { Command } from '../../kernel/kind.ts';

/** A driver that resets a VF, or waits for its firmware, is done in this time or has another problem. */
const limitMs = 2000;
const pauseMs = 100;

/**
 * Runs commands, and those that the kernel only put off (EAGAIN; of a VF also EBUSY, the word of some drivers for a VF in its
 * reset) again, until they are done or time is up. Lines behind one that was put off keep their order unless they may be run
 * whatever becomes of it.
 */
export async function runAgain(
  run: (commands: readonly Command[]) => Promise<CommandFailure[]>,
  commands: readonly Command[],
  { keepGoing }: { readonly keepGoing: boolean },
): Promise<CommandFailure[]> {
  const endMs = performance.now() + limitMs;
  let places = commands.map((_, place) => place);
  const final: CommandFailure[] = [];
  for (;;) {
    const failures = (await run(places.map(place => commands[place]!))).map(({ place, message }) => ({
      place: places[place]!,
      message,
    }));
    const putOff = failures.filter(({ place, message }) => isPutOff(commands[place]!, message));
    if (putOff.length === 0 || performance.now() > endMs) return inOrder([...final, ...failures]);
    final.push(...failures.filter(failure => !putOff.includes(failure)));
    // One batch ends at its first failure; otherwise all the others have been run.
    places = keepGoing ? putOff.map(({ place }) => place) : places.slice(places.indexOf(putOff[0]!.place));
    await sleep(pauseMs);
  }
}

function isPutOff({ tool, ...command }: Command, message: string): boolean {
  const isOfVf = tool !== 'pci' && 'ofVf' in command && command.ofVf === true;
  return /Resource temporarily unavailable/.test(message) || (isOfVf && /Device or resource busy/.test(message));
}

function inOrder(failures: readonly CommandFailure[]): CommandFailure[] {
  return [...failures].sort((a, b) => a.place - b.place);
}
