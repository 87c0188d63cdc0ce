import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { domainXml, guestUuid } from '../helpers/documents.ts';
import type { FakePf } from './fake-cards.ts';
import { CardWorld } from './world.ts';

const card: FakePf = { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 2 };
const fine = { status: 0, stdout: '', stderr: '' };
const defaults = ['null', 'full', 'zero', 'random', 'urandom', 'ptmx', 'kvm', 'userfaultfd'];
const listed = (...more: string[]) =>
  [...defaults.map(name => `/dev/${name}`), ...more].map(node => `"${node}"`).join(', ');

let world: CardWorld;
afterEach(() => world.destroy());

function begin(qemuConf: string, facts: Partial<FakePf> = {}): CardWorld {
  world = new CardWorld('', [{ ...card, ...facts }]);
  mkdirSync(path.dirname(world.paths.libvirtQemuConfig), { recursive: true });
  writeFileSync(world.paths.libvirtQemuConfig, qemuConf);
  world.cards.bind('0000:5e:01.0', 'vfio-pci', 'vfio-pci');
  return world;
}

function guest(words: readonly string[], devices = '', attributes = ''): string {
  const line = words.map(word => `<qemu:arg value='${word}'/>`).join('');
  return domainXml(devices, `type='kvm'${attributes} xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'`).replace(
    '</domain>',
    `<qemu:commandline>${line}</qemu:commandline></domain>`,
  );
}

const vf = ['-device', 'vfio-pci,host=5e:01.0'];
const vfByFd = [
  '-object',
  'iommufd,id=i0',
  '-device',
  'vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:5e:01.0,iommufd=i0',
];
const tap = ['-netdev', 'tap,id=n0,ifname=t0,script=no'];
const asHostdev = `<hostdev mode='subsystem' type='pci' managed='yes'><source><address bus='0x5e' slot='0x01' function='0x1'/></source></hostdev>`;

describe('a node that libvirt does not let QEMU at is told before QEMU fails on it', () => {
  test.each<{
    name: string;
    conf?: string;
    xml: string;
    facts?: Partial<FakePf>;
    unified?: boolean;
    missing: (group: number) => string[];
  }>([
    { name: 'a VF', xml: guest(vf), missing: group => ['/dev/vfio/vfio', `/dev/vfio/${group}`] },
    {
      name: 'a VF, and the comment that Debian ships',
      conf: '#cgroup_device_acl = [\n#    "/dev/vfio/vfio"\n#]\n',
      xml: guest(vf),
      missing: group => ['/dev/vfio/vfio', `/dev/vfio/${group}`],
    },
    {
      name: 'a VF beside a host device that libvirt knows',
      xml: guest(vf, asHostdev),
      missing: group => [`/dev/vfio/${group}`],
    },
    {
      name: 'a VF by IOMMUFD',
      facts: { iommufd: true },
      xml: guest(vfByFd),
      missing: () => ['/dev/iommu', '/dev/vfio/devices/vfio0'],
    },
    { name: 'a tap', xml: guest(tap), missing: () => ['/dev/net/tun'] },
    { name: 'a tap by descriptor', xml: guest(['-netdev', 'tap,id=n0,fd=3']), missing: () => [] },
    {
      name: 'a tap that is allowed',
      conf: 'cgroup_device_acl = [\n  "/dev/null",\n  "/dev/net/tun" ]\n',
      xml: guest(tap),
      missing: () => [],
    },
    {
      name: 'a tap, where QEMU sees all of /dev and a cgroup of version 1 may be added to',
      conf: 'namespaces = [ ]\n',
      xml: guest(tap),
      missing: () => [],
    },
    {
      name: 'a tap, where QEMU sees all of /dev and a cgroup of version 2 decides',
      conf: 'namespaces = [ ]\n',
      unified: true,
      xml: guest(tap),
      missing: () => ['/dev/net/tun'],
    },
    {
      name: 'a tap, where nothing restricts QEMU',
      conf: 'namespaces = [ ]\ncgroup_controllers = [ "cpu", "memory" ]\n',
      unified: true,
      xml: guest(tap),
      missing: () => [],
    },
  ])('$name', async ({ conf = '', xml, facts, unified = false, missing }) => {
    begin(conf, facts);
    if (unified) {
      mkdirSync(path.join(world.root, 'sys/fs/cgroup'), { recursive: true });
      writeFileSync(path.join(world.root, 'sys/fs/cgroup/cgroup.controllers'), 'cpuset cpu io memory pids\n');
    }
    const nodes = missing(world.cards.groupOf('0000:5e:01.0'));
    const answer = await world.qemu('prepare', xml);
    if (nodes.length === 0) return expect(answer).toEqual(fine);
    expect(answer).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`libvirt does not let QEMU open ${nodes[0]}`),
    });
    expect(answer.stderr).toContain(
      `(hint: in qemu.conf: cgroup_device_acl = [ ${listed(...nodes)} ]) [ACCESS_MISSING]`,
    );
  });
});

