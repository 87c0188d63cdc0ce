import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentState } from '../../src/agent/queue.ts';
import { titled } from '../libvirt/expectations.ts';
import { bareGuestXml } from './documents.ts';
import { define, forgetAll } from './guests.ts';
import { checkout, hookLog, installHooks, removeHooks } from './hooks.ts';
import { missingMachine, useMachine } from './use-machine.ts';

const unit = 'actualnet-agent.service';
const mac = '52:54:00:c0:00:71';
const patience = { timeout: 120_000, interval: 1000 };

describe.skipIf(missingMachine)(titled('the agent as a service of systemd', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine, 'bridges: { brs: { keepForwardingTable: true } }\n');
    await machine.sh('ip link add brs type bridge; ip link set brs up');
    const device = `<interface type='bridge'><mac address='${mac}'/><source bridge='brs'/><model type='virtio'/></interface>`;
    await define(machine, bareGuestXml({ name: 'served', devices: [device] }));
  });
  afterAll(async () => {
    await forgetAll(machine);
    await machine.sh('ip link delete brs');
    await removeHooks(machine);
  });

  const isOpen = async () => (await machine.run(`bridge fdb show br brs | grep -q '^${mac} .*static'`)).status === 0;
  const agentState = async (): Promise<AgentState | null> =>
    JSON.parse(await machine.sh('actualnet status --format json')).agent;

  test('is ready when it watches, follows a guest, comes back when it is killed, and ends when told to', async () => {
    await machine.sh(`systemctl enable --now ${unit}`);
    expect(await machine.sh(`systemctl is-active ${unit}`)).toBe('active');
    await machine.sh('virsh start served');
    await expect.poll(isOpen, patience).toBe(true);
    const { role, pid, guests } = (await agentState())!;
    expect({ role, guests: guests.map(({ guest, wanted }) => `${guest} ${wanted}`) }).toEqual({
      role: 'agent',
      guests: ['served open'],
    });
    await machine.sh(`kill -KILL ${pid}; virsh suspend served`);
    await expect.poll(isOpen, patience).toBe(false);
    expect((await agentState())!.pid).not.toBe(pid);
    await machine.sh('virsh resume served');
    await expect.poll(isOpen, patience).toBe(true);
    await machine.sh(`systemctl stop ${unit}`);
    expect(await machine.sh(`systemctl show --property Result --value ${unit}`)).toBe('success');
    expect(await agentState()).toBe(null);
    // What it has opened stays: the guest runs.
    expect(await isOpen()).toBe(true);
    await machine.sh(`systemctl start ${unit}`);
    await expect.poll(async () => (await agentState())?.guests[0]?.done, patience).toBe('open');
    await machine.sh('virsh destroy served');
    await expect.poll(isOpen, patience).toBe(false);
    expect(await hookLog(machine)).toEqual([]);
  });

  test('without it, what hooks left behind goes on as the new version when they are installed again', async () => {
    await machine.sh(`systemctl disable --now ${unit}; virsh start served`);
    await expect.poll(isOpen, patience).toBe(true);
    const { role, pid } = (await agentState())!;
    expect(role).toBe('on-demand agent');
    await machine.sh(`cd ${checkout} && ./install.sh`);
    await expect.poll(async () => (await agentState())?.role, patience).toBe('on-demand agent');
    expect((await agentState())!.pid).not.toBe(pid);
    expect((await machine.run(`kill -0 ${pid}`)).status).not.toBe(0);
    await machine.sh('virsh suspend served');
    await expect.poll(isOpen, patience).toBe(false);
    await machine.sh('virsh destroy served');
    expect(await hookLog(machine)).toEqual([]);
  });

  test('goes with the hooks when they are removed', async () => {
    await removeHooks(machine);
    expect(await machine.sh(`systemctl is-active ${unit} || :`)).toBe('inactive');
    expect((await machine.run(`systemctl cat ${unit}`)).status).not.toBe(0);
  });
});
