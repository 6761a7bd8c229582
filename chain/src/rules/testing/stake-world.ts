import { assert } from '../../bytes/assert.ts'
import { ok, type Result } from '../../bytes/result.ts'
import { sign, signingDigest } from '../../bytes/signature.ts'
import { draftOf, merge } from '../../state/ledger.ts'
import type { LedgerDraft } from '../../state/ledger-draft.ts'
import { type Statement, StatementType, VoteKind } from '../../types/consensus-objects.ts'
import { type ReceiptBody, ReceiptKind } from '../../types/receipts.ts'
import { AnchorState, NONE, type SetMember, type Validator } from '../../types/records.ts'
import type { Evidence, SignedStatement } from '../../types/transactions.ts'
import { balanceOf } from '../accounts.ts'
import type { TransactionContext } from '../block-context.ts'
import { closeEpoch, recordCheckpoint } from '../epoch-boundary.ts'
import { applyEvidence } from '../evidence.ts'
import { applyReleaseStake } from '../release-stake.ts'
import { applyBond, applyDelegate, applyUnbond } from '../stake.ts'
import { auditSupply } from '../supply.ts'
import { setMembers, validatorAt } from '../validator-set.ts'
import { type KeyPair, keyOf, SampleChain, type SampleOptions } from './sample-chain.ts'

type Rule = (draft: LedgerDraft, context: TransactionContext) => Result<undefined>

export function signedStatement(
  chainId: Uint8Array,
  statement: Statement,
  secretKey: Uint8Array,
): SignedStatement {
  const digest = signingDigest('vote', chainId, StatementType.hashTreeRoot(statement))
  return { statement, signature: sign(digest, secretKey) }
}

/**
 * The staking rules on a production ledger without blocks: four validators of genesis, epochs and
 * anchors set by hand. A rule merges whole or leaves nothing.
 */
export class StakeWorld {
  readonly draft: LedgerDraft
  epoch = 1
  readonly receipts: ReceiptBody[] = []

  constructor(options: SampleOptions = {}) {
    this.draft = draftOf(new SampleChain(options).ledger)
    this.#enter()
  }

  /** Closes the epoch and begins the next one. */
  nextEpoch(): void {
    closeEpoch(this.draft, this.epoch)
    this.epoch += 1
    this.#enter()
  }

  #enter(): void {
    recordCheckpoint(this.draft, this.epoch, new Uint8Array(32).fill(this.epoch))
    this.draft.setGlobals({ ...this.draft.globals(), epoch: this.epoch })
  }

  /** As if the main chain had made the anchor of an epoch final now. */
  makeFinal(epoch: number): void {
    const record = this.draft.epochs.get(epoch)
    assert(record, 'an anchored epoch is over')
    const anchored = { anchorState: AnchorState.final, anchorFinalEpoch: this.epoch }
    this.draft.epochs.set(epoch, { ...record, ...anchored })
    const globals = this.draft.globals()
    const lastFinalEpoch = Math.max(globals.lastFinalEpoch, epoch)
    this.draft.setGlobals({ ...globals, lastFinalEpoch })
  }

  apply(sender: KeyPair | undefined, rule: Rule): Result<undefined> {
    const attempt = draftOf(this.draft)
    const emitted: ReceiptBody[] = []
    const applied = rule(attempt, {
      height: (this.epoch - 1) * attempt.params.epochBlocks + 1,
      epoch: this.epoch,
      timeMs: 0,
      proposer: 0,
      participants: [],
      sender: sender?.publicKey ?? new Uint8Array(33),
      senderAddress: sender?.address ?? new Uint8Array(20),
      bytes: 200,
      transactionId: () => new Uint8Array(32),
      emit: (receipt) => void emitted.push(receipt),
    })
    if (!applied.ok) return applied
    merge(attempt)
    this.receipts.push(...emitted)
    return ok()
  }

  bond(sender: KeyPair, validator: number, amount: bigint): Result<undefined> {
    return this.apply(sender, (draft, context) => applyBond(draft, { validator, amount }, context))
  }

  delegate(sender: KeyPair, validator: number, amount: bigint, delegation = NONE) {
    const value = { validator, delegation, amount }
    return this.apply(sender, (draft, context) => applyDelegate(draft, value, context))
  }

  unbond(sender: KeyPair, validator: number, amount: bigint, delegation = NONE) {
    const value = { validator, delegation, amount }
    return this.apply(sender, (draft, context) => applyUnbond(draft, value, context))
  }

  release(delegation: number): Result<undefined> {
    return this.apply(undefined, (draft, context) =>
      applyReleaseStake(draft, { delegation }, context),
    )
  }

  accuse(evidence: Evidence): Result<undefined> {
    return this.apply(undefined, (draft, context) => applyEvidence(draft, evidence, context))
  }

  /** Two notarize votes of a genesis validator for different blocks. */
  doubleVote(validator: number, epoch = this.epoch, view = 1): Evidence {
    const { secretKey } = keyOf(`validator-${validator}`)
    const vote = (byte: number) =>
      signedStatement(
        this.draft.chainId,
        { kind: VoteKind.notarize, epoch, view, hash: new Uint8Array(32).fill(byte) },
        secretKey,
      )
    return { validator, first: vote(1), second: vote(2) }
  }

  validator(index: number): Readonly<Validator> {
    return validatorAt(this.draft, index)
  }

  set(epoch: number): readonly SetMember[] {
    const members = setMembers(this.draft, epoch)
    assert(members, 'the set is fixed')
    return members
  }

  balance({ address }: KeyPair): bigint {
    return balanceOf(this.draft, address)
  }

  /** Index of the newest record that a receipt names. */
  newestRecord(): number {
    const receipt = this.receipts.findLast(({ selector }) => selector === ReceiptKind.stake)
    assert(receipt?.selector === ReceiptKind.stake, 'something was staked')
    return receipt.value.delegation
  }

  audit(): void {
    const audited = auditSupply(this.draft)
    assert(audited.ok, audited.ok ? '' : audited.fault.message)
  }
}

export const ownerOf = (validator: number) => keyOf(`validator-${validator}-owner`)
