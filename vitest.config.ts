import { defineConfig } from 'vitest/config'

/** Three projects: unit and property tests beside the code, the simulator, real processes. */
export default defineConfig({
  test: {
    reporters: ['default', './scripts/closing-line-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            '{chain,storage-node,rpc,genesis,cli}/src/**/*.test.ts',
            'test/*.test.ts',
            'test/vectors/**/*.test.ts',
          ],
          // Against hanging, not against slowness: machines may be busy.
          testTimeout: 60_000,
        },
      },
      { test: { name: 'sim', include: ['test/sim/**/*.test.ts'], testTimeout: 300_000 } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
