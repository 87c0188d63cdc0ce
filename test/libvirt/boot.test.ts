import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { missingSystem, System } from '../helpers/system.ts';
import { titled } from './expectations.ts';
import { missingPrerequisite } from './prerequisites.ts';

const missing = missingSystem ?? missingPrerequisite;
const mac = '52:54:00:b0:07:01';
const guest = `<domain type='qemu'><name>early</name><memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='bridge'><mac address='${mac}'/><source bridge='br-lab'/><model type='virtio'/></interface>
  </devices></domain>`;
const network = `<network><name>lab</name><forward mode='bridge'/><bridge name='br-lab'/></network>`;
const waitFor = (what: string) =>
  `for _ in $(seq 600); do { ${what}; } >/dev/null 2>&1 && break; sleep 0.2; done; ${what}`;

describe.skipIf(missing)(titled('a boot with real libvirt and systemd', missing), () => {
  let system: System;
  beforeAll(() => {
    system = new System();
    system.run(`${projectDirectory}/install.sh; mkdir -p /etc/actualnet; rm -f /etc/libvirt/qemu/*.xml /etc/libvirt/qemu/networks/*.xml /etc/libvirt/qemu/networks/autostart/*
      echo 'bridges: { br-lab: { keepForwardingTable: true } }
provide: { bridges: { br-lab: {} } }' >/etc/actualnet/config.yaml
      printf 'user = "root"\\ngroup = "root"\\nsecurity_driver = "none"\\ncgroup_controllers = []\\nnamespaces = []\\n' >>/etc/libvirt/qemu.conf
      systemctl enable actualnet-agent libvirtd`);
  }, 120_000);
  afterAll(() => system?.remove());

  test('a guest and a network that start by themselves are followed by the agent from their first moment', () => {
    system.boot(`
      echo "${network}" >/tmp/network.xml; echo "${guest}" >/tmp/guest.xml
      ${waitFor('virsh uri')}
      virsh net-define /tmp/network.xml; virsh net-autostart lab; virsh define /tmp/guest.xml; virsh autostart early`);
    const printed = system.boot(`
      ${waitFor('virsh domstate early | grep running')}
      ${waitFor(`bridge fdb show br br-lab | grep '${mac}.*static'`)}
      actualnet status --format json; grep -v ' info ' /var/log/actualnet.log || echo no complaint`);
    expect(printed).toMatch(/"role": ?"agent"/);
    expect(printed).toContain('no complaint');
    const log = system.run('cat /var/log/actualnet.log').output;
    expect(log).not.toContain('the on-demand agent watches');
  }, 300_000);
});
