import os from 'node:os';
import { printable } from '../report/error.ts';

declare const builtFrom: { readonly version: string; readonly commit: string | null };

/** The program's version in one line; `verbose` adds what it was built from and what it runs on. */
export async function version(verbose: boolean): Promise<string> {
  const line = `actualnet ${builtFrom.version}\n`;
  if (!verbose) return line;
  const { findLibvirtVersion } = await import('../host/libvirt/files.ts');
  const { formatLibvirtVersion } = await import('../resolve/version.ts');
  const { thisHost } = await import('./this-host.ts');
  const rows: [string, string][] = [
    ['commit', builtFrom.commit ?? 'not known: it was not built in a checkout'],
    ['node', `${process.version} (${process.execPath})`],
    ['libvirt', formatLibvirtVersion(findLibvirtVersion(thisHost()))],
    ['kernel', `${os.release()} ${os.machine()}`],
  ];
  return line + rows.map(([what, found]) => `${printable(`${what.padEnd(8)}${found}`)}\n`).join('');
}
