import type { AgentState } from '../agent/queue.ts';
import type { ConfigFile } from '../config/types.ts';
import type { HostFacts } from '../doctor/facts.ts';
import type { Planning } from '../guest/context.ts';
import type { StartHost } from '../guest/predict.ts';
import type { Running } from '../guest/recover.ts';
import type { Rewriting } from '../guest/rewrite.ts';
import type { UserSources } from '../guest/users.ts';
import type { History } from '../host/state/history.ts';
import type { Memory } from '../host/state/memory.ts';
import type { HotplugHost } from '../hotplug/host.ts';
import type { Effects } from '../journal/effects.ts';
import type { Uuid } from '../model/values.ts';
import type { ReplayedCall } from '../replay/played.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import type { XmlDocument } from '../xml/document.ts';
import type { ExitStatus } from './exit-status.ts';
import type { CommandIo } from './io.ts';

/** What planning for a guest of this host needs. */
export interface HostPlanning extends Planning, Pick<Rewriting, 'usersBeside'>, Pick<StartHost, 'accessRules'> {
  /** Whether a guest came by migration or from a saved image. */
  readonly isIncoming: (guest: Uuid) => boolean;
}

/** This host, as commands see it; `main` builds it, and each part only when it is asked for. */
export interface CommandHost {
  readonly io: CommandIo;
  /** The file name that stands for stdin. */
  readonly stdin: string;
  readonly memory: Memory;
  /** The host's objects, and the ledgers. */
  readonly effects: () => Promise<Effects>;
  /** What planning needs; a configuration that does not count as it stands now is warned of, once. */
  readonly planning: () => Promise<HostPlanning>;
  readonly libvirtVersion: () => LibvirtVersion;
  /** Whether a guest of that name runs. */
  readonly runs: (guest: string) => boolean;
  /** The definition that libvirt starts a guest from the next time. */
  readonly findDefinition: (name: string) => { readonly file: string; readonly document: XmlDocument } | undefined;
  /** What is written about guests, against what runs; starts younger than `graceMs` are left alone. */
  readonly whatRuns: (graceMs: number) => Promise<Running>;
  /** What is wrong with the configuration, if anything is. */
  readonly configProblem: () => Promise<string | undefined>;
  readonly configFiles: () => {
    readonly files: readonly ConfigFile[];
    /** Files beside them that look like parts of the configuration and are none. */
    readonly unread: readonly string[];
  };
  /** What the agent says of itself, or why nobody can know. */
  readonly agent: () => Promise<{ readonly agentState: AgentState | undefined; readonly unseen?: string }>;
  /** The files of this host's hooks directory that are launchers of ours. */
  /** Forgets attaches and detaches that were broken off and whose guest has gone; answers a line for each. */
  readonly forgetUnfinished: () => Promise<string[]>;
  readonly installedHooks: () => readonly string[];
  /** All that is asked of this host about its health. */
  readonly doctorFacts: () => Promise<HostFacts>;
  /** The program's version. */
  readonly version: string;
  /** Memory that a process has; 0 if it has gone. */
  readonly residentBytes: (pid: number) => number;
  /** Replaces a file at once, for everybody to read. Throws `FILE`. */
  readonly writeForAll: (file: string, text: string) => void;
  /** What has happened on this host. */
  readonly history: () => History;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly deviceSources: () => Promise<UserSources>;
  readonly keptByLibvirt: () => readonly string[];
  /** For attaching and detaching; planning is read anew for each step, since a command may wait long for a guest. */
  readonly hotplug: () => Promise<HotplugHost>;
  /** Answers a hook call where libvirt looks for the answer. */
  readonly answerHook: (call: readonly string[]) => Promise<ExitStatus>;
  /** Runs the installer that belongs to this program, with its words. */
  readonly runInstaller: (words: readonly string[]) => Promise<ExitStatus>;
  /** Plays recorded calls again, with another configuration if one is given. Throws `FILE` where there are none. */
  readonly replayCalls: (directory: string, config: string | undefined) => AsyncIterable<ReplayedCall>;
  /** Runs until the agent is ended. */
  readonly runAgent: () => Promise<void>;
}
