import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { installNativeCrypto, type NativeCrypto } from '@ioex/chain/native'
import { allBenches } from './all-benches.ts'
import type { Bench, Scale, Unmeasured } from './comparison.ts'
import { type Measurement, runBench } from './measure.ts'
import { reportText } from './report.ts'

const usage = `Usage: npm run bench [-- NAME...] [--json] [--smoke] [--full]
Measures our code against a limit or a peer in the same run. Rates count processor time.
${allBenches.map(({ name, about }) => `  ${name.padEnd(13)} ${about}`).join('\n')}
  --json   one JSON object as the last line
  --smoke  tiny sizes: shows that the benchmarks run, measures nothing
  --full   the largest sizes, minutes long`

const options = {
  json: { type: 'boolean', default: false },
  smoke: { type: 'boolean', default: false },
  full: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

type Measured = Measurement | Unmeasured

interface Report extends Scale {
  /** Version of Node. */
  readonly node: string
  readonly crypto: NativeCrypto
  readonly measurements: readonly Measured[]
}

process.exitCode = await run()

async function run(): Promise<number> {
  const asked = readArguments()
  if (asked === undefined) return 2
  const { values, positionals } = asked
  if (values.help) {
    console.log(usage)
    return 0
  }
  const unknown = positionals.find((name) => !allBenches.some((bench) => bench.name === name))
  if (unknown !== undefined) {
    console.error(`there is no benchmark "${unknown}"\n${usage}`)
    return 2
  }
  const chosen = allBenches.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  )
  const [only] = chosen
  const measurements =
    only && chosen.length === 1 ? await runHere(only, values) : runApart(chosen, values)
  if (measurements === undefined) return 1
  if (values.json) {
    const { smoke, full } = values
    const crypto = await installNativeCrypto()
    const report: Report = { node: process.versions.node, crypto, smoke, full, measurements }
    console.log(JSON.stringify(report))
  } else {
    console.log(reportText(measurements, process.stdout.isTTY))
  }
  return 0
}

async function runHere(bench: Bench, scale: Scale): Promise<Measured[]> {
  process.stderr.write(`${bench.name}: ${bench.about}\n`)
  await installNativeCrypto()
  const measurements: Measured[] = []
  for await (const measurement of runBench(bench, scale)) measurements.push(measurement)
  return measurements
}

/** Each in a process of its own: what one leaves in heap and compiler would slow the next. */
function runApart(benches: readonly Bench[], scale: Scale): Measured[] | undefined {
  const flags = (['smoke', 'full'] as const).filter((flag) => scale[flag])
  const measurements: Measured[] = []
  for (const { name } of benches) {
    const args = [import.meta.filename, name, '--json', ...flags.map((flag) => `--${flag}`)]
    const { status, stdout } = spawnSync(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    })
    if (status !== 0) {
      console.error(`benchmark "${name}" failed`)
      return undefined
    }
    measurements.push(...(JSON.parse(stdout) as Report).measurements)
  }
  return measurements
}

function readArguments() {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return undefined
  }
}
