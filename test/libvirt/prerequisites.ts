import { execaSync } from 'execa';

const packages = {
  libvirtd: 'libvirt-daemon-system',
  virsh: 'libvirt-clients',
  'qemu-system-x86_64': 'qemu-system-x86',
  dnsmasq: 'dnsmasq-base',
  ip: 'iproute2',
  bridge: 'iproute2',
  arping: 'arping',
  tcpdump: 'tcpdump',
  unshare: 'util-linux',
  nsenter: 'util-linux',
} as const;

/** Why this machine cannot run libvirt hosts; undefined if it can. */
export const missingPrerequisite = findMissingPrerequisite();

/** Why a guest's interface of some kind cannot work on this kernel; undefined if it can, or if nothing can. */
export const missingInKernel = {
  macvtap: whyNot(
    'the kernel makes no macvtap with a node in /dev',
    `ip link add name lower type veth peer name upper
     ip link add name vtap link lower type macvtap
     test -e "/dev/tap$(ip -oneline link show vtap | cut -d : -f 1)"`,
  ),
  vlanFiltering: whyNot(
    'the kernel has no bridge VLAN filtering',
    `ip link add name br type bridge
     ip link set br type bridge vlan_filtering 1`,
  ),
  nat: whyNot('iptables cannot do nat here', 'iptables --table nat --list'),
} as const;

function findMissingPrerequisite(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const [program, debianPackage] of Object.entries(packages)) {
    const { exitCode } = execaSync('sh', ['-c', `command -v ${program}`], { reject: false });
    if (exitCode !== 0) return `there is no '${program}' (Debian package ${debianPackage})`;
  }
  const namespaces = ['--mount', '--net', '--uts', '--ipc', '--pid', '--fork'];
  if (execaSync('unshare', [...namespaces, 'true'], { reject: false }).exitCode !== 0) return 'it needs namespaces';
  return undefined;
}

/** Asks the kernel by trying, in a network namespace that goes away with the attempt. */
function whyNot(reason: string, attempt: string): string | undefined {
  if (missingPrerequisite !== undefined) return undefined;
  const { exitCode } = execaSync('unshare', ['--net', 'sh', '-ec', attempt], { reject: false });
  return exitCode === 0 ? undefined : reason;
}
