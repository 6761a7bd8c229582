import { isFillOverdue } from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import {
  CloseKind,
  type Contract,
  NONE,
  type Payload,
  PayloadKind,
  type Rail,
} from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { type OwnerAccount, refusalCode } from '../node/transactions.ts'

/** Transactions of one run at most: closing must not hold up what the owner came for. */
const CLOSES_PER_RUN = 8
/** Epochs that a refused close waits at most before it is tried again. */
const BACKOFF_EPOCHS_MAX = 64
/** A relay rail of whose lock less than this part is left pays for nothing any more. */
const SPENT_PERCENT = 99n

/** What a run did. */
export interface Closing {
  /** Closes asked, and rails or contracts settled and refunded. */
  readonly asked: number
  readonly settled: number
  /** Refused; tried again after a while. */
  readonly waiting: number
}

interface Due {
  readonly key: string
  readonly payload: Payload
  readonly settles: boolean
}

/**
 * Gets an owner's money back by itself: closes rails that have ended or are used up, and what is
 * left of contracts that never became active (PROTOCOL 5.2, 6.7). Bounded in each run; what the
 * chain refuses is left alone for 1, 2, 4, ... epochs.
 */
export class RailCloser {
  readonly #chain: ChainClient
  readonly #account: OwnerAccount
  readonly #logger: Logger
  /** Epoch before which a close is not tried again, and how often it was refused. */
  readonly #refused = new Map<string, { tries: number; notBefore: number }>()

  constructor(chain: ChainClient, account: OwnerAccount, logger: Logger) {
    this.#chain = chain
    this.#account = account
    this.#logger = logger
  }

  async run(): Promise<Closing> {
    const { epoch } = await this.#chain.head()
    const done = { asked: 0, settled: 0, waiting: 0 }
    const due = (await this.#due(epoch)).filter(({ key }) => this.#mayTry(key, epoch))
    for (const one of due.slice(0, CLOSES_PER_RUN)) {
      try {
        await this.#account.send(one.payload)
        this.#refused.delete(one.key)
        done[one.settles ? 'settled' : 'asked'] += 1
      } catch (error) {
        const code = refusalCode(error)
        if (code === undefined) throw error
        this.#note(one.key, epoch)
        done.waiting += 1
        this.#logger.debug({ close: one.key, code }, 'close refused, tried again later')
      }
    }
    if (done.asked + done.settled > 0) this.#logger.info(done, 'own rails closed')
    return done
  }

  #mayTry(key: string, epoch: number): boolean {
    return (this.#refused.get(key)?.notBefore ?? 0) <= epoch
  }

  #note(key: string, epoch: number): void {
    const tries = (this.#refused.get(key)?.tries ?? 0) + 1
    const wait = Math.min(2 ** (tries - 1), BACKOFF_EPOCHS_MAX)
    this.#refused.set(key, { tries, notBefore: epoch + wait })
  }

  async #due(epoch: number): Promise<Due[]> {
    const { address } = this.#account
    const rails = await this.#chain.railsOfPayer(address)
    const contracts = await this.#chain.contractsOfPayer(address)
    const byIndex = new Map(contracts.map(({ index, record }) => [index, record]))
    const { proofWindowEpochs, graceEpochs } = this.#chain.params
    const due: Due[] = []
    for (const { index, record } of rails) {
      const contract = byIndex.get(record.contract)
      const ask = askEpochOf(record, contract, this.#overdueSince(contract, epoch))
      const settles = ask !== undefined
      if (settles && epoch < ask + proofWindowEpochs) continue
      if (!settles && !isUseless({ index, record }, contract, epoch, graceEpochs)) continue
      const value = { kind: CloseKind.rail, target: index, generation: record.generation }
      const payload = { selector: PayloadKind.close, value } as const
      due.push({ key: `rail ${index}-${record.generation}`, payload, settles })
    }
    for (const { index, record } of contracts) {
      const hasRails = rails.some((rail) => rail.record.contract === index)
      if (hasRails || this.#overdueSince(record, epoch) === undefined) continue
      const value = { kind: CloseKind.contract, target: index, generation: record.generation }
      const payload = { selector: PayloadKind.close, value } as const
      due.push({ key: `contract ${index}-${record.generation}`, payload, settles: true })
    }
    return due
  }

  /** Epoch in which an inactive contract missed its fill deadline; undefined if it did not. */
  #overdueSince(contract: Contract | undefined, epoch: number): number | undefined {
    if (!contract || !isFillOverdue(this.#chain.params, contract, epoch)) return undefined
    return contract.openEpoch + this.#chain.params.fillDeadlineEpochs
  }
}

/** Epoch of the close asked for a rail, by its payer or by the rules; undefined if none. */
function askEpochOf(
  rail: Rail,
  contract: Contract | undefined,
  overdueSince: number | undefined,
): number | undefined {
  const asks = [rail.askEpoch, contract?.askEpoch ?? NONE, overdueSince ?? NONE]
  const first = Math.min(...asks)
  return first === NONE ? undefined : first
}

/**
 * True for a rail that does nothing for its payer any more: ended and not prolonged in its grace, a
 * relay's used up, or replaced by a refill. One whose bytes were lost stays while its lock can pay for the refill.
 */
function isUseless(
  { index, record }: Indexed<Rail>,
  contract: Contract | undefined,
  epoch: number,
  graceEpochs: number,
): boolean {
  if (record.contract === NONE) {
    return epoch >= record.end || record.paidUnits * 100n >= record.lockUnits * SPENT_PERCENT
  }
  // Within the grace the owner may still prolong it.
  if (epoch >= record.end + graceEpochs) return true
  return contract !== undefined && contract.rails[record.slot]?.rail !== index
}
