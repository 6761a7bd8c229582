import { addressOf, bytesEqual, bytesToHex, LEAF_BYTES, slotBlockCount } from '@ioex/chain/bytes'
import type { ChainHead } from '@ioex/chain/light'
import { coveredBytes } from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import { type ClaimSlot, type Contract, type Node, NONE, PayloadKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { SlotStore } from '../blobs/slot-store.ts'
import { addressesOf, type Offer } from '../relay/offer.ts'
import { isAdmitted, lotterySlot, type LotterySlot } from '../repair/claimable-slots.ts'
import { openDirectChannel } from '../transfer/channel-opener.ts'
import { fetchClaimBlocks } from '../transfer/fetch-blocks.ts'
import type { ChannelIdentity, SecureChannel } from '../transfer/secure-channel.ts'
import { reasonOf, TransferError } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'
import { EpochTurn } from './epoch-turn.ts'
import { fillOpenings } from './fill-openings.ts'
import type { NodeAccount } from './node-account.ts'
import { currentNode } from './proving.ts'

/** Slots that are claimed in one epoch at most: others shall have their part. */
const CLAIMS_PER_EPOCH_MAX = 2

export interface SlotClaimerOptions {
  readonly chain: ChainClient
  readonly store: SlotStore
  readonly account: NodeAccount
  readonly identity: ChannelIdentity
  /** What the node asks: it takes no slot whose rail paid less. */
  readonly price: bigint
  readonly unitPrice: bigint
  /** Free bytes that the node offers now; 0 while it rests or leaves. */
  offeredBytes(): number
  /** Offers of all nodes, to find who stored a slot. */
  offers(): Promise<readonly Offer[]>
  /** Called when a claim is final. */
  onClaimed(): void
  readonly logger: Logger
}

/**
 * Takes part in the lottery of last resort (PROTOCOL 5.2): once an epoch it looks for slots that
 * nobody refilled in time, asks the rules whether it is drawn and able, gets the masked bytes from
 * the node that stored them, and claims the slot. Without mask keys nobody can rebuild a slot, so
 * one whose last node is gone with its bytes stays open for payer and delegate alone.
 */
export class SlotClaimer {
  readonly #options: SlotClaimerOptions
  readonly counters = { claimed: 0, failed: 0 }
  readonly #turn: EpochTurn

  constructor(options: SlotClaimerOptions) {
    this.#options = options
    this.#turn = new EpochTurn(options.account.address)
  }

  async onHead(head: ChainHead): Promise<void> {
    const { chain, account, offeredBytes } = this.#options
    if (offeredBytes() === 0 || !this.#turn.take(head, chain.params.epochBlocks)) return
    const found = await chain.node(account.address)
    if (!found || found.record.held === 0n) return
    const { node } = await currentNode(chain, found.record, head.epoch)
    if (node.evicted) return
    await this.#claimSome({ index: found.index, record: node }, head.epoch)
  }

  async #claimSome(own: Indexed<Readonly<Node>>, epoch: number): Promise<void> {
    let left = CLAIMS_PER_EPOCH_MAX
    for (const contract of await this.#options.chain.contractsWithOpenSlots()) {
      await this.#sayEvicted(contract, epoch)
      for (let slot = 0; slot < contract.record.n && left > 0; slot++) {
        const lost = await this.#claimable(contract, slot, own, epoch)
        if (!lost) continue
        left -= 1
        if (await this.#tryClaim(lost)) break
      }
    }
  }

  /**
   * The lottery's time runs from the block that says that a node is evicted, and a node that is gone
   * may never be touched again: so whoever waits for its slots says it, free and once per node.
   */
  async #sayEvicted({ record }: Indexed<Contract>, epoch: number): Promise<void> {
    const { chain, account, logger } = this.#options
    for (const { rail: index } of record.rails) {
      const rail = index === NONE ? undefined : await chain.rail(index)
      const stored = rail && (await chain.nodeAt(rail.node))
      if (!stored || stored.evicted) continue
      if (!(await currentNode(chain, stored, epoch)).node.evicted) continue
      const value = { node: addressOf(stored.nodeKey) }
      try {
        const evict = { selector: PayloadKind.evict, value } as const
        const { final } = await account.send(PayloadKind.evict, () => Promise.resolve(evict))
        await final
        logger.info({ node: bytesToHex(value.node) }, 'eviction said')
      } catch (error) {
        // Another one may have said it first.
        logger.debug({ reason: reasonOf(error) }, 'eviction not said')
      }
    }
  }

  /** The slot, if this node is able to take it, wants to, and is drawn. */
  async #claimable(
    contract: Indexed<Contract>,
    slot: number,
    own: Indexed<Readonly<Node>>,
    epoch: number,
  ): Promise<LotterySlot | undefined> {
    const { chain, account, price, unitPrice, offeredBytes } = this.#options
    const lost = await lotterySlot(chain, contract, slot, epoch)
    if (!lost || own.record.registered > lost.vacancy.since) return undefined
    const { former } = lost
    const bytes = former.leaves * LEAF_BYTES
    const fits = bytes <= offeredBytes() && former.price >= price && former.unitPrice >= unitPrice
    const covered = coveredBytes(chain.params, own.record, former.unitPrice)
    if (!fits || BigInt(own.record.inventoryBytes) + BigInt(bytes) > covered) return undefined
    if (await this.#isIn(contract.record, own.index)) return undefined
    return (await isAdmitted(chain, lost, account.address, epoch)) ? lost : undefined
  }

  /** A node has one slot of a contract at most, and does not take back one that it gave up. */
  async #isIn({ rails }: Contract, own: number): Promise<boolean> {
    for (const { rail } of rails) {
      if (rail !== NONE && (await this.#options.chain.rail(rail))?.node === own) return true
    }
    return false
  }

  async #tryClaim(lost: LotterySlot): Promise<boolean> {
    const { logger } = this.#options
    const { contract, slot } = lost
    try {
      await this.#fetch(lost)
      await this.#claim(lost)
      this.counters.claimed += 1
      logger.info({ contract, slot }, 'slot claimed')
      this.#options.onClaimed()
      return true
    } catch (error) {
      this.counters.failed += 1
      logger.info({ contract, slot, reason: reasonOf(error) }, 'slot not claimed')
      return false
    }
  }

  /** The slot's bytes, from where an earlier attempt stopped; only under its root they stay. */
  async #fetch(lost: LotterySlot): Promise<void> {
    const { store, chain } = this.#options
    const { contract, slot, record, former } = lost
    const name = { contract, salt: record.salt, slot }
    const known = store.find(name)
    if (known && bytesEqual(known.root, former.root)) return
    if (known) await store.delete(name)
    const receiver = await store.receive(name, former.leaves)
    try {
      const from = slotBlockCount(receiver.receivedBytes / LEAF_BYTES)
      await this.#read(lost, from, (bytes) => receiver.write(bytes))
      const { root } = await receiver.finish((await chain.head()).epoch)
      if (bytesEqual(root, former.root)) return
    } finally {
      await receiver.suspend()
    }
    // A part that a former attempt left was of other bytes.
    await store.delete(name)
    throw new TransferError('SLOT_CORRUPT', 'what was fetched is not the slot of this root')
  }

  async #read(
    { contract, slot, record, former, formerNode, refill }: LotterySlot,
    from: number,
    write: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const to = slotBlockCount(former.leaves)
    if (from >= to) return
    const channel = await this.#reach(formerNode.nodeKey)
    const { salt } = record
    const { root, leaves } = former
    const request = { contract, salt, slot, from, to, refill: refill - 1, root, leaves }
    try {
      for await (const { bytes } of fetchClaimBlocks(channel, request)) await write(bytes)
    } finally {
      await channel.frames.close().catch(() => {})
    }
  }

  /** The node that stored the slot, where it can be dialled: nobody pays a relay for this. */
  async #reach(nodeKey: Uint8Array): Promise<SecureChannel> {
    const { identity, offers } = this.#options
    const offer = (await offers()).find((one) => bytesEqual(one.nodeKey, nodeKey))
    const failures: string[] = []
    for (const address of offer ? addressesOf(offer) : []) {
      try {
        return (await openDirectChannel(identity, nodeKey, address)).channel
      } catch (error) {
        failures.push(reasonOf(error))
      }
    }
    const why = failures.join('; ') || 'it has no offer with an address'
    const name = bytesToHex(addressOf(nodeKey)).slice(0, 12)
    throw new TransferError('PEER_UNREACHABLE', `node ${name}, which had the slot: ${why}`)
  }

  async #claim({ contract, slot, record, former, refill }: LotterySlot): Promise<void> {
    const { chain, store, account } = this.#options
    const { root, leaves } = former
    const { final } = await account.send(PayloadKind.claimSlot, async () => {
      const place = { contract, salt: record.salt, slot, root, leaves }
      const openings = await fillOpenings(chain, store, place)
      const { generation } = record
      const value: ClaimSlot = { contract, generation, slot, refill, openings }
      return { selector: PayloadKind.claimSlot, value }
    })
    await final
  }
}
