import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { isSameStatement, isValidCertificate } from '../consensus/certificate.ts'
import { isJustified } from '../consensus/justification.ts'
import { leaderSchedule } from '../consensus/leader-schedule.ts'
import type {
  EpochSetup,
  EpochValidator,
  FinalBlock,
  VoteVerifier,
} from '../consensus/machine-interface.ts'
import { voteVerifier } from '../consensus/vote-verifier.ts'
import { paramsAt } from '../params/forks.ts'
import {
  checkpointHeight,
  epochOfHeight,
  isCheckpointHeight,
  type NetworkParams,
} from '../params/network-params.ts'
import { blockHash, isJustificationOf } from '../types/block.ts'
import {
  type Certificate,
  type Header,
  type Statement,
  VoteKind,
} from '../types/consensus-objects.ts'
import type { ExportRecord } from './export-format.ts'

export interface HistoryStart {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  readonly header: Header
  readonly hash: Uint8Array
}

/**
 * Checks that blocks follow one another and that the validators made them final: hash links,
 * leaders, justifications with all their certificates, finality certificates (docs/protocol,
 * consensus 1.4-1.6). What the blocks hold is the replay's matter.
 */
export class CertifiedHistory {
  readonly #chainId: Uint8Array
  readonly #params: NetworkParams
  readonly #crypto: VoteVerifier
  #setup: EpochSetup | undefined
  #leaders: readonly number[] = []
  #head: FinalBlock
  /** Lowest height that no certificate proves yet. */
  #unproven: number | undefined
  #certificates = 0
  #signatures = 0

  constructor({ chainId, params, header, hash }: HistoryStart) {
    this.#chainId = chainId
    this.#params = params
    this.#crypto = this.#counting(voteVerifier(chainId))
    this.#head = { hash: bytesToHex(hash), header, certificate: undefined }
  }

  /** Newest block. */
  get head(): FinalBlock {
    return this.#head
  }

  /** Undefined when everything up to the head is proven. */
  get unprovenFrom(): number | undefined {
    return this.#unproven
  }

  /** Finality certificates checked. */
  get certificates(): number {
    return this.#certificates
  }

  /** Validators' signatures checked, in certificates of all kinds. */
  get signatures(): number {
    return this.#signatures
  }

  /**
   * Takes the next block. `validators` is the set that the ledger before it has on record.
   * @returns the block's hash
   */
  extend(
    { block: { header }, justification, certificate }: ExportRecord,
    validators: readonly EpochValidator[],
  ): Result<Uint8Array> {
    const linked = this.#checkLink(header)
    if (!linked.ok) return linked
    const setup = this.#setupOf(header, validators)
    const placed = this.#checkPlace(header, setup)
    if (!placed.ok) return placed
    const justified = this.#checkJustification(header, justification, setup)
    if (!justified.ok) return justified
    const hash = blockHash(header)
    const final = this.#checkFinality(header, hash, certificate, setup)
    if (!final.ok) return final
    if (certificate) {
      this.#certificates++
      this.#unproven = undefined
    } else {
      this.#unproven ??= header.height
    }
    this.#head = { hash: bytesToHex(hash), header, certificate }
    return ok(hash)
  }

  #checkLink(header: Header): Result<undefined> {
    const { hash, header: parent } = this.#head
    if (!bytesEqual(header.chainId, this.#chainId)) {
      return fault('BLOCK_CHAIN', 'the block is of another chain')
    }
    if (header.version !== paramsAt(this.#params, header.epoch).protocolVersion) {
      return fault('BLOCK_VERSION', `protocol version ${header.version} is not this chain's`)
    }
    if (header.height !== parent.height + 1) {
      return fault('BLOCK_HEIGHT', `height ${header.height} stands after ${parent.height}`)
    }
    if (bytesToHex(header.parentHash) !== hash) {
      return fault('BLOCK_LINK', 'the block does not stand on the one before it', {
        stated: bytesToHex(header.parentHash),
        parent: hash,
      })
    }
    if (header.epoch !== epochOfHeight(this.#params, header.height)) {
      return fault('BLOCK_EPOCH', `height ${header.height} is not in epoch ${header.epoch}`)
    }
    return ok()
  }

  /** The setup of the header's epoch; its first block starts from the checkpoint before. */
  #setupOf(header: Header, validators: readonly EpochValidator[]): EpochSetup {
    const { epoch } = header
    if (this.#setup?.epoch === epoch) return this.#setup
    const previous = this.#setup
    assert((previous?.epoch ?? 0) === epoch - 1, 'linked heights do not leave out an epoch')
    this.#setup = {
      epoch,
      validators,
      previousValidators: previous?.validators ?? [],
      start: this.#head,
      lastHeight: checkpointHeight(this.#params, epoch),
    }
    this.#leaders = leaderSchedule(validators, this.#head.hash, epoch)
    return this.#setup
  }

  #checkPlace({ view, parentView, proposer }: Header, { start }: EpochSetup): Result<undefined> {
    const isFirst = this.#head.hash === start.hash
    if (view < 1 || parentView !== (isFirst ? 0 : this.#head.header.view)) {
      return fault('BLOCK_VIEW', 'the block names another view for its parent', {
        view,
        parentView,
      })
    }
    const leader = this.#leaders[view % this.#leaders.length]
    if (proposer === leader) return ok()
    return fault('BLOCK_LEADER', `validator ${proposer} does not lead view ${view}`, { view })
  }

  #checkJustification(
    header: Header,
    justification: ExportRecord['justification'],
    setup: EpochSetup,
  ): Result<undefined> {
    if (!isJustificationOf(header, justification)) {
      return fault('JUSTIFICATION_ROOT', 'the justification is not the one the header commits to')
    }
    const { view, parentView } = header
    const slot = { view, parentView, parentHash: bytesToHex(header.parentHash) }
    const proven = this.#head.certificate
    const known = (statement: Statement) =>
      proven && isSameStatement(proven.statement, statement) ? proven : undefined
    return isJustified(justification, slot, { setup, crypto: this.#crypto, known })
      ? ok()
      : fault('JUSTIFICATION_INVALID', 'the justification does not certify the parent', { view })
  }

  /** Only an epoch's last block may be finalised in a later view than its own. */
  #checkFinality(
    header: Header,
    hash: Uint8Array,
    certificate: Certificate | undefined,
    setup: EpochSetup,
  ): Result<undefined> {
    const isCheckpoint = isCheckpointHeight(this.#params, header.height)
    if (!certificate) {
      if (!isCheckpoint) return ok()
      return fault('CHECKPOINT_UNCERTIFIED', "an epoch's last block has a certificate of its own")
    }
    const { kind, epoch, view, hash: named } = certificate.statement
    const isView = isCheckpoint ? view >= header.view : view === header.view
    if (kind !== VoteKind.finalize || epoch !== header.epoch || !isView) {
      return fault('CERTIFICATE_OTHER', 'the certificate does not finalise a block of this view')
    }
    if (!bytesEqual(named, hash)) {
      return fault('CERTIFICATE_OTHER', 'the certificate is of another block', {
        named: bytesToHex(named),
        block: bytesToHex(hash),
      })
    }
    return isValidCertificate(certificate, setup.validators, this.#crypto)
      ? ok()
      : fault('CERTIFICATE_INVALID', 'the certificate lacks valid signatures of a quorum')
  }

  #counting({ verify }: VoteVerifier): VoteVerifier {
    return {
      verify: (...vote) => {
        this.#signatures++
        return verify(...vote)
      },
    }
  }
}
