import { byteFee, repairShares } from '@ioex/chain/rules'
import { type Contract, KIB_PER_GIB, NONE } from '@ioex/chain/types'
import type { Logger } from 'pino'
import { nextHead } from '../node/chain-lag.ts'
import { feedOver, openSlotFeed, type SlotReading } from '../scheduler/slot-feed.ts'
import { fetchRepairBlocks } from '../transfer/fetch-blocks.ts'
import { RepairPayer } from '../transfer/repair-payer.ts'
import { isTransferError, reasonOf, TransferError } from '../transfer/transfer-error.ts'

/** Blocks that the serving peers may take to redeem before the slot is refilled. */
const REDEEM_BLOCKS = 30
/** Serialized bytes of a redeemRepair with one voucher, at most. */
const REDEEM_BYTES = 450

/** The open slot that a reading is charged to. */
export interface Charge {
  readonly slot: number
  /** How many times it was refilled so far. */
  readonly refill: number
}

export interface PotReadingOptions {
  /** Secret of the delegate's key: signs the vouchers that the pot pays. */
  readonly delegateKey: Uint8Array
  /** The contract's payer reads at its rails' cost what the pot does not pay. */
  readonly isPayer: boolean
  readonly logger: Logger
}

/**
 * Reads slots at the cost of a contract's pot (PROTOCOL 7). One for each run: `openFeed` opens a
 * slot, `redeemed` waits until those who served are paid, since their vouchers are worth nothing
 * once the slot is refilled.
 */
export class PotReading {
  readonly #options: PotReadingOptions
  readonly #contract: number
  readonly #record: Contract
  readonly #charge: Charge
  readonly #payers = new Map<number, RepairPayer>()

  constructor(
    options: PotReadingOptions,
    of: { readonly contract: number; readonly record: Contract; readonly charge: Charge },
  ) {
    this.#options = options
    this.#contract = of.contract
    this.#record = of.record
    this.#charge = of.charge
  }

  readonly openFeed: typeof openSlotFeed = async (reading, slots, slot, range) => {
    try {
      return await this.#open(reading, slot, range)
    } catch (error) {
      if (!this.#options.isPayer || !isTransferError(error)) throw error
      this.#options.logger.debug({ slot, reason: reasonOf(error) }, 'not read at the pot’s cost')
      return openSlotFeed(reading, slots, slot, range)
    }
  }

  async #open(reading: SlotReading, slot: number, range: { from: number; to: number }) {
    const place = this.#record.rails[slot]
    const rail = place && place.rail !== NONE ? await reading.chain.rail(place.rail) : undefined
    const node = rail?.live ? await reading.chain.nodeAt(rail.node) : undefined
    if (!place || !rail || !node) {
      throw new TransferError('PEER_UNREACHABLE', `slot ${slot} has no rail`)
    }
    const offer = await reading.offers.of(node.nodeKey)
    const channel = await reading.pool.acquire(offer, (range.to - range.from) * 66_000)
    const { salt, generation } = this.#record
    const { slot: lost, refill } = this.#charge
    const request = {
      rail: place.rail,
      generation: rail.generation,
      contract: this.#contract,
      salt,
      slot,
      ...range,
      lost,
      refill,
      root: place.root,
      leaves: rail.leaves,
    }
    const paid = { contract: this.#contract, generation, slot: lost, refill, rail: place.rail }
    const payer = new RepairPayer(reading.chain.chainId, paid, this.#options.delegateKey)
    const feed = feedOver(
      reading.pool,
      { offer, channel },
      fetchRepairBlocks(channel.channel, request, payer),
    )
    // The first block shows whether the pot pays; the owner's own rails may, where it does not.
    const first = await feed.next().catch(async (error: unknown) => {
      await feed.close()
      throw error
    })
    this.#payers.set(place.rail, payer)
    let given = false
    return {
      ...feed,
      next: () => {
        if (given) return feed.next()
        given = true
        return Promise.resolve(first)
      },
    }
  }

  /** Waits, not for ever, until the chain has paid the rails that served. */
  async redeemed({ chain }: Pick<SlotReading, 'chain'>, signal?: AbortSignal): Promise<void> {
    const { height: start } = await chain.head()
    const fee = byteFee(chain.params, REDEEM_BYTES)
    for (;;) {
      signal?.throwIfAborted()
      const record = await chain.contract(this.#contract)
      const waiting = [...this.#payers.values()].filter(
        (payer) => !isPaid(record, payer) && this.#isWorth(payer, chain.params, fee),
      )
      if (waiting.length === 0) return
      if ((await chain.head()).height > start + REDEEM_BLOCKS) {
        this.#options.logger.warn({ rails: waiting.length }, 'repair vouchers not redeemed in time')
        return
      }
      await nextHead(chain)
    }
  }

  /** A peer does not redeem what does not pay the byte fee. */
  #isWorth(
    { signedKib }: RepairPayer,
    params: SlotReading['chain']['params'],
    fee: bigint,
  ): boolean {
    const paid = (this.#record.unitPriceCap * BigInt(signedKib)) / KIB_PER_GIB
    return repairShares(params, paid).proceeds >= fee
  }
}

function isPaid(record: Contract | undefined, { place, signedKib }: RepairPayer): boolean {
  return (
    record?.repairs.some(
      ({ slot, rail, kib }) => slot === place.slot && rail === place.rail && kib >= signedKib,
    ) ?? true
  )
}
