import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'

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
      const { callRpc } = await import('../commands/rpc.ts')
      await callRpc(await contextOf(command), method, json)
    })
}
