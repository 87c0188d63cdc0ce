import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import planSchema from '../../schemas/plan.schema.json' with { type: 'json' };
import { domainXml } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
});
afterEach(() => host.remove());

const configure = (text: string) => writeFileSync(path.join(host.root, 'etc/actualnet/config.yaml'), text);
const mac = '52:54:00:00:00:01';
const macvtap = domainXml(
  `<interface type='direct'><mac address='${mac}'/><source dev='eth9' mode='bridge'/></interface>`,
);
const rule = 'interfaces: [{ match: {}, isolated: true, mtu: 1400 }]';
const refusal = `interface ${mac} cannot have isolated: a macvtap is no port of a bridge (hint: mode='private' keeps the macvtaps of one device apart) [ACTUAL_UNSUPPORTED]`;
const finding = `interface ${mac} cannot have mtu 1400: a macvtap has the MTU of the device below it`;

describe('a guest that asks for what its interface cannot have', () => {
  test('is refused by the hook, and the plan says so', () => {
    configure(rule);
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], macvtap)).toMatchObject({
      status: 1,
      stderr: `guest 'g1', prepare: ${refusal}\n`,
    });
    for (const operation of ['prepare', 'start'])
      expect(host.cli(['plan', 'qemu', 'g1', operation], macvtap)).toMatchObject({
        status: 3,
        stdout: `would be refused: ${refusal}\nfinding: ${finding}\n`,
      });
    const plan = JSON.parse(host.cli(['plan', 'qemu', 'g1', 'prepare', '--format', 'json'], macvtap).stdout);
    expect(plan).toMatchObject({ refused: [{ code: 'ACTUAL_UNSUPPORTED' }], findings: [finding], actions: [] });
    expect(new Ajv({ allowUnionTypes: true }).validate(planSchema, plan)).toBe(true);
  });

  test('starts where the configuration says so, and status and explain tell', () => {
    configure(`settings: { refusedSecurity: warn }\n${rule}`);
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], macvtap)).toMatchObject({ status: 0 });
    expect(host.status()[0]?.findings).toEqual([
      expect.stringContaining('cannot have isolated'),
      expect.stringContaining('cannot have mtu 1400'),
    ]);
    const { stdout } = host.cli(['explain', 'g1']);
    expect(stdout).toContain('finding: interface 52:54:00:00:00:01 cannot have isolated');
    expect(stdout).toContain(`finding: ${finding}`);
  });

  test('a MAC that is taken is refused by prepare and looked at by it alone, in plans as in calls', () => {
    const bridge = path.join(host.root, 'sys/class/net/br0');
    mkdirSync(path.join(bridge, 'bridge'), { recursive: true });
    for (const [file, text] of Object.entries({ ifindex: '3', flags: '0x1003', mtu: '1500', address: mac }))
      writeFileSync(path.join(bridge, file), `${text}\n`);
    configure('macvtap: { manage: true }');
    const bridged = domainXml(`<interface type='bridge'><mac address='${mac}'/><source bridge='br0'/></interface>`);
    for (const [operation, status] of Object.entries({ prepare: 1, start: 0 })) {
      const answers = [
        host.hook('qemu', ['g1', operation, 'begin', '-'], bridged),
        host.cli(['plan', 'qemu', 'g1', operation], bridged),
      ];
      expect(answers.map(answer => [answer.status, answer.stderr.includes('[MAC_TAKEN]')])).toEqual([
        [status, status === 1],
        [status === 1 ? 3 : 0, status === 1],
      ]);
    }
  });

  test('a plan tells of what the guest asks for in vain, as the call does', () => {
    configure(
      'interfaces: [{ match: {}, final: true, announce: 192.0.2.1 }]\nguests: { allow: [announce, keepForwardingTable] }',
    );
    const request = `<interface mac='${mac}' announce='192.0.2.9' keepForwardingTable='maybe' vlan='7'/>`;
    const asking = macvtap.replace(
      '<devices>',
      `<metadata><interfaces xmlns='urn:actualnet:guest:1'>${request}</interfaces></metadata><devices>`,
    );
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], asking)).toMatchObject({ status: 0 });
    const told = host.status()[0]?.findings ?? [];
    expect(told).toHaveLength(3);
    const plan = host.cli(['plan', 'qemu', 'g1', 'prepare'], asking);
    expect(plan).toEqual({
      status: 0,
      stdout: `nothing to do\n${told.map(line => `finding: ${line}\n`).join('')}`,
      stderr: '',
    });
  });

  test('a plan for a start without any says nothing of it', () => {
    configure('interfaces: [{ match: {}, announce: 192.0.2.1 }]');
    expect(host.cli(['plan', 'qemu', 'g1', 'prepare'], macvtap).stdout).toBe('nothing to do\n');
  });

  test('the definition of a recorded guest is looked at for its next start', () => {
    expect(host.hook('qemu', ['g1', 'prepare', 'begin', '-'], macvtap)).toMatchObject({ status: 0 });
    configure(rule);
    mkdirSync(path.join(host.root, 'etc/libvirt/qemu'), { recursive: true });
    writeFileSync(path.join(host.root, 'etc/libvirt/qemu/g1.xml'), macvtap);
    const { stdout } = host.cli(['explain', 'g1']);
    expect(stdout).toContain(`the next start would be refused: ${refusal}\nat the next start: ${finding}\n`);
  });
});

describe('a host device that is not there', () => {
  test('is told of by the plan as by the hook', () => {
    const device = domainXml(
      "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='0xfe' slot='0x1f' function='7'/></source></hostdev>",
    );
    mkdirSync(path.join(host.root, 'sys/bus/pci/devices'), { recursive: true });
    const { status, stderr } = host.hook('qemu', ['g1', 'prepare', 'begin', '-'], device);
    expect(status).toBe(1);
    const why = stderr.trim().replace("guest 'g1', prepare: ", '');
    expect(why).toContain('[DEVICE_MISSING]');
    expect(host.cli(['plan', 'qemu', 'g1', 'prepare'], device).stdout).toBe(`would be refused: ${why}\n`);
  });
});
