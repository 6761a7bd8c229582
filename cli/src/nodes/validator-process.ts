import { access } from 'node:fs/promises'
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
import { ConsensusKey } from '@ioex/chain/driver'
import { FullNode, type FullNodeOptions, type JoinProgress } from '@ioex/chain/node'
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
import type { NodeConfig } from './node-config.ts'
import { ConfigError } from './node-config.ts'
import { type RunningNode, unknownQuestion } from './running-node.ts'
import { sayHalt, untilHalt } from './validator-halt.ts'
import { startValidatorRpc } from './validator-rpc.ts'

/** What the command line gives a validator besides its config. */
interface ValidatorHelp {
  readonly logger: Logger
  readonly passphrase: PassphraseSource
  readonly onJoining: ((progress: JoinProgress) => void) | undefined
}

/** A full node that votes, with its JSON-RPC server. */
export async function startValidator(
  config: NodeConfig,
  logger: Logger,
  passphrase: PassphraseSource,
  onJoining?: (progress: JoinProgress) => void,
): Promise<RunningNode> {
  const startedAtMs = Date.now()
  const help = { logger, passphrase, onJoining }
  const { node, consensusKey, halted } = await startVotingNode(config, help)
  logNetwork(node, config, logger)
  const watch = new ValidatorWatch(node.manager, consensusKey, logger)
  const sync = new SyncWatch(
    () => ({ height: node.manager.final.header.height, target: node.targetHeight }),
    logger,
  )
  sync.start()
  const ownerPath = keyPath(config.data, 'owner')
  const hasOwner = await exists(ownerPath)
  const ownerKey = hasOwner ? await readKey(ownerPath, 'owner', passphrase) : undefined
  const server = await startValidatorRpc(config, node, startedAtMs, ownerKey)
  const arbiters = await startArbiterListener(config, node, logger)
  return {
    info: { rpcUrl: server.url, addresses: node.network.addresses() },
    ask: (question) => {
      if (question !== 'status') return Promise.reject(unknownQuestion(question))
      return Promise.resolve(factsOf(node, watch))
    },
    health: validatorHealth(node, watch, sync, config.data, () => server.registry.metrics()),
    failed: halted,
    ...(config.haltEpoch !== undefined && { ended: untilHalt(node, config.haltEpoch, logger) }),
    stop: async () => {
      sync.stop()
      await arbiters?.stop()
      await server.close()
      await node.stop()
    },
  }
}

/** The full node with its keys; `halted` resolves with the reason where consensus stops for good. */
async function startVotingNode(
  config: NodeConfig,
  { logger, passphrase, onJoining }: ValidatorHelp,
): Promise<{ node: FullNode; consensusKey: ConsensusKey; halted: Promise<string> }> {
  const { listen, rpc, mainChainUrl, signing } = config
  if (!listen || !rpc || mainChainUrl === undefined) {
    throw new ConfigError(`${config.name}: a validator needs listen, rpc and mainChainUrl`)
  }
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
      watchTimeouts: signing?.watchTimeouts,
      reserveBytes: signing && signing.reserveMiB * 2 ** 20,
    },
    logger,
    haltEpoch: config.haltEpoch,
    onHalt: (reason) => halted.resolve(sayHalt(config.name, reason, logger)),
  })
  return { node, consensusKey, halted: halted.promise }
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
