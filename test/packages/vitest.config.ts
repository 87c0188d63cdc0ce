import { defineConfig } from 'vitest/config';

/** The tier that installs packages on fresh Debian systems: `npx vitest run --config test/packages/vitest.config.ts`, as root. */
export default defineConfig({
  test: {
    include: ['test/packages/**/*.test.ts'],
    reporters: ['verbose'],
    // Systems that boot, and guests that are emulated, keep both cores busy.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 900_000,
  },
});
