import { chmodSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { projectDirectory, TestHost } from '../helpers/host.ts';

let host: TestHost;
let way: string;
let hooks: string;
beforeEach(() => {
  host = new TestHost();
  way = path.join(host.root, 'way');
  hooks = path.join(way, 'hooks');
  mkdirSync(hooks, { recursive: true });
});
afterEach(() => host.remove());

const isRoot = process.getuid?.() === 0;
const install = (...words: string[]) =>
  execaSync(
    'sh',
    ['-c', 'umask 000; exec "$@"', 'sh', path.join(projectDirectory, 'install.sh'), '--hooks-dir', hooks, ...words],
    {
      env: host.env,
      extendEnv: false,
      reject: false,
    },
  );

interface Case {
  readonly name: string;
  readonly needsRoot?: boolean;
  readonly spoil: () => void;
  readonly says: string;
}

const unsafe: Case[] = [
  {
    name: 'is writable by all',
    spoil: () => chmodSync(hooks, 0o777),
    says: "hooks' can be written by others (mode 777)",
  },
  { name: 'is writable by all, although sticky', spoil: () => chmodSync(hooks, 0o1777), says: '(mode 1777)' },
  {
    name: 'is writable by another group',
    needsRoot: true,
    spoil: () => {
      chownSync(hooks, 0, 100);
      chmodSync(hooks, 0o775);
    },
    says: '(mode 775)',
  },
  {
    name: 'belongs to another user',
    needsRoot: true,
    spoil: () => chownSync(hooks, 65534, 0),
    says: 'belongs to another user (uid 65534)',
  },
  {
    name: 'is below one that is writable by all',
    spoil: () => chmodSync(way, 0o777),
    says: "way' can be written by others",
  },
  {
    name: "is below another user's",
    needsRoot: true,
    spoil: () => chownSync(way, 65534, 0),
    says: "way' belongs to another user",
  },
  {
    name: 'has a directory of hooks that is writable by all',
    spoil: () => {
      mkdirSync(path.join(hooks, 'qemu.d'));
      chmodSync(path.join(hooks, 'qemu.d'), 0o777);
    },
    says: "qemu.d' can be written by others",
  },
];

describe('a directory for hooks that', () => {
  test.for(unsafe)('$name is refused, and nothing is written or removed', ({ needsRoot, spoil, says }, { skip }) => {
    skip(needsRoot === true && !isRoot, 'it needs root');
    spoil();
    for (const words of [[], ['--main'], ['--uninstall']]) {
      const { exitCode, stdout, stderr } = install(...words);
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
      expect(stderr).toContain(says);
    }
    expect(existsSync(path.join(hooks, 'qemu.d/50-actualnet'))).toBe(false);
    expect(existsSync(path.join(hooks, 'qemu'))).toBe(false);
  });

  test("is below one that is sticky is taken, and what is made in it is nobody else's to write", () => {
    chmodSync(way, 0o1777);
    hooks = path.join(way, 'made');
    expect(install().exitCode).toBe(0);
    for (const place of ['', 'qemu.d', 'qemu.d/50-actualnet', 'network.d', '.actualnet-manifest'])
      expect(statSync(path.join(hooks, place)).mode & 0o022).toBe(0);
    expect(install('--uninstall').stdout).toBe('removed');
  });
});
