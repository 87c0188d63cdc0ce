// Bundles the two programs: dist/hook.cjs, which the launchers start, and dist/actualnet.cjs, the command line.
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
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { makeManuals } from './manuals.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
await import('./generate-validator.mjs');
mkdirSync('dist', { recursive: true });
const fresh = mkdtempSync('dist/.new-');
const entryPoints = ['hook.cjs', 'actualnet.cjs'];
const directories = ['man', 'completions'];
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
/** Node's modules that few calls need: each is loaded when one of its functions is called. */
const whenCalled = ['child_process', 'timers/promises', 'events', 'readline', 'crypto'];
/** Our own imports of Node's modules as plain `require`: esbuild would copy all members of each of them, for each file. */
const builtins = {
  name: 'builtins',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[/]src[/].*[.]ts$/ }, ({ path: file }) => ({
      loader: 'ts',
      contents: readFileSync(file, 'utf8').replace(/^import ([^;]+?) from ('node:([a-z_/]+)');$/gm, joinBuiltin),
    })),
};
function joinBuiltin(line, what, module, name) {
  if (what.startsWith('type ')) return line;
  if (!what.startsWith('{')) return `const ${what} = require(${module});`;
  const members = what
    .slice(1, -1)
    .split(',')
    .map(word => word.trim().split(' as '));
  return members
    .filter(([member]) => member !== '' && !member.startsWith('type '))
    .map(([member, own = member]) =>
      whenCalled.includes(name)
        ? `const ${own} = (...words) => require(${module}).${member}(...words);`
        : `const { ${member}: ${own} } = require(${module});`,
    )
    .join(' ');
}
/** yargs and tables measure text by Unicode's tables, which take longer to load than all the rest: plain text needs none. */
const plainWidths = {
  name: 'plain-widths',
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^string-width$/ }, ({ resolveDir, namespace }) =>
      namespace === 'plain-widths'
        ? undefined
        : { path: 'string-width', namespace: 'plain-widths', pluginData: resolveDir },
    );
    onLoad({ filter: /^string-width$/, namespace: 'plain-widths' }, () => ({
      contents: "module.exports = text => /^[ -~]*$/.test(text) ? text.length : require('string-width')(text);",
      resolveDir: path.resolve('.'),
    }));
  },
};
/** Parts that most calls never need, each a file of its own beside the hook's. */
const lazyParts = {
  'merge-files': 'src/config/merge-files.ts',
  'run-agent': 'src/main/run-agent.ts',
  recorder: 'src/main/recorder.ts',
};
const lazily = {
  name: 'lazily',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^[.][/](merge-files|run-agent|recorder)[.]ts$/ }, ({ path: wanted, kind }) =>
      kind === 'dynamic-import' ? { path: `./lazy-${path.basename(wanted, '.ts')}.cjs`, external: true } : undefined,
    ),
};

/** For CommonJS made of modules that ask where they are. */
const bundleUrl = { js: "const __bundleUrl=require('node:url').pathToFileURL(__filename).href;" };

try {
  copyFileSync(
    `node_modules/fs-native-extensions/prebuilds/linux-${process.arch}/fs-native-extensions.node`,
    path.join(fresh, 'locks.node'),
  );
  await bundleHook();
  await bundleCommandLine();
  await makeManuals(fresh, {
    ...commonOptions(),
    date: headDate(),
    define: { 'import.meta.url': '__bundleUrl' },
    banner: bundleUrl,
  });
  putInPlace();
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

async function bundleHook() {
  for (const [name, entry] of Object.entries(lazyParts)) {
    await build({
      ...commonOptions(),
      plugins: [nativeLocks, builtins],
      define: { builtFrom: JSON.stringify(builtFrom()) },
      entryPoints: [entry],
      format: 'cjs',
      outfile: path.join(fresh, `lazy-${name}.cjs`),
    });
  }
  const result = await build({
    ...commonOptions(),
    plugins: [nativeLocks, builtins, lazily],
    entryPoints: ['src/main/hook-entry.ts'],
    format: 'cjs',
    // In a script run by hand there is no import(); require does as well.
    supported: { 'dynamic-import': false },
    write: false,
  });
  putWithCache('hook', result.outputFiles[0].contents, 'scripts/code-cache.cjs');
}

/** A program as PROGRAM.cjs, which starts its bundle with what V8 compiled while `warmUp` used it in a private directory. */
function putWithCache(program, code, warmUp) {
  const name = `${program}-${createHash('sha256').update(code).digest('hex').slice(0, 12)}`;
  writeFileSync(path.join(fresh, `${name}.cjs`), code);
  const launch = readFileSync('src/main/launch.cjs', 'utf8').replaceAll('BUNDLE', name);
  writeFileSync(path.join(fresh, `${program}.cjs`), launch);
  const root = mkdtempSync(path.join(tmpdir(), 'actualnet-build-'));
  mkdirSync(path.join(root, 'var/log'), { recursive: true });
  const env = { PATH: process.env.PATH, LC_ALL: 'C', ACTUALNET_ROOT: root };
  const words = [warmUp, path.resolve(fresh, `${program}.cjs`), path.join(fresh, `${name}.cache`)];
  try {
    execFileSync(process.execPath, words, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** One bundle, of which a command evaluates what it needs: modules that are imported when called are parts of it all the same. */
async function bundleCommandLine() {
  const result = await build({
    ...commonOptions(),
    plugins: [nativeLocks, builtins, lazily, plainWidths],
    entryPoints: ['src/main/cli.ts'],
    format: 'cjs',
    supported: { 'dynamic-import': false },
    define: {
      // Where yargs looks for its texts; it is told its language.
      'import.meta.url': '__bundleUrl',
      builtFrom: JSON.stringify(builtFrom()),
    },
    banner: bundleUrl,
    write: false,
  });
  putWithCache('actualnet', result.outputFiles[0].contents, 'scripts/code-cache-commands.cjs');
}

/** The day of the last commit, or none outside a checkout. */
function headDate() {
  return headCommit() === null ? '' : execFileSync('git', ['log', '-1', '--format=%cs'], { encoding: 'utf8' }).trim();
}

function builtFrom() {
  return { version: packageVersion(), commit: headCommit() };
}

function packageVersion() {
  return JSON.parse(readFileSync('package.json', 'utf8')).version;
}

/** What is built, with a plus for changes that are not committed; null outside a checkout. */
function headCommit() {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    if (git('rev-parse', '--show-toplevel') !== realpathSync('.')) return null;
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
  } catch {
    return null;
  }
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

function putInPlace() {
  const built = readdirSync(fresh);
  const ordered = [...built.filter(name => !entryPoints.includes(name)), ...entryPoints];
  for (const name of ordered) {
    // A directory cannot take the place of another one that holds something; nothing runs from these.
    if (directories.includes(name)) rmSync(path.join('dist', name), { recursive: true, force: true });
    renameSync(path.join(fresh, name), path.join('dist', name));
  }
  for (const name of readdirSync('dist')) {
    if (!built.includes(name) && !name.startsWith('.new-'))
      rmSync(path.join('dist', name), { recursive: true, force: true });
  }
}
