import { spawnSync } from 'node:child_process'

/** Types, pure types, lint and format; the house rules run with the tests. */
const CHECKS: readonly (readonly [string, ...string[]])[] = [
  ['tsc', '-p', 'tsconfig.pure.json'],
  ['tsc', '-p', 'tsconfig.json'],
  ['oxlint', '--type-aware', '--deny-warnings'],
  ['biome', 'format', '.'],
  ['vitest', 'run', '--project', 'unit', 'test/tidy.test.ts'],
]

for (const [command, ...args] of CHECKS) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) {
    console.error(`check failed: ${command} ${args.join(' ')}`)
    process.exit(1)
  }
}
