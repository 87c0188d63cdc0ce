import type { HookContext } from '../../src/hook/context.ts';
import type { Effects, LedgerFile } from '../../src/journal/effects.ts';

/** What a killed process does: nothing more. */
class Killed extends Error {}

/**
 * Counts the points at which a process could be killed: before and after each line that is written and each command
 * that is run. At the point `killAt` everything ends, so that not even a roll-back happens any more.
 */
export class KillSwitch {
  points = 0;
  #dead = false;

  constructor(readonly killAt: number = Number.POSITIVE_INFINITY) {}

  point(): void {
    if (this.#dead) throw new Killed();
    if (++this.points === this.killAt) {
      this.#dead = true;
      throw new Killed();
    }
  }

  around<T>(act: () => T): T {
    this.point();
    const result = act();
    this.point();
    return result;
  }
}

/** The same context, in which everything that leaves a trace passes the switch. */
export function killable(context: HookContext, kill: KillSwitch): HookContext {
  const { memory, effects } = context;
  const file = (ledger: LedgerFile): LedgerFile => ({
    ...ledger,
    append: lines => {
      for (const line of lines) kill.around(() => ledger.append([line]));
    },
    replace: lines => kill.around(() => ledger.replace(lines)),
  });
  const wrap =
    <A extends unknown[], R>(write: (...words: A) => R) =>
    (...words: A): R =>
      kill.around(() => write(...words));
  return {
    ...context,
    memory: {
      ...memory,
      appendRecord: wrap(memory.appendRecord),
      removeRecord: wrap(memory.removeRecord),
      rememberNetwork: wrap(memory.rememberNetwork),
      forgetNetwork: wrap(memory.forgetNetwork),
    },
    effects: {
      ...oneByOne(effects, async act => {
        kill.point();
        const result = await act();
        kill.point();
        return result;
      }),
      guestLedger: guest => file(effects.guestLedger(guest)),
      sharedLedger: dev => file(effects.sharedLedger(dev)),
    },
  };
}

/** The same effects with the `failAt`th command failing, counted from 1 over all batches. */
export function failing(effects: Effects, failAt: number): Effects & { readonly commands: () => number } {
  let commands = 0;
  const broken = oneByOne(effects, act => {
    commands++;
    return commands === failAt ? Promise.resolve([{ place: 0, message: 'it was made to fail' }]) : act();
  });
  return { ...broken, commands: () => commands };
}

type Failures = Awaited<ReturnType<Effects['run']>>;

/** A batch taken apart into its commands, each passed through `each`. */
function oneByOne(effects: Effects, each: (act: () => Promise<Failures>) => Promise<Failures>): Effects {
  return {
    ...effects,
    run: async (commands, options) => {
      const failures: { place: number; message: string }[] = [];
      for (const [place, command] of commands.entries()) {
        const found = await each(() => effects.run([command], options));
        failures.push(...found.map(({ message }) => ({ place, message })));
        if (failures.length > 0 && !options.keepGoing) break;
      }
      return failures;
    },
  };
}
