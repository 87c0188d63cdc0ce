import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domainXml } from '../../helpers/documents.ts';
import { World } from '../../helpers/world.ts';
import { fakePort } from '../agent/fake-port.ts';

const config = 'interfaces: [{ match: { network: A }, vlan: 42 }, { match: { network: B }, vlan: 43 }]';
const mac = '52:54:00:00:00:01';
const live = (network: string, own = mac, alias = 'net0') => {
  const of = network === '' ? '' : ` network='${network}' portid='0b0e1f52-0000-4000-8000-0000000000d1'`;
  const source = `<source${of} bridge='br0'/>`;
  return `<interface type='bridge'><mac address='${own}'/>${source}<target dev='vnet1'/><alias name='${alias}'/></interface>`;
};
const running = (devices: string) => domainXml(devices, "type='kvm' id='1'");

describe('devices that changed while nobody followed them, and then libvirt’s daemon starts', () => {
  let world: World;
  let port: Awaited<ReturnType<typeof fakePort>>;
  const call = (operation: string, devices: string) =>
    world.qemu(operation, running(devices), world.context({ ...world.effects(), ...port.effects }));

  beforeEach(async () => {
    world = new World(config);
    port = await fakePort(config);
    await world.qemu(
      'prepare',
      domainXml(`<interface type='network'><mac address='${mac}'/><source network='A'/></interface>`),
    );
    for (const operation of ['start', 'started']) await call(operation, live('A'));
    expect(port.port()).toEqual(['42 pvid untagged']);
  });
  afterEach(() => world.destroy());

  test('they are told of and set, and nothing of what they were comes back', async () => {
    await call('reconnect', live('B'));
    expect(port.port()).toEqual(['43 pvid untagged']);
    expect(world.log()).toContain("was bridge br0 of network 'A' and is bridge br0 of network 'B'");
    expect(world.records()[0]).toMatchObject({ unset: [], actual: { interfaces: [{ network: 'B' }] } });
  });

  test('a connection that has become a plain one is a finding', async () => {
    await call('reconnect', live('') + live('A', '52:54:00:00:00:02', 'net1').replace('vnet1', 'vnet2'));
    const lost = `interface ${mac}: an update of it has made a plain bridge interface of its connection to network 'A'`;
    expect(world.records()[0]?.findings).toEqual(expect.arrayContaining([expect.stringContaining(lost)]));
    expect(world.log()).toContain("interface 52:54:00:00:00:02 attached as 'net1'");
  });

  test('what cannot be set is left to whoever follows, and tried again when the daemon starts', async () => {
    port.host.refuses = 'vlan add';
    await call('reconnect', live('B'));
    expect(world.records()[0]?.unset).toEqual([mac]);
    port.host.refuses = '';
    await call('reconnect', live('B'));
    expect(port.port()).toEqual(['43 pvid untagged']);
    expect(world.records()[0]?.unset).toEqual([]);
  });
});
