import { spawnSync } from 'node:child_process'

/** `npm test`: the checks, then every test. Extra arguments go to vitest. */
const run = (command: string, args: string[]) =>
  spawnSync(command, args, { stdio: 'inherit' }).status ?? 1

const filter = process.argv.slice(2)
const checked = filter.length > 0 ? 0 : run('node', ['scripts/check.ts'])
process.exit(checked || run('vitest', ['run', ...filter]))
