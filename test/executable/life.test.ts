import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import planSchema from '../../schemas/plan.schema.json' with { type: 'json' };
import resolveSchema from '../../schemas/resolve.schema.json' with { type: 'json' };
import statusSchema from '../../schemas/status.schema.json' with { type: 'json' };
import { sampleCalls } from '../helpers/calls.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';

const calls = sampleCalls(path.join(projectDirectory, 'samples/web1'));
const ajv = new Ajv({ schemas: [resolveSchema, statusSchema, planSchema], allowUnionTypes: true });

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
});
afterEach(() => host.remove());

function play(upTo: string): void {
  for (const call of calls) {
    const answer = host.hook(call.driver, call.words, call.stdin);
    expect(answer, call.label).toEqual({ status: 0, stdout: '', stderr: '' });
    if (call.label.includes(upTo)) return;
  }
}

describe('a guest life', () => {
  test('at prepare the record says what will be, at start what is, and after release nothing', () => {
    play('qemu-web1-prepare');
    const [prepared] = host.status();
    expect(prepared).toMatchObject({ name: 'web1', phase: 'prepare', actual: null, ports: [], findings: [] });
    expect(prepared?.predicted?.interfaces.map(({ alias, actual }) => [alias, actual])).toEqual([
      ['net0', { type: 'network', bridge: 'virbr7' }],
      [
        'ua-front',
        {
          type: 'bridge',
          bridge: 'br0',
          macTableManager: 'libvirt',
          bandwidth: { inbound: { average: 20000, peak: 40000, burst: 4096 } },
          trustGuestRxFilters: true,
        },
      ],
      [
        'hostdev0',
        {
          type: 'hostdev',
          address: '0000:5e:02.0',
          managed: true,
          driver: 'vfio',
          vlan: { trunk: false, tags: [{ id: 42 }] },
        },
      ],
      ['net1', { type: 'bridge', bridge: 'br1' }],
    ]);
    for (const call of calls.slice(5)) expect(host.hook(call.driver, call.words, call.stdin).status).toBe(0);
    expect(host.status()).toEqual([]);
  });

  test('start adds what libvirt chose, port by port, without a finding when it was predicted', () => {
    play('qemu-web1-started');
    const [record] = host.status();
    expect(record).toMatchObject({ phase: 'started', findings: [] });
    expect(record?.ports.map(({ network, plug }) => [network, plug?.type])).toEqual([
      ['lan', 'network'],
      ['prod', 'bridge'],
      ['vf', 'hostdev-pci'],
    ]);
    expect(record?.actual?.hostdevs).toEqual([
      { index: 0, type: 'pci', address: '0000:5e:02.0', alias: 'hostdev0', interface: 2 },
      { index: 1, type: 'pci', address: '0000:81:00.0', alias: 'hostdev1', interface: null },
    ]);
  });

  test('another device than the predicted one is a finding, at port-created and in the log', () => {
    play('network-prod-port-created');
    const call = calls.find(({ label }) => label.includes('vf-port-created'))!;
    const other = call.stdin.toString().replace(/(<plug.*?function=')0x0/s, '$10x1');
    expect(host.hook('network', call.words, other).status).toBe(0);
    expect(host.status()[0]?.findings).toEqual([
      "interface 52:54:00:57:00:03: libvirt chose address '0000:5e:02.1', predicted was '0000:5e:02.0'",
    ]);
  });

  test('status and plan follow their schemas', () => {
    play('qemu-web1-start.xml');
    const status = JSON.parse(host.cli(['status', 'web1', '--format', 'json']).stdout);
    expect(ajv.getSchema(statusSchema.$id)?.(status), JSON.stringify(ajv.errors)).toBe(true);
    expect(status.guests[0].actual.interfaces).toHaveLength(4);
    const plan = host.cli(['plan', 'qemu', 'web1', 'prepare', '--format', 'json'], calls[4]!.stdin);
    expect(JSON.parse(plan.stdout)).toEqual({ version: 1, guest: 'web1', phase: 'prepare', actions: [] });
    expect(ajv.getSchema(planSchema.$id)?.(JSON.parse(plan.stdout))).toBe(true);
  });
});

describe('calls that do not follow the order', () => {
  test('repeating every call changes nothing in the end', () => {
    for (const call of calls) {
      for (const _ of [1, 2])
        expect(host.hook(call.driver, call.words, call.stdin), call.label).toMatchObject({ status: 0 });
    }
    expect(host.status()).toEqual([]);
  });

  test('any call may be missing', () => {
    for (const missing of calls) {
      for (const call of calls.filter(other => other !== missing)) {
        expect(host.hook(call.driver, call.words, call.stdin), `${call.label} without ${missing.label}`).toMatchObject({
          status: 0,
        });
      }
      const left = host.status();
      expect(left).toHaveLength(missing.operation === 'release' ? 1 : 0);
      if (left.length > 0) host.hook('qemu', calls.at(-1)!.words, calls.at(-1)!.stdin);
    }
  });

  test('all calls backwards end with 0', () => {
    for (const call of [...calls].reverse()) {
      expect(host.hook(call.driver, call.words, call.stdin), call.label).toEqual({ status: 0, stdout: '', stderr: '' });
    }
  });

  test('a deleted port leaves the pool device free for the next guest', () => {
    play('network-vf-port-created');
    const second = calls[4]!.stdin.toString().replaceAll('2f0e5b9d0a01', '2f0e5b9d0a02').replaceAll('web1', 'web2');
    const address = () => {
      host.hook('qemu', ['web2', 'prepare', 'begin', '-'], second);
      return host.status().find(({ name }) => name === 'web2')?.predicted?.interfaces[2]?.actual;
    };
    expect(address()).toMatchObject({ address: '0000:5e:02.1' });
    const deleted = calls.find(({ label }) => label.includes('vf-port-deleted'))!;
    host.hook('network', deleted.words, deleted.stdin);
    expect(address()).toMatchObject({ address: '0000:5e:02.0' });
  });
});
