import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import planSchema from '../../schemas/plan.schema.json' with { type: 'json' };
import resolveSchema from '../../schemas/resolve.schema.json' with { type: 'json' };
import { domainXml } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';

const host = new TestHost();
afterAll(() => host.remove());

/** A host with one bridge and a PCI bus without devices. */
beforeAll(() => {
  const put = (file: string, text: string) => {
    const target = path.join(host.root, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text);
  };
  mkdirSync(path.join(host.root, 'sys/bus/pci/devices'), { recursive: true });
  const link = { ifindex: '7', flags: '0x1003', mtu: '1500', address: '02:00:00:00:00:07' };
  for (const [name, value] of Object.entries(link)) put(`sys/class/net/br0/${name}`, `${value}\n`);
  put('sys/class/net/br0/bridge/vlan_filtering', '0\n');
  put(
    'etc/actualnet/config.yaml',
    'provide: { bridges: { br7: { ports: [eth9] } } }\ntaps: { create: true }\ninterfaces: [{ match: { tap: t0 }, bridge: br0, vlan: 5 }]\n',
  );
  const address = "domain='0x0000' bus='0xfe' slot='0x1f' function='0x6'/>";
  const network = `<network><name>vfs</name><forward mode='hostdev' managed='yes'><address type='pci' ${address}</forward></network>`;
  const port = `<networkport><uuid>0b0e1f52-0000-4000-8000-0000000000c3</uuid><owner><name>o</name><uuid>0b0e1f52-0000-4000-8000-0000000000bb</uuid></owner><mac address='52:54:00:00:00:09'/><plug type='hostdev-pci'><address ${address}</plug></networkport>`;
  for (const [operation, inside] of [
    ['started', ''],
    ['port-created', port],
  ] as const)
    host.hook('network', ['vfs', operation, 'begin', '-'], `<hookData>${network}${inside}</hookData>`);
});

const mac = "<mac address='52:54:00:00:00:01'/>";
const onBridge = (bridge: string) => `<interface type='bridge'>${mac}<source bridge='${bridge}'/></interface>`;
const pci = (fn: number) =>
  `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0xfe' slot='0x1f' function='0x${fn}'/></source></hostdev>`;

describe('what the hook refuses, plan refuses in the same words', () => {
  test.each<[name: string, devices: string, code: string | null]>([
    ['a PCI device that is not there', pci(7), 'DEVICE_MISSING'],
    ['two of them', `${pci(6)}${pci(7)}`, 'DEVICE_MISSING'],
    ['a bridge that is not there', onBridge('br9'), 'DEVICE_MISSING'],
    ['a provided bridge whose port is not there', onBridge('br7'), 'DEVICE_MISSING'],
    ['a pool that is used up', `<interface type='network'>${mac}<source network='vfs'/></interface>`, 'POOL_EXHAUSTED'],
    ['a device below a macvtap', `<interface type='direct'>${mac}<source dev='eth9'/></interface>`, 'DEVICE_MISSING'],
    [
      'a VLAN on a bridge that knows none',
      `<interface type='ethernet'>${mac}<target dev='t0' managed='no'/></interface>`,
      'VLAN_UNSUPPORTED',
    ],
    ['nothing', onBridge('br0'), null],
    [
      'nothing of a network that libvirt tells of',
      `<interface type='network'>${mac}<source network='x'/></interface>`,
      null,
    ],
  ])('%s', (_, devices, code) => {
    const xml = domainXml(devices);
    const hook = host.hook('qemu', ['g1', 'prepare', 'begin', '-'], xml);
    const plan = host.cli(['plan', 'qemu', 'g1', 'prepare', '--format', 'json'], xml);
    const { status, stdout, stderr } = plan;
    const isSound = new Ajv({ allowUnionTypes: true }).compile(planSchema);
    expect({ status, stderr, sound: isSound(JSON.parse(stdout)) || isSound.errors }).toEqual({
      status: code === null ? 0 : 3,
      stderr: hook.stderr,
      sound: true,
    });
    expect(hook.status).toBe(code === null ? 0 : 1);
    const { refused = [], actions } = JSON.parse(stdout);
    expect(refused[0]?.code ?? null).toBe(code);
    if (code !== null) expect(actions).toEqual([]);
    host.hook('qemu', ['g1', 'release', 'end', '-'], xml);
  });

  test('as a table names each reason', () => {
    const { status, stdout } = host.cli(['plan', 'qemu', 'g1', 'prepare'], domainXml(`${pci(6)}${pci(7)}`));
    expect(status).toBe(3);
    expect(stdout.match(/^would be refused: host device 0000:fe:1f\.\d: .*\[DEVICE_MISSING\]$/gm)).toHaveLength(2);
  });
});

describe('resolve about this host', () => {
  const answer = (words: readonly string[], xml: string) => {
    const { status, stdout, stderr } = host.cli(['resolve', '-', ...words, '--format', 'json'], xml);
    const isSound = new Ajv({ allowUnionTypes: true }).compile(resolveSchema);
    const view = JSON.parse(stdout);
    expect({ status, stderr, sound: isSound(view) || isSound.errors }).toEqual({ status: 0, stderr: '', sound: true });
    return view;
  };

  test('tells of a bridge that is not there, and still what the interface would be', () => {
    const { interfaces, warnings } = answer([], domainXml(`${onBridge('br9')}${onBridge('br0')}${pci(7)}`));
    expect(interfaces).toMatchObject([
      { actual: { type: 'bridge', bridge: 'br9' }, error: { code: 'DEVICE_MISSING' } },
      { actual: { type: 'bridge', bridge: 'br0' } },
    ]);
    expect(interfaces[0].error.message).toBe("guest 'g1', interface 52:54:00:00:00:01: there is no bridge 'br9'");
    expect(interfaces[1].error).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/^host device 0000:fe:1f\.7: there is no PCI device.*MISSING\]$/)]);
  });

  test.each<[string, readonly string[], string]>([
    ['a guest of another host, with its networks', ['--networks-dir', host.root], domainXml(onBridge('br9'))],
    ['a guest that runs', [], domainXml(onBridge('br9'), "type='kvm' id='7'")],
  ])('does not tell of %s', (_, words, xml) => {
    const { interfaces, warnings } = answer(words, xml);
    expect([interfaces[0].error, warnings]).toEqual([undefined, []]);
  });
});