test('a device that we bind first: its node is named as soon as it has one, and the binding is undone', async () => {
  begin('', { iommufd: true });
  writeFileSync(path.join(world.paths.config, 'config.yaml'), 'hostdevs: { bind: true }\n');
  writeFileSync(world.paths.libvirtQemuConfig, 'cgroup_device_acl = [ "/dev/iommu" ]\n');
  world.cards.bind('0000:5e:01.0', 'iavf', '(null)');
  const before = world.cards.state();
  const xml = guest(vfByFd);
  expect(await world.qemu('prepare', xml)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/does not let QEMU open \/dev\/vfio\/devices\/vfio\d.*ACCESS_MISSING/),
  });
  await world.qemu('release', xml);
  expect(world.cards.state()).toEqual(before);
});

describe('what QEMU has open is compared with what it needs', () => {
  /** QEMU runs as process 4711, in a devices cgroup of version 1. */
  function run(files: readonly string[], list: string): void {
    const at = (...parts: string[]) => path.join(world.root, ...parts);
    const put = (file: string, text: string) => {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    };
    for (const [place, file] of files.entries()) world.cards.hold(4711, file, 'g1', place);
    put(at('run/libvirt/qemu/g1.pid'), '4711\n');
    put(at('proc/4711/cgroup'), '5:devices:/machine/qemu-1-g1\n');
    put(at('sys/fs/cgroup/devices/machine/qemu-1-g1/devices.list'), list);
  }

  test.each<{ name: string; files: (group: number) => string[]; findings: (group: number) => string[] }>([
    { name: 'all it needs', files: group => ['/dev/vfio/vfio', `/dev/vfio/${group}`, '/dev/null'], findings: () => [] },
    {
      name: 'one too few',
      files: () => ['/dev/vfio/vfio'],
      findings: group => [`host device 0000:5e:01.1: QEMU does not have /dev/vfio/${group} open`],
    },
    {
      name: 'one too many',
      files: group => ['/dev/vfio/vfio', `/dev/vfio/${group}`, '/dev/vfio/9999'],
      findings: () => ['QEMU has /dev/vfio/9999 open, which none of its devices needs'],
    },
  ])('$name', async ({ files, findings }) => {
    begin('');
    const group = world.cards.groupOf('0000:5e:01.1');
    run(files(group), 'c 10:200 rw\n');
    const xml = domainXml(asHostdev, "type='kvm' id='1'");
    expect(await world.qemu('started', xml)).toEqual(fine);
    expect(world.records()[0]?.findings).toEqual(findings(group));
    expect(world.records()[0]?.uuid).toBe(guestUuid);
  });
});

describe('devices by IOMMUFD have nodes of their own, which libvirt opens and hands over', () => {
  const hostdev = (driver: string) =>
    `<hostdev mode='subsystem' type='pci' managed='yes'>${driver}<source><address bus='0x5e' slot='0x01'/></source></hostdev>`;
  const iface = (driver: string) =>
    `<interface type='hostdev' managed='yes'>${driver}<mac address='52:54:00:00:00:01'/><source><address type='pci' bus='0x5e' slot='0x01'/></source></interface>`;
  const whole = "<iommufd enabled='yes'/>";

  test.each<[name: string, around: string, devices: string, iommufd: boolean]>([
    ['a host device that says so', '', hostdev("<driver iommufd='yes'/>"), true],
    ['an interface that says so', '', iface("<driver iommufd='yes'/>"), true],
    ['a host device of a guest that says so', whole, hostdev(''), true],
    ['an interface of a guest that says so', whole, iface(''), true],
    ['a host device that does not follow its guest', whole, hostdev("<driver iommufd='no'/>"), false],
    ['an interface that does not follow its guest', whole, iface("<driver iommufd='no'/>"), false],
    ['a guest that says no', "<iommufd enabled='no'/>", hostdev(''), false],
  ])('%s', async (_, around, devices, iommufd) => {
    begin('', { iommufd: true });
    mkdirSync(path.join(world.root, 'run/libvirt/qemu'), { recursive: true });
    writeFileSync(path.join(world.root, 'run/libvirt/qemu/g1.pid'), '4711\n');
    mkdirSync(path.join(world.root, 'proc/4711'), { recursive: true });
    // A cgroup that allows nothing at all of it.
    writeFileSync(path.join(world.root, 'proc/4711/cgroup'), '5:devices:/machine/g1\n');
    mkdirSync(path.join(world.root, 'sys/fs/cgroup/devices/machine/g1'), { recursive: true });
    writeFileSync(path.join(world.root, 'sys/fs/cgroup/devices/machine/g1/devices.list'), 'c 10:200 rw\n');
    world.cards.hold(4711, '/dev/null', 'g1', 0);
    const xml = domainXml(devices, "type='kvm' id='1'").replace('<devices>', `${around}<devices>`);
    expect(await world.qemu('started', xml)).toEqual(fine);
    const missing = world.records()[0]?.findings.filter(line => line.includes('does not have'));
    const group = world.cards.groupOf('0000:5e:01.0');
    const nodes = iommufd ? ['/dev/iommu', '/dev/vfio/devices/vfio0'] : ['/dev/vfio/vfio', `/dev/vfio/${group}`];
    expect(missing).toEqual(nodes.map(node => expect.stringContaining(`QEMU does not have ${node} open`)));
    expect(world.records()[0]?.findings.filter(line => line.includes('cgroup does not allow') && iommufd)).toEqual([]);
  });
});

