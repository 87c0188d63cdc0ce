import { describe, expect, test } from 'vitest';
import { runBounded } from '../../../src/host/process/bounded.ts';

describe('a child that can be left to itself', () => {
  test.each([
    {
      name: 'what it prints',
      words: ['-c', 'cat; echo out'],
      input: 'in\n',
      ended: { status: 0, stdout: 'in\nout\n', complaint: '' },
    },
    {
      name: 'what it complains of last',
      words: ['-c', 'echo one >&2; echo two >&2; exit 3'],
      ended: { status: 3, stdout: '', complaint: 'two' },
    },
  ])('tells $name', async ({ words, input = '', ended }) => {
    expect(await runBounded('sh', words, { input, limitMs: 10_000 })).toEqual({ timedOut: false, ...ended });
  });

  test('is left when it does not end, and nobody waits for what it has left behind', async () => {
    const begun = performance.now();
    // The grandchild keeps the streams open, as a process that waits in the kernel would.
    const { timedOut } = await runBounded('sh', ['-c', 'sleep 30 & sleep 30'], { limitMs: 200 });
    expect(timedOut).toBe(true);
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  test('that is not there is told', async () => {
    const { status, complaint } = await runBounded('no-such-program', [], { limitMs: 10_000 });
    expect([status, complaint]).toEqual([null, expect.stringContaining('ENOENT')]);
  });
});
