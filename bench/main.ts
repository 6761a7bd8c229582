import { parseArgs } from 'node:util'
import { installNativeCrypto } from '@ioex/chain/native'
import { allBenches } from './all-benches.ts'
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
  const crypto = await installNativeCrypto()
  const measurements: Measurement[] = []
  for (const bench of allBenches) {
    if (positionals.length > 0 && !positionals.includes(bench.name)) continue
    process.stderr.write(`${bench.name}: ${bench.about}\n`)
    for await (const measurement of runBench(bench, values)) measurements.push(measurement)
  }
  const { smoke, full } = values
  const { node } = process.versions
  if (values.json) console.log(JSON.stringify({ node, crypto, smoke, full, measurements }))
  else console.log(reportText(measurements, process.stdout.isTTY))
  return 0
}

function readArguments() {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return undefined
  }
}
