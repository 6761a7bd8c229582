import type { Logger } from 'pino'
import type { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import { fromHex } from '../bytes/hex.ts'
import { sign } from '../bytes/signature.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import { memoAnchorDigest } from '../elastos/memo-anchor.ts'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import { isCheckpointHeight, type NetworkParams } from '../params/network-params.ts'

type FinalHeader = Pick<FinalizedBlock, 'hash' | 'header'>

export interface CheckpointAnchorerOptions {
  readonly manager: Pick<ChainManager, 'chainId' | 'params' | 'ledger' | 'validators'> & {
    onFinal(listener: (block: FinalHeader) => void): () => void
  }
  readonly memos: Pick<MemoAnchorer, 'submit' | 'refresh' | 'supersede' | 'waiting'>
  readonly consensusKey: ConsensusKey
  /** While the node catches up, checkpoints are old ones that others anchored long ago. */
  readonly isSyncing: () => boolean
  readonly logger: Logger
}

/** Main blocks after which an anchor that nobody recorded is sent by one validator more. */
const STEP_MAIN_BLOCKS = 6
/** Validators that send at once after a long gap: one could be dead, all would only pay more. */
const OVERDUE_SENDERS_MAX = 3

interface Checkpoint {
  readonly epoch: number
  readonly hash: Uint8Array
  /** Main chain on record when it was sealed. */
  readonly mainTipHeight: number
}

/**
 * Sends checkpoints to the main chain by memo. Validators take turns by epoch; where an anchor is
 * not recorded the next ones step in, with every few main blocks and with every epoch, so a dead
 * validator, or one that cannot pay, delays anchoring and stops nothing. Only the newest
 * checkpoint is sent, again and again if need be: its anchor anchors all before it (PROTOCOL 9),
 * however long the main chain took none.
 */
export class CheckpointAnchorer {
  readonly #options: CheckpointAnchorerOptions
  readonly #unsubscribe: () => void
  #newest: Checkpoint | undefined
  /** Epoch whose checkpoint was handed to the main chain. */
  #sentEpoch = 0
  /** Height from which a memo that was refused is tried again. */
  #retryHeight = 0
  #working = false
  /** Why the newest checkpoint could not be sent, as far as the log says so. */
  #told = new Set<string>()

  constructor(options: CheckpointAnchorerOptions) {
    this.#options = options
    this.#unsubscribe = options.manager.onFinal((block) => void this.#onFinal(block))
  }

  stop(): void {
    this.#unsubscribe()
  }

  async #onFinal({ header, hash }: FinalHeader): Promise<void> {
    const { manager, memos } = this.#options
    const { epoch, height } = header
    if (isCheckpointHeight(manager.params, height)) {
      const { mainTipHeight } = manager.ledger.globals()
      this.#newest = { epoch, hash: fromHex(hash), mainTipHeight }
      this.#retryHeight = height
      this.#told = new Set()
    }
    // One call at a time: the next block asks again.
    if (this.#working) return
    this.#working = true
    try {
      memos.supersede(manager.ledger.globals().lastAnchoredEpoch)
      if (memos.waiting().length > 0) await memos.refresh()
      if (this.#newest && this.#isDue(this.#newest, height)) await this.#send(this.#newest, height)
    } catch (error) {
      this.#retryHeight = height + mainBlockInBlocks(manager.params)
      this.#tell(error)
    } finally {
      this.#working = false
    }
  }

  /** Once a cause and epoch: an empty account stays empty at every try. */
  #tell(error: unknown): void {
    const { name, code } = error as { name?: unknown; code?: unknown }
    const cause = `${String(name)} ${String(code)}`
    if (this.#told.has(cause)) return
    this.#told.add(cause)
    const facts = { epoch: this.#newest?.epoch, reason: String(error) }
    this.#options.logger.warn(facts, 'anchor not sent; tried again with every main block')
  }

  #isDue(checkpoint: Checkpoint, height: number): boolean {
    const { manager, isSyncing } = this.#options
    const { epoch } = checkpoint
    if (epoch <= this.#sentEpoch || height < this.#retryHeight || isSyncing()) return false
    if (epoch <= manager.ledger.globals().lastAnchoredEpoch) return false
    return this.#isOurTurn(checkpoint)
  }

  /** The epoch's own validator at once; of the following, as many as the anchor is overdue. */
  #isOurTurn({ epoch, mainTipHeight: sealedAt }: Checkpoint): boolean {
    const { manager } = this.#options
    const { lastAnchoredEpoch, mainTipHeight } = manager.ledger.globals()
    const validator = this.#validatorIndex(epoch)
    const count = manager.validators(epoch)?.length ?? 0
    if (validator < 0) return false
    const epochs = Math.min(OVERDUE_SENDERS_MAX, Math.max(0, epoch - 2 - lastAnchoredEpoch))
    const steps = Math.max(0, Math.floor((mainTipHeight - sealedAt) / STEP_MAIN_BLOCKS))
    const distance = (validator - (epoch % count) + count) % count
    return distance <= epochs + steps
  }

  #validatorIndex(epoch: number): number {
    const { manager, consensusKey } = this.#options
    return consensusKey.indexIn(manager.validators(epoch) ?? []) ?? -1
  }

  async #send({ epoch, hash }: Checkpoint, height: number): Promise<void> {
    const { manager, memos, consensusKey, logger } = this.#options
    const commitment = {
      sideGenesisHash: manager.chainId,
      epoch,
      checkpointHash: hash,
      validatorIndex: this.#validatorIndex(epoch),
    }
    const signature = sign(memoAnchorDigest(commitment, manager.chainId), consensusKey.secretKey)
    await memos.submit({ ...commitment, signature })
    this.#sentEpoch = epoch
    logger.info({ epoch, height }, 'checkpoint sent to the main chain')
  }
}

/** Side blocks in the time of a main block. */
function mainBlockInBlocks({ mainBlockMs, blockIntervalMs }: NetworkParams): number {
  return Math.max(1, Math.ceil(mainBlockMs / blockIntervalMs))
}
