import { expect, test } from 'vitest';
import yargs from 'yargs';
import { unmark, unmarked, wordsFor } from '../../../src/cli/words.ts';

async function parse(...given: string[]) {
  let seen: Record<string, unknown> | undefined;
  await yargs(wordsFor(given, '/dev/stdin'))
    .middleware(unmark)
    .command(
      'attach <guest> <device>',
      '',
      y => y.option('live', { type: 'boolean', default: false }),
      ({ guest, device, live }) => {
        seen = { guest, device, live };
      },
    )
    .strict()
    .fail(message => {
      throw new Error(unmarked(message));
    })
    .parseAsync();
  return seen;
}

test.each<[words: string[], guest: string, device: string, live: boolean]>([
  [['attach', '--live', 'g1', 'i.xml'], 'g1', 'i.xml', true],
  [['attach', 'g1', '-'], 'g1', '/dev/stdin', false],
  [['attach', '--live', '--', 'g1', 'i.xml'], 'g1', 'i.xml', true],
  [['attach', '--', '-g1', '-'], '-g1', '/dev/stdin', false],
  [['attach', 'g1', '--', '--live'], 'g1', '--live', false],
  [['attach', '--', '--', 'i.xml'], '--', 'i.xml', false],
])('%j', async (words, guest, device, live) => {
  expect(await parse(...words)).toEqual({ guest, device, live });
});

test('a word too many is told of as it was given', async () => {
  await expect(parse('attach', '--', 'g1', 'i.xml', '--live')).rejects.toThrow(/^Unknown argument: --live$/);
});
