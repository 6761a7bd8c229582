import { sha256 } from '../../bytes/hash.ts'
import { bytesEqual, bytesToHex, type Hex, utf8ToBytes } from '../../bytes/hex.ts'
import type { EpochSetup, EpochValidator, FinalBlock } from '../../consensus/machine-interface.ts'
import { blockHash } from '../../types/block.ts'
import type { Certificate, Header, Vote } from '../../types/consensus-objects.ts'
import { ZERO_HASH } from '../../types/primitives.ts'
import type {
  BehindHint,
  BlockEnvelope,
  BlockHost,
  BuildRequest,
  BuiltBlock,
  FinalCommit,
  HaltReason,
  Validation,
} from '../block-host.ts'

interface StoredBlock extends BlockEnvelope {
  certificate: Certificate | undefined
}

/**
 * A chain kept in memory whose blocks carry text: the smallest real host. It outlives its driver,
 * as a database outlives its process.
 */
export class MemoryHost implements BlockHost {
  readonly chain: StoredBlock[] = []
  readonly behind: BehindHint[] = []
  readonly evidence: Vote[] = []
  readonly halts: HaltReason[] = []
  /** Thrown by the next commit. */
  diskError: Error | undefined
  /** Sets from an epoch on, where they are not those of the start. */
  readonly laterSets = new Map<number, readonly EpochValidator[]>()
  onBehindHint: (hint: BehindHint) => void = () => {}
  readonly #genesis: FinalBlock
  readonly #validators: readonly EpochValidator[]
  readonly #epochBlocks: number
  readonly #name: string
  readonly #executed = new Set<Hex>()
  #running = 0
  #built = 0

  constructor(
    name: string,
    genesis: Header,
    validators: readonly EpochValidator[],
    epochBlocks: number,
  ) {
    this.#name = name
    const hash = bytesToHex(blockHash(genesis))
    this.#genesis = { hash, header: genesis, certificate: undefined }
    this.#validators = validators
    this.#epochBlocks = epochBlocks
  }

  get height(): number {
    return this.chain.length
  }

  finalAt(height: number): FinalBlock {
    const block = height === 0 ? this.#genesis : this.chain[height - 1]
    if (!block) throw new Error(`no block at height ${height}`)
    return block
  }

  head(): Promise<FinalBlock> {
    return this.#alone(() => this.finalAt(this.height))
  }

  epochSetup(epoch: number): Promise<EpochSetup> {
    return this.#alone(() => ({
      epoch,
      validators: this.#setOf(epoch),
      previousValidators: epoch === 1 ? [] : this.#setOf(epoch - 1),
      start: this.finalAt((epoch - 1) * this.#epochBlocks),
      lastHeight: epoch * this.#epochBlocks,
    }))
  }

  #setOf(epoch: number): readonly EpochValidator[] {
    const from = [...this.laterSets.keys()].filter((first) => first <= epoch)
    return this.laterSets.get(Math.max(...from)) ?? this.#validators
  }

  buildBlock({ fields, parentHash }: BuildRequest): Promise<BuiltBlock | undefined> {
    return this.#alone(() => {
      this.#requireExecuted(parentHash)
      this.#built += 1
      const body = utf8ToBytes(`block ${this.#built} of ${this.#name}`)
      const { version, chainId, ...zero } = this.#genesis.header
      const header = { version, chainId, ...zero, ...fields, txRoot: sha256(body) }
      this.#executed.add(bytesToHex(blockHash(header)))
      return { header, body }
    })
  }

  isBodyOf(header: Header, body: Uint8Array): boolean {
    return bytesEqual(header.txRoot, sha256(body))
  }

  validateBlock({ hash, header, body }: BlockEnvelope): Promise<Validation> {
    return this.#alone(() => {
      this.#requireExecuted(bytesToHex(header.parentHash))
      if (!bytesEqual(header.stateRoot, ZERO_HASH) || !this.isBodyOf(header, body)) {
        const fault = { code: 'STATE_ROOT', message: 'executes to another root' }
        return { verdict: 'invalid', fault }
      }
      this.#executed.add(hash)
      return { verdict: 'valid' }
    })
  }

  commitBlocks({ blocks, certificate }: FinalCommit): Promise<void> {
    return this.#alone(() => {
      if (this.diskError) throw this.diskError
      for (const [i, block] of blocks.entries()) {
        this.#requireExecuted(block.hash)
        const parent = this.finalAt(this.height)
        if (bytesToHex(block.header.parentHash) !== parent.hash) throw new Error('a gap')
        this.chain.push({
          ...block,
          certificate: i === blocks.length - 1 ? certificate : undefined,
        })
      }
    })
  }

  readBlock(hash: Hex): Promise<BlockEnvelope | undefined> {
    return Promise.resolve(this.chain.find((block) => block.hash === hash))
  }

  onBehind(hint: BehindHint): void {
    this.behind.push(hint)
    this.onBehindHint(hint)
  }

  onVote(_vote: Vote): boolean {
    return true
  }

  onEvidence(first: Vote, second: Vote): void {
    this.evidence.push(first, second)
  }

  onHalt(reason: HaltReason): void {
    this.halts.push(reason)
  }

  /** What block sync does: takes a longer certified chain over, up to a height. */
  async importFrom(other: MemoryHost, upTo = other.height): Promise<void> {
    const missing = other.chain.slice(this.height, upTo)
    let blocks: BlockEnvelope[] = []
    for (const { certificate, ...block } of missing) {
      await this.validateBlock(block)
      blocks.push(block)
      if (!certificate) continue
      await this.commitBlocks({ blocks, certificate, reproposals: [] })
      blocks = []
    }
  }

  #requireExecuted(hash: Hex): void {
    if (hash === this.finalAt(this.height).hash || this.#executed.has(hash)) return
    throw new Error('asked about a block whose parent was not executed')
  }

  /** The driver promises not to overlap calls; an answer a little later proves that it does not. */
  async #alone<T>(answer: () => T): Promise<T> {
    if (this.#running > 0) throw new Error('two calls of the host overlap')
    this.#running += 1
    try {
      await new Promise((resolve) => setImmediate(resolve))
      return answer()
    } finally {
      this.#running -= 1
    }
  }
}
