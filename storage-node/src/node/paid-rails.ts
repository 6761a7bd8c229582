import { addressOf, bytesToHex } from '@ioex/chain/bytes'
import type { Indexed } from '@ioex/chain/state'
import { CloseKind, NONE, type Rail, PayloadKind, ReceiptKind, TopUpKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { Offer } from '../relay/offer.ts'
import { isReservationRail } from '../relay/reserve-link.ts'
import { reasonOf, TransferError } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'
import type { PaidLinksJournal } from './paid-links-journal.ts'
import type { OwnerAccount } from './transactions.ts'

/** Units that a new rail can pay, and that each topUp adds; the rest comes back at the close. */
const LOCK_EPOCHS = 24n
/** Units that the lock pays ahead at least: a topUp takes its time. */
const AHEAD_EPOCHS = 4n
/** CreationReceipt.kind of a relay rail. */
const RELAY_RAIL_KIND = 3
/** Rails of one relay that are tried before another one is opened. */
const CANDIDATES_MAX = 4
/** Epochs after which a rail whose relay stayed away is closed. */
const IDLE_EPOCHS = 168

export interface PaidRailsOptions {
  readonly chain: ChainClient
  readonly account: OwnerAccount
  readonly journal: PaidLinksJournal
  readonly priceMax: bigint
  readonly logger: Logger
}

/** The rails with which a peer pays for links: opened, topped up and closed on the chain. */
export class PaidRails {
  readonly #options: PaidRailsOptions

  constructor(options: PaidRailsOptions) {
    this.#options = options
  }

  /** Rails that may pay a link to this relay: those that this peer used before come first. */
  async candidates(relay: Offer, nowEpoch: number): Promise<Indexed<Rail>[]> {
    const { chain, journal, priceMax } = this.#options
    const node = await chain.node(addressOf(relay.nodeKey))
    if (!node) throw new TransferError('NO_RELAY_RAIL', 'the relay is not registered on the chain')
    const isOwn = ({ index, record }: Indexed<Rail>) =>
      journal.get(index, record.generation) !== undefined
    const fits = ({ record }: Indexed<Rail>) =>
      record.node === node.index &&
      record.reservationPrice >= relay.reservationPrice &&
      record.reservationPrice <= priceMax &&
      record.askEpoch === NONE &&
      !record.left &&
      nowEpoch < record.end
    const rails = (await this.#all()).filter(fits)
    return [...rails.filter(isOwn), ...rails.filter((rail) => !isOwn(rail))].slice(
      0,
      CANDIDATES_MAX,
    )
  }

  /** Opens a rail to the relay at its price. Throws NO_RELAY_RAIL and the chain's refusal. */
  async open(relay: Offer): Promise<Indexed<Rail>> {
    const { chain, account, logger } = this.#options
    const { reservationPrice } = relay
    const lockUnits = reservationPrice * LOCK_EPOCHS
    const node = addressOf(relay.nodeKey)
    const value = { node, lockUnits, unitPrice: 0n, reservationPrice }
    const { receipts } = await account.send({ selector: PayloadKind.openRelay, value })
    for (const { body } of receipts) {
      if (body.selector !== ReceiptKind.creation || body.value.kind !== RELAY_RAIL_KIND) continue
      const { index } = body.value
      const record = await chain.rail(index)
      if (!record) break
      logger.info(
        { rail: index, relay: bytesToHex(relay.nodeKey).slice(0, 12) },
        'link rail opened',
      )
      return { index, record }
    }
    throw new TransferError('NO_RELAY_RAIL', 'the chain opened no relay rail')
  }

  /** Adds to the lock where it pays fewer than a few epochs beyond so many units. */
  async topUp({ index, record }: Indexed<Rail>, units: number): Promise<void> {
    const { account, chain, logger } = this.#options
    const { generation, reservationPrice: price } = record
    const lockUnits = (await chain.rail(index))?.lockUnits ?? record.lockUnits
    if (price * (BigInt(units) + AHEAD_EPOCHS) <= lockUnits) return
    const amount = price * LOCK_EPOCHS
    const value = { kind: TopUpKind.railUnits, target: index, generation, amount }
    await account.send({ selector: PayloadKind.topUp, value })
    logger.info({ rail: index, amount: String(amount) }, 'link rail topped up')
  }

  /** Gets money back from rails of this peer whose relay stayed away; `inUse` are left alone. */
  async closeIdle(inUse: ReadonlySet<number>, nowEpoch: number): Promise<void> {
    const { chain, account, journal, logger } = this.#options
    for (const { index, record } of await this.#all()) {
      const { generation, askEpoch } = record
      const counted = journal.get(index, generation)
      if (inUse.has(index) || !counted) continue
      const settles = askEpoch !== NONE
      const notBefore = settles
        ? askEpoch + chain.params.proofWindowEpochs
        : counted.epoch + IDLE_EPOCHS
      if (nowEpoch < notBefore) continue
      const value = { kind: CloseKind.rail, target: index, generation }
      try {
        await account.send({ selector: PayloadKind.close, value })
        if (settles) await journal.delete(index, generation)
        logger.info({ rail: index, settles }, 'link rail closed')
      } catch (error) {
        logger.debug({ rail: index, reason: reasonOf(error) }, 'close of a link rail refused')
      }
    }
  }

  async #all(): Promise<Indexed<Rail>[]> {
    const { chain, account } = this.#options
    const rails = await chain.railsOfPayer(account.address)
    return rails.filter(({ record }) => isReservationRail(record, account.address))
  }
}
