import { addressOf, bytesEqual, bytesToHex, sign, signingDigest } from '@ioex/chain/bytes'
import { type Contract, NONE, SlotGrantType } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { nextHead, onceKnown } from '../node/chain-lag.ts'
import { encodePack } from '../sealing/encode-pack.ts'
import type { PackSecrets } from '../sealing/pack-secrets.ts'
import { packSource, type PackPart } from '../sealing/pack-source.ts'
import { SourceChangedError } from '../sealing/seal-errors.ts'
import { type PackGeometry, stripePlainBytes } from '../slicing/pack-geometry.ts'
import type { OpenChannel } from '../transfer/channel-opener.ts'
import { beginPutSlot, grantSlot } from '../transfer/provider-client.ts'
import { isTransferError, reasonOf } from '../transfer/transfer-error.ts'
import type { ChannelPool } from './channel-pool.ts'
import type { Candidate } from './peer-choice.ts'
import { SlotSender } from './slot-sender.ts'
import { StorageError } from './storage-interfaces.ts'

/** Blocks that a granted slot may take to be filled. */
const FILL_BLOCKS = 90
/** Passes over the pack at most: each brings slots whose peers failed to other peers. */
const PASSES_MAX = 4

export interface PackToUpload {
  readonly contract: number
  readonly salt: Uint8Array
  readonly geometry: PackGeometry
  readonly secrets: PackSecrets
  readonly sealedManifest: Uint8Array
  readonly parts: readonly PackPart[]
}

export interface UploadOptions {
  readonly chain: ChainClient
  readonly ownerKey: Uint8Array
  readonly payerKey: Uint8Array
  readonly pool: ChannelPool
  readonly logger: Logger
  /** Peers by slot; replaced in place where one fails. */
  readonly nodes: Candidate[]
  /** Peers that can step in, best first. */
  readonly spares: Candidate[]
  /** Bytes of the pack that were encoded in the first pass. */
  onBytes(bytes: number): void
  onLost(): void
  readonly signal: AbortSignal | undefined
}

/**
 * Sends a pack to its peers: encodes it once, sends every slot that is not filled yet to its peer
 * at the same time, at the pace of the slowest, and grants it. Gives the granted slots.
 */
export async function sendPack(options: UploadOptions, pack: PackToUpload): Promise<number[]> {
  options.signal?.throwIfAborted()
  const open = await openSlots(options.chain, pack)
  return open.length === 0 ? [] : sendSlots(options, pack, open, true)
}

/**
 * Waits for the fills of granted slots and brings those whose peers failed to spare peers. Throws
 * PEERS_TOO_FEW or CONTRACT_INACTIVE where the contract does not become active.
 */
export async function settlePack(
  options: UploadOptions,
  pack: PackToUpload,
  granted: readonly number[],
): Promise<void> {
  let waiting = granted
  for (let pass = 1; ; pass++) {
    await filled(options.chain, pack, waiting)
    options.signal?.throwIfAborted()
    const open = await openSlots(options.chain, pack)
    if (open.length === 0) return
    if (pass === PASSES_MAX || !replaceFailed(options, open)) {
      await assertActive(options.chain, pack)
      return
    }
    waiting = await sendSlots(options, pack, open, false)
  }
}

/** Slots that no rail pays for yet. */
async function openSlots(chain: ChainClient, pack: PackToUpload): Promise<number[]> {
  const { rails } = await contractOf(chain, pack)
  return rails.flatMap(({ rail }, slot) => (rail === NONE ? [slot] : []))
}

async function contractOf(chain: ChainClient, pack: PackToUpload): Promise<Contract> {
  const contract = await onceKnown(chain, async () => {
    const record = await chain.contract(pack.contract)
    return record?.live && bytesEqual(record.salt, pack.salt) ? record : undefined
  })
  if (contract) return contract
  const message = `contract ${pack.contract} is gone: put the files again`
  throw new StorageError('CONTRACT_INACTIVE', message)
}

/** Gives each slot that is still open to a spare peer; false if there are none left for any. */
function replaceFailed({ nodes, spares, onLost, logger }: UploadOptions, open: number[]): boolean {
  let replaced = 0
  for (const slot of open) {
    onLost()
    const spare = spares.shift()
    if (!spare) continue
    logger.info({ slot, peer: bytesToHex(spare.offer.nodeKey) }, 'slot goes to another peer')
    nodes[slot] = spare
    replaced += 1
  }
  return replaced > 0
}

