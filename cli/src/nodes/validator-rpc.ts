import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asInternalHash } from '@ioex/chain/elastos'
import type { FullNode } from '@ioex/chain/node'
import { type RpcServer, startRpcServer } from '@ioex/rpc/server'
import { VERSION } from '../version.ts'
import { createManagerSource } from './manager-source.ts'
import { ConfigError, type NodeConfig } from './node-config.ts'

/** Serves a validator's JSON-RPC: its chain, its pool and its place in the network. */
export async function startValidatorRpc(
  config: NodeConfig,
  node: FullNode,
  startedAtMs: number,
  ownerKey: Uint8Array | undefined,
): Promise<RpcServer> {
  const { rpc } = config
  if (!rpc) throw new ConfigError(`${config.name}: no rpc listener`)
  return startRpcServer({
    ledger: createManagerSource({
      manager: node.manager,
      pool: node.pool,
      network: node.network,
      genesis: await readFile(config.genesis, 'utf8'),
      info: {
        version: VERSION,
        roles: [config.role],
        peerId: node.network.peerId,
        addresses: node.network.addresses(),
        startedAtMs,
      },
      targetHeight: () => node.targetHeight,
      submit: (transaction) => node.submit(transaction),
      waitingDeposit: (id) => {
        const found = node.follower.depositOf(asInternalHash(id))
        return found && { mainHeight: found.height }
      },
    }),
    ...(ownerKey && { ownerKey }),
    host: rpc.host,
    port: rpc.port,
    allowRemote: rpc.isPublic ?? false,
    allowedHosts: rpc.allowedHosts ?? [],
    allowedOrigins: rpc.allowedOrigins ?? [],
    tokenFile: config.tokenFile ?? join(config.data, 'rpc-token'),
    processMetrics: true,
  })
}
