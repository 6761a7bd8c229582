import { ContainerType } from '@chainsafe/ssz'
import { hashPairs } from '../bytes/dense-tree.ts'
import { flatRootsOf, listRoot, mixInSelector } from '../bytes/flat-roots.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../bytes/signature.ts'
import { Bytes32, Count64, U32, Units64 } from './primitives.ts'
import {
  PayloadKind,
  PayloadType,
  type Transaction,
  type TransactionBody,
  TransactionBodyType,
  TRANSACTIONS_PER_BLOCK_MAX,
  type Transfer,
  TransferType,
} from './transactions.ts'

const PAIR_BYTES = 2 * HASH_BYTES

/** Bodies are values: none changes after it was decoded or signed, so its root is kept with it. */
const knownRoots = new WeakMap<TransactionBody, Uint8Array>()

/** hash_tree_root of a body: the transaction's id. Computed once per body. */
export function bodyRoot(body: TransactionBody): Uint8Array {
  const known = knownRoots.get(body)
  if (known) return known
  const root = TransactionBodyType.hashTreeRoot(body)
  knownRoots.set(body, root)
  return root
}

/** A body with roots in the place of its longer fields. */
const BodyOfRootsType = new ContainerType({
  sender: Bytes32,
  nonce: U32,
  validUntil: Count64,
  maxBaseFee: Units64,
  tip: Units64,
  payload: Bytes32,
})
type BodyOfRoots = Omit<TransactionBody, 'payload'> & { payload: Uint8Array }

const rootsOfTransfers = flatRootsOf<Transfer>(TransferType)
const rootsOfBodies = flatRootsOf<BodyOfRoots>(BodyOfRootsType)

/** Computes the roots of many bodies in one batch, for all who ask for them later. */
export function prepareRoots(transactions: readonly Transaction[]): void {
  const bodies = transactions.map(({ body }) => body).filter((body) => !knownRoots.has(body))
  const senders = rootsOfSenders(bodies)
  const payloads = rootsOfPayloads(bodies)
  const at = (roots: Uint8Array, i: number) => roots.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
  const roots = rootsOfBodies(
    bodies.map((body, i) => ({ ...body, sender: at(senders, i), payload: at(payloads, i) })),
  )
  for (const [i, body] of bodies.entries()) knownRoots.set(body, at(roots, i).slice())
}

function rootsOfSenders(bodies: readonly TransactionBody[]): Uint8Array {
  const pairs = new Uint8Array(bodies.length * PAIR_BYTES)
  for (const [i, { sender }] of bodies.entries()) {
    // A malformed key of other length was refused by the codec.
    pairs.set(sender.subarray(0, PUBLIC_KEY_BYTES), i * PAIR_BYTES)
  }
  return hashPairs(pairs)
}

function rootsOfPayloads(bodies: readonly TransactionBody[]): Uint8Array {
  const roots = new Uint8Array(bodies.length * HASH_BYTES)
  const transfers: Transfer[] = []
  const places: number[] = []
  for (const [i, { payload }] of bodies.entries()) {
    if (payload.selector === PayloadKind.transfer) {
      transfers.push(payload.value)
      places.push(i)
    } else {
      roots.set(PayloadType.hashTreeRoot(payload), i * HASH_BYTES)
    }
  }
  const mixed = mixInSelector(rootsOfTransfers(transfers), PayloadKind.transfer)
  for (const [t, i] of places.entries()) {
    roots.set(mixed.subarray(t * HASH_BYTES, (t + 1) * HASH_BYTES), i * HASH_BYTES)
  }
  return roots
}

/** hash_tree_root of a block's transactions in order. */
export function rootOfTransactions(transactions: readonly Transaction[]): Uint8Array {
  prepareRoots(transactions)
  const signatures = new Uint8Array(transactions.length * SIGNATURE_BYTES)
  for (const [i, { signature }] of transactions.entries()) {
    signatures.set(signature, i * SIGNATURE_BYTES)
  }
  const signatureRoots = hashPairs(signatures)
  const pairs = new Uint8Array(transactions.length * PAIR_BYTES)
  for (const [i, { body }] of transactions.entries()) {
    pairs.set(bodyRoot(body), i * PAIR_BYTES)
    const own = signatureRoots.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
    pairs.set(own, i * PAIR_BYTES + HASH_BYTES)
  }
  return listRoot(hashPairs(pairs), TRANSACTIONS_PER_BLOCK_MAX)
}
