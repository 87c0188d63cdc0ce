import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { ExitStatus } from '../cli/command.ts';
import { ActualnetError } from '../report/error.ts';

/** Runs the installer of the tree that this program is in; it prints by itself. Throws `FILE` where there is none. */
export function runInstaller(program: string, words: readonly string[]): ExitStatus {
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
  const { status } = spawnSync('/bin/sh', [installer, ...words], { stdio: 'inherit', cwd: '/' });
  return status === 0 || status === 2 || status === 3 ? status : 1;
}
