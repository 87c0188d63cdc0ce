import fs from 'node:fs';
import path from 'node:path';
import { ActualnetError } from '../../report/error.ts';
import { openPrivateFile, removeFile } from '../files.ts';
import type { HostPaths } from '../paths.ts';
import { endOf, startBounded } from '../process/bounded.ts';
import { hintToRun } from '../process/not-run.ts';

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

/** From the descriptor 3 on, virsh has `files`. Who ends us by the terminal does not end it: a request that was made is libvirt's. */
async function run(words: readonly string[], files: readonly number[]): Promise<string> {
  const child = startBounded('virsh', ['--quiet', '--connect', 'qemu:///system', ...words], { inherited: files });
  const { timedOut, status, stdout, stderr, complaint } = await endOf(child, { input: '', limitMs });
  if (status === 0) return stdout.replace(/\n$/, '');
  const lines = stderr.split('\n').map(line => line.replace(/^error: /, '').trim());
  const said = lines.filter(line => line !== '').join(': ') || complaint || `exit status ${status}`;
  const why = timedOut ? `it did not end within ${limitMs / 1000} s` : said;
  throw new ActualnetError('ACTION_FAILED', `virsh ${words[0]}: ${why}`, {
    hint: status === null && !timedOut ? hintToRun('virsh', 'libvirt-clients') : undefined,
  });
}
