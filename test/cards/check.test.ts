import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/types.ts';
import { attach } from '../../src/hotplug/attach.ts';
import { checkGuest } from '../../src/hotplug/check.ts';
import type { HotplugHost } from '../../src/hotplug/host.ts';
import { readDomain } from '../../src/model/domain.ts';
import { oldestLibvirtVersion } from '../../src/resolve/version.ts';
import { parseXml } from '../../src/xml/document.ts';
import { domainXml } from '../helpers/documents.ts';
import { CardWorld } from './world.ts';

const pf = 'ens1f0';
const mac = '52:54:00:00:00:01';
const vfInterface = (vlan: number, inside = '') =>
  `<interface type='hostdev' managed='yes'><mac address='${mac}'/><source><address type='pci' domain='0x0000' bus='0x5e' slot='0x01' function='0x0'/></source>${vlan === 0 ? '' : `<vlan><tag id='${vlan}'/></vlan>`}${inside}</interface>`;
const attached = (vlan: number) => vfInterface(vlan, "<alias name='hostdev0'/>");

describe('a VF that libvirt sets', () => {
  let world: CardWorld;
  beforeEach(() => {
    const card = { dev: pf, address: '0000:5e:00.0', driver: 'igb', vfDriver: 'igbvf', vfs: 2 };
    world = new CardWorld('', [card]);
  });
  afterEach(() => world.destroy());

  /** A guest with devices that libvirt has; `attach-device` and `detach-device-alias` change them. */
  async function hostWith(devices: string, { text = '', attaches = () => devices } = {}) {
    const parsed = await parseConfig([{ file: 'test', text }]);
    const config: Config = 'mistakes' in parsed ? expect.fail(parsed.mistakes.join()) : parsed.config;
    let now = devices;
    let nowMs = 0;
    const xml = () => domainXml(now, "type='kvm' id='1'");
    const findGuest = () => readDomain(parseXml(`<domstatus state='running' pid='1'>${xml()}</domstatus>`));
    const planning = async () => ({
      config,
      effects: world.effects(),
      findNetwork: () => undefined,
      version: () => oldestLibvirtVersion,
    });
    const log = { info: () => undefined, warn: () => undefined };
    return {
      following: { findGuest, planning, findRecord: () => undefined, note: () => undefined, log },
      planning,
      findGuest,
      runState: () => ({ state: 'running', reason: 'booted' }),
      libvirtPorts: () => [],
      begin: async () => () => undefined,
      async virsh([command]: readonly string[]) {
        if (command === 'attach-device') now = attaches();
        if (command === 'detach-device-alias') now = devices;
        return xml();
      },
      now: () => nowMs,
      pause: async (ms: number) => {
        nowMs += ms;
      },
      say: () => undefined,
    } as unknown as HotplugHost;
  }

  const unrecorded = 'nothing is recorded of it';
  const own = 'interfaces: [{ match: { mac: "*" }, vlan: 9 }]';
  test.each<[name: string, vlan: number, has: { mac?: string; vlan?: number }, findings: string[], text?: string]>([
    ['as libvirt has set it', 42, {}, []],
    ['without a VLAN', 0, {}, []],
    ['another VLAN', 42, { vlan: 7 }, ['its VF has VLAN 7 instead of 42']],
    ['no VLAN', 42, { vlan: 0 }, ['its VF has VLAN none instead of 42']],
    ['a VLAN that nobody wants', 0, { vlan: 7 }, ['its VF has VLAN 7 instead of none']],
    ['another MAC', 42, { mac: '52:54:00:00:00:77' }, ['its VF has MAC 52:54:00:00:00:77']],
    ['a VLAN that a rule sets', 0, { vlan: 9 }, [], own],
  ])('%s', async (_, vlan, has, findings, text = '') => {
    world.cards.libvirtTakes(pf, 0, { mac, vlan });
    Object.assign(world.cards.vf(pf, 0), has);
    const found = await checkGuest('g1', await hostWith(attached(vlan), { text }));
    expect(found).toEqual([unrecorded, ...findings.map(finding => `interface ${mac}: ${finding}`)]);
  });

  test('a rule’s VLAN that is not there is what is missing', async () => {
    world.cards.libvirtTakes(pf, 0, { mac });
    const [, finding] = await checkGuest('g1', await hostWith(attached(0), { text: own }));
    expect(finding).toBe(`not as it should be: VF 0 of ${pf}: vlan 9 (interface ${mac} is to have it)`);
  });

  test.each([
    ['set as it should be', { mac, vlan: 42 }, undefined],
    ['left with another MAC', { mac: '52:54:00:00:00:77', vlan: 42 }, 'its VF has MAC 52:54:00:00:00:77'],
    ['left in another VLAN', { mac, vlan: 7 }, 'its VF has VLAN 7 instead of 42'],
    ['left with its driver', undefined, "is bound to 'igbvf'"],
  ])('attached and %s', async (_, taken, why) => {
    const host = await hostWith('', {
      attaches: () => {
        if (taken !== undefined) world.cards.libvirtTakes(pf, 0, taken);
        return attached(42);
      },
    });
    const where = { live: true, config: false };
    const attaching = attach('g1', parseXml(vfInterface(42)), { where, dryRun: false, host });
    if (why === undefined) await attaching;
    else await expect(attaching).rejects.toThrow(why);
    expect(host.findGuest('g1')?.interfaces).toHaveLength(why === undefined ? 1 : 0);
  });
});
