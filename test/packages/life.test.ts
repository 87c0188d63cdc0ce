import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { missingSystem, System } from '../helpers/system.ts';
import { titled } from '../libvirt/expectations.ts';
import { freshRoot, missingRoots } from './roots.ts';

const mac = '52:54:00:b0:07:01';
const guest = `<domain type='qemu'><name>first</name><memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='bridge'><mac address='${mac}'/><source bridge='br0'/><model type='virtio'/></interface>
  </devices></domain>`;
const waitFor = (what: string) =>
  `for _ in $(seq 300); do { ${what}; } >/dev/null 2>&1 && break; sleep 0.2; done; ${what}`;
/** Every file of the system with its mode and target, but for what is not kept or only grows. */
const files = `find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /dev -o -path /out -o -path ${projectDirectory.split('/').slice(0, 2).join('/')} -o -path '/var/lib/dpkg' -o -path /var/lib/rpm -o -path /var/log -o -path /var/cache -o -path '/var/lib/libvirt/*/*' -o -path /var/lib/systemd \\) -prune -o -printf '%p %m %y %l\\n' | sort`;
const state = `{ ${files}; ip -o link | cut -d : -f 2; }`;
/** A section of what a boot printed, between two marks. */
const section = (printed: string, name: string) => printed.split(`== ${name}\n`)[1]?.split('\n== ')[0] ?? '';

/** Made inside the project: a fresh system sees that, and nothing else of this machine. */
const built = missingRoots === undefined ? mkdtempSync(path.join(projectDirectory, 'build-')) : '';
afterAll(() => built !== '' && rmSync(built, { recursive: true, force: true }));
const make = (folder: string, words: readonly string[]) => {
  const out = path.join(built, folder);
  execaSync(process.execPath, ['scripts/package.mjs', '--quick', '--out', out, ...words], { cwd: projectDirectory });
  return path.join(out, readdirSync(out).find(name => name.startsWith('actualnet'))!);
};

const settings = `
  printf 'user = "root"\\ngroup = "root"\\nsecurity_driver = "none"\\ncgroup_controllers = []\\nnamespaces = []\\n' >>/etc/libvirt/qemu.conf
  systemctl enable libvirtd; rm -f /etc/libvirt/qemu/networks/autostart/*`;
/** From the package to a guest whose address is in its bridge's table. */
const start = `
  echo 'bridges: { br0: { keepForwardingTable: true } }' >/etc/actualnet/config.yaml
  actualnet check
  systemctl restart libvirtd
  ${waitFor('virsh uri')}
  echo "${guest}" >/tmp/guest.xml; virsh define /tmp/guest.xml; virsh start first
  ${waitFor(`bridge fdb show br br0 | grep '${mac}.*static'`)}`;

/** Made once, and kept: a test's time limit is not for that. */
beforeAll(() => {
  if (missingRoots === undefined) for (const suite of ['bookworm', 'trixie'] as const) freshRoot(suite);
});

describe.skipIf(missingRoots)(titled('a Debian package on a fresh host', missingRoots), () => {
  test.each([
    { suite: 'trixie', node: 'without', name: 'actualnet' },
    { suite: 'bookworm', node: 'with', name: 'actualnet-with-node' },
  ] as const)(
    '$suite, $node a Node.js of its own: installed, first guest, upgraded and downgraded under it, removed without a trace',
    ({ suite, node, name }) => {
      const old = make(`${node}-old`, ['--forms', 'deb', '--node', node, '--version', '0.1.0']);
      const young = make(`${node}-young`, ['--forms', 'deb', '--node', node, '--version', '0.2.0']);
      const system = new System(freshRoot(suite));
      try {
        system.run(settings);
        const printed = system.boot(`set +x
          ip link add br0 type bridge; ip link set br0 up; ${waitFor('virsh uri')}
          ${state} >/out/before
          from=$(date +%s%N)
          echo == installed; dpkg -i ${old}
          systemctl is-enabled actualnet-agent actualnet-boot; systemctl is-active actualnet-agent
          grep -c '^[^#]' /etc/actualnet/config.yaml || :
          ls -l /etc/libvirt/hooks/*.d
          echo == started; ${start}
          actualnet status
          echo "$((($(date +%s%N) - from) / 1000000)) ms from the package to the entry"
          echo == upgraded; dpkg -i ${young}
          systemctl is-active actualnet-agent; virsh domstate first; bridge fdb show br br0 | grep '${mac}.*static'
          cat /etc/actualnet/config.yaml /var/lib/actualnet/version
          echo == downgraded; dpkg -i ${old}; virsh domstate first; actualnet verify first
          echo == refused; ! dpkg -r ${name}; virsh domstate first; ls /etc/libvirt/hooks/*.d; dpkg -s ${name} | grep Status
          echo == removed; virsh destroy first; virsh undefine first; dpkg -r ${name}
          ls -R /etc/libvirt/hooks /etc/actualnet 2>&1; bridge fdb show br br0 | grep '${mac}' || echo no entry
          echo == purged; dpkg -P ${name}; rm -f /tmp/guest.xml
          ${state} >/out/after; diff /out/before /out/after && echo nothing left
          grep -v ' info ' /var/log/actualnet.log || echo no log
          echo == end`);
        expect(section(printed, 'installed')).toMatch(/enabled\nenabled\nactive\n0\n[\s\S]*50-actualnet/);
        expect(section(printed, 'started')).toMatch(/configuration is fine[\s\S]*static[\s\S]*first +started/);
        console.info(`${suite}: ${/^\d+ ms from .*$/m.exec(printed)?.[0]}`);
        expect(section(printed, 'upgraded')).toMatch(
          /active\nrunning\n+.*static\n[\s\S]*keepForwardingTable[\s\S]*\n0\.2\.0$/,
        );
        expect(section(printed, 'downgraded')).toMatch(
          /this is 0\.1\.0, and 0\.2\.0 has run here[\s\S]*running\n+everything agrees/,
        );
        expect(section(printed, 'refused')).toMatch(
          /IN_FORCE[\s\S]*actualnet undo --force[\s\S]*running[\s\S]*50-actualnet[\s\S]*installed/,
        );
        expect(section(printed, 'removed')).toMatch(/no entry/);
        expect(section(printed, 'removed')).not.toContain('50-actualnet');
        expect(section(printed, 'purged')).toMatch(/nothing left\n/);
      } finally {
        system.remove();
      }
    },
  );
});

