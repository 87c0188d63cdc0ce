import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, removeVfs, vfAddress } from './cards.ts';
import { bareGuestXml, hostdevNetwork, onNetwork, vlanTag } from './documents.ts';
import { define, forgetAll, startNetwork } from './guests.ts';
import { configure, installHooks, removeHooks } from './hooks.ts';
import { missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const settings = ['mac', 'vlan', 'qos', 'trust', 'spoofchk', 'max', 'driver', 'override'] as const;
type State = Readonly<Record<(typeof settings)[number], string>>;

/** What a guest has, given by hand where libvirt is alone, else by the configuration. */
const byHand = `ip link set ${card} vf 0 trust on; ip link set ${card} vf 0 spoofchk off; ip link set ${card} vf 0 max_tx_rate 100`;
const configured = `hostdevs: { restore: true }
interfaces: [{ match: { pf: ${card} }, trust: true, spoofchk: false, maxTxRate: 100 }]
`;

describe.skipIf(missingMachine)(titled('what a VF is like after its guest', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine);
    await makeVfs(machine, card, 1);
    await startNetwork(machine, hostdevNetwork('pool', { addresses: [await vfAddress(machine, card, 0)] }));
    const device = onNetwork('pool', '52:54:00:c0:00:01', vlanTag(42));
    await define(machine, bareGuestXml({ name: 'g', devices: [device] }));
  });
  afterAll(async () => {
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  const vf = async (): Promise<State> => {
    const line = (await cardState(machine)).find(each => each.startsWith(`${card} vf 0`))!;
    const value = (setting: string) => new RegExp(` ${setting} (\\S+)`).exec(line)?.[1] ?? '0';
    return Object.fromEntries(settings.map(setting => [setting, value(setting)])) as State;
  };
  const live = async (meanwhile: string): Promise<[State, State, State]> => {
    await machine.sh(
      `ip link set ${card} vf 0 mac 52:54:00:de:ad:01 vlan 99 qos 5 trust off spoofchk on max_tx_rate 0`,
    );
    const before = await vf();
    await machine.sh(`virsh start g; ${meanwhile}`);
    const running = await vf();
    await machine.sh('virsh destroy g');
    return [before, running, await vf()];
  };

  test('is as the documentation says', async () => {
    const [before, running, alone] = await live(byHand);
    await configure(machine, configured);
    const [again, runningToo, restored] = await live('true');
    expect(again).toEqual(before);
    expect(runningToo).toEqual(running);
    const rows = settings.map(
      setting => `| ${setting} | ${before[setting]} | ${running[setting]} | ${alone[setting]} | ${restored[setting]} |`,
    );
    console.log(rows.join('\n'));
    const documented = readFileSync(path.join(projectDirectory, 'docs/sriov.md'), 'utf8').split('\n');
    expect(documented.filter(line => settings.some(setting => line.startsWith(`| ${setting} |`)))).toEqual(rows);
  });
});
