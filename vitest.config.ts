import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * Unit and property tests beside the code, the simulator, real processes; and what takes minutes
 * each, which `npm run test:long` adds.
 */
const LONG = [
  'contribution',
  'upgrade',
  'operators',
  'chaos',
  'copies',
  'faults',
  'rotten-files',
  'repair',
  'peer-duties',
  'main-chain',
  'peg-confirmations',
  'claims',
].map((name) => `test/e2e/${name}.test.ts`)
/** One network at a time: two side by side take each other's time, more than twice as much. */
const REAL_PROCESSES = {
  testTimeout: 240_000,
  hookTimeout: 120_000,
  fileParallelism: false,
  sequence: { groupOrder: 1 },
} as const

/** Against hanging, not against slowness: machines may be busy, and `npm run fuzz` takes long. */
const UNIT_TIMEOUT_MS = process.env['IOEX_FUZZ_RUNS'] === undefined ? 60_000 : 3_600_000

const EVERY_CORE = { maxWorkers: availableParallelism() } as const

export default defineConfig({
  test: {
    reporters: ['default', './scripts/closing-line-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          ...EVERY_CORE,
          include: [
            '{chain,storage-node,rpc,genesis,cli}/src/**/*.test.ts',
            'test/*.test.ts',
            'test/vectors/**/*.test.ts',
          ],
          testTimeout: UNIT_TIMEOUT_MS,
          // Modules are loaded once per worker, not once per file: a third of the time.
          isolate: false,
        },
      },
      {
        test: {
          name: 'sim',
          ...EVERY_CORE,
          include: ['test/sim/**/*.test.ts'],
          testTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: LONG,
          ...REAL_PROCESSES,
        },
      },
      { test: { name: 'long', include: LONG, ...REAL_PROCESSES } },
    ],
  },
})
