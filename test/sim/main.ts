import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installNativeCrypto } from '../../chain/src/native/install-native-crypto.ts'
import { simulateEconomics } from './economics/economics.ts'
import { attacksPicture, marketPicture } from './economics/pictures.ts'
import { jsonReport, textReport } from './economics/report.ts'
import { SUBJECTS } from './full-node/full-world.ts'
import { runFullSeeds } from './full-node/run-full-seeds.ts'
import { runSeed } from './run-seed.ts'
import { runTwins, twinsScenarioCount } from './twins.ts'
import { checkVotingModel } from './voting-model.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string' },
    economics: { type: 'boolean', default: false },
    nodes: { type: 'string', default: '100' },
    days: { type: 'string', default: '3' },
    q: { type: 'string', default: '1' },
    epochs: { type: 'string', default: '120' },
    slots: { type: 'string', default: '50' },
    pictures: { type: 'string' },
    stop: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    faulty: { type: 'boolean', default: false },
    'full-node': { type: 'boolean', default: false },
    about: { type: 'string', default: 'faults' },
    model: { type: 'string' },
    twins: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`Usage: npm run sim -- [--seed N] [--count M] [--faulty | --full-node [--about WHAT]] [--stop] [--trace] [--json]
       npm run sim -- --twins V | --model V
       npm run sim -- --economics [--seed N] [--count M] [--epochs E] [--slots S]
                      [--q Q] [--nodes N] [--days D] [--json] [--pictures FOLDER]
Runs M seeded histories of the consensus machine from seed N on and checks every step.
  --stop   ends at the first failure
  --faulty more weight is faulty than may be: forks happen, each must name a third as guilty
  --full-node  instead: four whole nodes with pool, rules and store over disks that fail
  --about  what those histories are about: faults (default), newcomers
           among forgers, floods
  --trace  prints every event and effect (use with --count 1)
  --twins  instead: each validator of four twinned, every split of V views (3: minutes)
  --model  instead: every reachable state of the voting rules in V views (3: half a minute)
  --economics instead: every known way to cheat against its honest twin, over M seeds (1), E epochs
           and S slots each, each node challenged in a share Q of epochs (1), then a market of N
           nodes (0: none) over D days; fails if one pays. The long form takes ten minutes:
           --economics --nodes 2000 --days 90`)
  process.exit(0)
}
if (values.model !== undefined) process.exit(searchModel(naturalNumber('model', values.model)))
if (values.twins !== undefined) process.exit(splitTwins(naturalNumber('twins', values.twins)))

if (values.economics) process.exit(await compareProfits())

const first = naturalNumber('seed', values.seed)
const count = naturalNumber('count', values.count ?? '1000')
if (values['full-node']) {
  const { stop, trace } = values
  const about = SUBJECTS.find((subject) => subject === values.about)
  if (!about) {
    console.error(`--about takes one of ${SUBJECTS.join(', ')}, not "${values.about}"`)
    process.exit(2)
  }
  process.exit(await runFullSeeds({ about, first, count, stop, trace }))
}
/** A long run says how far it is. */
const SEEDS_PER_NOTICE = 1000

const started = process.hrtime.bigint()
let events = 0
let blocks = 0
let virtualMs = 0
let slowestRecoveryMs = 0
let failures = 0
let forks = 0
let halts = 0
for (let seed = first; seed < first + count; seed++) {
  const outcome = runSeed(seed, {
    trace: values.trace ? (line) => console.log(line) : undefined,
    tooManyFaulty: values.faulty,
  })
  events += outcome.events
  if (outcome.forks > 0) forks += 1
  if (outcome.halts > 0) halts += 1
  blocks += outcome.height
  virtualMs += outcome.virtualMs
  slowestRecoveryMs = Math.max(slowestRecoveryMs, outcome.recoveryMs)
  const done = seed - first + 1
  if (done % SEEDS_PER_NOTICE === 0)
    console.error(`${done} of ${count} seeds, ${failures} failures`)
  if (outcome.violation === undefined) continue
  failures += 1
  console.error(`seed ${seed}: ${outcome.violation}`)
  const faulty = values.faulty ? ' --faulty' : ''
  console.error(`replay: npm run sim -- --seed ${seed} --count 1${faulty} --trace`)
  if (values.stop || failures >= 10) break
}
const seconds = Number(process.hrtime.bigint() - started) / 1e9
const summary = {
  seeds: count,
  failures,
  seconds: Number(seconds.toFixed(1)),
  seedsPerSecond: Math.round(count / seconds),
  eventsPerSecond: Math.round(events / seconds),
  blocks,
  virtualHours: Number((virtualMs / 3_600_000).toFixed(1)),
  slowestRecoveryMs,
  forkedSeeds: forks,
  haltedSeeds: halts,
}
if (values.json) console.log(JSON.stringify(summary))
else
  console.log(
    `${count} seeds in ${summary.seconds} s (${summary.seedsPerSecond}/s), ${blocks} blocks, ` +
      `${summary.virtualHours} virtual hours, slowest recovery ${slowestRecoveryMs} ms, ` +
      `${forks} forked, ${halts} halted, ${failures} failures`,
  )
process.exitCode = failures === 0 ? 0 : 1

function searchModel(views: number): number {
  const { states, transitions, violation } = checkVotingModel(views)
  console.log(`${views} views: ${states} states, ${transitions} transitions`)
  if (violation !== undefined) console.error(`two conflicting blocks are final: ${violation}`)
  return violation === undefined ? 0 : 1
}

function splitTwins(views: number): number {
  let failures = 0
  for (const twin of [0, 1, 2, 3]) {
    const plan = { views, twins: [twin] }
    const scenarios = twinsScenarioCount(plan)
    for (let number = 0; number < scenarios; number++) {
      const { violation } = runTwins(plan, number)
      if (violation === undefined) continue
      failures += 1
      console.error(`twin ${twin}, split ${number}: ${violation}`)
    }
    console.log(`validator ${twin} twinned: ${scenarios} scenarios`)
  }
  return failures === 0 ? 0 : 1
}

async function compareProfits(): Promise<number> {
  await installNativeCrypto()
  const result = simulateEconomics({
    seed: naturalNumber('seed', values.seed),
    count: naturalNumber('count', values.count ?? '1'),
    nodes: naturalNumber('nodes', values.nodes),
    days: Number(values.days),
    ...(values.q !== '1' && { rate: BigInt(Math.round(Number(values.q) * 2 ** 32)) << 32n }),
    epochs: naturalNumber('epochs', values.epochs),
    slots: naturalNumber('slots', values.slots),
    progress: (line) => console.error(line),
  })
  console.log(values.json ? jsonReport(result) : textReport(result))
  if (values.pictures !== undefined) {
    const { attacks, market } = result
    if (attacks.length > 0)
      writeFileSync(join(values.pictures, 'economics-attacks.svg'), attacksPicture(attacks))
    if (market) writeFileSync(join(values.pictures, 'economics-market.svg'), marketPicture(market))
  }
  return result.attacks.some(({ profits }) => profits) ? 1 : 0
}

function naturalNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0 && text !== '') return value
  console.error(`--${name} takes a whole number, not "${text}"`)
  process.exit(2)
}
