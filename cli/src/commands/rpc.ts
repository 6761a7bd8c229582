import type { Command } from 'commander'
import { contextOf } from '../command-context.ts'
import { usageError } from '../output/failure.ts'
import { jsonText } from '../output/json-text.ts'

const EXAMPLES = `
Examples:
  $ ioex rpc chain_getStatus
  $ ioex rpc chain_getBlock '{"height": 12, "full": true}'
  $ ioex rpc rpc.discover --json | jq '.methods[].name'
`

/** rpc METHOD [JSON]: calls any method of the node and prints what it answers. */
export function registerRpc(program: Command): void {
  program
    .command('rpc')
    .description('call a JSON-RPC method of the node')
    .argument('<method>', 'e.g. chain_getStatus; rpc.discover lists them')
    .argument('[json]', 'parameters by name, as a JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (method: string, json: string | undefined, _options, command: Command) => {
      const context = await contextOf(command)
      const params = readParams(json)
      const result = await (await context.client()).callUnchecked(method, params)
      context.output.result(result, () => jsonText(result, 2))
    })
}

function readParams(json: string | undefined): object {
  if (json === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw usageError(`the parameters are not JSON: quote them, e.g. '{"height": 12}'`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usageError(`give parameters by name, as a JSON object, e.g. '{"height": 12}'`)
  }
  return value
}
