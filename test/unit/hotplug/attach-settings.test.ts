import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { attach } from '../../../src/hotplug/attach.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { hostView, link } from '../../helpers/host-view.ts';
import { fakeGuest, status } from './fake-guest.ts';

const mac = '52:54:00:00:00:31';
const bridged = `<interface type='bridge'><mac address='${mac}'/><source bridge='br0'/></interface>`;
const macvtap = `<interface type='direct'><mac address='${mac}'/><source dev='up1' mode='bridge'/></interface>`;
const links = [
  link('br0', { isBridge: true, lowers: ['up0'], mac: '02:00:00:00:00:b0' }),
  link('up0', { master: 'br0' }),
  link('up1'),
];

/** What a dry run says, and what it is refused for. */
async function dryRun(xml: string, text: string, runState = { state: 'running', reason: 'booted' }) {
  const result = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  const { host, said, virsh } = fakeGuest({ live: status('') });
  const planning = async () => {
    const given = await host.planning();
    const fdb = [{ mac: '02:00:00:00:00:b0', dev: 'br0', table: 'bridge', fixed: true, local: true } as const];
    return {
      ...given,
      config: result.config,
      effects: { ...given.effects, view: async () => hostView(links, { fdb }) },
    };
  };
  const where = { live: true, config: false };
  const told = { ...host, planning, runState: () => runState };
  const refused = await attach('g', parseXml(xml), { where, dryRun: true, host: told }).catch(error => error);
  return { said, refused, virsh };
}

describe('a device that is to be attached', () => {
  test.each([
    { name: 'isolation on a macvtap', xml: macvtap, rule: 'isolated: true', code: 'ACTUAL_UNSUPPORTED' },
    { name: 'a VLAN on a bridge that has none', xml: bridged, rule: 'vlan: 7', code: 'VLAN_UNSUPPORTED' },
    { name: 'no trust on a bridge port', xml: bridged, rule: 'trust: false', code: 'ACTUAL_UNSUPPORTED' },
    {
      name: 'the MAC of its bridge',
      xml: bridged.replace(mac, '02:00:00:00:00:b0'),
      rule: 'keepForwardingTable: true',
      code: 'MAC_TAKEN',
    },
  ])('is refused with $name, and nothing is done', async ({ xml, rule, code }) => {
    const { refused, said, virsh } = await dryRun(xml, `interfaces: [{ match: {}, ${rule} }]`);
    expect(refused).toMatchObject({ code });
    expect([said, virsh]).toEqual([[], []]);
  });

  test('what else it cannot have is said first', async () => {
    const { refused, said } = await dryRun(macvtap, 'interfaces: [{ match: {}, mtu: 9000 }]');
    expect(refused).toBeUndefined();
    expect(said[1]).toContain('cannot have mtu 9000');
  });

  test.each([
    { state: 'running', reason: 'booted', ends: 'opened, since its CPUs run' },
    { state: 'paused', reason: 'user', ends: 'its CPUs are paused, so it stays closed' },
    { state: 'paused', reason: 'ioerror', ends: 'opened, since it is to stay open while QEMU has stopped its CPUs' },
    { state: 'paused', reason: 'watchdog', ends: 'its CPUs are paused, so it stays closed' },
  ])('to a guest that is $state ($reason): $ends', async ({ ends, ...runState }) => {
    const text = 'reachability: { ioError: open }\nbridges: { br0: { keepForwardingTable: true } }';
    expect((await dryRun(bridged, text, runState)).said.at(-1)).toBe(ends);
  });
});
