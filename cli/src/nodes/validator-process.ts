import { access, readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { bytesToHex } from '@ioex/chain/bytes'
import {
  asInternalHash,
  crossChainProgramHash,
  formatElaAddress,
  toDisplayHash,
} from '@ioex/chain/elastos'
import { ConsensusKey, type HaltReason } from '@ioex/chain/driver'
import { checkpointHeight } from '@ioex/chain/params'
import { FullNode, type FullNodeOptions, type JoinProgress } from '@ioex/chain/node'
import { type RpcServer, startRpcServer } from '@ioex/rpc/server'
import { consensusSuccession } from '../operate/consensus-succession.ts'
import { SyncWatch } from '../operate/sync-progress.ts'
import { ValidatorWatch } from '../operate/validator-watch.ts'
import { factsOf, validatorHealth } from './validator-health.ts'
import { startArbiterListener } from './arbiter-listener.ts'
import { readGenesis } from './genesis-of.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { keyPath } from '../operate/node-keys.ts'
import type { NodeKeyKind } from '../keys/plain-key.ts'
import { readKey } from './key-file.ts'
import { readMainArbiters } from './main-arbiters-file.ts'
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
  onJoining?: (progress: JoinProgress) => void,
): Promise<RunningNode> {
  const { listen, rpc, mainChainUrl } = config
  if (!listen || !rpc || mainChainUrl === undefined) {
    throw new ConfigError(`${config.name}: a validator needs listen, rpc and mainChainUrl`)
  }
  const startedAtMs = Date.now()
  const halted = Promise.withResolvers<string>()
  const key = (kind: NodeKeyKind) => readKey(keyPath(config.data, kind), kind, passphrase)
  const consensusKey = new ConsensusKey(
    await key('consensus'),
    consensusSuccession(config.data, passphrase, logger),
  )
  const node = await FullNode.start({
    genesis: await readGenesis(config.genesis, config.forks),
    folder: config.data,
    nodeKey: await key('node'),
    listen: [multiaddrOf(listen)],
    announce: config.announce,
    peers: config.peers,
    ...(await trustedSources(config, mainChainUrl)),
    sync: config.sync,
    onJoining,
    openings: config.openings,
    validator: {
      consensusKey,
      mainKey: await key('main-chain'),
      newValidator:
        config.newValidator ?? ((await exists(join(config.data, 'chain'))) ? false : 'ifNotBehind'),
      watchTimeouts: config.signing?.watchTimeouts,
      reserveBytes: config.signing && config.signing.reserveMiB * 2 ** 20,
    },
    logger,
    haltEpoch: config.haltEpoch,
    onHalt: (reason) => halted.resolve(sayHalt(config.name, reason, logger)),
  })
  logNetwork(node, config, logger)
  const watch = new ValidatorWatch(node.manager, consensusKey, logger)
  const sync = new SyncWatch(
    () => ({ height: node.manager.final.header.height, target: node.targetHeight }),
    logger,
  )
  sync.start()
  const hasOwner = await exists(keyPath(config.data, 'owner'))
  const ownerKey = hasOwner ? await key('owner') : undefined
  const server = await startRpc(config, node, startedAtMs, ownerKey)
  const arbiters = await startArbiterListener(config, node, logger)
  return {
    info: { rpcUrl: server.url, addresses: node.network.addresses() },
    ask: (question) => {
      if (question !== 'status') return Promise.reject(unknownQuestion(question))
      return Promise.resolve(factsOf(node, watch))
    },
    health: validatorHealth(node, watch, sync, config.data, () => server.registry.metrics()),
    failed: halted.promise,
    ...(config.haltEpoch !== undefined && { ended: untilHalt(node, config.haltEpoch, logger) }),
    stop: async () => {
      sync.stop()
      await arbiters?.stop()
      await server.close()
      await node.stop()
    },
  }
}

/** Ends the process, but for a fork: what shows it has left, and the rest is stopped in order. */
function sayHalt(name: string, { code, message }: HaltReason, logger: Logger): string {
  const reason = `${code}: ${message}`
  logger.fatal({ reason }, 'consensus halted')
  console.error(`${name} stops: ${reason}`)
  if (code !== 'FORK_PROOF') process.exit(1)
  return reason
}

function operatorTrustOf({
  trustedCheckpoint: text,
}: NodeConfig): FullNodeOptions['operatorTrust'] {
  if (text === undefined || text === 'any') return text
  const [epoch, hash] = text.split(':') as [string, string]
  return { epoch: Number(epoch), hash }
}

/** What a node believes besides genesis: its main chain, and its operator. */
async function trustedSources(config: NodeConfig, mainChainUrl: string) {
  const mainConfirms = await readMainArbiters(config)
  const operatorTrust = operatorTrustOf(config)
  return {
    mainChainUrl,
    mainChainOtherUrls: config.mainChainOtherUrls,
    mainConfirms,
    operatorTrust,
  }
}

/** The network in every form that somebody may have to compare it with. */
function logNetwork({ manager }: FullNode, { arbiter }: NodeConfig, logger: Logger): void {
  const chainId = asInternalHash(manager.chainId)
  logger.info(
    {
      chainId: bytesToHex(chainId),
      genesisHash: toDisplayHash(chainId),
      depositAddress: formatElaAddress(crossChainProgramHash(chainId)),
      ...(arbiter && { powChain: arbiter.powChain }),
    },
    'network',
  )
}

/** Blocks' worth of time for which a halted node still tells others how the epoch ended. */
const HALT_SKIPS = 4

/** Resolves some time after the last block of the epoch is final. */
async function untilHalt(node: FullNode, epoch: number, logger: Logger): Promise<string> {
  const { manager } = node
  const last = checkpointHeight(manager.params, epoch)
  await new Promise<void>((resolve) => {
    const check = (height: number) => {
      if (height >= last) resolve()
    }
    manager.onFinal(({ header }) => check(header.height))
    check(manager.final.header.height)
  })
  logger.info({ epoch, height: last }, 'halt epoch reached: no vote after it')
  await setTimeout(HALT_SKIPS * manager.ledger.params.skipTimeoutMs)
  return `block ${last}, the last of epoch ${epoch}, is final: halted as asked (--halt-epoch)`
}

async function startRpc(
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

function multiaddrOf({ host, port }: { host: string; port: number }): string {
  return `/${isIP(host) === 6 ? 'ip6' : 'ip4'}/${host}/tcp/${port}`
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
