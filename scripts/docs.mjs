// Usage: node scripts/docs.mjs [--check] [--samples] [PAGE.md...] Runs the commands of every block that `<!-- run: FOLDER -->` stands
// before, and writes what they print into the page; with --check, tells where that differs and ends with 3. The blocks of
// a page share one private root and one private network namespace. FOLDER (the page's own if none is named) is where they run; its
// config.yaml becomes the configuration, and its setup.sh makes the links that the host has before.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { endInOrder, removeRoot } from './remove-root.mjs';

const project = fileURLToPath(new URL('..', import.meta.url));
const self = fileURLToPath(import.meta.url);
const block = /(<!-- run:([^\n]*?)-->\n```console\n)([\s\S]*?)(\n```(?=\n|$))/g;
const words = process.argv.slice(2);
const text = page => readFileSync(path.join(project, page), 'utf8');

if (words[0] === '--play') await play(words[1]);
else
  main(
    words.includes('--check'),
    words.filter(word => !word.startsWith('--')),
  );

function main(onlyCheck, given) {
  const all = words.includes('--samples') ? [] : ['README.md', ...pagesBelow('docs')];
  const pages = given.length > 0 ? given : [...all, ...pagesBelow('samples')];
  for (const page of pages) {
    const before = text(page);
    if (before.match(block) === null) continue;
    const inNamespace = path.join(project, 'scripts/in-namespace.mjs');
    const played = spawnSync(process.execPath, [inNamespace, process.execPath, self, '--play', page], {
      encoding: 'utf8',
      timeout: 120_000,
    });
    if (played.status === 77) {
      console.log(`${page}: skipped, ${played.stderr.trim()}`);
      continue;
    }
    if (played.status !== 0) {
      console.error(`${page}: ${played.stderr.trim() || `ended with ${played.status ?? played.signal}`}`);
      process.exitCode = 1;
      continue;
    }
    if (played.stdout === before) continue;
    if (onlyCheck) {
      console.log(
        `${page}: what its commands print differs; 'npm run docs' writes it anew\n${differences(before, played.stdout)}`,
      );
      process.exitCode ||= 3;
    } else {
      writeFileSync(path.join(project, page), played.stdout);
      console.log(`${page}: written`);
    }
  }
}

function pagesBelow(folder) {
  const files = readdirSync(path.join(project, folder), { recursive: true });
  return files
    .filter(file => file.endsWith('.md'))
    .map(file => path.join(folder, file))
    .sort();
}

/** Lines that only one of two texts has. */
function differences(before, after) {
  const [was, is] = [before.split('\n'), after.split('\n')];
  return [
    ...was.filter(line => !is.includes(line)).map(line => `- ${line}`),
    ...is.filter(line => !was.includes(line)).map(line => `+ ${line}`),
  ].join('\n');
}

/** Prints a page with what its commands print now. */
async function play(page) {
  if (process.env.ACTUALNET_NAMESPACE !== '1') process.exit(77);
  const root = mkdtempSync(path.join(tmpdir(), 'actualnet-docs-'));
  endInOrder();
  try {
    const [, , named] = [...text(page).matchAll(block)][0];
    const folder = path.join(project, named.trim() || path.dirname(page));
    const env = prepare(root, folder);
    const answer = text(page).replace(block, (_all, head, _folder, body, end) => {
      const commands = body.split('\n').filter(line => line.startsWith('$ '));
      return head + commands.map(line => `${line}\n${run(line.slice(2), folder, env)}`.trimEnd()).join('\n') + end;
    });
    process.stdout.write(answer);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  } finally {
    await removeRoot(root);
  }
}

/** A host of its own: the links of this namespace, none of the machine's PCI devices, and the built program on the path. */
function prepare(root, folder) {
  for (const directory of ['bin', 'var/log', 'etc/actualnet', 'sys'])
    mkdirSync(path.join(root, directory), { recursive: true });
  symlinkSync('/sys/class', path.join(root, 'sys/class'));
  for (const name of ['actualnet', 'qemu', 'network']) {
    const file = path.join(root, 'bin', name);
    writeFileSync(file, `#!/bin/sh\nexec '${path.join(project, 'hooks', name)}' "$@"\n`);
    chmodSync(file, 0o755);
  }
  const config = path.join(folder, 'config.yaml');
  if (existsSync(config)) copyFileSync(config, path.join(root, 'etc/actualnet/config.yaml'));
  const env = { LC_ALL: 'C', TZ: 'UTC', PATH: `${path.join(root, 'bin')}:${process.env.PATH}`, ACTUALNET_ROOT: root };
  const setup = path.join(folder, 'setup.sh');
  if (!existsSync(setup)) return env;
  const { status, stderr } = spawnSync('sh', ['-eu', setup], { cwd: folder, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`setup.sh failed: ${stderr.trim()}`);
  return env;
}

/** What a command prints, on both streams, and how it ended unless well; without what differs from run to run. */
function run(command, cwd, env) {
  const { stdout, status, signal } = spawnSync('sh', ['-c', `exec 2>&1\n${command}`], {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 30_000,
  });
  const ended = status === 0 ? '' : `[exit status ${status ?? signal}]`;
  return `${stdout.trimEnd()}\n${ended}`
    .replaceAll(env.ACTUALNET_ROOT, '')
    .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '2026-01-05T21:14:07.000Z')
    .replace(/\b(pid|process) \d+/g, '$1 4711')
    .trim();
}
