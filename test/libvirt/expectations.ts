import { expect } from 'vitest';
import type { HookCall, LibvirtHost } from './host.ts';
import { type ShownInterface, shownByLibvirt, shownByStatus } from './shown.ts';

/** For what libvirt does in its own time, after a crash or at a daemon's start. */
export const settles = { timeout: 20_000, interval: 100 };

/** The calls of a start and of an end, for a guest with so many network ports. */
export function callsOf(ports: number): { readonly starting: string[]; readonly ending: string[] } {
  const created = Array<string>(ports).fill('network port-created');
  const deleted = Array<string>(ports).fill('network port-deleted');
  return {
    starting: ['qemu prepare', ...created, 'qemu start', 'qemu started'],
    ending: ['qemu stopped', ...deleted, 'qemu release'],
  };
}

/** The hook calls from now on, as `DRIVER OPERATION`. */
export function watchCalls(host: LibvirtHost): () => string[] {
  const earlier = host.hookCalls().length;
  return () =>
    host
      .hookCalls()
      .slice(earlier)
      .map(({ driver, operation }) => `${driver} ${operation}`);
}

/** What was predicted, what the hooks saw and what libvirt shows of a running guest are one and the same. */
export async function expectStatusOfRunning(
  host: LibvirtHost,
  guest: string,
  expected: { readonly phase: string; readonly incoming: boolean },
): Promise<void> {
  const status = await host.status(guest);
  expect(status).toMatchObject({ ...expected, name: guest, findings: [] });
  const shown: ShownInterface[] = shownByLibvirt(await host.virsh('dumpxml', guest));
  expect(shownByStatus(status.actual, status.ports)).toEqual(shown);
  expect(shownByStatus(status.predicted, status.ports)).toEqual(shown);
}

/** An error of ours in a call where it must not count would not show in the status, but on stderr or in the log. */
export function expectCleanCalls(host: LibvirtHost, refused = 0): void {
  const calls = host.hookCalls();
  expect(calls.length).toBeGreaterThan(0);
  const unclean = calls.filter(call => call.status + call.stdoutBytes + call.stderrBytes !== 0);
  const isRefusal = ({ operation, status, stdoutBytes }: HookCall) =>
    operation === 'prepare' && status === 1 && stdoutBytes === 0;
  expect(unclean.filter(isRefusal)).toHaveLength(refused);
  expect(unclean.filter(call => !isRefusal(call))).toEqual([]);
}

/** A title that says why its tests are skipped. */
export function titled(title: string, missing: string | undefined): string {
  return missing === undefined ? title : `${title} (skipped: ${missing})`;
}
