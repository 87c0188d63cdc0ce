import { defineConfig } from 'vitest/config';

/** Measurements with real libvirt hosts, no tests: `npm run bench:migrations`, as root. */
export default defineConfig({
  test: { include: ['test/libvirt/**/*.bench.ts'], fileParallelism: false, hookTimeout: 120_000 },
});
