import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/{netns,libvirt,packages,sriov}/**'],
    // Another tier may be running beside this one.
    testTimeout: 120_000,
    fileParallelism: true,
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      include: ['src/{xml,model,resolve,transform,config,kernel,plan,journal,guest,agent,hook,report}/**/*.ts'],
      exclude: ['**/*.d.ts'],
      reporter: ['text-summary'],
      // Of what runs within the tests; the built programs and the tiers with real links and libvirt come on top.
      thresholds: {
        'src/{xml,model,resolve,transform}/**': { lines: 95 },
        'src/{config,kernel,plan}/**': { lines: 85 },
        'src/{journal,guest,agent}/**': { lines: 75 },
        'src/{hook,report}/**': { lines: 60 },
      },
    },
  },
});
