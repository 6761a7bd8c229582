import { hashInto } from '@chainsafe/persistent-merkle-tree'
import { addressOf, publicKeyOf, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { closeEpoch, newEpoch, newValidator, rewardLeafHash } from '@ioex/chain/rules'
import { draftOf, type RewardLeaf, stateRoot } from '@ioex/chain/state'
import { type Node, type SetMember, type Validator } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { BaseLedger, emptyContent } from '../chain/src/state/base-ledger.ts'
import { type Comparison, repeated } from './comparison.ts'
import { nodeOfIts, sameNodes } from './node-table.ts'
import { seededBytes } from './seeded.ts'
import { NODE_PAIRS, pairsAbove } from './state-root.ts'

const VALIDATORS = 36
const POOL = 10n ** 12n
const EPOCH = 1
const PAIR_BYTES = 64

function validators(): { records: Validator[]; members: SetMember[] } {
  const records = Array.from({ length: VALIDATORS }, (_, i) => {
    const consensusKey = publicKeyOf(sha256(utf8ToBytes(`validator ${i}`)))
    const owner = addressOf(consensusKey)
    const mainKey = new Uint8Array(33)
    const identity = { owner, payout: owner, consensusKey, mainKey }
    const { validatorBondMin } = presets.main
    return { ...newValidator(identity), bond: validatorBondMin, participation: 3600 }
  })
  const weight = Number(presets.main.validatorBondMin / presets.main.stakeUnit)
  const members = records.map(({ consensusKey }, validator) => {
    return { validator, publicKey: consensusKey, weight }
  })
  return { records, members }
}

/** A ledger before the last block of an epoch in which the first `redeemed` nodes redeemed. */
export function ledgerOf(nodes: number, redeemed: number): BaseLedger {
  const { records, members } = validators()
  const rates = { q1: 0n, q2: 0n }
  const fee = 10n ** 9n
  const fees = fee * BigInt(redeemed)
  const running = { ...newEpoch(0, rates, members), fees, burned: fees / 10n }
  const own = Array.from({ length: redeemed }, (_, i) => nodeOfIts(`node ${i}`))
  const ledger = new BaseLedger(presets.main, new Uint8Array(32), {
    ...emptyContent(),
    nodes: [...own, ...sameNodes(nodes - redeemed)],
    validators: records,
    epochs: [newEpoch(0, rates, members), running],
  })
  const leaves: RewardLeaf[] = own.map(({ nodeKey }) => ({ node: addressOf(nodeKey), fee }))
  // As every booking of a fee does.
  for (const leaf of leaves) rewardLeafHash(leaf)
  ledger.rewards.set(EPOCH, leaves)
  const at = { epoch: EPOCH, height: presets.main.epochBlocks, validatorPool: POOL }
  ledger.currentGlobals = { ...ledger.currentGlobals, ...at, nodesClass1: nodes }
  return ledger
}

/**
 * The close of an epoch and the state root of its last block, of which `inLastBlock` nodes
 * redeemed in that very block.
 */
function close(ledger: BaseLedger, redeemed: number, inLastBlock: number): Comparison {
  const { count } = ledger.nodes
  const touched = Array.from({ length: inLastBlock }, (_, i) => i)
  const records = touched.map((i) => ({ ...(ledger.nodes.get(i) as Node), pendingFee: 1n }))
  const draft = () => {
    const written = draftOf(ledger)
    for (const [i, record] of records.entries()) written.nodes.set(i, record)
    return written
  }
  const run = () => {
    const closing = draft()
    return () => {
      closeEpoch(closing, EPOCH)
      return stateRoot(closing)
    }
  }
  // A reward tree's node is 65 bytes: two compressions, as a pair of 64.
  const pairs = redeemed + pairsAbove(touched, count) + inLastBlock * NODE_PAIRS
  const input = seededBytes('pairs', pairs * PAIR_BYTES)
  const output = new Uint8Array(input.length / 2)
  return {
    name: `chain/rules::close-epoch/nodes=${count}/redeemed=${redeemed}/last=${inLastBlock}`,
    unit: 'closes',
    work: 1,
    subject: run,
    against: {
      name: 'as many hashes in one hashtree batch',
      workload: repeated(() => hashInto(input, output)),
    },
    result: run()(),
    facts: { hashes: pairs },
  }
}

/** Spread over the epoch, and all in its last block, which is more than one block can hold. */
export function* closes(ledger: BaseLedger, redeemed: number): Generator<Comparison> {
  const spread = Math.ceil(redeemed / presets.main.epochBlocks)
  yield close(ledger, redeemed, spread)
  yield close(ledger, redeemed, redeemed)
}
