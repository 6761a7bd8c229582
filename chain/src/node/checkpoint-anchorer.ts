import type { Logger } from 'pino'
import type { MainChainFollower } from '../anchor/follower.ts'
import type { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import { bytesToHex, fromHex } from '../bytes/hex.ts'
import { publicKeyOf, sign } from '../bytes/signature.ts'
import { memoAnchorDigest } from '../elastos/memo-anchor.ts'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import { isCheckpointHeight } from '../params/network-params.ts'

export interface CheckpointAnchorerOptions {
  readonly manager: ChainManager
  readonly follower: MainChainFollower
  readonly memos: MemoAnchorer
  readonly consensusKey: Uint8Array
  readonly logger: Logger
}

/** Ended epochs without an anchor from which the operator is told. */
const LAG_ALARM_EPOCHS = 3

/**
 * Sends checkpoints to the main chain by memo. Validators take turns by epoch; whoever comes
 * later steps in when an anchor has not been recorded for its share of epochs, so one dead
 * validator delays anchoring by an epoch and stops nothing.
 */
export class CheckpointAnchorer {
  readonly #options: CheckpointAnchorerOptions
  readonly #unsubscribe: () => void

  constructor(options: CheckpointAnchorerOptions) {
    this.#options = options
    this.#unsubscribe = options.manager.onFinal((block) => {
      const { params } = options.manager
      if (isCheckpointHeight(params, block.header.height)) void this.#anchor(block)
      else if (options.memos.waiting().length > 0) void this.#refresh()
    })
  }

  stop(): void {
    this.#unsubscribe()
  }

  async #anchor({ header, hash }: FinalizedBlock): Promise<void> {
    const { manager, memos, consensusKey, logger } = this.#options
    const lag = header.epoch - 1 - manager.ledger.globals().lastAnchoredEpoch
    // Hours of proof of work on the main chain look like this, and so does an empty account.
    if (lag > LAG_ALARM_EPOCHS) logger.error({ lag }, 'checkpoints find no way to the main chain')
    const validators = manager.validators(header.epoch) ?? []
    const publicKey = bytesToHex(publicKeyOf(consensusKey))
    const validator = validators.findIndex((each) => bytesToHex(each.publicKey) === publicKey)
    if (validator < 0 || !this.#isOurTurn(header.epoch, validator, validators.length)) return
    const commitment = {
      sideGenesisHash: manager.chainId,
      epoch: header.epoch,
      checkpointHash: fromHex(hash),
      validatorIndex: validator,
    }
    const signature = sign(memoAnchorDigest(commitment, manager.chainId), consensusKey)
    try {
      await memos.submit({ ...commitment, signature })
      logger.info({ epoch: header.epoch }, 'checkpoint sent to the main chain')
    } catch (error) {
      logger.warn({ epoch: header.epoch, reason: String(error) }, 'anchor not sent')
    }
  }

  /** Sends again what has waited long for a main block. */
  async #refresh(): Promise<void> {
    try {
      await this.#options.memos.refresh()
    } catch (error) {
      this.#options.logger.warn({ reason: String(error) }, 'anchor not sent again')
    }
  }

  /** The epoch's own validator; after a gap, one more of the following with each epoch. */
  #isOurTurn(epoch: number, validator: number, count: number): boolean {
    const { manager } = this.#options
    const overdue = Math.max(0, epoch - 1 - manager.ledger.globals().lastAnchoredEpoch - 1)
    const distance = (validator - (epoch % count) + count) % count
    return distance <= overdue
  }
}
