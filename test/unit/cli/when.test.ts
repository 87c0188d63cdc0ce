import { expect, test } from 'vitest';
import { parseWhen } from '../../../src/cli/when.ts';

/** A Wednesday, by the clock of this machine. */
const now = new Date(2026, 4, 6, 15, 30).getTime();
const at = (year: number, month: number, day: number, hour = 0, minute = 0) =>
  new Date(year, month, day, hour, minute).getTime();

test.each<[string, number]>([
  ['90s', now - 90_000],
  ['2h', now - 7_200_000],
  ['3d', now - 3 * 86_400_000],
  ['1w', now - 7 * 86_400_000],
  ['today', at(2026, 4, 6)],
  ['Yesterday', at(2026, 4, 5)],
  ['monday', at(2026, 4, 4)],
  ['wed', at(2026, 4, 6)],
  ['thursday', at(2026, 3, 30)],
  ['2026-05-04', at(2026, 4, 4)],
  ['2026-05-04 13:30', at(2026, 4, 4, 13, 30)],
  ['2026-05-04T13:30:00Z', Date.UTC(2026, 4, 4, 13, 30)],
])('%s', (text, moment) => expect(parseWhen(text, now)).toBe(moment));

test.each(['', 'soon', '2026', '2026-13-01', '5', '-2h', '9999999d', 'mo', '1e3'])("'%s' is no moment", text =>
  expect(() => parseWhen(text, now)).toThrow(expect.objectContaining({ code: 'USAGE' })),
);
