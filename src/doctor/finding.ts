/** What is wrong on a host, why it matters, and what mends it. */
export interface Finding {
  readonly code: FindingCode;
  readonly what: string;
  readonly why: string;
  /** A command, or a line for a file that is named. */
  readonly fix: string;
}

/** All codes, each explained in docs/doctor.md. */
export const findingCodes = [
  'HOOK_MISSING',
  'HOOK_TWICE',
  'HOOK_NOT_EXECUTABLE',
  'HOOK_BROKEN',
  'HOOK_STRAY',
  'HOOK_WRITABLE',
  'HOOK_UNSEEN',
  'HOOK_BUILDS',
  'NODE_OLD',
  'TOOL_MISSING',
  'KERNEL_VLAN_FILTERING',
  'KERNEL_MACVTAP',
  'KERNEL_ISOLATION',
  'IOMMU_OFF',
  'VFIO_MISSING',
  'GROUP_SHARED',
  'PF_MISSING',
  'PF_DOWN',
  'VFS_MISSING',
  'MANAGER_UNDOES',
  'QEMU_CONF',
  'APPARMOR_DENIES',
  'SELINUX_LABEL',
  'BRIDGE_NETFILTER',
  'STATE_UNUSABLE',
  'DISK_FULL',
  'STALE_RECORD',
  'UNFINISHED',
  'DRIFT',
  'CONFIG_MISTAKE',
  'CONFIG_UNREAD',
  'AGENT_MISSING',
  'AGENT_NOT_ENABLED',
  'AGENT_OLD',
  'CLOCK',
] as const;

export type FindingCode = (typeof findingCodes)[number];

/** A word for a shell: as it is if it is plain, otherwise in quotes. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
