import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileHistory } from '../../../src/host/state/history.ts';
import { countEntries, countMetrics } from '../../../src/report/counts.ts';
import type { CallEntry, ChangeEntry } from '../../../src/report/history.ts';
import { metricsText } from '../../../src/report/metrics.ts';
import { TestHost } from '../../helpers/host.ts';
import { titled } from '../../libvirt/expectations.ts';

const call = (object: string, status: number, said: string[] = []): CallEntry => ({
  at: '2026-05-04T13:30:00.000Z',
  kind: 'call',
  by: 'hook',
  operation: 'prepare',
  driver: 'qemu',
  object,
  status,
  durationMs: 250,
  ...(status !== 0 && { refused: 'DEVICE_MISSING' }),
  said,
});
const change: ChangeEntry = {
  at: '2026-05-04T13:30:00.000Z',
  kind: 'change',
  by: 'agent',
  operation: 'agent',
  what: 'x',
  why: 'y',
  command: 'ip z',
  result: 'no such device',
  durationMs: 1,
};

test('calls, durations, refusals and changes are summed up', () => {
  const text = metricsText(countMetrics(countEntries([call('a', 0), call('b', 0), call('"c"\n', 1), change])));
  for (const line of [
    '# TYPE actualnet_calls_total counter',
    'actualnet_calls_total{driver="qemu",operation="prepare",result="answered"} 2',
    'actualnet_calls_total{driver="qemu",operation="prepare",result="refused"} 1',
    'actualnet_call_duration_seconds_sum{driver="qemu",operation="prepare"} 0.75',
    'actualnet_call_duration_seconds_count{driver="qemu",operation="prepare"} 3',
    'actualnet_refusals_total{code="DEVICE_MISSING"} 1',
    'actualnet_changes_total{by="agent",result="failed"} 1',
  ])
    expect(text.split('\n')).toContain(line);
});

describe('counters', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'actualnet-metrics-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('do not go back when the oldest pieces of the history are dropped', () => {
    let ms = 0;
    const history = fileHistory({ history: path.join(directory, 'actualnet-history.jsonl') }, () => ++ms);
    const long = ['x'.repeat(15_000)];
    let last = 0;
    for (let index = 1; index <= 3000; index++) {
      history.append([call('a', 0, long)]);
      if (index % 300 !== 0) continue;
      const [total] = Object.values(countEntries(history.read(), history.dropped()));
      expect(total).toBe(index);
      expect(total).toBeGreaterThan(last);
      last = total!;
    }
  });
});

const promtool = execaSync('sh', ['-c', 'command -v promtool'], { reject: false }).exitCode === 0;
const missing = promtool ? undefined : "there is no 'promtool' (Debian package prometheus)";
test.skipIf(missing)(titled('what the command prints pleases promtool, and each name is in the docs', missing), () => {
  const host = new TestHost();
  try {
    host.hook('qemu', ['g1', 'prepare', 'begin', '-'], '<domain');
    const file = path.join(host.root, 'actualnet.prom');
    expect(host.cli(['metrics', '--output', file])).toEqual({ status: 0, stdout: '', stderr: '' });
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('actualnet_refusals_total{code="XML_SYNTAX"} 1');
    const { exitCode, stdout, stderr } = execaSync('promtool', ['check', 'metrics'], { input: text, reject: false });
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const documented = readFileSync('docs/metrics.md', 'utf8');
    for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) expect(documented).toContain(`| \`${name}\` |`);
  } finally {
    host.remove();
  }
});
