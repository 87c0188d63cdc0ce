import { describe, expect, test } from 'vitest';
import { type CutOver, isTold, joinCutOvers, readCutOvers } from '../../../src/agent/cut-over.ts';
import type { Uuid } from '../../../src/model/values.ts';

const guest = '0b0e1f52-0000-4000-8000-000000000001' as Uuid;
const mac = '52:54:00:00:00:01';

function part(
  reachable: boolean,
  heardMs: number,
  { took = 4, ...rest }: Partial<CutOver> & { took?: number } = {},
): CutOver {
  const cause = reachable ? 'Resumed Migrated' : 'Suspended Migrated';
  return {
    guest,
    name: 'g',
    reachable,
    cause,
    heardMs,
    beganMs: heardMs + 1,
    doneMs: heardMs + took,
    macs: [mac],
    ...rest,
  };
}

const brief = (here: readonly CutOver[], there: readonly CutOver[]) =>
  joinCutOvers(here, there).map(({ closed, opened, gapMs }) => [
    closed?.heardMs,
    opened?.heardMs,
    gapMs && [gapMs.least, gapMs.most],
  ]);

describe('the parts of two hosts', () => {
  test('there and back are two migrations, the gap being between the end of one and the begin of the other', () => {
    const here = [part(false, 1000), part(true, 5010)];
    const there = [part(true, 1010), part(false, 5000)];
    const both = [
      [1000, 1010, [7, 13]],
      [5000, 5010, [7, 13]],
    ];
    expect(brief(here, there)).toEqual(both);
    expect(brief(there, here)).toEqual(both);
  });

  test('that overlap are told by a negative gap', () => {
    expect(brief([part(false, 1000, { took: 50 })], [part(true, 1010)])).toEqual([[1000, 1010, [-39, 13]]]);
  });

  test('alone stand alone', () => {
    expect(brief([part(false, 1000)], [])).toEqual([[1000, undefined, undefined]]);
    expect(brief([], [part(true, 1000)])).toEqual([[undefined, 1000, undefined]]);
  });

  test('of another guest, another MAC or another day do not belong together', () => {
    const other = '0b0e1f52-0000-4000-8000-000000000002' as Uuid;
    for (const far of [
      part(true, 1010, { guest: other }),
      part(true, 1010, { macs: ['52:54:00:00:00:02'] }),
      part(true, 99_000),
    ])
      expect(brief([part(false, 1000)], [far])).toHaveLength(2);
  });

  test('of a source that opens again after a failure are no gap', () => {
    expect(brief([part(false, 1000), part(true, 1200)], [])).toEqual([
      [1000, undefined, undefined],
      [undefined, 1200, undefined],
    ]);
  });

  test.each<[name: string, here: CutOver[], there: CutOver[], expected: unknown[]]>([
    [
      'the next attempt succeeds',
      [part(false, 1000), part(true, 1200), part(false, 10_000)],
      [part(true, 10_030)],
      [
        [1000, undefined, undefined],
        [undefined, 1200, undefined],
        [10_000, 10_030, [27, 33]],
      ],
    ],
    [
      'the closing of the next one is not known',
      [part(false, 1000), part(true, 1200)],
      [part(true, 10_030)],
      [
        [1000, undefined, undefined],
        [undefined, 1200, undefined],
        [undefined, 10_030, undefined],
      ],
    ],
    [
      'it goes there, and back at once, open on both for a moment',
      [part(false, 1000), part(true, 1500)],
      [part(true, 990), part(false, 1490)],
      [
        [1000, 990, [-13, 0]],
        [1490, 1500, [7, 13]],
      ],
    ],
  ])('of a migration that fails count for themselves: %s', (_, here, there, expected) => {
    expect(brief(here, there)).toEqual(expected);
    expect(brief(there, here)).toEqual(expected);
  });
});

test('lines that are none are passed over', () => {
  const good = part(true, 1000);
  const lines = [good, {}, null, 'x', { ...good, guest: '../x' }, { ...good, heardMs: '1' }, { ...good, macs: [1] }];
  expect(readCutOvers(lines)).toEqual([good]);
});

test.each<{ name: string; before: CutOver[]; now: CutOver; bornMs?: number; told: boolean }>([
  { name: 'the first part', before: [], now: part(true, 5000), told: false },
  { name: 'the state that a later queue reads', before: [part(true, 1000)], now: part(true, 5000), told: true },
  { name: 'the other direction', before: [part(true, 1000)], now: part(false, 5000), told: false },
  { name: 'the same after the other', before: [part(true, 1), part(false, 2)], now: part(true, 5000), told: false },
  { name: 'the same in another life', before: [part(true, 1000)], now: part(true, 5000), bornMs: 4000, told: false },
  {
    name: 'that of another guest',
    before: [part(true, 1000, { guest: '0b0e1f52-0000-4000-8000-000000000002' as Uuid })],
    now: part(true, 5000),
    told: false,
  },
])('$name is told already: $told', ({ before, now, bornMs = 0, told }) => {
  expect(isTold(before, now, bornMs)).toBe(told);
});
