import { fullDisk } from './disk-scenario.ts'
import { evenSplit, minorityCut } from './cut-scenarios.ts'

/** Runs one scenario inside namespaces of its own and tells its report on stdout. */
const SCENARIOS = { minorityCut, evenSplit, fullDisk } as const
export type ScenarioName = keyof typeof SCENARIOS

const [name = ''] = process.argv.slice(2)
const scenario = SCENARIOS[name as ScenarioName]
if (scenario === undefined) {
  console.error(`usage: scenario-main ${Object.keys(SCENARIOS).join(' | ')}`)
  process.exit(2)
}
console.log(JSON.stringify(await scenario()))
