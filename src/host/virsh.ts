import fs from 'node:fs';
import path from 'node:path';
import { ActualnetError } from '../report/error.ts';
import { openPrivateFile, removeFile } from './files.ts';
import { hintToRun } from './not-run.ts';
import type { HostPaths } from './paths.ts';

/** An attach waits for QEMU, a detach for the guest; longer than libvirt waits for either. */
const limitMs = 60_000;

/**
 * Runs one virsh command and answers what it printed; a document is handed over as its `--file`, in a file without a name:
 * nothing is left of it, however we end. Not for hooks: the daemon may answer only after they have ended. Throws
 * `ACTION_FAILED` in virsh's own words.
 */
export async function runVirsh(
  paths: HostPaths,
  words: readonly string[],
  { document, inherited }: { readonly document?: string | undefined; readonly inherited?: number | undefined } = {},
): Promise<string> {
  const others = inherited === undefined ? [] : [inherited];
  if (document === undefined) return run(words, others);
  const name = path.join(paths.state, `virsh-${process.pid}`);
  const fd = openPrivateFile(name);
  try {
    removeFile(name);
    fs.writeSync(fd, document);
    return await run([...words, '--file', '/dev/fd/3'], [fd, ...others]);
  } finally {
    fs.closeSync(fd);
  }
}

/** From the descriptor 3 on, virsh has `files`. */
async function run(words: readonly string[], files: readonly number[]): Promise<string> {
  const { execa } = await import('execa');
  const streams = ['ignore', 'pipe', 'pipe'] as const;
  const stdio = [...streams, ...files] as unknown as typeof streams;
  // Of its own: who ends us by the terminal does not end it.
  const options = { stdio, reject: false, env: { LC_ALL: 'C' }, timeout: limitMs, cwd: '/', detached: true } as const;
  // A request that was made is libvirt's: what becomes of us does not end it.
  const result = await execa('virsh', ['--quiet', '--connect', 'qemu:///system', ...words], {
    ...options,
    cleanup: false,
  });
  if (!result.failed) return result.stdout ?? '';
  const lines = (result.stderr ?? '').split('\n').map(line => line.replace(/^error: /, '').trim());
  const said = lines.filter(line => line !== '').join(': ') || result.shortMessage;
  const why = result.timedOut ? `it did not end within ${limitMs / 1000} s` : said;
  throw new ActualnetError('ACTION_FAILED', `virsh ${words[0]}: ${why}`, {
    hint: result.exitCode === undefined && !result.timedOut ? hintToRun('virsh', 'libvirt-clients') : undefined,
  });
}