async function assertActive(chain: ChainClient, pack: PackToUpload): Promise<void> {
  const { active, filled: fills, n, openEpoch } = await contractOf(chain, pack)
  if (active) return
  const { epoch } = await chain.head()
  if (epoch >= openEpoch + chain.params.fillDeadlineEpochs) {
    const late =
      `contract ${pack.contract} took no more slots: its fill deadline passed before enough ` +
      'peers had theirs. The same put opens another one; what this one locked will come back'
    throw new StorageError('CONTRACT_INACTIVE', late)
  }
  const message =
    `only ${fills} of ${n} peers took a slot of contract ${pack.contract}: ` +
    'the same put goes on when more peers are on'
  throw new StorageError('PEERS_TOO_FEW', message)
}

interface Sending {
  readonly slot: number
  readonly candidate: Candidate
  readonly channel: OpenChannel
  readonly sender: SlotSender
}

/** One pass of the encoder over the pack; gives the slots that were granted. */
async function sendSlots(
  options: UploadOptions,
  pack: PackToUpload,
  slots: readonly number[],
  isFirst: boolean,
): Promise<number[]> {
  const opened = await Promise.all(slots.map((slot) => openSending(options, pack, slot)))
  const sendings = opened.flatMap((sending) => (sending ? [sending] : []))
  try {
    if (sendings.length === 0) return []
    await encodeTo(options, pack, sendings, isFirst)
  } catch (error) {
    for (const { channel } of sendings) options.pool.discard(channel)
    if (!(error instanceof SourceChangedError)) throw error
    throw new StorageError('FILE_CHANGED', error.message, error)
  }
  const granted = await Promise.all(sendings.map((sending) => grant(options, pack, sending)))
  return granted.flatMap((slot) => (slot === undefined ? [] : [slot]))
}

async function openSending(
  options: UploadOptions,
  pack: PackToUpload,
  slot: number,
): Promise<Sending | undefined> {
  const candidate = options.nodes[slot]
  if (!candidate) return undefined
  const { contract, salt, geometry } = pack
  let channel: OpenChannel | undefined
  try {
    channel = await options.pool.acquire(candidate.offer, geometry.slotBytes * 1.03)
    const request = { contract, salt, slot, leaves: geometry.leafCount }
    const sender = new SlotSender(await beginPutSlot(channel.channel, request))
    return { slot, candidate, channel, sender }
  } catch (error) {
    if (channel) options.pool.discard(channel)
    options.logger.warn({ slot, reason: reasonOf(error) }, 'peer does not take the slot')
    return undefined
  }
}

async function encodeTo(
  options: UploadOptions,
  pack: PackToUpload,
  sendings: readonly Sending[],
  isFirst: boolean,
): Promise<void> {
  const source = packSource(pack.sealedManifest, pack.parts)
  for await (const { stripe, cells } of encodePack(pack.geometry, pack.secrets, source)) {
    options.signal?.throwIfAborted()
    for (const { slot, sender } of sendings) sender.push(cells[slot] as Uint8Array)
    await Promise.all(sendings.map(({ sender }) => sender.room()))
    if (sendings.every(({ sender }) => sender.failure)) return
    if (isFirst) options.onBytes(stripePlainBytes(pack.geometry, stripe))
  }
}

/** Ends the slot and signs its SlotGrant; the peer answers when its fill is on the way. */
async function grant(
  { chain, ownerKey, payerKey, pool, logger }: UploadOptions,
  pack: PackToUpload,
  { slot, candidate, channel, sender }: Sending,
): Promise<number | undefined> {
  try {
    const root = await sender.finish()
    const { price, unitPrice, nodeKey } = candidate.offer
    const slotGrant = {
      contract: pack.contract,
      salt: pack.salt,
      slot,
      refill: 0,
      root,
      leaves: pack.geometry.leafCount,
      node: addressOf(nodeKey),
      price,
      unitPrice,
    }
    const hash = SlotGrantType.hashTreeRoot(slotGrant)
    const signature = sign(signingDigest('slot-grant', chain.chainId, hash), ownerKey)
    await grantSlot(channel.channel, { grant: slotGrant, payerKey, signature })
    pool.release(candidate.offer, channel)
    return slot
  } catch (error) {
    pool.discard(channel)
    // The chain has it already: another full node was asked a moment ago.
    if (isTransferError(error) && error.refusal === 'SLOT_TAKEN') return slot
    logger.warn({ slot, reason: reasonOf(error) }, 'slot not stored')
    return undefined
  }
}

/** Waits until the granted slots have their rails, or long enough. */
async function filled(
  chain: ChainClient,
  pack: PackToUpload,
  slots: readonly number[],
): Promise<void> {
  if (slots.length === 0) return
  const { height: start } = await chain.head()
  for (;;) {
    const { rails } = await contractOf(chain, pack)
    if (slots.every((slot) => rails[slot]?.rail !== NONE)) return
    if ((await chain.head()).height > start + FILL_BLOCKS) return
    await nextHead(chain)
  }
}
