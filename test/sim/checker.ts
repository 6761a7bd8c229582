import { bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import type { JustifiedBlock } from '../../chain/src/consensus/machine-interface.ts'
import { type Certificate, type Vote, VoteKind } from '../../chain/src/types/consensus-objects.ts'
import { hashJustification, validatorOf } from './cheap-crypto.ts'
import { type SetOf, Violation } from './violation.ts'
import type { VoteJudge } from './vote-judge.ts'

interface SentVotes {
  notarize: Hex | undefined
  finalize: Hex | undefined
  nullify: boolean
}

/** What honest nodes said and did, seen from outside the code under test. */
export class Checker {
  readonly #setOf: SetOf
  readonly #honest: ReadonlySet<number>
  readonly #chain = new Map<number, Hex>()
  readonly #sent = new Map<string, SentVotes>()
  readonly #certified = new Map<string, { notarized?: Hex; nullified?: boolean; final?: Hex }>()
  readonly #judge: VoteJudge
  readonly #reasonHashes = new WeakMap<JustifiedBlock['justification'], Hex>()

  /** Where more are faulty than may be, agreement can break; everything else holds. */
  readonly #mayFork: boolean

  constructor(setOfEpoch: SetOf, judge: VoteJudge, honest: ReadonlySet<number>, mayFork: boolean) {
    this.#setOf = setOfEpoch
    this.#judge = judge
    this.#honest = honest
    this.#mayFork = mayFork
  }

  get height(): number {
    return this.#chain.size
  }

  /**
   * I4: no honest validator ever sends contradicting votes, across restarts and lost disks.
   * I15: each vote stands under the sender's place in the epoch's set; who is not in it is silent.
   */
  sent(validator: number, vote: Vote): void {
    const { kind, epoch, view, hash } = vote.statement
    if (this.#validatorAt(epoch, vote.validator) !== validator) {
      throw new Violation(
        `I15 validator ${validator} votes in a place of ${epoch}/${view} not its own`,
      )
    }
    const place = `${validator}/${epoch}/${view}`
    const before = this.#sent.get(place) ?? {
      notarize: undefined,
      finalize: undefined,
      nullify: false,
    }
    const name = bytesToHex(hash)
    const known = kind === VoteKind.notarize ? before.notarize : before.finalize
    if (kind === VoteKind.nullify) {
      if (before.finalize) throw new Violation(`I4 nullify after finalize ${place}`)
      before.nullify = true
    } else {
      if (known !== undefined && known !== name) throw new Violation(`I4 two votes ${place}`)
      if (kind === VoteKind.finalize && before.nullify) {
        throw new Violation(`I4 finalize after nullify ${place}`)
      }
      if (kind === VoteKind.finalize && before.notarize !== name) {
        throw new Violation(`I4 finalize without notarize ${place}`)
      }
      if (kind === VoteKind.notarize && before.nullify && before.notarize === undefined) {
        throw new Violation(`I4 notarize after nullify ${place}`)
      }
      if (kind === VoteKind.notarize) before.notarize = name
      else before.finalize = name
    }
    this.#sent.set(place, before)
  }

  /** I2, I3, and that whatever a node believes certified is, by the set of its epoch (I15). */
  certified(certificate: Certificate): void {
    const { kind, epoch, view, hash } = certificate.statement
    if (!this.#judge.isQuorum(certificate)) {
      throw new Violation(`a node accepted a false certificate for ${epoch}/${view}`)
    }
    const place = `${epoch}/${view}`
    const seen = this.#certified.get(place) ?? {}
    this.#certified.set(place, seen)
    const name = bytesToHex(hash)
    if (kind === VoteKind.nullify) seen.nullified = true
    if (kind === VoteKind.notarize) {
      if (seen.notarized !== undefined && seen.notarized !== name) {
        this.#disagree(`I2 two notarized blocks in ${place}`)
      }
      seen.notarized = name
    }
    if (kind === VoteKind.finalize) {
      if (seen.final !== undefined && seen.final !== name) {
        this.#disagree(`I1 two final blocks in ${place}`)
      }
      seen.final = name
    }
    if (seen.nullified && seen.final !== undefined) {
      this.#disagree(`I3 view ${place} is both final and skipped`)
    }
  }

  /** I1, I5: one chain, without gaps, each commit certified. */
  committed(tip: Hex, tipHeight: number, blocks: readonly JustifiedBlock[], by: Certificate): void {
    let parent = tip
    let height = tipHeight
    for (const { hash, header, justification } of blocks) {
      height += 1
      if (!this.#isOwnReason(header.justHash, justification)) {
        throw new Violation(`a block at height ${height} is kept with a justification not its own`)
      }
      if (bytesToHex(header.parentHash) !== parent || header.height !== height) {
        throw new Violation(`I5 gap at height ${header.height}`)
      }
      const known = this.#chain.get(height)
      if (known !== undefined && known !== hash) this.#disagree(`I1 fork at height ${height}`)
      this.#chain.set(height, hash)
      parent = hash
    }
    const { kind, hash } = by.statement
    if (kind !== VoteKind.finalize || bytesToHex(hash) !== parent) {
      throw new Violation(`I5 commit without its certificate at height ${height}`)
    }
    this.certified(by)
  }

  #isOwnReason(justHash: Uint8Array, reason: JustifiedBlock['justification']): boolean {
    const known = this.#reasonHashes.get(reason) ?? bytesToHex(hashJustification(reason))
    this.#reasonHashes.set(reason, known)
    return known === bytesToHex(justHash)
  }

  /** I7, for those whom a fork proof names. */
  blamed(indexes: readonly number[], epoch: number): void {
    const wronged = indexes
      .map((index) => this.#validatorAt(epoch, index))
      .find((validator) => validator !== undefined && this.#honest.has(validator))
    if (wronged !== undefined) throw new Violation(`I7 honest validator ${wronged} is blamed`)
  }

  /** Whose place in an epoch's set this is. */
  #validatorAt(epoch: number, index: number): number | undefined {
    const member = this.#setOf(epoch)[index]
    return member && validatorOf(member.publicKey)
  }

  #disagree(what: string): void {
    if (!this.#mayFork) throw new Violation(what)
  }

  /** I7: evidence never names an honest validator, and its votes do contradict. */
  accused(first: Vote, second: Vote): void {
    const accused = this.#validatorAt(first.statement.epoch, first.validator)
    const isOne = first.validator === second.validator && accused !== undefined
    if (!isOne || this.#honest.has(accused)) {
      throw new Violation(`I7 evidence against honest validator ${accused}`)
    }
    const { statement: a } = first
    const { statement: b } = second
    const sameView = a.view === b.view && a.epoch === b.epoch
    const differ = bytesToHex(a.hash) !== bytesToHex(b.hash)
    const skipsNotarized = a.kind + b.kind === VoteKind.notarize + VoteKind.nullify
    if (!sameView || !differ || skipsNotarized) throw new Violation('I7 evidence of nothing')
  }
}
