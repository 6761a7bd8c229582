import { ContainerType } from '@chainsafe/ssz'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf, signingDigest, verifySignature } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { Bytes20, PublicKeyBytes, ZERO_ADDRESS, ZERO_KEY } from '../types/primitives.ts'
import { NONE, type Node } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { NodeRole, type Register } from '../types/transactions.ts'
import { debit, moveToBond } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { newNode } from './new-node.ts'
import { newValidator } from './new-validator.ts'
import { CreationKind } from './open-contract.ts'
import { validatorAt, validatorOfKey } from './validator-set.ts'

/**
 * What a hot key signs (purpose "possession") to show that it serves this owner. Without it
 * anybody could register somebody else's key and block it.
 */
export const PossessionType = new ContainerType(
  { owner: Bytes20, key: PublicKeyBytes },
  { typeName: 'Possession' },
)

/** The digest that a node or consensus key signs for its owner's register. */
export function possessionDigest(
  chainId: Uint8Array,
  owner: Uint8Array,
  key: Uint8Array,
): Uint8Array {
  return signingDigest('possession', chainId, PossessionType.hashTreeRoot({ owner, key }))
}

const ROLES_KNOWN = NodeRole.peer | NodeRole.bootstrap | NodeRole.validator

/**
 * The owner registers a bootstrap node or the node of a validator: its deposit is set aside and
 * each hot key proves that it is held (PROTOCOL 3, 4). A new consensus key makes a validator,
 * with the least bond from the owner's balance. Sent again by the same owner it changes the
 * node's payout address and roles, or takes back that it gave them up. Peers need none of this: their first fill creates their record.
 * With `replaces` a node gets a new key (docs/decisions/0018-durability.md, 5).
 */
export function applyRegister(
  draft: LedgerDraft,
  register: Register,
  context: TransactionContext,
): Result<undefined> {
  const owner = context.senderAddress
  const form = checkRoles(draft, register, owner)
  if (!form.ok) return form
  const index = draft.nodeIndex(addressOf(register.nodeKey))
  const existing = index === undefined ? undefined : draft.nodes.get(index)
  if (existing && !bytesEqual(existing.owner, owner)) {
    return fault('NODE_KEY_TAKEN', 'this node key serves another owner')
  }
  if (existing?.evicted) return fault('NODE_EVICTED', 'an evicted node starts again with a new key')
  const former = formerNode(draft, register, owner)
  if (!former.ok) return former
  const deposit = draft.params.registerDepositUnits
  const set = (existing ?? former.value)?.deposit ?? 0n
  const paid = debit(draft, owner, deposit - set)
  if (!paid.ok) return paid
  const proven = checkPossession(draft.chainId, register, owner)
  if (!proven.ok) return proven
  const created = createValidator(draft, register, owner)
  if (!created.ok) return created
  const { payout, roles } = register
  if (index !== undefined && existing) {
    const taken = { payout, roles: existing.roles | roles, deposit, exitEpoch: NONE }
    draft.nodes.set(index, { ...existing, ...taken })
    return ok()
  }
  if (former.value) {
    // What names it goes on: rails, held pay, debt and proofs end under the key they began with.
    const peerOnly = former.value.roles & NodeRole.peer
    draft.nodes.set(register.replaces, { ...former.value, roles: peerOnly, deposit: 0n })
  }
  const { nodeKey } = register
  const { epoch } = context
  const node = draft.nodes.count
  draft.nodes.set(node, newNode({ owner, nodeKey, payout, roles, deposit, epoch }))
  context.emit({
    selector: ReceiptKind.creation,
    value: { kind: CreationKind.node, index: node, generation: 0, owner },
  })
  return ok()
}

/** The own node whose place the new key takes; undefined where it takes nobody's. */
function formerNode(
  draft: LedgerDraft,
  { nodeKey, replaces }: Register,
  owner: Uint8Array,
): Result<Readonly<Node> | undefined> {
  if (replaces === NONE) return ok(undefined)
  const former = draft.nodes.get(replaces)
  if (!former || !bytesEqual(former.owner, owner)) {
    return fault('NODE_UNKNOWN', 'the owner has no such node to replace', { node: replaces })
  }
  if (former.evicted) return fault('NODE_EVICTED', 'an evicted node passes nothing on')
  if ((former.roles & (NodeRole.bootstrap | NodeRole.validator)) === 0) {
    return fault('NODE_ROLES', 'a node that is not registered has nothing to pass on')
  }
  return draft.nodeIndex(addressOf(nodeKey)) === undefined
    ? ok(former)
    : fault('NODE_KEY_TAKEN', 'a key that replaces another must be new')
}

function checkRoles(draft: LedgerDraft, register: Register, owner: Uint8Array): Result<undefined> {
  const { roles, consensusKey, payout } = register
  const known = (roles & ~ROLES_KNOWN) === 0
  if (!known || (roles & (NodeRole.bootstrap | NodeRole.validator)) === 0) {
    return fault('NODE_ROLES', 'register is for bootstrap nodes and validators', { roles })
  }
  if (bytesEqual(payout, ZERO_ADDRESS)) {
    return fault('ADDRESS_ZERO', 'nobody holds the key of the zero address')
  }
  const validates = (roles & NodeRole.validator) !== 0
  if (validates !== !bytesEqual(consensusKey, ZERO_KEY)) {
    return fault('NODE_ROLES', 'a validator, and nobody else, names a consensus key')
  }
  if (!validates) return ok()
  const index = validatorOfKey(draft, consensusKey)
  if (index === undefined) return ok()
  return bytesEqual(validatorAt(draft, index).owner, owner)
    ? ok()
    : fault('CONSENSUS_KEY_TAKEN', 'this consensus key is of another owner')
}

/** A validator's record with the least bond; it is in a set once an epoch's end has found it. */
function createValidator(
  draft: LedgerDraft,
  { roles, consensusKey, payout }: Register,
  owner: Uint8Array,
): Result<undefined> {
  const validates = (roles & NodeRole.validator) !== 0
  if (!validates || validatorOfKey(draft, consensusKey) !== undefined) return ok()
  const bond = draft.params.validatorBondMin
  const bonded = moveToBond(draft, owner, bond)
  if (!bonded.ok) return bonded
  const identity = { owner, payout, consensusKey, mainKey: ZERO_KEY }
  draft.validators.set(draft.validators.count, { ...newValidator(identity), bond })
  return ok()
}

function checkPossession(
  chainId: Uint8Array,
  register: Register,
  owner: Uint8Array,
): Result<undefined> {
  const { nodeKey, nodeProof, consensusKey, consensusProof } = register
  const missing = (which: string) =>
    fault('POSSESSION_PROOF', `the ${which} key's proof of possession does not verify`)
  const node = verifySignature(nodeProof, possessionDigest(chainId, owner, nodeKey), nodeKey)
  if (!node) return missing('node')
  if ((register.roles & NodeRole.validator) === 0) {
    return consensusProof.every((byte) => byte === 0)
      ? ok()
      : fault('POSSESSION_PROOF', 'a proof without a key must be zero')
  }
  const digest = possessionDigest(chainId, owner, consensusKey)
  return verifySignature(consensusProof, digest, consensusKey) ? ok() : missing('consensus')
}
