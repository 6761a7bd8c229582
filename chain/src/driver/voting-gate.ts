import { bytesToHex } from '../bytes/hex.ts'
import { signersOf, votesOf } from '../consensus/certificate.ts'
import type { ConsensusMessage, FinalBlock } from '../consensus/machine-interface.ts'
import type { MachineConfig } from '../consensus/machine-state.ts'
import { certificatesIn, votesIn } from '../consensus/votes-in.ts'
import type { Statement, Vote } from '../types/consensus-objects.ts'
import type { OpenedSigner } from './open-signer.ts'
import { recordsOf } from './log-records.ts'
import { isAfter, type LogPlace } from './write-ahead-log.ts'

export interface GateOptions {
  /** Listen so long for another signer of our key before signing; default not at all. */
  readonly watchMs?: number | undefined
  /**
   * Resolves once this node is where its peers are, which is when listening begins, to the votes of
   * our key in the newest final blocks. Default at once, to none.
   */
  readonly lookAround?: (() => Promise<readonly Vote[]>) | undefined
  /** Sign nothing before the head was this near to the clock: for a node that just joined. */
  readonly tipAgeMaxMs?: number | undefined
}

/** Decides whether this process may sign at all yet (consensus 1.7, sync 2.5). */
export class VotingGate {
  readonly #lease: OpenedSigner['lease']
  readonly #tipAgeMaxMs: number | undefined
  /** Present until the time of listening is over. */
  #watch: TwinWatch | undefined
  #tipWasRecent = false
  /** The newest place that our key signed without our log knowing it. */
  #unknown: LogPlace | undefined
  /** Zero where nobody has to be listened for. */
  readonly watchMs: number

  constructor(
    { watchMs = 0, tipAgeMaxMs }: GateOptions,
    signer: OpenedSigner,
    /** At the start. */
    head: FinalBlock,
  ) {
    const { lease } = signer
    this.#lease = lease
    this.#tipAgeMaxMs = tipAgeMaxMs
    // With an unused key, before the first block, there is nothing to listen to.
    const isFirstStart = lease?.leased.epoch === 0 && head.header.height === 0
    this.watchMs = lease && !isFirstStart ? watchMs : 0
    if (this.watchMs > 0) this.#watch = new TwinWatch(signer)
  }

  /** Votes of our key that are proven; those that the log does not know are not of this folder. */
  learn(votes: readonly Vote[]): void {
    for (const vote of votes) {
      if (!this.#watch?.isForeign(vote)) continue
      const { epoch, view } = vote.statement
      if (!this.#unknown || isAfter(vote.statement, this.#unknown)) this.#unknown = { epoch, view }
    }
  }

  /**
   * From now on the lease alone decides. Where the key signed what the log does not know, the
   * folder is older than that, as a restored backup is, and nobody can say what else was signed: no
   * vote in this epoch, nor in the next one, which the former process may have entered already.
   * Gives that place.
   */
  async endWatch(epoch: number): Promise<LogPlace | undefined> {
    const unknown = this.#unknown
    if (unknown) await this.#lease?.forbidEpoch(Math.max(epoch, unknown.epoch) + 1)
    this.#watch = undefined
    return unknown
  }

  /** No view up to this one may be signed; asked whenever a machine is made. */
  signAbove(head: FinalBlock, epoch: number, nowMs: number): number {
    const ageMs = nowMs - head.header.timeMs
    // Once near the network it stays so: a network that stood still must be able to go on.
    this.#tipWasRecent ||= this.#tipAgeMaxMs === undefined || ageMs <= this.#tipAgeMaxMs
    if (!this.#lease || !this.#tipWasRecent || this.#watch) return Number.MAX_SAFE_INTEGER
    return this.#lease.signAbove(epoch)
  }

  /**
   * True if the message shows a single vote of our key that this process cannot have signed: only
   * its maker sends one. Certificates with such a vote may be older, and are remembered.
   */
  showsTwin(message: ConsensusMessage, { self, setup, crypto }: MachineConfig): boolean {
    const watch = this.#watch
    const member = self === undefined ? undefined : setup.validators[self]
    if (!watch || !member) return false
    const isForeign = (vote: Vote) =>
      vote.validator === self &&
      vote.statement.epoch === setup.epoch &&
      watch.isForeign(vote) &&
      crypto.verify(vote.statement, member.publicKey, vote.signature)
    for (const certificate of certificatesIn(message)) {
      if (signersOf(certificate).length !== certificate.signatures.length) continue
      this.learn(votesOf(certificate).filter(isForeign))
    }
    return votesIn(message).some(isForeign)
  }
}

/**
 * Tells, before a validator signs after its start, whether another process signs with its key.
 * Peers may send our own old votes again, so a vote counts only where we know that it is not ours:
 * above everything that was leased, or above what an unbroken log has forgotten and not in it.
 */
class TwinWatch {
  readonly #leased: LogPlace
  readonly #knownAbove: LogPlace | undefined
  readonly #own = new Set<string>()

  constructor({ lease, log, condition, prunedThrough }: OpenedSigner) {
    this.#leased = lease?.leased ?? { epoch: 0, view: 0 }
    this.#knownAbove = condition === 'intact' ? prunedThrough : undefined
    for (const record of recordsOf(log.live).records) {
      if (record.type === 'vote') this.#own.add(keyOf(record.vote.statement))
    }
  }

  /** The vote must carry a valid signature of our key. */
  isForeign({ statement }: Vote): boolean {
    if (isAfter(statement, this.#leased)) return true
    if (!this.#knownAbove || !isAfter(statement, this.#knownAbove)) return false
    return !this.#own.has(keyOf(statement))
  }
}

function keyOf({ kind, epoch, view, hash }: Statement): string {
  return `${kind}/${epoch}/${view}/${bytesToHex(hash)}`
}
