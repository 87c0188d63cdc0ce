/** One row of the phase table: facts about libvirt first, then what we make of the call. */
export interface PhaseRule {
  readonly subOperation: 'begin' | 'end';
  /** What libvirt does when a hook fails. */
  readonly failure: 'aborts' | 'kills the guest' | 'leaves a half-built network' | 'is ignored' | 'is reported only';
  /** Only these two documents are read back by libvirt. */
  readonly stdout: 'ignored' | 'replaces the document';
  /** Our exit status when something is wrong: we refuse only where that costs nobody a running guest or network. */
  readonly onError: 'refuse' | 'go on';
  readonly intent: string;
}

/** The qemu hook. Source: libvirt docs/hooks.rst and qemu_process.c; `attach` has not been called since 5.5.0. */
export const qemuPhases = {
  prepare: { subOperation: 'begin', failure: 'aborts', stdout: 'ignored', onError: 'refuse', intent: 'predict' },
  start: { subOperation: 'begin', failure: 'aborts', stdout: 'ignored', onError: 'refuse', intent: 'compare' },
  started: {
    subOperation: 'begin',
    failure: 'kills the guest',
    stdout: 'ignored',
    onError: 'go on',
    intent: 'compare',
  },
  stopped: { subOperation: 'end', failure: 'is ignored', stdout: 'ignored', onError: 'go on', intent: 'note' },
  release: { subOperation: 'end', failure: 'is ignored', stdout: 'ignored', onError: 'go on', intent: 'forget' },
  migrate: {
    subOperation: 'begin',
    failure: 'aborts',
    stdout: 'replaces the document',
    onError: 'refuse',
    intent: 'announce',
  },
  restore: {
    subOperation: 'begin',
    failure: 'aborts',
    stdout: 'replaces the document',
    onError: 'refuse',
    intent: 'announce',
  },
  reconnect: {
    subOperation: 'begin',
    failure: 'kills the guest',
    stdout: 'ignored',
    onError: 'go on',
    intent: 'compare',
  },
  attach: { subOperation: 'begin', failure: 'is ignored', stdout: 'ignored', onError: 'go on', intent: 'nothing' },
} as const satisfies Record<string, PhaseRule>;

/** The network hook. `started` must not fail: libvirt 9.0 leaves bridge and dnsmasq behind. */
export const networkPhases = {
  start: { subOperation: 'begin', failure: 'aborts', stdout: 'ignored', onError: 'refuse', intent: 'forget network' },
  started: {
    subOperation: 'begin',
    failure: 'leaves a half-built network',
    stdout: 'ignored',
    onError: 'go on',
    intent: 'remember network',
  },
  stopped: {
    subOperation: 'end',
    failure: 'is ignored',
    stdout: 'ignored',
    onError: 'go on',
    intent: 'forget network',
  },
  updated: {
    subOperation: 'begin',
    failure: 'is reported only',
    stdout: 'ignored',
    onError: 'go on',
    intent: 'remember network',
  },
  'port-created': {
    subOperation: 'begin',
    failure: 'aborts',
    stdout: 'ignored',
    onError: 'refuse',
    intent: 'remember port',
  },
  'port-deleted': {
    subOperation: 'begin',
    failure: 'is ignored',
    stdout: 'ignored',
    onError: 'go on',
    intent: 'forget port',
  },
} as const satisfies Record<string, PhaseRule>;

export const hookDrivers = ['qemu', 'network'] as const;
export type HookDriver = (typeof hookDrivers)[number];
export type QemuOperation = keyof typeof qemuPhases;
export type NetworkOperation = keyof typeof networkPhases;

/** The row for an operation, or undefined for one we do not know. */
export function findPhase(driver: HookDriver, operation: string): PhaseRule | undefined {
  const table: Record<string, PhaseRule> = driver === 'qemu' ? qemuPhases : networkPhases;
  return Object.hasOwn(table, operation) ? table[operation] : undefined;
}
