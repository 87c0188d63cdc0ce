import type { HostFacts } from './facts.ts';
import type { Finding } from './finding.ts';

/** What each program is for, where it is missing; those for what is not configured are not missed. */
const tools: Readonly<Record<string, (facts: HostFacts) => string | undefined>> = {
  ip: () => 'links cannot be seen to nor set',
  bridge: () => 'forwarding tables and VLANs of ports cannot be read nor set',
  virsh: () => 'the agent hears of no run states, and nothing can be attached',
  arping: ({ config }) =>
    config?.interfaces.some(({ settings }) => settings.announce !== undefined)
      ? 'addresses are not announced after a migration'
      : undefined,
  udevadm: ({ config }) =>
    Object.keys(config?.provide.vfs ?? {}).length > 0
      ? 'a card that is still on its way is not waited for at boot'
      : undefined,
};
/** Debian's packages. */
const packages: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  virsh: 'libvirt-clients',
  arping: 'arping',
  udevadm: 'udev',
};

/** Programs, the kernel, and cards: whether what is configured can be done here. */
export function examineHost(facts: HostFacts): Finding[] {
  return [...examineTools(facts), ...examineKernel(facts), ...examineCards(facts), ...examineSecurity(facts)];
}

function examineTools(facts: HostFacts): Finding[] {
  const missing = facts.missingTools.flatMap((tool): Finding[] => {
    const why = tools[tool]?.(facts);
    if (why === undefined) return [];
    return [{ code: 'TOOL_MISSING', what: `there is no '${tool}'`, why, fix: `apt-get install ${packages[tool]}` }];
  });
  const old = new Map(facts.hooks.flatMap(({ own }) => (own && isOld(own.nodeVersion) ? [[own.node, own]] : [])));
  return [
    ...missing,
    ...[...old.values()].map(
      ({ node, nodeVersion }): Finding => ({
        code: 'NODE_OLD',
        what: `hooks run ${node}, which is Node.js ${nodeVersion}, and 20.19 is needed`,
        why: 'hooks may fail, and guests would not start',
        fix: 'install a newer Node.js and run actualnet install again, or the package actualnet-with-node',
      }),
    ),
  ];
}

function isOld(version: string | undefined): boolean {
  const [major, minor] = (version ?? 'v99').replace('v', '').split('.').map(Number) as [number, number | undefined];
  return major < 20 || (major === 20 && (minor ?? 0) < 19);
}

/** What of the kernel's is needed for what is configured and defined. */
export function kernelFeatures({
  config,
  usesMacvtap,
}: Pick<HostFacts, 'config' | 'usesMacvtap'>): ReadonlySet<keyof HostFacts['kernel']> {
  const settings = config?.interfaces.map(rule => rule.settings) ?? [];
  const bridges = Object.values(config?.bridges ?? {});
  const wantsVlans =
    settings.some(({ vlan }) => vlan !== undefined) ||
    Object.values(config?.provide.bridges ?? {}).some(({ vlanFiltering }) => vlanFiltering);
  const wantsIsolation = settings.some(({ isolated }) => isolated) || bridges.some(({ isolated }) => isolated);
  return new Set([
    ...(wantsVlans ? (['vlanFiltering'] as const) : []),
    ...(usesMacvtap || config?.macvtap.manage ? (['macvtap'] as const) : []),
    ...(wantsIsolation ? (['isolation'] as const) : []),
  ]);
}

function examineKernel(facts: HostFacts): Finding[] {
  const wanted = kernelFeatures(facts);
  const lacks = (feature: keyof HostFacts['kernel']) => wanted.has(feature) && facts.kernel[feature] === false;
  const module = (name: string) => `modprobe ${name}, or a kernel that has it`;
  return [
    ...(lacks('vlanFiltering')
      ? [
          {
            code: 'KERNEL_VLAN_FILTERING',
            what: 'bridges of this kernel cannot filter VLANs (it was tried)',
            why: 'guests for whom a VLAN is configured are refused',
            fix: 'a kernel that was built with CONFIG_BRIDGE_VLAN_FILTERING: it is no module',
          } as const,
        ]
      : []),
    ...(lacks('macvtap')
      ? [
          {
            code: 'KERNEL_MACVTAP',
            what: 'this kernel makes no macvtap (it was tried)',
            why: 'guests with an interface of type direct cannot start',
            fix: module('macvtap'),
          } as const,
        ]
      : []),
    ...(lacks('isolation')
      ? [
          {
            code: 'KERNEL_ISOLATION',
            what: 'ports of bridges cannot be isolated on this kernel (it was tried)',
            why: 'guests for whom it is configured are refused',
            fix: module('bridge'),
          } as const,
        ]
      : []),
  ];
}

