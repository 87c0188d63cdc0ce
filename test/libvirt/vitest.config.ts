import { defineConfig } from 'vitest/config';

/** The tier that runs real libvirt daemons and guests: `npx vitest run --config test/libvirt/vitest.config.ts`, as root. */
export default defineConfig({
  test: {
    include: ['test/libvirt/**/*.test.ts'],
    // Skipped tests, and why, are to be seen.
    reporters: ['verbose'],
    // Emulated guests keep a core busy each.
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 120_000,
  },
});
