import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { domainXml } from '../helpers/documents.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
});
afterEach(() => rmSync(host.root, { recursive: true }));

const dist = path.join(projectDirectory, 'dist');

test('the bundle of the hook stays small', () => {
  const [bundle, ...others] = readdirSync(dist).filter(name => /^hook-[0-9a-f]+\.cjs$/.test(name));
  expect(others).toEqual([]);
  expect(statSync(path.join(dist, bundle!)).size).toBeLessThan(240_000);
  // Half of it was once a library for the few elements that a rewrite adds.
  expect(readFileSync(path.join(dist, bundle!), 'utf8')).not.toContain('xmlbuilder');
});

test('a start without anything configured loads none of Node’s modules that take long', () => {
  const preload = path.join(host.root, 'loaded.cjs');
  mkdirSync(path.join(host.root, 'var/log'), { recursive: true });
  writeFileSync(preload, "process.on('exit', () => require('fs').writeSync(2, process.moduleLoadList.join('\\n')))");
  const env = { ACTUALNET_ROOT: host.root };
  const loadedBy = (...words: readonly string[]) => {
    const input = domainXml("<interface type='user'/>");
    const { stderr, exitCode } = execaSync(process.execPath, ['--require', preload, ...words], { input, env });
    expect(exitCode).toBe(0);
    return stderr.split('\n');
  };
  const always = new Set(loadedBy('-e', '0'));
  const loaded = loadedBy(path.join(dist, 'hook.cjs'), 'qemu', 'g1', 'prepare', 'begin', '-');
  const own = loaded.filter(name => !always.has(name));
  expect(
    own.filter(name => /child_process|timers|readline|crypto|events|^NativeModule (net|http|dgram)/.test(name)),
  ).toEqual([]);
  expect(loaded.length).toBeGreaterThan(50);
});
