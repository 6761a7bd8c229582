import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { type Blow, BLOWS, runChaos } from './chaos-run.ts'
import { runSideBySide } from './side-by-side.ts'
import { namespacesRefusal, spawnInNamespaces } from './namespaces.ts'

const { values } = parseArgs({
  options: {
    validators: { type: 'string', default: '7' },
    minutes: { type: 'string', default: '10' },
    every: { type: 'string', default: '10' },
    hurt: { type: 'string' },
    blows: { type: 'string', default: BLOWS.join(',') },
    networks: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    // Given by this program to itself: it runs in namespaces of its own.
    inside: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`Usage: npm run chaos -- [--validators N] [--minutes M] [--every S] [--hurt K] [--seed N]
                      [--blows kill,pause,flip,cut] [--networks C] [--json]
Runs N real validator processes for M minutes; every S seconds K of them (default: as many as the
protocol bears) are killed with -9, paused, cut off from all others, or killed and started with a
byte flipped in one of their files, at random, or what --blows lists of that. Exits 1 if anything
final was lost, two nodes differ or somebody signed twice. Nothing but a folder in the temporary
directory and, for cuts, namespaces of its own are used; where these are not permitted it says so
and cuts nobody off. With --networks, C of them run side by side, with seeds N, N + 1, ...

Examples:
  npm run chaos -- --minutes 1
  npm run chaos -- --networks 2 --hurt 2 --blows kill --minutes 10`)
  process.exit(0)
}

const seed = positive('seed', values.seed)
const networks = positive('networks', values.networks)
if (networks > 1) process.exit(await runSideBySide(process.argv.slice(2), seed, networks))

const refusal = values.inside ? undefined : namespacesRefusal()
if (refusal !== undefined) console.error(`${refusal}: nobody is cut off`)
else if (!values.inside) {
  const args = [...process.argv.slice(2), '--inside']
  const child = spawnInNamespaces('main.ts', args, 'inherit')
  // A Ctrl-C reaches it too: what it started ends first.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const [code] = (await once(child, 'close')) as [number | null]
  process.exit(code ?? 1)
}

const validators = positive('validators', values.validators)
const bearable = Math.floor((validators - 1) / 3)
const report = await runChaos({
  validators,
  durationMs: positive('minutes', values.minutes) * 60_000,
  everyMs: positive('every', values.every) * 1000,
  hurt: values.hurt === undefined ? bearable : positive('hurt', values.hurt),
  seed,
  blows: blowsOf(values.blows),
  cuts: values.inside,
  log: (line) => console.error(line),
})
const { kills, pauses, cuts, flips, refused, blocks, falsehoods } = report
const { longestStandstillMs, worstAnchorLag } = report
if (values.json) console.log(JSON.stringify(report))
else {
  console.log(
    `${validators} validators, ${kills} kills, ${pauses} pauses, ${cuts} cuts, ${flips} flipped bytes ` +
      `(${refused} starts refused), ${blocks} blocks, ` +
      `longest standstill ${longestStandstillMs} ms, worst anchor lag ${worstAnchorLag} epochs, ` +
      `${falsehoods.length} falsehoods`,
  )
}
for (const falsehood of falsehoods) console.error(falsehood)
process.exitCode = falsehoods.length === 0 ? 0 : 1

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  console.error(`--${name} takes a number above 0, not "${text}"`)
  process.exit(2)
}

function blowsOf(list: string): Blow[] {
  return list.split(',').map((name) => {
    const blow = BLOWS.find((each) => each === name)
    if (blow) return blow
    console.error(`--blows lists some of ${BLOWS.join(', ')}, not "${name}"`)
    process.exit(2)
  })
}
