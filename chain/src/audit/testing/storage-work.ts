import { assert } from '../../bytes/assert.ts'
import { sha256 } from '../../bytes/hash.ts'
import { utf8ToBytes } from '../../bytes/hex.ts'
import { sign, signingDigest } from '../../bytes/signature.ts'
import { drawFromSumTree, sumPathOf } from '../../bytes/sum-tree.ts'
import { epochOfHeight } from '../../params/network-params.ts'
import { challengeLeaf, fillLeaves, newestBeacons } from '../../rules/challenge.ts'
import { inventoryTree } from '../../rules/inventory.ts'
import { keyOf, type SampleChain, UNITS } from '../../rules/testing/sample-chain.ts'
import { openLeaf, slotData } from '../../rules/testing/world.ts'
import { challengeOf } from '../../rules/touch-node.ts'
import {
  NodeBindingType,
  type ProveOpening,
  SlotGrantType,
  type Transaction,
} from '../../types/transactions.ts'

/** The node key of a peer that stores one slot. */
export const peer = keyOf('peer')
const payer = keyOf('alice')
const SALT = sha256(utf8ToBytes('salt'))
const LEAVES = 4
const PRICE = 10n * UNITS
const slot = slotData('slot of a certified chain', LEAVES)

/** A contract of one slot. */
export function openContract(sample: SampleChain): Transaction {
  return sample.byOwner(payer, {
    selector: 2,
    value: {
      salt: SALT,
      k: 1,
      n: 1,
      maxLeaves: LEAVES,
      priceCap: PRICE,
      unitPriceCap: 0n,
      lockUnits: 0n,
      pot: 0n,
      term: 50,
      policy: 0,
      delegate: new Uint8Array(20),
      delegateFee: 0n,
      label: new Uint8Array(0),
    },
  })
}

/** The peer fills slot 0 of contract 0, which creates its record too. */
export function fillSlot(sample: SampleChain): Transaction {
  const { root } = slot.tree
  const place = { contract: 0, slot: 0, refill: 0, root, leaves: LEAVES }
  const grant = { ...place, salt: SALT, node: peer.address, price: PRICE, unitPrice: 0n }
  const digest = signingDigest('slot-grant', sample.chainId, SlotGrantType.hashTreeRoot(grant))
  const [beacon] = newestBeacons(sample.ledger, epochOfNext(sample), 1)
  assert(beacon, 'a fill is drawn from a beacon')
  const openings = fillLeaves({ ...place, beacon }).map((leaf) => openLeaf(slot, leaf))
  const grantSignature = sign(digest, payer.secretKey)
  const identity = [identityOf(sample)]
  const value = { grant, payerKey: payer.publicKey, grantSignature, openings, identity }
  return sample.byNode(peer, { selector: 4, value })
}

/** The peer answers the open challenge; its inventory is the one slot. */
export function proveSlot(sample: SampleChain): Transaction {
  const { ledger } = sample
  const node = ledger.nodeIndex(peer.address)
  assert(node !== undefined, 'the peer has filled a slot')
  const challenge = challengeOf(ledger, node, epochOfNext(sample))
  assert(challenge, 'a challenge is open')
  const entries = ledger.inventory(node)
  const tree = inventoryTree(entries)
  const openings: ProveOpening[] = challenge.positions.map((position, i) => {
    const entry = drawFromSumTree(tree, position)
    const drawn = entries[entry]
    assert(drawn, 'the draw falls into the inventory')
    const opening = openLeaf(slot, challengeLeaf(challenge.seed, i, LEAVES))
    return { ...drawn, entry, sumPath: sumPathOf(tree, entry), opening }
  })
  const value = { epoch: challenge.epoch, openings, clear: [] }
  return sample.byNode(peer, { selector: 5, value })
}

/** The peer redeems its storage rail. */
export function redeemSlot(sample: SampleChain, rail: number): Transaction {
  return sample.byNode(peer, { selector: 6, value: { rails: [rail], vouchers: [], least: 0n } })
}

function epochOfNext({ params, height }: SampleChain): number {
  return epochOfHeight(params, height + 1)
}

function identityOf({ chainId }: SampleChain) {
  const owner = keyOf('peer-owner')
  const payout = keyOf('peer-payout').address
  const root = NodeBindingType.hashTreeRoot({ nodeKey: peer.publicKey, payout })
  const signature = sign(signingDigest('possession', chainId, root), owner.secretKey)
  return { owner: owner.publicKey, payout, signature }
}
