import type { Hex } from '../../chain/src/bytes/hex.ts'
import type {
  FinalBlock,
  JustifiedBlock,
  LogRecord,
  Reproposal,
} from '../../chain/src/consensus/machine-interface.ts'
import type { Certificate, Vote } from '../../chain/src/types/consensus-objects.ts'
import type { Random } from './random.ts'

export interface CommittedBlock extends JustifiedBlock {
  /** Of the last block of a commit. */
  certificate: Certificate | undefined
  /** Why it could be proposed again up to the view of its certificate, oldest first. */
  reproposals: readonly Reproposal[]
}

interface LoggedRecord {
  readonly record: LogRecord
  readonly epoch: number
  readonly view: number
  synced: boolean
}

/** What survives a crash: the committed chain, and of the log what was synced, or a bit more. */
export class SimulatedDisk {
  readonly genesis: FinalBlock
  readonly chain: CommittedBlock[] = []
  readonly byHash = new Map<Hex, CommittedBlock>()
  #log: LoggedRecord[] = []

  constructor(genesis: FinalBlock) {
    this.genesis = genesis
  }

  append(record: LogRecord, epoch: number): void {
    this.#log.push({ record, epoch, view: viewOf(record), synced: false })
  }

  sync(): void {
    for (let i = this.#log.length - 1; i >= 0; i--) {
      const logged = this.#log[i] as LoggedRecord
      if (logged.synced) break
      logged.synced = true
    }
  }

  /** Blocks and certificate appear together (W4); then the log may forget. */
  commit(
    blocks: readonly JustifiedBlock[],
    certificate: Certificate,
    reproposals: readonly Reproposal[],
  ): void {
    blocks.forEach((block, i) => {
      const last = i === blocks.length - 1
      const proof = last
        ? { certificate, reproposals }
        : { certificate: undefined, reproposals: [] }
      const committed = { ...block, ...proof }
      this.chain.push(committed)
      this.byHash.set(block.hash, committed)
    })
    const { epoch, view } = certificate.statement
    this.#log = this.#log.filter(
      (logged) => logged.epoch > epoch || (logged.epoch === epoch && logged.view > view),
    )
  }

  /** Whatever was not synced is lost from some point on. */
  crash(random: Random): void {
    const firstUnsynced = this.#log.findIndex(({ synced }) => !synced)
    if (firstUnsynced < 0) return
    this.#log.length = random.between(firstUnsynced, this.#log.length)
    for (const logged of this.#log) logged.synced = true
  }

  /** Some certificates are gone; whatever else there is was made durable by a vote. */
  loseCertificates(random: Random): void {
    const share = random.pick([0.5, 1])
    this.#log = this.#log.filter(
      ({ record }) => record.type !== 'certificate' || !random.chance(share),
    )
  }

  records(epoch: number): LogRecord[] {
    return this.#log.filter((logged) => logged.epoch === epoch).map(({ record }) => record)
  }

  /** Whether one of them is such that no crash can take it any more. */
  hasSynced(epoch: number, isIt: (record: LogRecord) => boolean): boolean {
    const isAsked = ({ record, epoch: of, synced }: LoggedRecord) =>
      synced && of === epoch && isIt(record)
    // Mostly it is among the newest.
    return this.#log.findLastIndex(isAsked) >= 0
  }

  /** Own votes of an epoch that are in the log. */
  votes(epoch: number): Vote[] {
    return this.records(epoch).flatMap((record) => (record.type === 'vote' ? [record.vote] : []))
  }

  head(): FinalBlock {
    const last = this.chain.at(-1)
    return last ? { ...last } : this.genesis
  }

  blockAt(height: number): FinalBlock {
    const block = height === 0 ? this.genesis : this.chain[height - 1]
    if (!block) throw new Error(`no committed block at height ${height}`)
    return block
  }
}

function viewOf(record: LogRecord): number {
  switch (record.type) {
    case 'block':
      return record.block.header.view
    case 'vote':
      return record.vote.statement.view
    case 'certificate':
      return record.certificate.statement.view
    case 'reproposal':
      return record.view
  }
}
