import { spawnSync } from 'node:child_process'
import { installMissingPrograms } from './debian-packages.ts'

/**
 * `npm test`: the checks, then every test but those that take minutes each (`npm run test:long`).
 * Extra arguments go to vitest.
 */
const run = (command: string, args: string[]) =>
  spawnSync(command, args, { stdio: 'inherit' }).status ?? 1

const filter = process.argv.slice(2)
const checked = filter.length > 0 ? 0 : run('node', ['scripts/check.ts'])
if (checked === 0) for (const reason of installMissingPrograms()) console.log(reason)
const projects = ['unit', 'sim', 'e2e'].flatMap((name) => ['--project', name])
process.exit(checked || run('vitest', ['run', ...(filter.length > 0 ? filter : projects)]))
