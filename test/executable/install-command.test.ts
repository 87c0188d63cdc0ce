import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { missingSystem, System } from '../helpers/system.ts';
import { titled } from '../libvirt/expectations.ts';

const files = `find /etc /usr/local /var/lib/actualnet /run -xdev 2>/dev/null | grep -v '^/etc/.pwd.lock' | sort`;
const actualnet = `${projectDirectory}/hooks/actualnet`;

describe.skipIf(missingSystem)(titled('install and uninstall as commands', missingSystem), () => {
  let system: System;
  beforeAll(() => {
    system = new System();
    system.run('rm -rf /etc/libvirt/hooks');
  });
  afterAll(() => system?.remove());

  test('a dry run says what would be done, and does nothing', () => {
    const { status, output } = system.run(
      `${files} >/out/a; ${actualnet} install --dry-run; ${files} >/out/b; cmp /out/a /out/b`,
    );
    expect({ status, output }).toMatchObject({ status: 0 });
    for (const file of [
      '/usr/local/sbin/actualnet',
      '/etc/libvirt/hooks/qemu.d/50-actualnet',
      '/usr/local/share/man/man8/actualnet.8',
    ])
      expect(output).toContain(`would install ${file}\n`);
  });

  test('installed, a second time nothing is left to do, and removed by the installed command without a trace', () => {
    const { status, output } = system.run(`
      ${files} >/out/a; ${actualnet} install; /usr/local/sbin/actualnet doctor --format json | grep -c HOOK_ || :
      echo == again; ${actualnet} install --dry-run
      echo == beside; printf '#!/bin/sh\\n' >/etc/libvirt/hooks/qemu.d/10-other; chmod 755 /etc/libvirt/hooks/qemu.d/10-other; ${actualnet} install
      rm /etc/libvirt/hooks/qemu.d/10-other
      echo == removing; /usr/local/sbin/actualnet uninstall --dry-run
      echo == removed; /usr/local/sbin/actualnet uninstall; ${files} >/out/b; diff /out/a /out/b`);
    const [first = '', again = '', beside = '', removing = '', removed = ''] = output.split(/^== .*\n/m);
    expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
    expect(first).toMatch(/installed: [\s\S]*systemctl restart libvirtd[\s\S]*Nothing was restarted[\s\S]*\n0\n$/);
    expect(again).toMatch(/^(is there already: .*\n)+$/);
    expect(beside).toContain('libvirt calls hooks here already');
    expect(removing).toMatch(/^(would remove .*\n)+$/);
    expect(removed).toBe('removed\n');
  });

  test('the daemon that must notice is restarted only when that is asked for, and only if it must', () => {
    const note =
      'systemctl() { echo "systemctl $*"; case "$*" in "is-active --quiet libvirtd.service") return 0 ;; is-active*) return 1 ;; esac; }';
    const script = `sed '1a ${note}' ${projectDirectory}/install.sh >/tmp/install.sh`;
    const { output } =
      system.run(`${script}; cp -r ${projectDirectory}/dist ${projectDirectory}/hooks ${projectDirectory}/schemas ${projectDirectory}/systemd /tmp/
      sh /tmp/install.sh --restart; echo == second; sh /tmp/install.sh --restart`);
    const [first = '', second = ''] = output.split('== second\n');
    expect(first).toContain('systemctl restart libvirtd\nrestarted: libvirtd\n');
    expect(second).not.toContain('systemctl restart');
  });

  test('where a package has it, the package manager is named', () => {
    const { status, output } = system.run(
      `mkdir -p /usr/lib/actualnet; touch /usr/lib/actualnet/maintain; chmod 755 /usr/lib/actualnet/maintain; ${actualnet} install`,
    );
    expect(status).toBe(1);
    expect(output).toContain('upgrade or remove that with the package manager');
  });
});
