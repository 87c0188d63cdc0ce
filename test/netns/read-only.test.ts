import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  appendLine,
  createMarker,
  openPrivateFile,
  writeFileAtomically,
  writeFileForAll,
} from '../../src/host/files.ts';
import { inNamespace } from './world.ts';

/** Directories of this namespace's own: nobody outside sees what is mounted here. */
describe.skipIf(!inNamespace)('on a read-only file system', () => {
  const root = inNamespace ? mkdtempSync(path.join(tmpdir(), 'actualnet-read-only-')) : '';
  beforeAll(() => {
    execaSync('mount', ['-t', 'tmpfs', 'none', root]);
    mkdirSync(path.join(root, 'state'), { mode: 0o700 });
    execaSync('mount', ['-o', 'remount,ro', root]);
  });
  afterAll(() => {
    execaSync('umount', [root]);
    rmSync(root, { recursive: true });
  });

  test.each<[string, (file: string) => unknown]>([
    ['replaced', file => writeFileAtomically(file, 'x')],
    ['appended to', file => appendLine(file, 'x')],
    ['locked', file => openPrivateFile(file)],
    ['created', file => createMarker(file)],
    ['given to all', file => writeFileForAll(file, 'x')],
  ])('a file that is to be %s is told to be there, however much of its path is missing', (_, write) => {
    for (const file of ['state/file', 'missing/file', 'state/missing/deeper/file'])
      expect(() => write(path.join(root, file))).toThrow(
        expect.objectContaining({
          code: 'FILE',
          message: expect.stringMatching(/^cannot [a-z ]+ '.*': the file system is read-only$/),
        }),
      );
  });
});
