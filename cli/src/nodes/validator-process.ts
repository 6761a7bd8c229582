import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { FullNode } from '@ioex/chain/node'
import { type RpcServer, startRpcServer } from '@ioex/rpc/server'
import { readGenesis } from './genesis-of.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { keyPath } from '../operate/node-keys.ts'
import { type NodeKeyKind, readKey } from './key-file.ts'
import { createManagerSource } from './manager-source.ts'
import type { NodeConfig } from './node-config.ts'
import { ConfigError } from './node-config.ts'
import { type RunningNode, unknownQuestion } from './running-node.ts'
import { VERSION } from '../version.ts'

/** A full node that votes, with its JSON-RPC server. */
export async function startValidator(
  config: NodeConfig,
  logger: Logger,
  passphrase: PassphraseSource,
): Promise<RunningNode> {
  const { listen, rpc, mainChainUrl } = config
  if (!listen || !rpc || mainChainUrl === undefined) {
    throw new ConfigError(`${config.name}: a validator needs listen, rpc and mainChainUrl`)
  }
  const startedAtMs = Date.now()
  const key = (kind: NodeKeyKind) => readKey(keyPath(config.data, kind), kind, passphrase)
  const node = await FullNode.start({
    genesis: await readGenesis(config.genesis),
    folder: config.data,
    nodeKey: await key('node'),
    listen: [`/ip4/${listen.host}/tcp/${listen.port}`],
    peers: config.peers,
    mainChainUrl,
    validator: {
      consensusKey: await key('consensus'),
      mainKey: await key('main-chain'),
      newValidator: !(await exists(join(config.data, 'chain'))),
    },
    logger,
    onHalt: (reason) => {
      logger.fatal({ reason }, 'consensus halted')
      process.exit(1)
    },
  })
  const server = await startRpc(config, node, startedAtMs)
  return {
    info: { rpcUrl: server.url, addresses: node.network.addresses() },
    ask: (question) => {
      if (question !== 'status') return Promise.reject(unknownQuestion(question))
      const { header, hash } = node.manager.final
      return Promise.resolve({
        height: header.height,
        epoch: header.epoch,
        hash,
        view: node.consensus()?.view,
        peers: node.network.peers().length,
        waiting: node.pool.size,
      })
    },
    stop: async () => {
      await server.close()
      await node.stop()
    },
  }
}

async function startRpc(
  config: NodeConfig,
  node: FullNode,
  startedAtMs: number,
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
    }),
    host: rpc.host,
    port: rpc.port,
    tokenFile: config.tokenFile ?? join(config.data, 'rpc-token'),
    processMetrics: true,
  })
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
