// Bundles the two programs: dist/hook.cjs, which the launchers start, and dist/actualnet.mjs, the command line.
// The configuration's validator is made from its schema first.
// The result is put in place file by file, entry points last: hooks may be running from dist meanwhile.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
await import('./generate-validator.mjs');
mkdirSync('dist', { recursive: true });
const fresh = mkdtempSync('dist/.new-');
const entryPoints = ['hook.cjs', 'actualnet.mjs'];
/** The one native addon: its prebuilt binary lies beside the bundles and is loaded when a lock is first taken. */
const nativeLocks = {
  name: 'native-locks',
  setup: ({ onLoad, onResolve }) => {
    onLoad({ filter: /fs-native-extensions[/]binding[.]js$/ }, () => ({
      contents: "module.exports = require('./locks.node')",
    }));
    onResolve({ filter: /^[.][/]locks[.]node$/ }, ({ path }) => ({ path, external: true }));
  },
};
/** Parts that most calls never need, each a file of its own beside the hook's. */
const lazyParts = { 'merge-files': 'src/config/merge-files.ts', witness: 'src/main/witness.ts' };
const lazily = {
  name: 'lazily',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^[.][/](merge-files|witness)[.]ts$/ }, ({ path: wanted, kind }) =>
      kind === 'dynamic-import' ? { path: `./lazy-${path.basename(wanted, '.ts')}.cjs`, external: true } : undefined,
    ),
};

try {
  copyFileSync(
    `node_modules/fs-native-extensions/prebuilds/linux-${process.arch}/fs-native-extensions.node`,
    path.join(fresh, 'locks.node'),
  );
  await bundleHook();
  await bundleCommandLine();
  putInPlace();
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

async function bundleHook() {
  for (const [name, entry] of Object.entries(lazyParts)) {
    await build({
      ...commonOptions(),
      plugins: [nativeLocks],
      entryPoints: [entry],
      format: 'cjs',
      outfile: path.join(fresh, `lazy-${name}.cjs`),
    });
  }
  const result = await build({
    ...commonOptions(),
    plugins: [nativeLocks, lazily],
    entryPoints: ['src/main/hook-entry.ts'],
    format: 'cjs',
    // In a script run by hand there is no import(); require does as well.
    supported: { 'dynamic-import': false },
    write: false,
  });
  const code = result.outputFiles[0].contents;
  const name = `hook-${createHash('sha256').update(code).digest('hex').slice(0, 12)}`;
  writeFileSync(path.join(fresh, `${name}.cjs`), code);
  writeFileSync(path.join(fresh, 'hook.cjs'), readFileSync('src/main/launch.cjs', 'utf8').replaceAll('BUNDLE', name));
  makeCodeCache(path.join(fresh, `${name}.cache`));
}

async function bundleCommandLine() {
  await build({
    ...commonOptions(),
    entryPoints: { actualnet: 'src/main/cli.ts' },
    outdir: fresh,
    format: 'esm',
    splitting: true,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunk-[hash]',
    banner: {
      // Some libraries are CommonJS and call require for Node's own modules.
      js: "import{createRequire as __actualnetRequire}from'node:module';const require=__actualnetRequire(import.meta.url);",
    },
  });
}

function commonOptions() {
  return {
    plugins: [nativeLocks],
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    minify: true,
    legalComments: 'none',
  };
}

/** Plays the sample guest's life in one process, in a private directory, and keeps what V8 compiled for it. */
function makeCodeCache(file) {
  const root = mkdtempSync(path.join(tmpdir(), 'actualnet-build-'));
  mkdirSync(path.join(root, 'var/log'), { recursive: true });
  const env = { PATH: process.env.PATH, LC_ALL: 'C', ACTUALNET_ROOT: root };
  try {
    execFileSync(process.execPath, ['scripts/code-cache.cjs', path.resolve(fresh, 'hook.cjs'), file], { env });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function putInPlace() {
  const built = readdirSync(fresh);
  const ordered = [...built.filter(name => !entryPoints.includes(name)), ...entryPoints];
  for (const name of ordered) renameSync(path.join(fresh, name), path.join('dist', name));
  for (const name of readdirSync('dist')) {
    if (!built.includes(name) && !name.startsWith('.new-'))
      rmSync(path.join('dist', name), { recursive: true, force: true });
  }
}
