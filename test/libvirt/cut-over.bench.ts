import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestXml, interfaceXml } from './documents.ts';
import { settles, titled } from './expectations.ts';
import type { Launched, LibvirtHost } from './host.ts';
import { gapsOf, momentsOf } from './moments.ts';
import { missingInKernel, missingPrerequisite } from './prerequisites.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const migrations = Number(process.env.ACTUALNET_MIGRATIONS ?? 30);
const mac = '52:54:00:ac:00:51';
const guest = 'measured';
const keep = 'bridges: { br0: { keepForwardingTable: true } }\n';
/** What is often done instead: an entry at `started`, removed at `stopped`. */
const naiveHook = `#!/bin/sh
case $2 in
  started) bridge fdb add ${mac} dev guest-br0 master static ;;
  stopped) bridge fdb del ${mac} dev guest-br0 master ;;
esac 2>/dev/null
cat >/dev/null
exit 0
`;

/** libvirt keeps the table itself. It makes the bridge tell VLANs apart for that, which not every kernel can. */
const ownTable = `<network><name>kept</name><forward mode='bridge'/><bridge name='br0' macTableManager='libvirt'/></network>`;

const ways = [
  { name: 'the agent', config: keep, agent: true, hook: undefined },
  { name: 'what the hooks leave behind', config: keep, agent: false, hook: undefined },
  { name: 'a hook that registers at `started`', config: '', agent: false, hook: naiveHook },
  { name: "libvirt, by `macTableManager='libvirt'`", config: '', agent: false, hook: undefined, network: 'kept' },
];

/** Prints, for each way, how long a migrating guest's MAC was open nowhere, or on both hosts (negative). */
describe.skipIf(missingPrerequisite).each(ways)(titled('cut-over by $name', missingPrerequisite), way => {
  const lacking =
    'network' in way && process.env.ACTUALNET_LIBVIRTD_PRELOAD === undefined
      ? missingInKernel.vlanFiltering
      : undefined;
  let hosts: TwoHosts;
  let monitors: Map<LibvirtHost, Launched>;

  beforeAll(async () => {
    if (lacking !== undefined) return;
    hosts = await startTwoHosts('network' in way ? [ownTable] : []);
    for (const host of [hosts.a, hosts.b]) {
      host.configure(way.config);
      if (way.hook !== undefined) {
        const file = '/etc/libvirt/hooks/qemu.d/60-naive';
        await host.runWith(way.hook, 'sh', '-c', `cat >${file} && chmod 755 ${file}`);
      }
      if (way.agent) await host.startAgent();
    }
    monitors = new Map([hosts.a, hosts.b].map(host => [host, host.launch('bridge', '-timestamp', 'monitor', 'fdb')]));
    const device =
      'network' in way
        ? interfaceXml('network', 0x51, `<source network='${way.network}'/><target dev='guest-br0'/>`)
        : interfaceXml('bridge', 0x51, "<source bridge='br0'/><target dev='guest-br0'/>");
    await hosts.a.define(guestXml(guest, [device]));
    await hosts.a.virsh('start', guest);
  });
  afterAll(() => stopHosts(hosts));

  test.skipIf(lacking)(titled(`${migrations} migrations`, lacking), { timeout: 3_600_000 }, async () => {
    const gaps = () => gapsOf([...monitors].flatMap(([host, { lines }]) => momentsOf(host, mac, lines)));
    let [source, destination] = [hosts.a, hosts.b];
    for (let done = 0; done < migrations; done++) {
      await source.migrate(guest, destination);
      await expect.poll(() => gaps().length, settles).toBe(done + 1);
      await sleep(500);
      [source, destination] = [destination, source];
    }
    const ms = gaps()
      .map(us => us / 1000)
      .sort((a, b) => a - b);
    const at = (part: number) => ms[Math.min(ms.length - 1, Math.floor(part * ms.length))]!.toFixed(1);
    const both = ms.filter(gap => gap < 0).length;
    console.log(
      `| ${way.name} | ${[at(0), at(0.25), at(0.5), at(0.75), at(1)].join(' | ')} | ${both} of ${ms.length} |`,
    );
  });
});
