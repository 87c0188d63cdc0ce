import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { domainXml } from '../helpers/documents.ts';
import { projectDirectory } from '../helpers/host.ts';
import { missingSystem, System } from '../helpers/system.ts';
import { titled } from '../libvirt/expectations.ts';

const mac = '52:54:00:00:00:01';
const guest = (target: string) =>
  domainXml(`<interface type='bridge'><mac address='${mac}'/><source bridge='br0'/>${target}</interface>`, "id='1'");
const networkXml =
  "<hookData><network><name>lab</name><forward mode='bridge'/><bridge name='br-lab'/></network></hookData>";
const hooks = '/etc/libvirt/hooks';

/** What is on the host: links, settings of ports, the guest's forwarding entries. */
const host = `( set +e; ip -o link | cut -d : -f 2; bridge -d link | grep -o 'learning [a-z]*\\|\\bflood [a-z]*'; bridge fdb | grep ${mac}; true )`;
/** Every file that is ours or lies where ours do, and every process of ours. */
const files = `find /etc /usr/local /var/log /var/lib/actualnet /run -xdev ! -path '/run/libvirt*' 2>/dev/null | sort`;
const processes = `{ cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '[^ ]*hook.cjs witnes[s]' || :; }`;

/** What is left of ours. */
const remains = `find /etc/actualnet /etc/libvirt/hooks /etc/systemd/system/actualnet* /usr/local /var/log /run -xdev -type f 2>/dev/null | grep -e actualnet -e '/hooks/' || :`;
const network = (operation: string) => `${hooks}/network.d/50-actualnet lab ${operation} begin - </out/network.xml`;

/** A guest's start, as libvirt calls us and does its own part; the process that hooks leave behind follows it. */
const start = `
  ip link add br0 type bridge; ip link set br0 up; ${host} >/tmp/before
  mkdir -p /etc/actualnet /run/libvirt/qemu
  cp /out/config.yaml /etc/actualnet/
  ${hooks}/qemu.d/50-actualnet g1 prepare begin - </out/prepare.xml
  ip tuntap add dev vnet0 mode tap; ip link set vnet0 master br0 up; ${host} >/tmp/with-tap
  ${hooks}/qemu.d/50-actualnet g1 start begin - </out/start.xml
  sleep 1000 & echo $! >/tmp/qemu; echo "<domstatus state='running' reason='booted' pid='$!'>$(cat /out/start.xml)</domstatus>" >/run/libvirt/qemu/g1.xml
  ${hooks}/qemu.d/50-actualnet g1 started begin - </out/start.xml
  bridge fdb show br br0 | grep '${mac}.*static'`;
/** Its end in a crash of the daemon: no call of ours. */
const crash = 'kill $(cat /tmp/qemu); rm /run/libvirt/qemu/g1.xml; ip link del vnet0';

