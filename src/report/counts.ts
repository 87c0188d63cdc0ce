import type { HistoryEntry } from './history.ts';
import type { Metric, Sample } from './metrics.ts';

/** Sums over entries of the history, by key: what a counter shows, and what is kept of entries that are dropped. */
export type Counts = Readonly<Record<string, number>>;

const join = (...parts: string[]) => JSON.stringify(parts);

/** Adds entries to sums. */
export function countEntries(entries: readonly HistoryEntry[], before: Counts = {}): Counts {
  const counts: Record<string, number> = { ...before };
  const add = (key: string, value = 1) => {
    counts[key] = (counts[key] ?? 0) + value;
  };
  for (const entry of entries) {
    if (entry.kind === 'call') {
      const { driver, operation, status, durationMs, refused } = entry;
      add(join('calls', driver, operation, status === 0 ? 'answered' : 'refused'));
      add(join('seconds', driver, operation), durationMs / 1000);
      if (status !== 0) add(join('refusals', refused ?? 'unknown'));
    } else add(join('changes', entry.by, entry.result === 'done' ? 'done' : 'failed'));
  }
  return counts;
}

/** The counters of the history, by the ecosystem's conventions. */
export function countMetrics(counts: Counts): Metric[] {
  const of = (kind: string) =>
    Object.entries(counts).flatMap(([key, value]) => {
      const [first, ...labels] = JSON.parse(key) as [string, ...string[]];
      return first === kind ? [{ labels, value }] : [];
    });
  const calls = of('calls').map(({ labels: [driver = '', operation = '', result = ''], value }): Sample => {
    return { labels: { driver, operation, result }, value };
  });
  const durations = of('seconds').flatMap(({ labels: [driver = '', operation = ''], value }): Sample[] => {
    const own = calls.filter(({ labels }) => labels?.driver === driver && labels.operation === operation);
    const labels = { driver, operation };
    return [
      { suffix: '_sum', labels, value },
      { suffix: '_count', labels, value: own.reduce((sum, each) => sum + each.value, 0) },
    ];
  });
  return [
    { name: 'actualnet_calls_total', type: 'counter', help: 'Calls of the hooks by libvirt.', samples: calls },
    {
      name: 'actualnet_call_duration_seconds',
      type: 'summary',
      help: 'How long calls of the hooks took, without the start of Node.js.',
      samples: durations,
    },
    {
      name: 'actualnet_refusals_total',
      type: 'counter',
      help: 'Operations that were refused, by the code of the error.',
      samples: of('refusals').map(({ labels: [code = ''], value }) => ({ labels: { code }, value })),
    },
    {
      name: 'actualnet_changes_total',
      type: 'counter',
      help: 'Changes made on the host, and taken back.',
      samples: of('changes').map(({ labels: [by = '', result = ''], value }) => ({ labels: { by, result }, value })),
    },
  ];
}