describe.skipIf(missingRoots)(
  titled('an archive with a Node.js of its own on a host that has none', missingRoots),
  () => {
    test('installed, a hook answers, removed without a trace', () => {
      const archive = make('archive', ['--forms', 'tar', '--node', 'with']);
      const system = new System(freshRoot('bookworm'));
      try {
        const { status, output } = system.run(`
        ! command -v node; ${files} >/out/before
        cd /tmp; tar xzf ${archive}; cd actualnet-*; ./install.sh
        echo == hook; echo "${guest.replace('<memory', '<uuid>7b1f2c0a-9d3e-4a55-8c61-2f0e5b9d0a01</uuid><memory')}" | /etc/libvirt/hooks/qemu.d/50-actualnet first prepare begin - || :
        actualnet status; actualnet --version --verbose; man -w actualnet 2>/dev/null || ls /usr/local/share/man/man8
        echo == removed; actualnet uninstall
        ${files} >/out/after; diff /out/before /out/after && echo nothing left`);
        expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
        expect(section(output, 'hook')).toMatch(
          /there is no bridge 'br0'[\s\S]*node +v22\.\d+\.\d+ \(\/usr\/local\/libexec\/actualnet\/node\)/,
        );
        expect(section(output, 'removed')).toBe('removed\nnothing left\n');
      } finally {
        system.remove();
      }
    });
  },
);

describe.skipIf(missingSystem)(titled('an RPM on a copy of this machine', missingSystem), () => {
  let system: System;
  beforeAll(() => {
    system = new System();
  });
  afterAll(() => system.remove());

  test('installed beside what is there, upgraded, removed without a trace', () => {
    const old = make('rpm-old', ['--forms', 'rpm', '--node', 'without', '--version', '0.1.0']);
    const young = make('rpm-young', ['--forms', 'rpm', '--node', 'without', '--version', '0.2.0']);
    // This machine's packages are dpkg's: rpm knows of none of them.
    const printed = system.boot(`set +x
      rm -rf /var/lib/rpm; rpm --initdb; mkdir -p /usr/share/licenses /usr/share/zsh/site-functions; ${state} >/out/before
      echo == installed; rpm -i --nodeps ${old}; rpm -V --nodeps actualnet && echo verified; actualnet --version; ls /etc/libvirt/hooks/*.d
      systemctl is-enabled actualnet-agent
      echo 'bridges: {}' >>/etc/actualnet/config.yaml
      echo == upgraded; rpm -U --nodeps ${young}; tail -n 1 /etc/actualnet/config.yaml; cat /var/lib/actualnet/version
      echo == removed; rpm -e actualnet; rm -rf /etc/actualnet
      ${state} >/out/after; diff /out/before /out/after && echo nothing left
      echo == end`);
    expect(section(printed, 'installed')).toMatch(/verified\nactualnet .*\n[\s\S]*50-actualnet[\s\S]*50-actualnet/);
    expect(section(printed, 'upgraded')).toMatch(/bridges: \{\}\n0\.2\.0$/);
    expect(section(printed, 'removed')).toMatch(/nothing left/);
  });
});
