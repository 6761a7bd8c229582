import { digest64Into, hashInto } from '@chainsafe/persistent-merkle-tree'
import { assert, LEAF_BYTES, type Result, sha256, sign, verifySignature } from '@ioex/chain/bytes'
import { applyProve, applyRedeem, type TransactionContext } from '@ioex/chain/rules'
import { draftOf, type LedgerDraft, stateRoot } from '@ioex/chain/state'
import type { Prove, SignedVoucher } from '@ioex/chain/types'
import { actor, World } from '../chain/src/rules/testing/world.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'

const FUNDS = 10n ** 17n
const UNIT_PRICE = 1_000_000n
/** Signatures cost the same everywhere, memory does not: a busy machine shows in single rounds. */
const ROUNDS = 15
const payer = actor('payer')
const node = actor('node')

type Rule = (draft: LedgerDraft, context: TransactionContext) => Result<undefined>

/** Applies a rule to a draft that is dropped, so that every run meets the same state. */
function attempted(world: World, rule: Rule): LedgerDraft {
  const draft = draftOf(world.draft)
  const applied = rule(
    draft,
    world.context(node, () => {}),
  )
  assert(applied.ok, applied.ok ? '' : applied.fault.message)
  return draft
}

/** One redeem with a voucher for each of its rails; nothing but the vouchers is signed. */
function redeem(rails: number): Comparison {
  const world = new World()
  world.fund(payer, FUNDS)
  world.fixBeacon()
  // The first fill is what makes the node known.
  world.rent(payer, node)
  const indexes = Array.from({ length: rails }, () =>
    world.relay(payer, node, UNIT_PRICE, UNIT_PRICE),
  )
  const vouchers = indexes.map((rail, i) => world.voucher(payer, rail, 1024 + i))
  // In a block the transaction's own signature was checked before.
  const digest = sha256(node.key)
  assert(verifySignature(sign(digest, node.secret), digest, node.key), 'it is our own')
  const apply = (fresh: readonly SignedVoucher[]) =>
    attempted(world, (draft, context) =>
      applyRedeem(draft, { rails: indexes, vouchers: [...fresh], least: 0n }, context),
    )
  return {
    name: `chain/rules::redeem/rails=${rails}`,
    unit: 'vouchers',
    work: rails,
    rounds: ROUNDS,
    subject: () => {
      // Copies, as decoding makes them: what was hashed before is known by its object.
      const fresh = vouchers.map((signed) => ({ ...signed, voucher: { ...signed.voucher } }))
      return () => apply(fresh)
    },
    against: { name: RAW_VERIFY, workload: repeated(() => verifyRaw(rails)) },
    result: stateRoot(apply(vouchers)),
  }
}

/** What a proof must hash, with nothing around it. */
export function hashesOf({ openings }: Prove): () => void {
  const draw = new Uint8Array(34)
  const leafEntry = new Uint8Array(25)
  const innerEntry = new Uint8Array(97)
  const leaf = new Uint8Array(LEAF_BYTES)
  const half = leaf.subarray(0, LEAF_BYTES / 2)
  const node32 = new Uint8Array(32)
  return () => {
    for (const { sumPath, opening } of openings) {
      // Where among the weights, which leaf of the slot.
      sha256(draw)
      sha256(draw)
      sha256(leafEntry)
      for (let level = 0; level < sumPath.length; level++) sha256(innerEntry)
      for (let bytes = LEAF_BYTES; bytes > 32; bytes /= 2) {
        hashInto(leaf.subarray(0, bytes), half.subarray(0, bytes / 2))
      }
      for (let level = 0; level < opening.path.length; level++) {
        digest64Into(node32, node32, node32)
      }
    }
  }
}

/** Proofs of a node that answers its challenge: eight openings each, drawn and checked. */
function prove(rails: number, leaves: number, proofs: number): Comparison {
  const world = new World()
  world.fund(payer, FUNDS)
  world.fixBeacon()
  for (let i = 0; i < rails; i++) world.rent(payer, node, { leaves })
  world.step()
  const proof = world.buildProve(node)
  assert(proof, 'the node has kept its slots')
  const apply = () => attempted(world, (draft, context) => applyProve(draft, proof, context))
  const hashes = hashesOf(proof)
  const times = (run: () => unknown) =>
    repeated(() => {
      for (let i = 0; i < proofs; i++) run()
    })
  const [first] = proof.openings
  return {
    name: `chain/rules::prove/rails=${rails}/leaves=${leaves}`,
    unit: 'proofs',
    work: proofs,
    subject: times(apply),
    against: { name: 'its hashes alone', workload: times(hashes) },
    result: stateRoot(apply()),
    facts: {
      slotPath: first?.opening.path.length ?? 0,
      inventoryPath: first?.sumPath.length ?? 0,
    },
  }
}

function* comparisons(scale: Scale): Generator<Comparison> {
  yield redeem(sized(scale, 4, 256))
  yield prove(sized(scale, 2, 16), sized(scale, 64, 4096), sized(scale, 1, 64))
}

export const proofsAndPay: Bench = {
  name: 'rewards',
  about: 'redeems and storage proofs checked, against their signatures and hashes',
  comparisons,
}
