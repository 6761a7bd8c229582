import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

/**
 * `npm run fuzz`: every decoder with a million inputs (or IOEX_FUZZ_RUNS of them), made up and
 * almost right. For the night: minutes to an hour of one core.
 */
const RUNS = process.env['IOEX_FUZZ_RUNS'] ?? '1000000'

const files = globSync('*/src/**/*.test.ts', { exclude: ['**/node_modules/**'] }).filter((file) =>
  readFileSync(file, 'utf8').includes('IOEX_FUZZ_RUNS'),
)
console.log(`${RUNS} inputs per law in ${files.length} files`)
const { status } = spawnSync('vitest', ['run', '--project', 'unit', ...files], {
  stdio: 'inherit',
  env: { ...process.env, IOEX_FUZZ_RUNS: RUNS },
})
process.exit(status ?? 1)
