import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../src/report/error.ts';

const project = path.resolve(import.meta.dirname, '..');
const source = path.join(project, 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(file => /\.(ts|cjs)$/.test(file));

/** Which folders the files of a folder may import from; `host` is seen by the core as types only. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  report: [],
  xml: ['report'],
  model: ['xml', 'report'],
  config: ['model', 'xml', 'report'],
  resolve: ['model', 'xml', 'report'],
  transform: ['resolve', 'config', 'model', 'xml', 'report'],
  kernel: ['model', 'report'],
  plan: ['transform', 'resolve', 'config', 'kernel', 'model', 'xml', 'report', 'type host'],
  journal: ['kernel', 'model', 'report', 'type plan'],
  guest: ['journal', 'plan', 'transform', 'resolve', 'config', 'kernel', 'model', 'xml', 'report', 'type host'],
  host: [
    'type doctor',
    'type guest',
    'type plan',
    'type journal',
    'kernel',
    'config',
    'resolve',
    'model',
    'xml',
    'report',
  ],
  agent: ['guest', 'journal', 'plan', 'transform', 'kernel', 'config', 'model', 'report', 'type host'],
  doctor: ['report', 'type config'],
  hotplug: ['agent', 'guest', 'journal', 'plan', 'kernel', 'transform', 'resolve', 'model', 'xml', 'report'],
  hook: ['guest', 'journal', 'plan', 'kernel', 'transform', 'resolve', 'config', 'model', 'xml', 'report', 'type host'],
  replay: [
    'type hook',
    'type guest',
    'type journal',
    'type plan',
    'type kernel',
    'config',
    'resolve',
    'model',
    'xml',
    'report',
  ],
  cli: [
    'type hook',
    'type replay',
    'doctor',
    'hotplug',
    'agent',
    'guest',
    'journal',
    'kernel',
    'plan',
    'transform',
    'resolve',
    'config',
    'model',
    'xml',
    'report',
    'type host',
  ],
  main: [
    'cli',
    'replay',
    'doctor',
    'hook',
    'hotplug',
    'agent',
    'host',
    'guest',
    'journal',
    'kernel',
    'plan',
    'transform',
    'resolve',
    'config',
    'model',
    'xml',
    'report',
  ],
};

/** `import ... from '../xml/x.ts'` as `xml`, or `type xml` when only types are imported; packages and Node as their name. */
function importsOf(file: string): string[] {
  const text = readFileSync(path.join(source, file), 'utf8');
  const statements = text.matchAll(
    /^import (type )?[^;]*?from '([^']+)';|\bimport\('([^']+)'\)|\brequire\('([^']+)'\)/gms,
  );
  return [...statements].map(([statement, type, from, dynamic, required]) => {
    const target = (from ?? dynamic ?? required)!;
    if (!target.startsWith('.')) return target;
    const folder = path.relative(source, path.resolve(source, path.dirname(file), target)).split('/')[0]!;
    const onlyTypes = type !== undefined || (/\{/.test(statement) && !/[{,]\s*(?!type )\w/.test(statement));
    return onlyTypes ? `type ${folder}` : folder;
  });
}

/** The files of `src` that a file imports, types included. */
function filesImportedBy(file: string): string[] {
  const text = readFileSync(path.join(source, file), 'utf8');
  return [...text.matchAll(/^import [^;]*?from '(\.[^']+)';|\bimport\('(\.[^']+)'\)/gms)].map(([, from, dynamic]) =>
    path.relative(source, path.resolve(source, path.dirname(file), (from ?? dynamic)!)),
  );
}

test('no file imports itself by way of others', () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' -> '));
    if (done.has(file) || way.includes(file)) return;
    for (const next of filesImportedBy(file)) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

describe('imports go one way', () => {
  test.each(files)('src/%s', file => {
    const folder = file.split('/')[0]!;
    const allowed = arrows[folder] ?? [];
    const inside = importsOf(file).filter(
      target => /^(type )?[a-z]+$/.test(target) && target.replace('type ', '') in arrows,
    );
    const wrong = inside.filter(target => {
      const plain = target.replace('type ', '');
      return plain !== folder && !allowed.includes(plain) && !allowed.includes(target);
    });
    expect(wrong).toEqual([]);
  });

  test.each(files.filter(file => !/^(main|host)\//.test(file)))('src/%s touches no file, process or clock', file => {
    const text = readFileSync(path.join(source, file), 'utf8');
    expect(importsOf(file).filter(target => target.startsWith('node:'))).toEqual([]);
    expect(text).not.toMatch(/\bprocess\.|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bsetTimeout\b|\bconsole\./);
  });
});

test('scripts of npm run with the Node.js of the machine, not with the one for packages', () => {
  expect(existsSync(path.join(project, 'node_modules/.bin/node'))).toBe(false);
});

describe('documentation', () => {
  test('every error code is explained, and no other', () => {
    const documented = [...readFileSync(path.join(project, 'docs/errors.md'), 'utf8').matchAll(/^\| `([A-Z_]+)` \|/gm)];
    expect(documented.map(([, code]) => code)).toEqual([...errorCodes]);
  });

  test('every error code is used', () => {
    const text = files
      .map(file => (file === 'report/error.ts' ? '' : readFileSync(path.join(source, file), 'utf8')))
      .join('');
    const own = ['BUG', 'TIME_LIMIT'];
    expect(errorCodes.filter(code => !own.includes(code) && !text.includes(`'${code}'`))).toEqual([]);
  });

  test('no file is longer than 320 lines', () => {
    const long = files.filter(file => readFileSync(path.join(source, file), 'utf8').split('\n').length > 320);
    expect(long).toEqual([]);
  });
});
