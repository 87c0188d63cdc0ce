import fs from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import type { ExitStatus } from '../cli/exit-status.ts';
import { ActualnetError } from '../report/error.ts';

/** Runs the installer of the tree that this program is in; it prints by itself. Throws `FILE` where there is none. */
export async function runInstaller(program: string, words: readonly string[]): Promise<ExitStatus> {
  const directory = path.dirname(program);
  if (fs.existsSync(path.join(directory, 'maintain'))) {
    throw new ActualnetError('FILE', 'a package has installed actualnet here, and owns its files', {
      hint: 'upgrade or remove it with the package manager',
    });
  }
  // Beside the program where it is installed, above it in a checkout or an archive.
  const installer = [directory, path.dirname(directory)]
    .map(place => path.join(place, 'install.sh'))
    .find(fs.existsSync);
  const isInstalled = installer === path.join(directory, 'install.sh');
  if (installer === undefined || (isInstalled && !words.includes('--uninstall'))) {
    throw new ActualnetError('FILE', `there is nothing to install from beside '${program}'`, {
      hint: 'run it from a checkout or an unpacked archive',
    });
  }
  const { exitCode } = await execa('/bin/sh', [installer, ...words], { stdio: 'inherit', cwd: '/', reject: false });
  return exitCode === 0 || exitCode === 2 || exitCode === 3 ? exitCode : 1;
}
