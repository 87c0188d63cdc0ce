import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { missingSystem, System } from '../helpers/system.ts';
import { titled } from '../libvirt/expectations.ts';

const states = 'for unit in actualnet-boot actualnet-agent; do echo $unit is $(systemctl is-active $unit); done';
/** libvirt's daemons, as one and as many. */
const daemons = ['libvirtd', 'virtqemud', 'virtnetworkd'];
/** In the place of each: notes what runs when it starts. */
const daemon = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '${states.replaceAll('$', '$$')}'
StandardOutput=truncate:/out/before-%p
[Install]
WantedBy=multi-user.target
`;

describe.skipIf(missingSystem)(titled('the units, with systemd as the first process', missingSystem), () => {
  const system = missingSystem === undefined ? new System() : undefined;
  beforeAll(() => {
    expect(system!.run(`${projectDirectory}/install.sh`).output).toMatch(/systemctl enable --now actualnet-agent\n/);
    for (const name of daemons)
      system!.run(`cat >/etc/systemd/system/${name}.service <<'E'\n${daemon}\nE\nsystemctl enable ${name}`);
  });
  afterAll(() => system?.remove());
  const enable = () => system!.run('systemctl enable actualnet-agent; rm -f /etc/actualnet/config.yaml');

  test('the agent that was enabled runs after every boot, and before libvirt starts guests', () => {
    expect(system!.boot(states)).toMatch(/actualnet-agent is inactive/);
    const enabled = system!.boot(
      `systemctl enable --now actualnet-agent; ${states}; systemctl is-enabled actualnet-agent`,
    );
    expect(enabled).toMatch(/actualnet-boot is active\n.*actualnet-agent is active\n.*enabled\n/s);
    for (const _ of ['a reboot', 'another']) {
      expect(system!.boot(`${states}; actualnet status --format json`)).toMatch(
        /actualnet-boot is active\n.*actualnet-agent is active\n.*"role": ?"agent"/s,
      );
      for (const name of ['libvirtd', 'virtqemud'])
        expect(system!.file(`out/before-${name}`)).toBe('actualnet-boot is active\nactualnet-agent is active\n');
      // Networks need no agent.
      expect(system!.file('out/before-virtnetworkd')).toMatch(/^actualnet-boot is active\n/);
    }
    const log = system!.run('cat /var/log/actualnet.log').output;
    expect(log.match(/the agent watches/g)).toHaveLength(3);
    // Shut down in order, not killed.
    expect(log.match(/the agent has ended/g)).toHaveLength(3);
  });

  test('it comes back with its target, and what ended meanwhile is taken back first', () => {
    enable();
    const hook = `/etc/libvirt/hooks/network.d/50-actualnet gone start begin -`;
    const network =
      "<hookData><network><name>gone</name><forward mode='bridge'/><bridge name='br-gone'/></network></hookData>";
    // A start of long ago: no 'started' followed it.
    const printed = system!.boot(`
      mkdir -p /etc/actualnet; echo 'provide: { bridges: { br-gone: {} } }' >/etc/actualnet/config.yaml
      echo "${network}" | ${hook}
      ip link show br-gone
      systemctl isolate rescue.target
      while systemctl is-active actualnet-boot actualnet-agent; do sleep 0.1; done; ${states}
      sed -i 's/"at":"20../"at":"2000/' /run/actualnet/shared/*
      systemctl isolate multi-user.target; ${states}
      ! ip link show br-gone; ls /run/actualnet/shared`);
    expect(printed).toMatch(/boot is inactive\n.*agent is inactive\n.*boot is active\n.*agent is active\n/s);
  });

  test.each([
    { name: 'a PF that is not there', config: 'provide: { vfs: { nosuch0: { count: 2 } } }', says: "'nosuch0'" },
    { name: 'a mistake, and no good one before it,', config: 'provide: [', says: 'config.yaml' },
  ])('$name in the configuration keeps neither libvirt nor the agent from starting', ({ config, says }) => {
    enable();
    const printed = system!.boot(`
      rm -rf /var/lib/actualnet /run/actualnet/config.json
      mkdir -p /etc/actualnet; echo '${config}' >/etc/actualnet/config.yaml; systemctl restart actualnet-boot || echo refused
      ${states}; systemctl is-active libvirtd; journalctl --unit actualnet-boot --boot --output cat
      systemctl show --property TimeoutStartUSec,TimeoutStopUSec actualnet-boot actualnet-agent`);
    expect(printed).toMatch(/refused\n.*boot is failed\n.*agent is active\n.*\nactive\n/s);
    expect(printed).toContain(says);
    // The boot waits for neither without end.
    expect(printed.match(/Timeout\w+=\d+(min|s)/g)).toHaveLength(4);
    expect(system!.boot(states)).toMatch(/boot is failed\n.*agent is active\n/s);
    expect(system!.file('out/before-libvirtd')).toMatch(/boot is failed\nactualnet-agent is active\n/);
  });

  test('in the sandbox of the units everything can be removed that is applied', () => {
    enable();
    // recover in the place of the agent, and then of the boot unit's commands; files of cards are in /sys.
    const ledger = (subject: object, before: unknown, to: unknown) =>
      JSON.stringify({ at: '2000-01-01T00:00:00Z', intend: { subject, before, to, user: 'network:gone' } });
    const inSandbox = (unit: string) => `
      mkdir -p /run/udev/rules.d /run/actualnet/shared /run/systemd/system/${unit}.service.d
      touch /run/udev/rules.d/85-actualnet-dummy0.rules
      ip link add dummy0 type bridge; ip link add br-made type bridge
      echo '${ledger({ kind: 'unmanaged', dev: 'dummy0' }, false, true)}' >/run/actualnet/shared/dummy0.jsonl
      echo '${ledger({ kind: 'link', dev: 'br-made' }, null, { type: 'bridge' })}' >/run/actualnet/shared/br-made.jsonl
      printf '[Service]\nType=oneshot\nRestart=no\nRuntimeMaxSec=infinity\nExecStart=\nExecStart=/usr/local/sbin/actualnet recover --grace 0\nExecStart=/bin/sh -c "echo 1400 >/sys/class/net/dummy0/mtu"\n' >/run/systemd/system/${unit}.service.d/test.conf
      systemctl daemon-reload; systemctl restart ${unit}; cat /sys/class/net/dummy0/mtu
      ls /run/udev/rules.d /run/actualnet/shared /sys/class/net; ip link del dummy0`;
    for (const unit of ['actualnet-agent', 'actualnet-boot']) {
      const printed = system!.boot(inSandbox(unit));
      expect(printed).toContain('\n1400\n');
      const [, listed = ''] = printed.split('+ ls ');
      expect(listed).not.toMatch(/85-actualnet|jsonl|br-made/);
    }
  });

  test('they go with everything else, enabled and running as they are', () => {
    enable();
    const printed = system!.boot(`
      ${projectDirectory}/install.sh --uninstall >/out/uninstalled 2>&1; cat /out/uninstalled
      ${states}; systemctl --failed; echo remains; find /etc /usr/local /run /var/log -name '*actualnet*' ! -path /etc/actualnet`);
    expect(system!.file('out/uninstalled')).toBe('removed\n');
    expect(printed).toMatch(
      /boot is inactive\n.*agent is inactive\n.*0 loaded units listed.*\nremains\n\+ find [^\n]*\n\+ echo/s,
    );
    const log = system!.boot(`! systemctl cat actualnet-agent; systemctl is-active libvirtd`);
    expect(log).toContain('active');
  });
});
