import { createRpcClient } from '@ioex/rpc/client'
import type { CommandContext } from '../command-context.ts'
import { readDevnet, rpcUrlsOf } from '../devnet/devnet-files.ts'
import { CommandError } from '../output/failure.ts'

/** Shows the nodes of the folder's network and how far its chain is. */
export async function devnetStatus({ settings, output }: CommandContext): Promise<void> {
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
