import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/netns/**/*.test.ts'],
    // One namespace for all: the tests take turns.
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
