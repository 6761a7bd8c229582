import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Mutant, MUTANTS } from './mutant-list.ts'

/**
 * Is the simulator worth its time? Removes one rule of the consensus machine at a time in a copy
 * of the sources and runs seeds until one fails. A mutant that survives is a hole in the
 * simulator (or a rule that another one already implies; then it says so).
 *
 *   node test/sim/mutants.ts [--count 1500] [--only NAME]
 */
/** Every room that the simulator reads. */
const COPIED = ['chain/src', 'genesis/src', 'storage-node/src', 'test/sim']

const { values } = parseArgs({
  options: { count: { type: 'string', default: '1500' }, only: { type: 'string' } },
})
const root = resolve(import.meta.dirname, '../..')
const chosen = MUTANTS.filter(({ name }) => values.only === undefined || name === values.only)
let survivors = 0
for (const mutant of chosen) {
  const seed = firstFailure(mutant, values.count)
  const verdict = seed === undefined ? 'SURVIVED' : `caught by seed ${seed}`
  console.log(
    `${mutant.name.padEnd(44)} ${verdict}${mutant.redundant ? `; ${mutant.redundant}` : ''}`,
  )
  if (seed === undefined && !mutant.redundant) survivors += 1
}
console.log(`${chosen.length} mutants, ${survivors} survived unexpectedly`)
process.exitCode = survivors === 0 ? 0 : 1

/** The first seed that a copy of the sources with this mutation fails, if any. */
function firstFailure({ file, from, to, name }: Mutant, count: string): number | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'ioex-mutant-'))
  try {
    writeFileSync(join(copy, 'package.json'), '{"type":"module"}')
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
    for (const folder of COPIED) {
      cpSync(join(root, folder), join(copy, folder), { recursive: true })
    }
    const path = join(copy, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`"${name}" does not fit ${file} any more`)
    writeFileSync(path, text.replace(from, to))
    const run = spawnSync(
      process.execPath,
      [join(copy, 'test/sim/main.ts'), '--count', count, '--stop'],
      { encoding: 'utf8', timeout: 120_000 },
    )
    const seed = /^seed (\d+):/m.exec(run.stderr)?.[1]
    if (run.status !== 0 && seed === undefined) throw new Error(run.stderr)
    return seed === undefined ? undefined : Number(seed)
  } finally {
    rmSync(copy, { recursive: true })
  }
}
