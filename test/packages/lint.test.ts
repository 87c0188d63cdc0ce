import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';
import { titled } from '../libvirt/expectations.ts';

const missing = ['dpkg-deb', 'rpmbuild', 'lintian', 'rpmlint'].find(
  program => execaSync('sh', ['-c', `command -v ${program}`], { reject: false }).exitCode !== 0,
);
const why = missing === undefined ? undefined : `there is no '${missing}'`;
/** What rpmlint says of every package that is built by hand and has no home: no signature, no address. */
const accepted =
  /no-signature|no-url-tag|files-duplicate|unstripped-binary-or-object|manpage-not-compressed bz2|no-manual-page-for-binary|logrotate-log-dir-not-packaged|invalid-license Apache-2\.0|dangerous-command-in-%postun rm/;

describe.skipIf(why)(titled('packages by the tools of their distributions', why), () => {
  const out = missing === undefined ? mkdtempSync(path.join(tmpdir(), 'actualnet-lint-')) : '';
  const make = (folder: string) => {
    const words = ['scripts/package.mjs', '--node', 'without', '--out', path.join(out, folder)];
    execaSync(process.execPath, words, { cwd: projectDirectory });
    return readdirSync(path.join(out, folder)).sort();
  };
  let names: string[] = [];
  beforeAll(() => {
    names = make('one');
  });
  afterAll(() => rmSync(out, { recursive: true, force: true }));
  const find = (end: string) => path.join(out, 'one', names.find(name => name.endsWith(end))!);

  test('lintian has nothing to say', () => {
    const { all } = execaSync('lintian', ['--tag-display-limit', '0', find('.deb')], { all: true, reject: false });
    const tags = all.split('\n').filter(line => /^[EW]:/.test(line));
    expect(tags.filter(tag => !tag.includes('bogus-mail-host'))).toEqual([]);
  });

  test('rpmlint says what is known', () => {
    const { all } = execaSync('rpmlint', [find('.rpm')], { all: true, reject: false });
    const told = all.split('\n').filter(line => /: [EW]: /.test(line));
    expect(told.filter(line => !accepted.test(line))).toEqual([]);
  });

  test('the same sources give the same bytes', () => {
    expect(make('two')).toEqual(names);
    for (const name of names)
      expect(execaSync('cmp', [name, `../two/${name}`], { cwd: path.join(out, 'one') }).exitCode).toBe(0);
  });
});
