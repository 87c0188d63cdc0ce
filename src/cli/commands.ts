import type { Command } from './command.ts';

/** What a command is for: to look, to compute without a host, to act on it, or to be run by services. */
export type Group = 'look' | 'compute' | 'act' | 'service';

export interface CommandEntry {
  readonly group: Group;
  /** What it does, in the line of the overview. */
  readonly summary: string;
  // biome-ignore lint/suspicious/noExplicitAny: each command has words of its own, and only yargs joins them
  readonly load: () => Promise<Command<any>>;
}

/** Every command, in the order of the overview. Only the chosen one is loaded. */
export const commands = {
  status: {
    group: 'look',
    summary: 'what is known about the guests of this host',
    load: () => import('./status.ts').then(({ command }) => command),
  },
  explain: {
    group: 'look',
    summary: "what each interface of a guest is and why, and how the guest's document was rewritten",
    load: () => import('./explain.ts').then(({ command }) => command),
  },
  verify: {
    group: 'look',
    summary: 'whether everything about a running guest agrees: lists, ports, taps, VFs and our record',
    load: () => import('./verify.ts').then(({ command }) => command),
  },
  pool: {
    group: 'look',
    summary: 'the VFs of this host, how they are set, and who has them',
    load: () => import('./pool.ts').then(({ command }) => command),
  },
  migrations: {
    group: 'look',
    summary: 'when migrated guests were closed here, or opened',
    load: () => import('./migrations.ts').then(({ command }) => command),
  },
  doctor: {
    group: 'look',
    summary: 'what is wrong on this host, why it matters, and the command that mends it',
    load: () => import('./doctor.ts').then(({ command }) => command),
  },
  log: {
    group: 'look',
    summary: 'what was asked and what was done on this host, also for guests that have gone',
    load: () => import('./log.ts').then(({ command }) => command),
  },
  metrics: {
    group: 'look',
    summary: 'calls, durations, refusals, guests, VFs and the agent, for Prometheus',
    load: () => import('./metrics.ts').then(({ command }) => command),
  },
  resolve: {
    group: 'compute',
    summary: 'what each interface of a guest will be, under which alias, and why',
    load: () => import('./resolve.ts').then(({ command }) => command),
  },
  plan: {
    group: 'compute',
    summary: 'what a hook call would do and undo, its document on stdin',
    load: () => import('./plan.ts').then(({ command }) => command),
  },
  transform: {
    group: 'compute',
    summary: 'a document rewritten as the configuration asks for on this host',
    load: () => import('./transform.ts').then(({ command }) => command),
  },
  replay: {
    group: 'compute',
    summary: 'recorded hook calls, answered again: what each does now, and where that differs',
    load: () => import('./replay.ts').then(({ command }) => command),
  },
  check: {
    group: 'compute',
    summary: 'every mistake in the configuration',
    load: () => import('./check.ts').then(({ command }) => command),
  },
  attach: {
    group: 'act',
    summary: 'attaches an interface or PCI host device, made ready on the host before and checked after',
    load: () => import('./attach.ts').then(({ command }) => command),
  },
  detach: {
    group: 'act',
    summary: 'detaches an interface or PCI host device, and waits for the guest to let go of it',
    load: () => import('./detach.ts').then(({ command }) => command),
  },
  vfs: {
    group: 'act',
    summary: 'makes the VFs that the configuration provides, as a network start does',
    load: () => import('./vfs.ts').then(({ command }) => command),
  },
  reachable: {
    group: 'act',
    summary: 'opens a guest to the network as when its CPUs start; a live document',
    load: () => import('./reach.ts').then(({ reachable }) => reachable),
  },
  unreachable: {
    group: 'act',
    summary: 'closes a guest to the network as when its CPUs stop; a live document',
    load: () => import('./reach.ts').then(({ unreachable }) => unreachable),
  },
  recover: {
    group: 'act',
    summary: 'brings what is applied in line with what runs, after a crash or a missed call',
    load: () => import('./recover.ts').then(({ command }) => command),
  },
  undo: {
    group: 'act',
    summary: 'takes back everything that is applied, before actualnet is removed',
    load: () => import('./undo.ts').then(({ command }) => command),
  },
  install: {
    group: 'act',
    summary: 'puts the hooks, the program and the services in place on this host',
    load: () => import('./install.ts').then(({ command }) => command),
  },
  uninstall: {
    group: 'act',
    summary: 'takes back what is applied, then removes all that was installed',
    load: () => import('./uninstall.ts').then(({ command }) => command),
  },
  agent: {
    group: 'service',
    summary: "follows the guests' run states and devices until it is ended",
    load: () => import('./agent.ts').then(({ command }) => command),
  },
  hook: {
    group: 'service',
    summary: 'answers a call as libvirt makes it, its document on stdin',
    load: () => import('./hook.ts').then(({ command }) => command),
  },
} as const satisfies Record<string, CommandEntry>;

export type CommandName = keyof typeof commands;

/** Whether that is the name of a command. */
export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(commands, word);
}
