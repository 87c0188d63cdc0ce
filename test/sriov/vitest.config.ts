import { defineConfig } from 'vitest/config';

/** The tier with SR-IOV cards: `npx vitest run --config test/sriov/vitest.config.ts`, as root. */
export default defineConfig({
  test: {
    include: ['test/sriov/**/*.test.ts'],
    globalSetup: ['test/sriov/setup.ts'],
    // Skipped tests, and why, are to be seen.
    reporters: ['verbose'],
    // There is one machine: the tests take turns.
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
