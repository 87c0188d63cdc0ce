import path from 'node:path';
import { ActualnetError } from '../report/error.ts';
import { removeFile, writeFileAtomically } from './files.ts';
import type { HostPaths } from './paths.ts';

/** An attach waits for QEMU, a detach for the guest; longer than libvirt waits for either. */
const limitMs = 60_000;

/**
 * Runs one virsh command and answers what it printed; a document is handed over in a file that only we can read, as its
 * `--file`. Not for hooks: the daemon may answer only after they have ended. Throws `ACTION_FAILED` in virsh's own words.
 */
export async function runVirsh(paths: HostPaths, words: readonly string[], document?: string): Promise<string> {
  if (document === undefined) return run(words);
  const file = path.join(paths.state, 'documents', `${process.pid}.xml`);
  writeFileAtomically(file, document);
  try {
    return await run([...words, '--file', file]);
  } finally {
    removeFile(file);
  }
}

async function run(words: readonly string[]): Promise<string> {
  const { execa } = await import('execa');
  const options = { stdin: 'ignore', reject: false, env: { LC_ALL: 'C' }, timeout: limitMs, cwd: '/' } as const;
  // A request that was made is libvirt's: what becomes of us does not end it.
  const result = await execa('virsh', ['--quiet', '--connect', 'qemu:///system', ...words], {
    ...options,
    cleanup: false,
  });
  if (!result.failed) return result.stdout;
  const lines = result.stderr.split('\n').map(line => line.replace(/^error: /, '').trim());
  const said = lines.filter(line => line !== '').join(': ') || result.shortMessage;
  const why = result.timedOut ? `it did not end within ${limitMs / 1000} s` : said;
  throw new ActualnetError('ACTION_FAILED', `virsh ${words[0]}: ${why}`, {
    hint: result.exitCode === undefined && !result.timedOut ? 'install libvirt-clients' : undefined,
  });
}
