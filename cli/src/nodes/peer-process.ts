import { join } from 'node:path'
import type { Logger } from 'pino'
import { bytesToHex, parseHex, publicKeyOf } from '@ioex/chain/bytes'
import {
  type ChainClient,
  type PaidLinkTerms,
  type PeerNode,
  startPeerNode,
} from '@ioex/storage-node/node'
import type { StorageClient, StorageClientOptions } from '@ioex/storage-node/scheduler'
import { z } from 'zod'
import { peerHealth } from './thin-health.ts'
import type { PassphraseSource } from '../keys/passphrase.ts'
import { openOwner } from './node-owner.ts'
import { ConfigError, type NodeConfig } from './node-config.ts'
import { type RunningNode, unknownQuestion } from './running-node.ts'
import { openThinNode } from './thin-node.ts'

/** A home peer, with the client of its owner where the owner's key lies beside it. */
export async function startPeer(
  config: NodeConfig,
  logger: Logger,
  passphrase: PassphraseSource,
): Promise<RunningNode> {
  const { storage } = config
  if (!storage) throw new ConfigError(`${config.name}: a peer needs storage`)
  const { chain, genesis, nodeKey } = await openThinNode(config, logger, passphrase)
  const owner = await openOwner(config.data, genesis.chainId, publicKeyOf(nodeKey), passphrase)
  const peer = await startPeerNode({
    dataDir: config.data,
    nodeKey,
    identity: owner.identity,
    chain,
    bootstrap: config.peers,
    listen: config.listen ?? undefined,
    advertise: config.announce,
    capacityBytes: storage.capacityBytes,
    price: BigInt(storage.price),
    unitPrice: BigInt(storage.unitPrice),
    limits: { bytesPerDay: storage.bytesPerDay ?? 0, quiet: quietHours(storage.quietHours) },
    tags: { region: storage.region, asn: storage.asn },
    friends: storage.friends.map(friendKey),
    paidLinks: paidLinksOf(config, owner.ownerKey),
    logger,
  })
  if (storage.repair && !owner.ownerKey) {
    throw new ConfigError(`${config.name}: --repair needs the owner's key in the node's folder`)
  }
  const parts = { nodeKey, chain, bootstrap: config.peers, network: peer.network, logger }
  const client = ownerClient({ dataDir: join(config.data, 'client'), ...parts }, owner.ownerKey)
  const stop = new AbortController()
  if (storage.leave) {
    peer.leave().catch((error: unknown) => {
      logger.error({ reason: String(error) }, 'notice not given: start again to try once more')
    })
  }
  const repairing = storage.repair
    ? keepOwnFiles(chain, client.open, stop.signal, logger)
    : undefined
  return {
    info: { nodeKey: bytesToHex(peer.nodeKey), port: peer.port },
    ask: (question, argument) => answerPeer(peer, client.open, question, argument),
    async stop() {
      stop.abort()
      await repairing
      await client.close()
      await peer.stop()
      await chain.close()
    },
    health: peerHealth(chain, peer),
  }
}

/** The owner's client of a peer: one that only stores never loads what sending files needs. */
function ownerClient(
  parts: Omit<StorageClientOptions, 'ownerKey'>,
  ownerKey: Uint8Array | undefined,
) {
  let client: Promise<StorageClient> | undefined
  return {
    open(): Promise<StorageClient> {
      if (!ownerKey) throw new Error('this peer has no owner key: send from where the wallet is')
      client ??= import('@ioex/storage-node/scheduler').then(({ createStorageClient }) =>
        createStorageClient({ ...parts, ownerKey }),
      )
      return client
    },
    close: async () => (await client)?.close(),
  }
}

/** The owner pays for further links, so its key must lie here; checked before anything starts. */
function paidLinksOf(
  { name, storage }: NodeConfig,
  payerKey: Uint8Array | undefined,
): PaidLinkTerms | undefined {
  const { paidLinks: count = 0, linkPriceMax = '0' } = storage ?? {}
  if (count === 0) return undefined
  if (payerKey) return { count, payerKey, priceMax: BigInt(linkPriceMax) }
  throw new ConfigError(`${name}: --paid-links needs the owner's key in the node's folder`)
}

/** Repairs in every epoch what is due of the owner's contracts, until the signal. */
async function keepOwnFiles(
  chain: ChainClient,
  sender: () => Promise<StorageClient>,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  const { keepRepaired } = await import('@ioex/storage-node/repair')
  await keepRepaired({
    chain,
    signal,
    repair: async () => {
      const { contracts } = await (await sender()).repair({ always: false, signal })
      for (const { contract, repaired, failed, health } of contracts) {
        if (repaired.length + failed.length === 0) continue
        const counts = { repaired: repaired.length, failed: failed.length }
        logger.info({ contract, health, ...counts }, 'slots rebuilt')
      }
    },
    onFailure: (error) => logger.warn({ reason: String(error) }, 'repair tried again next epoch'),
  })
}

const DeliverySchema = z.strictObject({ to: z.string(), source: z.string(), name: z.string() })

async function answerPeer(
  peer: PeerNode,
  sender: () => Promise<StorageClient>,
  question: string,
  argument: unknown,
): Promise<unknown> {
  switch (question) {
    case 'status':
      return peer.status()
    case 'redeem':
      return peer.redeem()
    case 'leave':
      return peer.leave()
    case 'deliver': {
      const { to, source, name } = DeliverySchema.parse(argument)
      return (await sender()).deliver({ to: friendKey(to), source, name })
    }
    default:
      throw unknownQuestion(question)
  }
}

/** Minutes of "HH:MM-HH:MM", which the config's schema has checked. */
function quietHours(text = '00:00-00:00') {
  const [fromMinute = 0, toMinute = 0] = text.split('-').map((time) => {
    const [hours = 0, minutes = 0] = time.split(':').map(Number)
    return hours * 60 + minutes
  })
  return { fromMinute, toMinute }
}

function friendKey(text: string): Uint8Array {
  const key = parseHex(text, 33)
  if (!key.ok || key.value.length !== 33) {
    throw new ConfigError(`"${text}" is not a node key: expected 66 hex digits`)
  }
  return key.value
}
