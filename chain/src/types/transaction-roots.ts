import { ContainerType } from '@chainsafe/ssz'
import { assert } from '../bytes/assert.ts'
import { hashPairs } from '../bytes/dense-tree.ts'
import { flatRootsOf, listRoot, unionRootsOf } from '../bytes/flat-roots.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, signingDigest } from '../bytes/signature.ts'
import { Bytes32, Count64, U32, Units64 } from './primitives.ts'
import {
  type Payload,
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

/** What follows from a body. */
interface KnownBody {
  readonly root: Uint8Array
  /** What its sender signs on the chain of this id, once it was asked for. */
  digest: Uint8Array | undefined
  chainId: Uint8Array | undefined
}

/** Bodies are values: none changes after it was decoded or signed, so its root is kept with it. */
const knownBodies = new WeakMap<TransactionBody, KnownBody>()

function known(body: TransactionBody): KnownBody {
  return knownBodies.get(body) ?? remember(body, TransactionBodyType.hashTreeRoot(body))
}

function remember(body: TransactionBody, root: Uint8Array): KnownBody {
  const one: KnownBody = { root, digest: undefined, chainId: undefined }
  knownBodies.set(body, one)
  return one
}

/** hash_tree_root of a body: the transaction's id. Computed once per body. */
export function bodyRoot(body: TransactionBody): Uint8Array {
  return known(body).root
}

/** The digest that the sender of a body signs (PROTOCOL 1.2). Kept for the chain last asked for. */
export function bodyDigest(body: TransactionBody, chainId: Uint8Array): Uint8Array {
  const one = known(body)
  if (one.digest === undefined || one.chainId !== chainId) {
    one.digest = signingDigest('tx', chainId, one.root)
    one.chainId = chainId
  }
  return one.digest
}

/** Says what the root of a body is whose openings are gone: what is left does not give it. */
export function keepBodyRoot(body: TransactionBody, root: Uint8Array): void {
  remember(body, root)
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

const rootsOfTransfers = flatRootsOf<Transfer>(TransferType)
const rootsOfPayloads = unionRootsOf<Payload, typeof PayloadKind.transfer>(
  PayloadType,
  PayloadKind.transfer,
  rootsOfTransfers,
)
const rootsOfBodies = flatRootsOf<TransactionBody>(BodyOfRootsType)

/** Computes the roots of many bodies in one batch, for all who ask for them later. */
export function prepareRoots(transactions: readonly Transaction[]): void {
  const bodies: TransactionBody[] = []
  for (const { body } of transactions) if (!knownBodies.has(body)) bodies.push(body)
  if (bodies.length === 0) return
  const sender = rootsOfSenders(bodies)
  const payload = rootsOfPayloads(bodies.map((body) => body.payload))
  const roots = rootsOfBodies(bodies, { sender, payload })
  for (let i = 0; i < bodies.length; i++) {
    const root = roots.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)
    remember(bodies[i] as TransactionBody, root)
  }
}

function rootsOfSenders(bodies: readonly TransactionBody[]): Uint8Array {
  const pairs = new Uint8Array(bodies.length * PAIR_BYTES)
  for (const [i, { sender }] of bodies.entries()) {
    assert(sender.length === PUBLIC_KEY_BYTES, 'the codec refused a key of other length')
    pairs.set(sender, i * PAIR_BYTES)
  }
  return hashPairs(pairs)
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
