import { describe, expect, test } from 'vitest';
import { runAgain } from '../../../src/host/kernel/run-again.ts';
import type { CommandFailure } from '../../../src/journal/effects.ts';
import type { Command } from '../../../src/kernel/kind.ts';

const again = 'RTNETLINK answers: Resource temporarily unavailable';
const busy = 'RTNETLINK answers: Device or resource busy';

const commandsOf = (...lines: readonly string[]): Command[] =>
  lines.map(line => ({ tool: 'ip', line, ofVf: line.includes(' vf ') }));

/** A tool that answers lines with errors, one after the other, and stops at the first unless told to keep going. */
function tool(errors: Record<string, string[]>, keepGoing: boolean) {
  const ran: string[] = [];
  const run = async (commands: readonly Command[]): Promise<CommandFailure[]> => {
    const failures: CommandFailure[] = [];
    for (const [place, { line }] of commands.entries()) {
      ran.push(line);
      const message = errors[line]?.shift();
      if (message !== undefined) failures.push({ place, message });
      if (message !== undefined && !keepGoing) break;
    }
    return failures;
  };
  return { ran, run };
}

describe('lines that are put off', () => {
  test.each<{
    name: string;
    keepGoing?: boolean;
    errors: Record<string, string[]>;
    ran: string[];
    failures?: CommandFailure[];
  }>([
    { name: 'none', errors: {}, ran: ['a', 'b', 'x vf 1 mac'] },
    { name: 'one, with those behind it', errors: { b: [again] }, ran: ['a', 'b', 'b', 'x vf 1 mac'] },
    { name: 'two', errors: { a: [again], b: [again, again] }, ran: ['a', 'a', 'b', 'b', 'b', 'x vf 1 mac'] },
    {
      name: 'one alone, where the others go on',
      keepGoing: true,
      errors: { a: [again], b: ['RTNETLINK answers: Invalid argument'] },
      ran: ['a', 'b', 'x vf 1 mac', 'a'],
      failures: [{ place: 1, message: 'RTNETLINK answers: Invalid argument' }],
    },
    {
      name: 'one that is refused in the end',
      errors: { b: [again, 'RTNETLINK answers: Invalid argument'] },
      ran: ['a', 'b', 'b'],
      failures: [{ place: 1, message: 'RTNETLINK answers: Invalid argument' }],
    },
    { name: 'a VF that is busy', errors: { 'x vf 1 mac': [busy] }, ran: ['a', 'b', 'x vf 1 mac', 'x vf 1 mac'] },
    {
      name: 'not a link that is busy',
      errors: { b: [busy] },
      ran: ['a', 'b'],
      failures: [{ place: 1, message: busy }],
    },
  ])('$name', async ({ keepGoing = false, errors, ran, failures = [] }) => {
    const fake = tool(errors, keepGoing);
    expect(await runAgain(fake.run, commandsOf('a', 'b', 'x vf 1 mac'), { keepGoing })).toEqual(failures);
    expect(fake.ran).toEqual(ran);
  });

  test('for good are refused after a while, in the order of their places', async () => {
    const errors = { a: Array<string>(1000).fill(again), b: ['RTNETLINK answers: Invalid argument'] };
    const fake = tool(errors, true);
    expect(await runAgain(fake.run, commandsOf('a', 'b'), { keepGoing: true })).toEqual([
      { place: 0, message: again },
      { place: 1, message: 'RTNETLINK answers: Invalid argument' },
    ]);
    expect(fake.ran.length).toBeGreaterThan(2);
    expect(fake.ran.length).toBeLessThan(60);
  });
});
