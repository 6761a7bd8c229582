import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Mutant } from './mutant.ts'
import { MUTANTS } from './mutant-list.ts'

/**
 * Is the simulator worth its time? Removes one rule of the consensus machine, or of the ledger, at
 * a time in a copy of the sources and runs seeds until one fails. A mutant that survives is a hole
 * in the simulator, or a rule that others imply: then the rule goes.
 *
 *   node test/sim/mutants.ts [--count 600] [--only NAME] [--from NAME]
 */
/** Every room that the simulator reads. */
const COPIED = ['chain/src', 'genesis/src', 'storage-node/src', 'test/sim']
/** Histories of whole nodes take a thousand times as long. */
const FULL_NODE_COUNT = '60'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '600' },
    only: { type: 'string' },
    from: { type: 'string' },
  },
})
const root = resolve(import.meta.dirname, '../..')
const start = values.from === undefined ? 0 : MUTANTS.findIndex(({ name }) => name === values.from)
const chosen = MUTANTS.slice(start).filter(({ name }) => name === (values.only ?? name))
const waiting = [...chosen]
let survivors = 0
await Promise.all(Array.from({ length: availableParallelism() }, tryMutants))
console.log(`${chosen.length} mutants, ${survivors} survived`)
process.exitCode = survivors === 0 ? 0 : 1

/** One lane, with sources of its own. */
async function tryMutants(): Promise<void> {
  const copy = copySources()
  try {
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      const seed = await firstFailure(mutant, copy)
      const verdict = seed === undefined ? 'SURVIVED' : `caught by seed ${seed}`
      console.log(`${mutant.name.padEnd(52)} ${verdict}`)
      if (seed === undefined) survivors += 1
    }
  } finally {
    rmSync(copy, { recursive: true })
  }
}

function copySources(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ioex-mutant-'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const room of COPIED) {
    cpSync(join(root, room), join(folder, room), { recursive: true })
  }
  return folder
}

/** The first seed that a copy of the sources with this mutation fails, if any. */
async function firstFailure(mutant: Mutant, copy: string): Promise<number | undefined> {
  const { file, from, to, name, faulty, fullNode, about, firstSeed = 1 } = mutant
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(from).length !== 2) throw new Error(`"${name}" does not fit ${file} any more`)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
  try {
    const seeds = fullNode ? FULL_NODE_COUNT : values.count
    const first = ['--seed', String(firstSeed)]
    const args = [join(copy, 'test/sim/main.ts'), ...first, '--count', seeds, '--stop']
    if (faulty) args.push('--faulty')
    if (fullNode) args.push('--full-node')
    if (about) args.push('--about', about)
    const { failed, said } = await runSimulator(args)
    const seed = /^seed (\d+):/m.exec(said)?.[1]
    if (failed && seed === undefined) throw new Error(said)
    return seed === undefined ? undefined : Number(seed)
  } finally {
    writeFileSync(path, text)
  }
}

function runSimulator(args: readonly string[]): Promise<{ failed: boolean; said: string }> {
  return new Promise((resolved) => {
    execFile(process.execPath, args, { timeout: 300_000 }, (error, _, said) =>
      resolved({ failed: error !== null, said }),
    )
  })
}
