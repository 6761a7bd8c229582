import { bytesToHex } from '../bytes/hex.ts'
import { isSameStatement } from '../consensus/certificate.ts'
import type { ConsensusMessage, LogRecord } from '../consensus/machine-interface.ts'
import { certificatesIn } from '../consensus/votes-in.ts'
import type { Certificate } from '../types/consensus-objects.ts'
import type { BlockHost, HaltReason } from './block-host.ts'
import type { ConsensusTransport } from './consensus-transport.ts'
import { type ForkRecord, forkText, whatToDo, writeForkRecord } from './fork-record.ts'
import { encodeMessage, EMPTY_BODY } from './message-codec.ts'
import type { OpenedSigner, SignerOptions } from './open-signer.ts'

export interface FoundFork {
  readonly reason: string
  readonly ours: Certificate
  readonly theirs: Certificate
  /** Consensus keys shown to have signed both sides. */
  readonly guilty: readonly Uint8Array[]
}

interface ForkWatchOptions extends Pick<SignerOptions, 'directory' | 'chainId' | 'logger'> {
  readonly host: BlockHost
  readonly transport: ConsensusTransport
}

/**
 * What a driver does about forks: writes a new one down and tells others; of one that its operator
 * has decided it leaves the side that was given up unheard, or anybody could stop the network
 * again with the same certificates.
 */
export class ForkWatch {
  readonly #options: ForkWatchOptions
  readonly #signer: Pick<OpenedSigner, 'settled' | 'reserve'>
  #givenUp: Certificate | undefined

  constructor(options: ForkWatchOptions, signer: Pick<OpenedSigner, 'settled' | 'reserve'>) {
    this.#options = options
    this.#signer = signer
  }

  /** Finds out which side of a decided fork this node's chain is on. */
  async begin(): Promise<void> {
    const { settled } = this.#signer
    if (!settled) return
    const { ours, theirs, epoch } = settled
    if (await this.#isOnChain(ours)) this.#givenUp = theirs
    else if (await this.#isOnChain(theirs)) this.#givenUp = ours
    this.#options.logger.warn({ epoch }, 'a fork of this epoch and those before is settled')
  }

  get settledEpoch(): number {
    return this.#signer.settled?.epoch ?? 0
  }

  isGivenUp(message: ConsensusMessage): boolean {
    return certificatesIn(message).some((each) => this.#isOfGivenUp(each))
  }

  withoutGivenUp(records: readonly LogRecord[]): LogRecord[] {
    return records.filter(
      (record) => record.type !== 'certificate' || !this.#isOfGivenUp(record.certificate),
    )
  }

  /** Writes it down, tells the peers, and gives the reason to stop for. */
  async record({ reason, ours, theirs, guilty }: FoundFork): Promise<HaltReason> {
    const { chainId, directory, transport } = this.#options
    const keys = guilty.map(bytesToHex)
    const { epoch } = theirs.statement
    const names = { version: 1, chainId: bytesToHex(chainId), epoch, reason, guilty: keys } as const
    const record = { ...names, ours, theirs }
    const problem = await this.#write(record)
    // Whoever holds one of the two learns of the other.
    for (const certificate of [theirs, ours]) {
      const message = { type: 'certificate', certificate } as const
      transport.broadcast(encodeMessage({ type: 'consensus', message, body: EMPTY_BODY }))
    }
    const message = [forkText(record), ...problem, whatToDo(directory)].join('. ')
    return { code: 'FORK_PROOF', message, guilty: keys }
  }

  /** A disk without room gets what was kept back; whatever it says, the node stops. */
  async #write(record: ForkRecord): Promise<string[]> {
    const { directory, logger } = this.#options
    try {
      await writeForkRecord(directory, record)
      return []
    } catch (error) {
      logger.error({ error }, 'the fork could not be written down: the reserve is given up')
    }
    try {
      this.#signer.reserve?.release()
      await writeForkRecord(directory, record)
      return []
    } catch (error) {
      return [`IT COULD NOT BE WRITTEN DOWN (${(error as Error).message}): do not start this node`]
    }
  }

  #isOfGivenUp({ statement }: Certificate): boolean {
    return this.#givenUp !== undefined && isSameStatement(this.#givenUp.statement, statement)
  }

  async #isOnChain({ statement }: Certificate): Promise<boolean> {
    return (await this.#options.host.readBlock(bytesToHex(statement.hash))) !== undefined
  }
}