describe("what QEMU's cgroup allows is compared with what it needs", () => {
  /** Character devices as 1:3 and 1:5: the nodes of the test are links to /dev/null and /dev/zero. */
  const list = (...minors: number[]) => `${minors.map(minor => `c 1:${minor} rw`).join('\n')}\n`;
  const program = (...minors: number[]) =>
    JSON.stringify(
      minors.map(minor => ({
        key: [minor, 0, 0, 0, 1, 0, 0, 0].map(hex),
        // Type 2 is a character device; read 2 and write 4 are allowed.
        value: [2, 0, 6, 0].map(hex),
      })),
    );
  const hex = (byte: number) => `0x${byte.toString(16).padStart(2, '0')}`;
  const put = (file: string, text: string, mode = 0o644) => {
    const target = path.join(world.root, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text, { mode });
  };
  const path0 = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path0;
  });

  const versions = {
    'version 1': (...minors: number[]) => {
      put('proc/4711/cgroup', '9:name=systemd:/\n5:cpu,devices:/machine/g1\n0::/\n');
      put('sys/fs/cgroup/devices/machine/g1/devices.list', list(...minors));
    },
    'version 2': (...minors: number[]) => {
      put('proc/4711/cgroup', '0::/machine.slice/g1.scope/libvirt/emulator\n');
      // What bpftool prints of libvirt's program, which is one level above the emulator's threads.
      put(
        'bin/bpftool',
        `#!/bin/sh
case "$*" in
*cgroup*libvirt/emulator) echo ;;
*cgroup*libvirt) echo '[{"id":33,"attach_type":"cgroup_device","attach_flags":"","name":""}]' ;;
*prog*33) echo '{"id":33,"type":"cgroup_device","map_ids":[12]}' ;;
*map*12) echo '${program(...minors)}' ;;
*) exit 255 ;;
esac
`,
        0o755,
      );
      process.env.PATH = `${path.join(world.root, 'bin')}:${path0}`;
    },
  };

  test.each(
    (Object.keys(versions) as (keyof typeof versions)[]).flatMap(version => [
      { version, allowed: [3, 5], missing: false },
      { version, allowed: [3], missing: true },
    ]),
  )('$version, allowed $allowed', async ({ version, allowed, missing }) => {
    begin('');
    const group = world.cards.groupOf('0000:5e:01.1');
    for (const [place, file] of ['/dev/vfio/vfio', `/dev/vfio/${group}`].entries()) {
      world.cards.hold(4711, file, 'g1', place);
      mkdirSync(path.join(world.root, 'dev/vfio'), { recursive: true });
      symlinkSync(['/dev/null', '/dev/zero'][place]!, path.join(world.root, file));
    }
    put('run/libvirt/qemu/g1.pid', '4711\n');
    versions[version](...allowed);
    expect(await world.qemu('started', domainXml(asHostdev, "type='kvm' id='1'"))).toEqual(fine);
    const finding = `host device 0000:5e:01.1: QEMU's cgroup does not allow /dev/vfio/${group}`;
    expect(world.records()[0]?.findings).toEqual(missing ? [finding] : []);
  });
});
