import { foldRecord } from '../guest/record.ts';
import { countEntries, countMetrics } from '../report/counts.ts';
import { type Metric, metricsText, type Sample } from '../report/metrics.ts';
import { defineCommand } from './command.ts';
import type { CommandHost } from './host.ts';
import { readPool } from './pool.ts';

/** `actualnet metrics`: for Prometheus. */
export const command = defineCommand({
  words: 'metrics',
  builder: y =>
    y.option('output', {
      type: 'string',
      describe: "a file, replaced at once: for the node exporter's textfile collector",
    }),
  examples: [
    ['metrics', 'prints them'],
    ['metrics --output /var/lib/prometheus/node-exporter/actualnet.prom', 'as a timer would, every minute'],
  ],
  documentation: 'docs/metrics.md',
  async run({ output }, host) {
    const { dropped, read } = host.history();
    const text = metricsText([...countMetrics(countEntries(read(), dropped())), ...(await stateMetrics(host))]);
    if (output === undefined) host.io.write(text);
    else host.writeForAll(output, text);
  },
});

async function stateMetrics(host: CommandHost): Promise<Metric[]> {
  const { memory, version } = host;
  const { agentState } = await host.agent();
  const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    type: 'gauge',
    help,
    samples,
  });
  const guests = memory.listRecords().flatMap(uuid => foldRecord(uuid, memory.readRecord(uuid)) ?? []);
  const facts = await host.doctorFacts();
  const pool = await readPool({
    effects: await host.effects(),
    ...(await host.deviceSources()),
    keptByLibvirt: host.keptByLibvirt,
  });
  const inState = (done: string) => agentState?.guests.filter(guest => guest.done === done).length ?? 0;
  return [
    gauge('actualnet_build_info', 'The version that runs.', [{ labels: { version }, value: 1 }]),
    gauge('actualnet_guests_recorded', 'Guests of which something is recorded.', [{ value: guests.length }]),
    gauge('actualnet_findings', 'Findings about guests that are recorded.', [
      { value: guests.reduce((sum, { findings }) => sum + findings.length, 0) },
    ]),
    gauge('actualnet_drift', 'Settings that are applied and that the host does not show.', [
      { value: facts.drift.length },
    ]),
    gauge('actualnet_agent_up', 'Whether somebody follows the run states of guests.', [
      { value: agentState === undefined ? 0 : 1 },
    ]),
    gauge(
      'actualnet_agent_resident_memory_bytes',
      'Memory of the agent.',
      facts.agent === undefined ? [] : [{ value: host.residentBytes(facts.agent.pid) }],
    ),
    gauge(
      'actualnet_guests_followed',
      'Guests that the agent follows, by whether they are open to the network.',
      agentState === undefined ? [] : ['open', 'closed'].map(state => ({ labels: { state }, value: inState(state) })),
    ),
    gauge(
      'actualnet_pool_vfs',
      'VFs of a PF, by whether somebody has them.',
      pool.pfs.flatMap(({ dev, pf, vfs }) => {
        const used = vfs.filter(({ usedBy }) => usedBy.length > 0).length;
        return [
          { labels: { pf: dev ?? pf, state: 'used' }, value: used },
          { labels: { pf: dev ?? pf, state: 'free' }, value: vfs.length - used },
        ];
      }),
    ),
  ];
}
