import { ActualnetError } from '../report/error.ts';

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/**
 * A moment in milliseconds since 1970: `90m`, `2h`, `3d` ago; `today`, `yesterday` or a weekday, from its midnight by the host's
 * clock, a weekday being the last one that has begun; or a date, with a time if it is wanted, as ISO 8601 has it. Throws `USAGE`.
 */
export function parseWhen(text: string, nowMs: number): number {
  const word = text.trim().toLowerCase();
  const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(word) ?? [];
  if (unit !== undefined) return nowMs - Number(count) * units[unit]!;
  const midnight = new Date(nowMs);
  midnight.setHours(0, 0, 0, 0);
  const back = daysBack(word, midnight.getDay());
  if (back !== undefined) return midnight.setDate(midnight.getDate() - back);
  const isDate = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i.test(text.trim());
  // A date without a time would be midnight in Greenwich.
  const ms = isDate ? Date.parse(text.trim().length === 10 ? `${text.trim()}T00:00` : text.trim()) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new ActualnetError('USAGE', `'${text}' is no moment`, {
    hint: "write '2h' or '3d' (ago), 'today', 'yesterday', 'monday', or '2026-05-04 13:30'",
  });
}

function daysBack(word: string, today: number): number | undefined {
  if (word === 'today') return 0;
  if (word === 'yesterday') return 1;
  const day = days.findIndex(name => name === word || (word.length === 3 && name.startsWith(word)));
  return day < 0 ? undefined : (today - day + 7) % 7;
}
