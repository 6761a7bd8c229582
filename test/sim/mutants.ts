import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

/**
 * Is the simulator worth its time? Removes one rule of the consensus machine at a time in a copy
 * of the sources and runs seeds until one fails. A mutant that survives is a hole in the
 * simulator (or a rule that another one already implies; then it says so).
 *
 *   node test/sim/mutants.ts [--count 1500] [--only NAME]
 */
interface Mutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** Why no seed can catch it. */
  readonly redundant?: string
}

const CONSENSUS = 'chain/src/consensus'

const MUTANTS: readonly Mutant[] = [
  {
    name: 'notarize twice in a view',
    file: `${CONSENSUS}/voting.ts`,
    from: 'round.view === state.view && !own.notarize && !own.nullify',
    to: 'round.view === state.view && !own.nullify',
  },
  {
    name: 'notarize after nullify',
    file: `${CONSENSUS}/voting.ts`,
    from: 'round.view === state.view && !own.notarize && !own.nullify',
    to: 'round.view === state.view && !own.notarize',
  },
  {
    name: 'finalize after nullify',
    file: `${CONSENSUS}/voting.ts`,
    from: 'if (!maySign(state, round.view) || own.nullify || own.finalize) return false',
    to: 'if (!maySign(state, round.view) || own.finalize) return false',
  },
  {
    name: 'finalize without own notarize',
    file: `${CONSENSUS}/voting.ts`,
    from: 'if (!own.notarize || !notarized) return false',
    to: 'if (!own.notarize) return notarized !== undefined',
  },
  {
    name: 'nullify after finalize',
    file: `${CONSENSUS}/voting.ts`,
    from: 'return maySign(state, round.view) && !round.own.nullify && !round.own.finalize',
    to: 'return maySign(state, round.view) && !round.own.nullify',
    redundant: 'a finalize vote needs a certificate that has already moved the view on',
  },
  {
    name: 'quorum one too small',
    file: `${CONSENSUS}/quorum.ts`,
    from: 'Math.floor((2 * total) / 3) + 1',
    to: 'Math.floor((2 * total) / 3)',
  },
  {
    name: 'repeated votes counted',
    file: `${CONSENSUS}/round.ts`,
    from: 'if (!cast) return false',
    to: 'if (!cast || cast) return false',
  },
  {
    name: 'skip certificates unchecked',
    file: `${CONSENSUS}/justification.ts`,
    from: 'if (justification.skips.length !== view - parentView - 1) return false',
    to: 'if (justification.skips.length < 0) return false',
  },
  {
    name: 'certificate signatures unchecked',
    file: `${CONSENSUS}/certificate.ts`,
    from: 'return indexes.every((index, position) =>',
    to: 'return indexes.length > 0 || indexes.every((index, position) =>',
  },
  {
    name: 'own votes forgotten by a restart',
    file: `${CONSENSUS}/simplex-machine.ts`,
    from: 'for (const vote of current) rememberOwn(roundAt(state, vote.statement.view), vote)',
    to: '',
  },
  {
    name: 'vote leaves before it is in the log',
    file: `${CONSENSUS}/voting.ts`,
    from: "  emit(state, { type: 'persist', record: { type: 'vote', vote } })\n",
    to: '',
  },
  {
    name: 'no standstill bundle',
    file: `${CONSENSUS}/standstill.ts`,
    from: "emit(state, { type: 'broadcast', message: { type: 'bundle', bundle } })",
    to: 'if (bundle.view < 0) emit(state, state.effects[0] as never)',
  },
  {
    name: 'fetched blocks not taken',
    file: `${CONSENSUS}/proposing.ts`,
    from: 'if (!state.tree.wanted.has(hash) || header.epoch !== setup.epoch) return',
    to: 'if (!state.tree.wanted.has(hash) || header.epoch > 0) return',
  },
  {
    name: "epoch's last block gets a child",
    file: `${CONSENSUS}/proposing.ts`,
    from: 'if (header.height === state.config.setup.lastHeight) {',
    to: 'if (header.height < 0) {',
  },
  {
    name: 'last epoch judged by the set of this one',
    file: `${CONSENSUS}/justification.ts`,
    from: 'isValidCertificate(certificate, setup.previousValidators, crypto)',
    to: 'isValidCertificate(certificate, setup.validators, crypto)',
  },
  {
    name: 'votes below the lease after a lost disk',
    file: `${CONSENSUS}/voting.ts`,
    from: 'self !== undefined && view > signAbove && !state.finished',
    to: 'self !== undefined && signAbove >= 0 && !state.finished',
  },
  {
    name: 'descendants of a committed block dropped',
    file: `${CONSENSUS}/block-tree.ts`,
    from: 'if (parentHash === head.hash) continue',
    to: '',
  },
]

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
    for (const folder of ['chain/src', 'test/sim']) {
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
