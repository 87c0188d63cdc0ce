import type { Config } from '../config/types.ts';
import type { GuestState } from '../guest/liveness.ts';
import type { Memory } from '../host/state/memory.ts';
import type { Effects } from '../journal/effects.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import type { AccessRules } from '../plan/access.ts';
import type { DeviceUsers } from '../plan/free-vfs.ts';
import type { Log } from '../report/log.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import type { HookDriver } from './phases.ts';

/** One call by libvirt: `DRIVER OBJECT OPERATION SUB-OPERATION EXTRA`, and a reader for stdin. */
export interface Invocation {
  readonly driver: HookDriver;
  readonly object: string;
  readonly operation: string;
  readonly subOperation: string;
  readonly extra: string;
  /** Throws `XML_LIMIT` for too much, `FILE` for what cannot be read. */
  readonly readStdin: () => Uint8Array;
}

/** What the hook may look at and write to. */
export interface HookContext {
  readonly memory: Memory;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly libvirtVersion: () => LibvirtVersion;
  /** Throws `CONFIG` if there is a mistake in it. */
  readonly config: () => Promise<Config>;
  readonly effects: Effects;
  /** libvirt's rules about device nodes; undefined where they are not known. */
  readonly accessRules: () => AccessRules | undefined;
  /** Lets the QEMU of a guest that is about to start open nodes, where that is ours to do. */
  readonly letQemuOpen: (guest: GuestName, nodes: readonly string[]) => Promise<void>;
  /** Who uses which device of this host, and the networks that run; without what a guest itself has been promised. */
  readonly deviceUsers: (except: Uuid | undefined) => DeviceUsers;
  /** The run state of a guest by libvirt's status file; undefined if there is none. */
  readonly runState: (guest: GuestName) => GuestState | undefined;
  /** When libvirt wrote the definition of a guest, milliseconds since 1970; undefined if there is none. */
  readonly definedMs: (guest: GuestName) => number | undefined;
  /** Keeps whoever takes back what devices have left from a running guest, until the answer is called; does not wait long. */
  readonly holdDevices: (guest: Uuid) => Promise<() => void>;
  /** Sees to it that somebody follows the guests' run states from now on. */
  readonly ensureAgent: () => Promise<void>;
}

/** What libvirt gets back. */
export interface Outcome {
  readonly status: 0 | 1;
  readonly stdout: string;
  readonly stderr: string;
}
