import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What can happen at a program that a command of ours runs. */
export const faults = [{ fault: 'before' }, { fault: 'after' }, { fault: 'meanwhile' }, { fault: 'fail' }] as const;
export type Fault = (typeof faults)[number]['fault'];

/** Runs a script on the host under test; resolves to what it prints. */
type Shell = (script: string, input?: string) => Promise<string>;

/** Where programs can be run from that stand in the place of others. */
export interface FaultHost {
  readonly shell: Shell;
  readonly directory: string;
}

/** Puts itself in the place of the programs that faults may happen at. */
export async function installFaults({ shell, directory }: FaultHost): Promise<void> {
  const script = readFileSync(path.join(import.meta.dirname, 'faulty-tools.sh'), 'utf8');
  await shell(
    `mkdir -p ${directory} && cd ${directory} && cat >virsh && cp virsh ip && cp virsh bridge && chmod 755 *`,
    script,
  );
}

/**
 * Runs a command with a fault at one of the programs it runs, counted from 1. Resolves, when that program has ended too, to
 * its call; undefined if there are fewer.
 */
export async function runWithFault(
  { shell, directory }: FaultHost,
  command: string,
  { fault, at, input }: { readonly fault: Fault; readonly at: number; readonly input?: string },
): Promise<string | undefined> {
  const count = `${directory}/count`;
  const settings = `PATH=${directory}:$PATH COUNT=${count} FAULT=${fault} FAULT_AT=${at}`;
  await shell(`rm -f ${count} ${count}.met ${count}.ended`);
  await shell(`${settings} ${command} >/dev/null 2>&1 || :`, input);
  const met = await shell(`cat ${count}.met 2>/dev/null || :`);
  if (met === '') return undefined;
  while (fault === 'meanwhile' && (await shell(`cat ${count}.ended 2>/dev/null || :`)) === '') await sleep(200);
  return met.split(' --')[0]!.trim();
}
