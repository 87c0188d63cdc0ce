/** One row of the phase table: what libvirt does with a hook's answer. What we make of each call is in docs/phases.md. */
export interface PhaseRule {
  /** What libvirt does when a hook fails. */
  readonly failure: 'aborts' | 'kills the guest' | 'leaves a half-built network' | 'is ignored' | 'is reported only';
  /** Only two documents are read back by libvirt. */
  readonly stdout: 'ignored' | 'replaces the document';
}

const aborts = { failure: 'aborts', stdout: 'ignored' } as const;
const rewrites = { failure: 'aborts', stdout: 'replaces the document' } as const;
const kills = { failure: 'kills the guest', stdout: 'ignored' } as const;
const ignored = { failure: 'is ignored', stdout: 'ignored' } as const;

/** The qemu hook. Source: libvirt docs/hooks.rst and qemu_process.c; `attach` has not been called since 5.5.0. */
export const qemuPhases = {
  prepare: aborts,
  start: aborts,
  started: kills,
  stopped: ignored,
  release: ignored,
  migrate: rewrites,
  restore: rewrites,
  reconnect: kills,
  attach: ignored,
} as const satisfies Record<string, PhaseRule>;

/** The network hook. `started` must not fail: libvirt 9.0 leaves bridge and dnsmasq behind. */
export const networkPhases = {
  start: aborts,
  started: { failure: 'leaves a half-built network', stdout: 'ignored' },
  stopped: ignored,
  updated: { failure: 'is reported only', stdout: 'ignored' },
  'port-created': aborts,
  'port-deleted': ignored,
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

/** Whether we refuse when something is wrong: only where that costs nobody a running guest or network. */
export function mayRefuse({ failure }: PhaseRule): boolean {
  return failure === 'aborts';
}
