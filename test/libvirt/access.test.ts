import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestXml } from './documents.ts';
import { titled } from './expectations.ts';
import type { LibvirtHost } from './host.ts';
import { missingPrerequisite } from './prerequisites.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const missing =
  missingPrerequisite ??
  (existsSync('/sys/fs/cgroup/devices/devices.list') ? undefined : 'there is no version 1 devices cgroup');
const words = ['-netdev', 'tap,id=x0,ifname=tap0,script=no,downscript=no', '-device', 'virtio-net-pci,netdev=x0'];
const xml = guestXml('tapped', [])
  .replace("<domain type='qemu'>", "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>")
  .replace(
    '</domain>',
    `<qemu:commandline>${words.map(word => `<qemu:arg value='${word}'/>`).join('')}</qemu:commandline></domain>`,
  );

describe.skipIf(missing)(titled('a tap of the command line, and a devices cgroup', missing), () => {
  let hosts: TwoHosts;
  let a: LibvirtHost;

  beforeAll(async () => {
    hosts = await startTwoHosts([]);
    a = hosts.a;
    await a.stopDaemon();
    await a.run(
      'sh',
      '-c',
      `mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir /sys/fs/cgroup/devices &&
       mount -t cgroup -o devices cgroup /sys/fs/cgroup/devices &&
       sed -i 's/^cgroup_controllers.*/cgroup_controllers = [ "devices" ]/' /etc/libvirt/qemu.conf`,
    );
    await a.startDaemon();
    await a.define(xml);
  });
  afterAll(async () => {
    // The controller has one tree for the whole machine.
    await a?.run('sh', '-c', 'rmdir /sys/fs/cgroup/devices/machine || :');
    await stopHosts(hosts);
  });

  const devicesList = async () => {
    const own = await a.run('sh', '-c', 'grep :devices: "/proc/$(cat /run/libvirt/qemu/tapped.pid)/cgroup"');
    return a.run('cat', `/sys/fs/cgroup/devices${own.trim().split(':')[2]}/devices.list`);
  };

  test('libvirt alone denies it', async () => {
    await a.run('mv', '/etc/libvirt/hooks/qemu.d', '/etc/libvirt/hooks/away.d');
    await expect(a.virsh('start', 'tapped')).rejects.toThrow(/\/dev\/net\/tun|Operation not permitted/);
    await a.run('mv', '/etc/libvirt/hooks/away.d', '/etc/libvirt/hooks/qemu.d');
  });

  test('with the hooks QEMU opens it, and the rest of the list is libvirt’s', async () => {
    for (let round = 0; round < 10; round++) {
      await a.virsh('start', 'tapped');
      const list = (await devicesList()).trim().split('\n');
      expect(list).toContain('c 10:200 rw');
      expect(list).not.toContainEqual(expect.stringMatching(/^a /));
      await a.virsh('destroy', 'tapped');
    }
    expect(a.hookLog()).toEqual([]);
  });
});