function examineCards({ config, pfs, usesHostDevices, iommuGroups, hasVfio, sharedGroups }: HostFacts): Finding[] {
  const provided = Object.entries(config?.provide.vfs ?? {});
  const findings: Finding[] = [];
  const wanted = usesHostDevices || provided.length > 0;
  if (wanted && iommuGroups === 0)
    findings.push({
      code: 'IOMMU_OFF',
      what: 'the IOMMU is off: there are no IOMMU groups',
      why: 'no guest can have a host device',
      fix: 'switch VT-d or AMD-Vi on in the firmware, and on Intel add intel_iommu=on to the kernel command line',
    });
  if (wanted && !hasVfio)
    findings.push({
      code: 'VFIO_MISSING',
      what: 'the kernel module vfio-pci is not loaded',
      why: 'a device is bound to it when its guest starts; a kernel without it refuses that',
      fix: 'modprobe vfio-pci && echo vfio-pci >/etc/modules-load.d/vfio-pci.conf',
    });
  for (const { vf, group, other } of wanted ? sharedGroups.slice(0, 5) : [])
    findings.push({
      code: 'GROUP_SHARED',
      what: `VF ${vf} is in IOMMU group ${group} together with ${other}`,
      why: 'the group has one user: a guest gets the VF only if nobody else uses the other device',
      fix: 'plug the card into a slot whose port separates its functions (ACS), or give both to one guest',
    });
  for (const [dev, { count }] of provided) {
    const pf = pfs[dev];
    if (pf === undefined)
      findings.push({
        code: 'PF_MISSING',
        what: `provide.vfs names '${dev}', which is no PF of this host`,
        why: 'its VFs are never made, and their pool stays empty',
        fix: `correct the name in the configuration; PFs here: ${Object.keys(pfs).join(', ') || 'none'}`,
      });
    else if (pf.vfs < Number(count ?? 0))
      findings.push({
        code: 'VFS_MISSING',
        what: `'${dev}' has ${pf.vfs} VFs, and ${count} are configured`,
        why: 'guests find their pool used up',
        fix: `actualnet vfs ${dev}`,
      });
    if (pf !== undefined && !pf.up)
      findings.push({
        code: 'PF_DOWN',
        what: `PF '${dev}' is down`,
        why: 'its VFs have no carrier, and some cards refuse to set them',
        fix: `ip link set ${dev} up`,
      });
  }
  return findings;
}

function examineSecurity({ appArmor, hooks, bridgeNetfilter, missingAccess }: HostFacts): Finding[] {
  const findings: Finding[] = missingAccess.map(({ what, line }) => ({
    code: 'QEMU_CONF',
    what,
    why: 'what is given to QEMU behind libvirt fails to open, and the guest does not start',
    fix: `put '${line}' into /etc/libvirt/qemu.conf, then systemctl restart libvirtd (or virtqemud)`,
  }));
  const outside = hooks.filter(({ own }) => own !== undefined);
  // The profile lets libvirtd execute what is in the hooks directory, and what the launchers run is not confined any more.
  if (appArmor?.mode === 'enforce' && outside.length > 0 && !appArmor.text.includes('/etc/libvirt/hooks/'))
    findings.push({
      code: 'APPARMOR_DENIES',
      what: `the AppArmor profile ${appArmor.file} does not let libvirt execute hooks`,
      why: 'every start of a guest is refused',
      fix: `add '/etc/libvirt/hooks/** rmix,' to it, then apparmor_parser -r ${appArmor.file}`,
    });
  if (bridgeNetfilter.length > 0)
    findings.push({
      code: 'BRIDGE_NETFILTER',
      what: `frames on bridges pass the host's firewall: ${bridgeNetfilter.join(', ')} is 1`,
      why: 'rules for the host drop what guests send to each other',
      fix: bridgeNetfilter.map(name => `sysctl -w net.bridge.${name}=0`).join(' && '),
    });
  return findings;
}
