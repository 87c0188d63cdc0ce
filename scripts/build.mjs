// Bundles the two programs: dist/hook.cjs, which the launchers start, and dist/actualnet.mjs, the command line.
import { chmodSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
const common = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  minify: true,
  keepNames: false,
  legalComments: 'none',
};

await build({ ...common, entryPoints: ['src/main/hook-entry.ts'], outfile: 'dist/hook.cjs', format: 'cjs' });

await build({
  ...common,
  entryPoints: { actualnet: 'src/main/cli.ts' },
  outdir: 'dist',
  format: 'esm',
  splitting: true,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[hash]',
  banner: {
    // Some libraries are CommonJS and call require for Node's own modules.
    js: "#!/usr/bin/env node\nimport{createRequire as __actualnetRequire}from'node:module';const require=__actualnetRequire(import.meta.url);",
  },
});
chmodSync('dist/actualnet.mjs', 0o755);
