import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CommandHost } from '../../../src/cli/host.ts';
import { command as verify } from '../../../src/cli/verify.ts';
import { fileMemory } from '../../../src/host/state/memory.ts';
import { hotplugHost } from '../../../src/main/hotplug.ts';
import { domainXml, guestUuid } from '../../helpers/documents.ts';
import { World } from '../../helpers/world.ts';

let world: World;
beforeEach(() => {
  world = new World('');
});
afterEach(() => world.destroy());

function host() {
  const memory = fileMemory(world.paths, Date.now);
  const { config, effects, libvirtVersion: version, log } = world.context();
  const planning = async () => ({ config: await config(), effects, findNetwork: memory.findLibvirtNetwork, version });
  const made = hotplugHost(world.paths, { memory, planning, log, say: () => undefined });
  return { ...made, virsh: async () => running };
}
const running = domainXml('', "type='kvm' id='1'");
function write(directory: string, name: string, text: string) {
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, `${name}.xml`), text);
}

test.each(['running', 'defined'])('a guest that is %s is known by its uuid, too', where => {
  if (where === 'running')
    write(world.paths.libvirtGuestStatus, 'g1', `<domstatus state='running'>${running}</domstatus>`);
  else write(world.paths.libvirtGuestConfig, 'g1', domainXml(''));
  const { nameOf } = host();
  expect([guestUuid, guestUuid.toUpperCase(), 'g1'].map(nameOf)).toEqual(['g1', 'g1', 'g1']);
});

test('a name that is another guest’s uuid is a name, and one of nobody stays', () => {
  write(world.paths.libvirtGuestConfig, 'g1', domainXml(''));
  write(world.paths.libvirtGuestConfig, guestUuid, domainXml('').replace('00aa<', '00bb<').replace('g1', guestUuid));
  const nobodys = '0b0e1f52-0000-4000-8000-0000000000cc';
  expect([guestUuid, nobodys].map(host().nameOf)).toEqual([guestUuid, nobodys]);
});

test('a guest is checked by its uuid', async () => {
  write(world.paths.libvirtGuestStatus, 'g1', `<domstatus state='running'>${running}</domstatus>`);
  const commandHost = { io: { write: () => undefined }, hotplug: async () => host() } as unknown as CommandHost;
  const check = (guest: string) => verify.run({ guest, format: 'table', _: [], $0: '' }, commandHost);
  await expect(check(guestUuid)).rejects.toThrow("guest 'g1': 1 thing does not agree");
  await expect(check('nobody')).rejects.toThrow(expect.objectContaining({ code: 'GUEST_UNKNOWN', hint: undefined }));
});

test('the ports that libvirt’s networks count for a guest', () => {
  const network = "<network><name>lan</name><forward mode='bridge'/><bridge name='br0'/></network>";
  write(world.paths.libvirtNetworkStatus, 'lan', `<networkstatus>${network}</networkstatus>`);
  const ports = path.join(world.paths.libvirtNetworkStatus, 'lan/ports');
  const port = (last: string, owner: string) =>
    `<networkport><uuid>0b0e1f52-0000-4000-8000-0000000000${last}</uuid><owner><name>g</name><uuid>${owner}</uuid></owner><mac address='52:54:00:00:00:${last}'/></networkport>`;
  write(ports, 'one', port('01', guestUuid));
  write(ports, 'two', port('02', guestUuid.replace('aa', 'bb')));
  expect(host().libvirtPorts(guestUuid as Parameters<ReturnType<typeof host>['libvirtPorts']>[0])).toEqual([
    { uuid: '0b0e1f52-0000-4000-8000-000000000001', network: 'lan', mac: '52:54:00:00:00:01' },
  ]);
});
