import { describe, expect, test } from 'vitest';
import type { Command } from '../../../src/kernel/kind.ts';
import type { Answers, RecordedCall } from '../../../src/replay/recorded.ts';
import { type Answered, compareReplay, type Difference, RecordedHost } from '../../../src/replay/replaying.ts';
import { notingView, Recollection } from '../../../src/replay/view.ts';
import { hostView, link } from '../../helpers/host-view.ts';

const recorded: RecordedCall = {
  format: 1,
  at: '2026-05-04T10:00:00.000Z',
  durationMs: 1,
  by: { version: '0.1.0', commit: null, node: 'v20' },
  call: { driver: 'qemu', object: 'g1', operation: 'start', subOperation: 'begin', extra: '-' },
  document: '',
  facts: {},
  views: [{}],
  files: {},
  runs: [
    { tool: 'ip', lines: ['a', 'b', 'a'], failures: [{ place: 2, message: 'File exists' }] },
    { tool: 'bridge', lines: ['c'], failures: [], threw: "'bridge' did not end" },
  ],
  answer: { status: 0, stdout: '<a>\n<b/>\n</a>\n', stderr: '', said: ['one', 'two'] },
  missing: [],
};
const change = (command: string) => ({ command, what: '', why: '', result: 'done' });
const same: Answered = {
  outcome: recorded.answer,
  said: ['one', 'two'],
  changes: ['ip a', 'ip b', 'ip a', 'bridge c'].map(change),
  unasked: [],
};

describe('what differs', () => {
  test.each<[string, Partial<Answered>, Difference[]]>([
    ['nothing', {}, []],
    [
      'the answer',
      { outcome: { status: 1, stdout: '', stderr: 'no\n' } },
      [
        { what: 'status', before: '0', now: '1' },
        { what: 'error', before: null, now: 'no' },
        { what: 'document', before: '<a>', now: null },
        { what: 'document', before: '<b/>', now: null },
        { what: 'document', before: '</a>', now: null },
      ],
    ],
    [
      'a line of the document',
      { outcome: { status: 0, stdout: '<a>\n<c/>\n</a>\n', stderr: '' } },
      [{ what: 'document', before: '<b/>', now: '<c/>' }],
    ],
    [
      'how often a command is run',
      { changes: ['ip a', 'ip b', 'bridge c'].map(change) },
      [{ what: 'command', before: 'ip a', now: null }],
    ],
    [
      'the order of commands',
      { changes: ['ip a', 'ip a', 'ip b', 'bridge c'].map(change) },
      [{ what: 'command', before: 'the same lines', now: 'in another order' }],
    ],
    ['a warning', { said: ['one', 'three'] }, [{ what: 'log', before: 'two', now: 'three' }]],
    ['what is asked', { unasked: ['link x'] }, [{ what: 'host', before: null, now: "asked for 'link x'" }]],
  ])('%s', (_, now, expected) => {
    expect(compareReplay(recorded, { ...same, ...now })).toEqual(expected);
  });

  test('is shown up to a number of lines', () => {
    const said = Array.from({ length: 1000 }, (_, index) => `${index}`);
    const differences = compareReplay(recorded, { ...same, said });
    expect(differences).toHaveLength(51);
    expect(differences.at(-1)).toEqual({ what: 'log', before: null, now: 'and 950 lines more' });
  });
});

const lines = (tool: 'ip' | 'bridge', ...words: readonly string[]): Command[] => words.map(line => ({ tool, line }));

describe('the fake host', () => {
  const effects = () => new RecordedHost(recorded).context({ effects: {} } as never).effects;

  test('ends a line as it ended then, each time in its turn, and any other well', async () => {
    const run = effects().run;
    expect(await run(lines('ip', 'a'), { keepGoing: true })).toEqual([]);
    expect(await run(lines('ip', 'new', 'a'), { keepGoing: true })).toEqual([{ place: 1, message: 'File exists' }]);
  });

  test('stops at the first that fails, unless it is told to go on', async () => {
    const fake = new RecordedHost(recorded);
    const { run } = fake.context({ effects: {} } as never).effects;
    expect(await run(lines('ip', 'a', 'a', 'b'), { keepGoing: false })).toEqual([{ place: 1, message: 'File exists' }]);
    expect(fake.changes.map(({ result }) => result)).toEqual(['done', 'File exists', 'not reached']);
  });

  test('does not know what nobody knew then', async () => {
    await expect(effects().run(lines('bridge', 'c'), { keepGoing: true })).rejects.toThrow("'bridge' did not end");
  });
});

describe('what was seen', () => {
  test('is answered look by look: by the look before where it was not asked, else by one after', () => {
    const withMtu = (mtu: number): Answers => ({ 'link eth0': { is: { dev: 'eth0', mtu } } });
    const recollection = new Recollection([{}, withMtu(1500), {}, { ...withMtu(9000), 'link eth1': {} }]);
    const mtus = [1, 2, 3, 4].map(() => recollection.view({}).link('eth0')?.mtu);
    expect(mtus).toEqual([1500, 1500, 9000, 9000]);
    // It was asked, and there was none; of the other nobody knows.
    const view = recollection.view({});
    expect([view.link('eth1'), view.link('eth2')]).toEqual([undefined, undefined]);
    expect([...recollection.unasked].filter(question => question.startsWith('link'))).toEqual(['link eth2']);
  });

  test('is noted by what was asked, whatever else was handed over', () => {
    const answers: Answers = {};
    const view = notingView(hostView([link('eth0')], { vf: () => undefined }), {}, answers);
    expect(['eth0'].map(view.link)[0]?.dev).toBe('eth0');
    view.vf('eth0', 3);
    const asked = Object.keys(answers).filter(question => question.includes(' '));
    expect(asked).toEqual(['link eth0', 'vf eth0 3']);
    // Tables that were not read are not known to be empty.
    expect(Object.keys(answers)).not.toContain('fdb');
  });

  test('has every question that the host can be asked', () => {
    const answers: Answers = {};
    const noted = notingView(hostView([]), { fdb: true, vlans: true }, answers);
    const names = (view: object) => Object.keys(view).sort();
    expect(names(new Recollection([]).view({}))).toEqual(names(noted));
  });
});