describe.skipIf(missingSystem)(titled('install.sh on a host that has Node and no npm', missingSystem), () => {
  let system: System;
  const uninstall = '/opt/package/install.sh --uninstall';

  beforeAll(() => {
    system = new System();
    const out = path.join(system.state, 'out');
    writeFileSync(
      path.join(out, 'config.yaml'),
      'bridges: { br0: { keepForwardingTable: true } }\nprovide: { bridges: { br-lab: {} } }\n',
    );
    writeFileSync(path.join(out, 'prepare.xml'), guest(''));
    writeFileSync(path.join(out, 'start.xml'), guest("<target dev='vnet0'/>"));
    writeFileSync(path.join(out, 'network.xml'), networkXml);
    // Everything is built already, and others are running it.
    execaSync('npm', ['pack', '--ignore-scripts', '--pack-destination', out], { cwd: projectDirectory });
    mkdirSync(path.join(out, 'checkout'));
    execaSync(
      'cp',
      [
        '-r',
        ...[
          'dist',
          'docs',
          'hooks',
          'samples',
          'schemas',
          'scripts',
          'src',
          'systemd',
          'install.sh',
          'package.json',
          'package-lock.json',
        ],
        path.join(out, 'checkout'),
      ],
      { cwd: projectDirectory },
    );
    const { status } = system.run(`rm -f $(command -v npm npx); ! command -v npm
      rm -rf /etc/libvirt/hooks; mkdir -p /etc/systemd/system /opt
      tar --extract --file /out/*.tgz --directory /opt; cp -r /out/checkout /opt`);
    expect(status).toBe(0);
    system.keep();
  });
  beforeEach(() => system.goBack());
  afterAll(() => system?.remove());

  /** Runs a script as far as it goes; what it prints is shown if it fails. */
  const play = (script: string) => {
    const { status, output } = system.run(script);
    expect({ status, output }).toEqual({ status: 0, output: expect.any(String) });
    return output;
  };

  test.each(['package', 'checkout'])('a %s that is built is installed, runs, and goes without a trace', source => {
    const output = play(`
      ${files} >/tmp/files
      /opt/${source}/install.sh; ls /usr/local/libexec/actualnet/locks.node
      ${start}; actualnet status; /opt/${source}/install.sh --uninstall --force --purge; ${files} | diff /tmp/files -`);
    expect(output).toMatch(/g1 +started/);
    expect(output).not.toMatch(/not found|cannot open|No such|rror/);
  });

  test('one that is not built says what to do, and installs nothing', () => {
    const output = play(`
      cp -r /opt/checkout /tmp/unbuilt; rm -r /tmp/unbuilt/dist; ${files} >/tmp/files
      ! /tmp/unbuilt/install.sh; ${files} | diff /tmp/files -`);
    expect(output).toBe(
      "install.sh: it is not built, and there is no npm to build it here: run 'npm ci && npm run build' where npm is\n",
    );
  });

  test('one that was built for another kind of machine is refused', () => {
    const output = play(`
      cp -r /opt/package /tmp/other; printf '\\177ELF' >/tmp/other/dist/locks.node
      ! /tmp/other/install.sh; ls ${hooks} 2>/dev/null || :`);
    expect(output).toMatch(/^install\.sh: dist was built for another kind of machine than \w+\n$/);
  });

  test('while a guest runs with something applied nothing is removed, unless told', () => {
    const output = play(`
      /opt/package/install.sh >/dev/null; ${start}
      ! ${uninstall}; ls ${hooks}/qemu.d; ${processes}; bridge fdb show br br0 | grep ${mac}
      echo forced; ${uninstall} --force; ${host} | diff /tmp/with-tap -; ${processes}; ${remains}`);
    const [refused = '', forced] = output.split('forced\n');
    expect(refused).toMatch(
      /changes are applied for what runs: guest 'g1' \(hint: .*--force\) \[IN_FORCE\]\ninstall.sh: nothing was removed \(see --force\)\n50-actualnet\n/,
    );
    expect(refused).toMatch(/hook.cjs witness\n52:54:00:00:00:01 dev vnet0 master br0 static\n$/);
    expect(forced).toBe("guest 'g1' is left to libvirt: undone and forgotten\nremoved\n/etc/actualnet/config.yaml\n");
  });

  test('while a network runs that has something applied, likewise', () => {
    const output = play(`
      /opt/package/install.sh >/dev/null; ${start}; ${crash}
      ${network('start')}; ${network('started')}; ip link show br-lab >/dev/null
      ! ${uninstall}; ls ${hooks}/qemu.d; ip link show br-lab >/dev/null
      ${network('stopped')}; ${uninstall}; ${host} | diff /tmp/before -; ${remains}`);
    expect(output).toMatch(/applied for what runs: network 'lab' .*\n.*\n50-actualnet\n.*removed\n.*config.yaml\n$/s);
  });

  test('what a crash has left is taken back on the way, and the configuration stays unless it is purged', () => {
    const output = play(`
      /opt/package/install.sh >/dev/null; ${start}; ${network('start')}; ip link show br-lab >/dev/null; ${crash}
      ${uninstall}; ${host} | diff /tmp/before -; ${processes}; ${remains}
      ${uninstall} --purge; ${remains}`);
    expect(output.split('\n').slice(1)).toEqual([
      "guest 'g1' does not run: undone and forgotten",
      "network 'lab' does not run: its shared parts are given up",
      'removed',
      '/etc/actualnet/config.yaml',
      'nothing is installed here',
      '',
    ]);
  });

  test('what cannot be taken back is named: nothing is removed, or with force all the same', () => {
    const output = play(`
      /opt/package/install.sh >/dev/null; ${start}; ${network('start')}; ${crash}
      ip link add other type bridge; ip link add name left type veth peer name right; ip link set left master br-lab
      ! ${uninstall}; ls ${hooks}/qemu.d; echo forced; ! ${uninstall} --force; ${remains}`);
    const named = 'still applied: make bridge br-lab: still used by left';
    const [refused = '', forced = ''] = output.split('forced\n');
    expect(refused).toMatch(new RegExp(`${named}\n.*nothing was removed.*\n50-actualnet\n$`, 's'));
    expect(forced).toMatch(
      new RegExp(`${named}\n.*removed, but not all could be undone\n/etc/actualnet/config.yaml\n$`, 's'),
    );
  });

  test('without the program and with something applied nothing is removed, and it says why', () => {
    const output = play(`
      /opt/package/install.sh >/dev/null; ${start}; rm /usr/local/libexec/actualnet/actualnet.cjs
      ! ${uninstall}; ls ${hooks}/qemu.d`);
    expect(output).toMatch(/install.sh: nothing was removed \(see --force\)\n50-actualnet\n$/);
  });

  test('a file that was changed since is left and named, once', () => {
    const output = play(`
      /opt/package/install.sh >/dev/null; echo '# mine' >>${hooks}/qemu.d/50-actualnet; ${uninstall}; ${remains}`);
    const changed = `${hooks}/qemu.d/50-actualnet`;
    expect(output).toBe(`left alone, it was changed: ${changed}\nremoved\n${changed}\n`);
  });
});
