import type { Config } from '../config/types.ts';

/** One file in libvirt's hooks directory, in the order in which libvirt calls them. */
export interface HookFile {
  readonly driver: 'qemu' | 'network';
  readonly file: string;
  readonly executable: boolean;
  /** Somebody but its owner may write it, or it belongs to another user than root. */
  readonly writable: boolean;
  /** First hexadecimal digits of its SHA-256. */
  readonly checksum: string;
  /** Whether SELinux would let libvirt run it, in the policy's words; undefined where it does not say otherwise. */
  readonly wrongLabel?: string;
  /** When it was last changed or made executable, milliseconds since 1970. */
  readonly changedMs: number;
  /** For a launcher of ours: what it runs. */
  readonly own?: HookProgram;
}

/** What a launcher of ours runs. */
export interface HookProgram {
  readonly node: string;
  readonly program: string;
  readonly missing: readonly string[];
  readonly build: string;
  readonly builtMs: number;
  /** What that Node.js says of itself; undefined if it cannot be asked. */
  readonly nodeVersion: string | undefined;
}

/** A daemon of libvirt's that calls hooks. */
export interface Daemon {
  readonly name: string;
  readonly pid: number;
  readonly startedMs: number;
}

/** A file of whoever else may manage links, with its content. */
export interface ManagerFile {
  readonly manager: 'NetworkManager' | 'systemd-networkd' | 'ifupdown';
  readonly file: string;
  readonly text: string;
}

/** VFs of one IOMMU group can only be given away together, and only if nobody else is in it. */
export interface SharedGroup {
  readonly vf: string;
  readonly group: number;
  readonly other: string;
}

/** What is asked of a host; undefined stands for what could not be asked. */
export interface HostFacts {
  /** What could not be looked at, and why. */
  readonly notAsked: readonly string[];
  readonly isRoot: boolean;
  readonly nowMs: number;
  readonly hooksDirectory: string;
  /** The hooks directory may not be read: nothing is known of hooks. */
  readonly areHooksUnread: boolean;
  readonly hooks: readonly HookFile[];
  /** Directories of hooks that others than root may write in. */
  readonly writableDirectories: readonly string[];
  readonly daemons: readonly Daemon[];
  /** The newest call of each driver in our history, milliseconds since 1970. */
  readonly lastCallMs: Readonly<Partial<Record<HookFile['driver'], number>>> | undefined;
  /** Programs that were not found in PATH. */
  readonly missingTools: readonly string[];
  /** Tried in a network namespace that goes away again. */
  readonly kernel: Readonly<Record<'vlanFiltering' | 'macvtap' | 'isolation', boolean | undefined>>;
  readonly iommuGroups: number;
  readonly hasVfio: boolean;
  /** PFs by the name of their link. */
  readonly pfs: Readonly<Record<string, { readonly vfs: number; readonly up: boolean }>>;
  readonly sharedGroups: readonly SharedGroup[];
  /** What libvirt would not let QEMU open of what defined guests need: which, and the line that is missing. */
  readonly missingAccess: readonly { readonly what: string; readonly line: string }[];
  /** Whether a guest or network that libvirt has defined asks for host devices, or for macvtaps. */
  readonly usesHostDevices: boolean;
  readonly usesMacvtap: boolean;
  readonly runningManagers: readonly ManagerFile['manager'][];
  readonly managerFiles: readonly ManagerFile[];
  /** libvirtd's AppArmor profile and its mode. */
  readonly appArmor: { readonly file: string; readonly mode: string; readonly text: string } | undefined;
  readonly bridgeNetfilter: readonly string[];
  readonly stateDirectory: string;
  /** Why the directory of our state, or a file in it, cannot be used. */
  readonly stateProblems: readonly string[];
  /** Share of space and of inodes that is left where our state and our log are. */
  readonly room: readonly { readonly directory: string; readonly free: number; readonly kind: 'space' | 'inodes' }[];
  /** Guests of which something is recorded, although they do not run. */
  readonly staleGuests: readonly string[];
  /** Devices of guests at which a command of ours has not finished. */
  readonly unfinished: readonly string[];
  /** What is applied by the ledgers, and the host does not show. */
  readonly drift: readonly string[];
  readonly configProblem: string | undefined;
  readonly config: Config | undefined;
  /** Nothing is asked for at all. */
  readonly isPassive: boolean;
  readonly unreadConfigFiles: readonly string[];
  readonly agent: { readonly role: string; readonly pid: number; readonly startedMs: number } | undefined;
  readonly followedGuests: number;
  readonly runningGuests: number;
  /** Whether systemd starts the agent at boot; undefined without systemd. */
  readonly agentEnabled: boolean | undefined;
  /** The newest time that is written in our files. */
  readonly newestMs: number;
}
