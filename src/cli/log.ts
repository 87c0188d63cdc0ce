import { printable } from '../report/error.ts';
import type { HistoryEntry } from '../report/history.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand, formatOption } from './command.ts';
import { parseWhen } from './when.ts';

/** `actualnet log [GUEST]`: what was asked of actualnet and what it did, also of guests that have gone. */
export const command = defineCommand({
  words: 'log [guest]',
  builder: y =>
    y
      .positional('guest', {
        type: 'string',
        describe: 'name or uuid of a guest, or name of a network; it may have gone',
      })
      .option('since', { type: 'string', describe: "from when on: 2h, 3d, yesterday, monday, '2026-05-04 13:30'" })
      .option('until', { type: 'string', describe: 'up to when, in the same words' })
      .option('changes', { type: 'boolean', default: false, describe: 'only what was changed on the host' })
      .option('follow', { type: 'boolean', default: false, describe: 'goes on with what comes, until it is ended' })
      .option('format', formatOption),
  examples: [
    ['log --since monday --changes', 'what was changed on this host since Monday, midnight'],
    ['log web1', 'the life of web1, also after it has gone'],
  ],
  documentation: 'docs/history.md',
  async run({ guest, since, until, changes, follow, format }, { io, history, now }) {
    const from = since === undefined ? 0 : parseWhen(since, now());
    const to = until === undefined ? Number.POSITIVE_INFINITY : parseWhen(until, now());
    const wanted = (entry: HistoryEntry) => {
      const ms = Date.parse(entry.at);
      return ms >= from && ms <= to && (!changes || entry.kind === 'change');
    };
    const kept = history().read();
    const names = new Set(guest === undefined ? [] : namesOf(guest, kept));
    const isOf = (entry: HistoryEntry) => guest === undefined || idsOf(entry).some(id => names.has(id));
    const entries = kept.filter(entry => wanted(entry) && isOf(entry));
    if (format === 'json' && !follow) io.write(jsonText({ entries }));
    else for (const entry of entries) io.write(lineOf(entry, format));
    if (entries.length === 0 && !follow && format === 'table') io.write('nothing is kept of that\n');
    if (!follow) return;
    await history().follow(fresh => {
      for (const entry of fresh.filter(each => wanted(each) && isOf(each))) io.write(lineOf(entry, format));
    }, new AbortController().signal);
  },
});

/** By whom an entry can be found. */
function idsOf(entry: HistoryEntry): string[] {
  if (entry.kind === 'call') return [entry.object, ...(entry.guest === undefined ? [] : [entry.guest])];
  const owner = /^(?:guest|network) '(.*)'$/s.exec(entry.owner ?? '')?.[1];
  return [owner, entry.user, entry.user?.replace(/^network:/, '')].filter(id => id !== undefined);
}

/** A guest is known by its name in one entry and by its uuid in another. */
function namesOf(guest: string, entries: readonly HistoryEntry[]): string[] {
  const others = entries.flatMap(entry => {
    const ids = idsOf(entry);
    return ids.includes(guest) ? ids : [];
  });
  return [...new Set([guest, ...others])];
}

function lineOf(entry: HistoryEntry, format: 'table' | 'json'): string {
  return format === 'json' ? `${jsonText(entry).replaceAll(/\n */g, ' ').trim()}\n` : `${printable(describe(entry))}\n`;
}

function describe(entry: HistoryEntry): string {
  const { at, by, operation } = entry;
  if (entry.kind === 'change') {
    const who = entry.owner ?? entry.user ?? '';
    const result = entry.result === 'done' ? '' : `: ${entry.result}`;
    return `${at}  ${by} ${operation}  ${who}: ${entry.what} (${entry.why || entry.command})${result}`;
  }
  const said = entry.said === undefined ? '' : `: ${entry.said.join('; ')}`;
  const end = entry.status === 0 ? 'answered' : `refused${entry.refused === undefined ? '' : ` [${entry.refused}]`}`;
  return `${at}  ${by} ${operation}  ${entry.driver} '${entry.object}': ${end} in ${entry.durationMs} ms${said}`;
}
