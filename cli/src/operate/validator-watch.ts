import type { Logger } from 'pino'
import { leaderSchedule, signersOf } from '@ioex/chain/consensus'
import type { ConsensusKey } from '@ioex/chain/driver'
import type { ChainManager, FinalizedBlock } from '@ioex/chain/manager'
import { checkpointHeight } from '@ioex/chain/params'

/** How one validator does its work, seen from the final blocks. */
export interface ValidatorRecord {
  /** Index in the set of the newest final block's epoch; undefined outside the set. */
  readonly index: number | undefined
  /** Weight there, 0 outside the set. */
  readonly power: number
  /** Views that were skipped while this validator led them, since the start. */
  readonly missedViews: number
  /** Missed ones in a row: 0 after a block of its own. */
  readonly missedInRow: number
  /** Height of the newest block whose certificate carries its vote. */
  readonly lastSigned: number | undefined
  /** Final blocks since then. */
  readonly unsignedBlocks: number
}

/**
 * A certificate carries just enough votes, so a vote that is missing in one of them means nothing;
 * none in so many of them means that this node's votes do not arrive.
 */
const UNSIGNED_ALARM_BLOCKS = 64
const MISSED_ALARM_VIEWS = 3
/** Epochs without a recorded anchor that are still normal. */
const ANCHOR_ALARM_EPOCHS = 5
/** Skipped views of one block that are looked at; after more, the network stood still. */
const SKIPPED_MAX = 10_000

/** The part of a chain manager that the watch needs. */
export type WatchedChain = Pick<
  ChainManager,
  'onFinal' | 'validators' | 'finalAt' | 'params' | 'ledger'
>

/** Counts what a validator misses and says so in the log, once each time it gets worse. */
export class ValidatorWatch {
  readonly #chain: WatchedChain
  readonly #key: Pick<ConsensusKey, 'indexIn'>
  readonly #logger: Logger
  #leaders: { readonly epoch: number; readonly list: readonly number[] } | undefined
  #record: ValidatorRecord = {
    index: undefined,
    power: 0,
    missedViews: 0,
    missedInRow: 0,
    lastSigned: undefined,
    unsignedBlocks: 0,
  }
  #lateAnchorEpoch = 0
  #work: Promise<void> = Promise.resolve()

  constructor(chain: WatchedChain, key: Pick<ConsensusKey, 'indexIn'>, logger: Logger) {
    this.#chain = chain
    this.#key = key
    this.#logger = logger
    chain.onFinal((block) => {
      this.#work = this.#work
        .then(() => this.#take(block))
        .catch((error: unknown) => logger.warn({ reason: String(error) }, 'block not watched'))
    })
  }

  get record(): ValidatorRecord {
    return this.#record
  }

  /** Resolves when every block so far is counted. */
  idle(): Promise<void> {
    return this.#work
  }

  async #take({ header, justification }: FinalizedBlock): Promise<void> {
    const { epoch, view, parentView, height, proposer } = header
    const set = this.#chain.validators(epoch) ?? []
    const index = this.#key.indexIn(set)
    this.#watchAnchors(epoch)
    if (index === undefined) {
      this.#record = { ...this.#record, index: undefined, power: 0, missedInRow: 0 }
      return
    }
    const leaders = await this.#leadersOf(epoch)
    let missed = 0
    for (let skipped = parentView + 1; skipped < view && missed < SKIPPED_MAX; skipped++) {
      if (leaders[skipped % leaders.length] === index) missed += 1
    }
    const before = this.#record
    const [certificate] = justification.parent
    const signed = certificate !== undefined && this.#hasSigned(certificate, epoch, index)
    const missedInRow = proposer === index ? 0 : before.missedInRow + missed
    const unsignedBlocks = signed ? 0 : before.unsignedBlocks + 1
    this.#record = {
      index,
      power: set[index]?.weight ?? 0,
      missedViews: before.missedViews + missed,
      missedInRow,
      lastSigned: signed ? height - 1 : before.lastSigned,
      unsignedBlocks,
    }
    if (missedInRow >= MISSED_ALARM_VIEWS && before.missedInRow < MISSED_ALARM_VIEWS) {
      this.#logger.error({ missedInRow, height }, 'ALARM: this validator misses its views')
    }
    if (unsignedBlocks > 0 && unsignedBlocks % UNSIGNED_ALARM_BLOCKS === 0) {
      const text = 'ALARM: no certificate carries a vote of this validator: is it connected?'
      this.#logger.error({ unsignedBlocks, height }, text)
    }
  }

  /** The parent's certificate; in an epoch's first block it is by the set before. */
  #hasSigned(
    certificate: FinalizedBlock['justification']['parent'][number],
    epoch: number,
    index: number,
  ): boolean {
    const signedEpoch = certificate.statement.epoch
    const set = signedEpoch === epoch ? undefined : (this.#chain.validators(signedEpoch) ?? [])
    const own = set ? this.#key.indexIn(set) : index
    return own !== undefined && signersOf(certificate).includes(own)
  }

  #watchAnchors(epoch: number): void {
    const { lastAnchoredEpoch } = this.#chain.ledger.globals()
    const lag = epoch - 1 - lastAnchoredEpoch
    if (lag < ANCHOR_ALARM_EPOCHS || epoch === this.#lateAnchorEpoch) return
    this.#lateAnchorEpoch = epoch
    const text = 'ALARM: checkpoints are not anchored in the main chain'
    this.#logger.error({ epoch, lastAnchoredEpoch }, text)
  }

  async #leadersOf(epoch: number): Promise<readonly number[]> {
    if (this.#leaders?.epoch === epoch) return this.#leaders.list
    const start = await this.#chain.finalAt(checkpointHeight(this.#chain.params, epoch - 1))
    const set = this.#chain.validators(epoch)
    const list = start && set ? leaderSchedule(set, start.hash, epoch) : []
    this.#leaders = { epoch, list }
    return list
  }
}
