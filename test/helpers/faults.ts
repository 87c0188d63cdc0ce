import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What can happen at a program that a command of ours runs. */
export const mishaps = [
  { mishap: 'before' },
  { mishap: 'after' },
  { mishap: 'meanwhile' },
  { mishap: 'fail' },
] as const;
export type Mishap = (typeof mishaps)[number]['mishap'];

/** Runs a script on the host under test; resolves to what it prints. */
type Shell = (script: string, input?: string) => Promise<string>;

/** Where programs can be run from that stand in the place of others. */
export interface MishapHost {
  readonly shell: Shell;
  readonly directory: string;
}

/** Puts itself in the place of the programs that mishaps may happen at. */
export async function installMishaps({ shell, directory }: MishapHost): Promise<void> {
  const script = readFileSync(path.join(import.meta.dirname, 'mishap-tools.sh'), 'utf8');
  await shell(
    `mkdir -p ${directory} && cd ${directory} && cat >virsh && cp virsh ip && cp virsh bridge && chmod 755 *`,
    script,
  );
}

/**
 * Runs a command with a mishap at one of the programs it runs, counted from 1. Resolves, when that program has ended too, to
 * its call; undefined if there are fewer.
 */
export async function runWithMishap(
  { shell, directory }: MishapHost,
  command: string,
  { mishap, at, input }: { readonly mishap: Mishap; readonly at: number; readonly input?: string },
): Promise<string | undefined> {
  const count = `${directory}/count`;
  const settings = `PATH=${directory}:$PATH COUNT=${count} MISHAP=${mishap} MISHAP_AT=${at}`;
  await shell(`rm -f ${count} ${count}.met ${count}.ended`);
  await shell(`${settings} ${command} >/dev/null 2>&1 || :`, input);
  const met = await shell(`cat ${count}.met 2>/dev/null || :`);
  if (met === '') return undefined;
  while (mishap === 'meanwhile' && (await shell(`cat ${count}.ended 2>/dev/null || :`)) === '') await sleep(200);
  return met.split(' --')[0]!.trim();
}
