// Plays a sample guest's whole life through the built hooks, in a private directory and without root, and shows after
// each call what actualnet knows.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const root = mkdtempSync(path.join(tmpdir(), 'actualnet-demo-'));
mkdirSync(path.join(root, 'var/log'), { recursive: true });
const env = { LC_ALL: 'C', PATH: process.env.PATH, ACTUALNET_ROOT: root };
const status = format =>
  execFileSync(process.execPath, [path.join(project, 'dist/actualnet.mjs'), 'status', '--format', format], {
    env,
    encoding: 'utf8',
  });

try {
  const calls = path.join(project, 'samples/web1');
  for (const file of readdirSync(calls).sort()) {
    const [, driver, object, operation] = /^\d+-(qemu|network)-([a-z0-9]+)-(.*)\.xml$/.exec(file);
    const words = [object, operation, ['stopped', 'release'].includes(operation) ? 'end' : 'begin', '-'];
    console.log(`\n$ ${driver} ${words.join(' ')}`);
    const hook = path.join(project, 'hooks', driver);
    const stdout = execFileSync(hook, words, {
      env,
      cwd: '/',
      input: readFileSync(path.join(calls, file)),
      encoding: 'utf8',
    });
    if (stdout !== '') console.log(stdout);
    if (driver === 'qemu') process.stdout.write(`${status('table').replace(/^/gm, '    ').trimEnd()}\n`);
    if (operation === 'prepare') showReasons();
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}

function showReasons() {
  for (const { alias, because } of JSON.parse(status('json')).guests[0].foreseen.interfaces) {
    console.log(`    ${alias}, because`);
    for (const reason of because) console.log(`      ${reason}`);
  }
}
