import type { Command } from 'commander'
import { createRpcClient } from '@ioex/rpc/client'
import { type CommandContext, contextOf } from '../command-context.ts'
import { readDevnet, rpcUrlsOf } from '../devnet/devnet-files.ts'
import { addDevnetFlags, type DevnetFlags } from '../devnet/devnet-flags.ts'
import { interruption } from '../interruption.ts'
import { CommandError } from '../output/failure.ts'

const EXAMPLES = `
Everything lies under the data folder and listens on loopback only. Ctrl-C stops the network; the
same command starts it again where it was.

Examples:
  $ ioex devnet
  $ ioex devnet --peers 12 --data /tmp/net --port-base 0
  $ ioex devnet --reset            forget the network and its files, keep the wallet
  $ ioex devnet status --json
`
/** devnet [status]: a whole local network in the foreground. */
export function registerDevnet(program: Command): void {
  const devnet = addDevnetFlags(
    program
      .command('devnet')
      .description('run a whole local network')
      .addHelpText('after', EXAMPLES),
  ).action(async (flags: DevnetFlags, command: Command) => {
    const context = await contextOf(command)
    const { showNetwork, startDevnet, stopDevnet } = await import('../devnet/devnet-session.ts')
    const stop = interruption()
    const network = await startDevnet(context, flags, stop)
    showNetwork(context, network)
    await stop
    await stopDevnet(context, network)
  })
  devnet
    .command('status')
    .description("show the network's nodes and how far its chain is")
    .action(async (_options, command: Command) => showStatus(await contextOf(command)))
}

async function showStatus({ settings, output }: CommandContext): Promise<void> {
  const record = await readDevnet(settings.data)
  if (!record) {
    throw new CommandError('NETWORK_MISSING', `${settings.data} holds no network: "ioex devnet"`)
  }
  const nodes = await Promise.all(
    record.nodes.map(async (node) => {
      const [url] = rpcUrlsOf({ ...record, nodes: [node] })
      const status = url === undefined ? undefined : await statusAt(url)
      return { ...node, rpc: url ?? null, height: status?.height ?? null }
    }),
  )
  output.result({ ...record, nodes }, () =>
    output.table(
      [{ head: 'node' }, { head: 'JSON-RPC' }, { head: 'p2p' }, { head: 'height', align: 'right' }],
      nodes.map(({ name, rpc, p2pPort, height }) => [
        name,
        rpc ?? '-',
        p2pPort === undefined ? 'not dialable' : String(p2pPort),
        rpc === null ? '-' : (height?.toString() ?? 'not running'),
      ]),
    ),
  )
}

async function statusAt(url: string) {
  try {
    return await createRpcClient({ url, timeoutMs: 2000 }).call('chain_getStatus', {})
  } catch {
    return undefined
  }
}
