import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';

const below = (folder: string) =>
  readdirSync(path.join(projectDirectory, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.md'))
    .map(file => path.join(folder, file));
const pages = ['README.md', ...below('docs'), ...below('samples')].sort();
const read = (page: string) => readFileSync(path.join(projectDirectory, page), 'utf8');
const played = pages.filter(page => read(page).includes('<!-- run:'));
const docs = (page: string) =>
  execaSync(process.execPath, [path.join(projectDirectory, 'scripts/docs.mjs'), '--check', page], { reject: false });
const hasNamespaces =
  execaSync('unshare', ['--user', '--map-root-user', '--net', '--mount', 'sh', '-c', 'mount -t sysfs sysfs /sys'], {
    reject: false,
  }).exitCode === 0;

describe.skipIf(!hasNamespaces)('a page shows what its commands print (needs a private namespace)', () => {
  test.each(played)('%s', page => {
    const { exitCode, stdout, stderr } = docs(page);
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  // Not below samples: whoever installs from here meanwhile would take it for a change.
  const folder = 'docs/.wrong';
  afterEach(() => rmSync(path.join(projectDirectory, folder), { recursive: true, force: true }));

  test('one that shows something else is told, and left as it is', () => {
    const page = `${folder}/README.md`;
    mkdirSync(path.join(projectDirectory, folder));
    const text = '<!-- run: -->\n```console\n$ echo one; exit 4\ntwo\n```\n';
    writeFileSync(path.join(projectDirectory, page), text);
    const { exitCode, stdout } = docs(page);
    expect({ exitCode, text: read(page) }).toEqual({ exitCode: 3, text });
    expect(stdout).toContain('- two\n+ one\n+ [exit status 4]');
  });
});

describe('pages name only what there is', () => {
  const help = (...words: string[]) =>
    execaSync(path.join(projectDirectory, 'hooks/actualnet'), [...words, '--help'], { reject: false }).stdout;
  const commands = new Set([...help().matchAll(/^\s*(?:actualnet )?([a-z]+)(?= |$)/gm)].map(([, name]) => name));
  // A command in a block, or in backquotes.
  const uses = pages.flatMap(page =>
    [...read(page).matchAll(/(?:^(?: {4})?\$ |`)actualnet ([a-z]+)([^`\n|]*)/gm)].map(([, command, rest]) => ({
      page,
      command: command as string,
      options: (rest as string).match(/(?<= )--[a-z-]+/g) ?? [],
    })),
  );

  test('commands', () => {
    expect(uses.length).toBeGreaterThan(20);
    expect(
      uses.filter(({ command }) => !commands.has(command)).map(({ page, command }) => `${page}: ${command}`),
    ).toEqual([]);
  });

  test('options', () => {
    const known = new Map([...new Set(uses.map(({ command }) => command))].map(name => [name, help(name)]));
    const wrong = uses.flatMap(({ page, command, options }) =>
      options.filter(option => !known.get(command)?.includes(option)).map(option => `${page}: ${command} ${option}`),
    );
    expect(wrong).toEqual([]);
  });

  test('files that links lead to', () => {
    const wrong = pages.flatMap(page =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#\s]+)/g)]
        .map(([, to]) => path.join(path.dirname(page), to as string))
        .filter(file => !existsSync(path.join(projectDirectory, file)))
        .map(file => `${page}: ${file}`),
    );
    expect(wrong).toEqual([]);
  });
});
