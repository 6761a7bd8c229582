import { describe, expect, test } from 'vitest'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { sign, signingDigest } from '../bytes/signature.ts'
import { drawFromSumTree, sumPathOf } from '../bytes/sum-tree.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { draftOf, merge, stateRoot } from '../state/ledger.ts'
import { loadLedger } from '../state/ledger-loader.ts'
import { changesOf } from '../state/state-changes.ts'
import type { Receipt } from '../types/receipts.ts'
import type { InventoryEntry } from '../types/records.ts'
import {
  type Fill,
  NodeBindingType,
  type Payload,
  type ProveOpening,
  SlotGrantType,
  type Transaction,
  VoucherType,
} from '../types/transactions.ts'
import { balanceOf } from './accounts.ts'
import { challengeLeaf, fillLeaves, newestBeacons } from './challenge.ts'
import { executeBlock } from './execute-block.ts'
import { inventoryTree } from './inventory.ts'
import { auditSupply } from './supply.ts'
import { keyOf, type KeyPair, SampleChain, UNITS } from './testing/sample-chain.ts'
import { openLeaf, slotData } from './testing/world.ts'
import { challengeOf } from './touch-node.ts'

await installNativeCrypto()

const alice = keyOf('alice')
const LEAVES = 64
const PRICE = 100_000_000_000n
const peers = ['peer-0', 'peer-1'].map(keyOf)
const payoutOf = (peer: number) => keyOf(`peer-${peer}-payout`)
const dataOf = (slot: number) => slotData(`story ${slot}`, LEAVES)

/** Real blocks only: every step is a signed transaction, every block is stored and reloaded. */
class Story {
  readonly chain = new SampleChain({ nodes: ['relay'], balances: { alice: 1_000n * UNITS } })
  readonly entries = new Map<string, Uint8Array>()
  readonly receipts: Receipt[] = []

  constructor() {
    this.#store(this.chain.genesis.entries)
  }

  #store(changes: readonly { key: string; bytes: Uint8Array | null }[]): void {
    for (const { key, bytes } of changes) {
      if (bytes === null) this.entries.delete(key)
      else this.entries.set(key, bytes)
    }
  }

  block(transactions: readonly Transaction[] = []): void {
    const { chain } = this
    // One main block per side block, as in the ci preset.
    const time = Math.floor(chain.next().timeMs / 1000)
    const headers = chain.mainHeaders([chain.main.mine(Math.max(time, chain.main.tip.time + 1))])
    const draft = draftOf(chain.ledger)
    const executed = executeBlock(draft, [headers, ...transactions], chain.next())
    if (!executed.ok) throw new Error(`${executed.fault.code}: ${executed.fault.message}`)
    this.#store(changesOf(draft))
    merge(draft)
    chain.hashes.push(executed.value.roots.stateRoot)
    this.receipts.push(...executed.value.receipts)
    const audit = auditSupply(chain.ledger)
    expect(audit.ok ? '' : audit.fault.message).toBe('')
    const list = [...this.entries].map(([key, bytes]) => ({ key, bytes }))
    const loaded = loadLedger(chain.params, chain.chainId, list)
    if (!loaded.ok) throw new Error(loaded.fault.message)
    expect(bytesToHex(stateRoot(loaded.value))).toBe(bytesToHex(stateRoot(chain.ledger)))
  }

  runUntil(isDone: () => boolean): void {
    for (let i = 0; i < 200 && !isDone(); i++) this.block()
    expect(isDone()).toBe(true)
  }

  fill(slot: number): Transaction {
    const { chain } = this
    const peer = peers[slot] as KeyPair
    const { tree } = dataOf(slot)
    const contract = 0
    const grant = {
      contract,
      salt: new Uint8Array(32).fill(1),
      slot,
      refill: 0,
      root: tree.root,
      leaves: LEAVES,
      node: peer.address,
      price: PRICE,
      unitPrice: 1000n,
    }
    const [beacon] = newestBeacons(chain.ledger, chain.next().epoch, 1)
    if (!beacon) throw new Error('no beacon yet')
    const { root, leaves } = grant
    const drawn = fillLeaves({ beacon, contract, slot, root, leaves })
    const owner = keyOf(`peer-${slot}-owner`)
    const payout = payoutOf(slot).address
    const binding = NodeBindingType.hashTreeRoot({ nodeKey: peer.publicKey, payout })
    const possession = signingDigest('possession', chain.chainId, binding)
    const granted = signingDigest('slot-grant', chain.chainId, SlotGrantType.hashTreeRoot(grant))
    const value: Fill = {
      grant,
      payerKey: alice.publicKey,
      grantSignature: sign(granted, alice.secretKey),
      openings: drawn.map((leaf) => openLeaf(dataOf(slot), leaf)),
      identity: [{ owner: owner.publicKey, payout, signature: sign(possession, owner.secretKey) }],
    }
    return chain.byNode(peer, { selector: 4, value })
  }

  prove(slot: number): Transaction | undefined {
    const { ledger, epoch } = this.chain
    const peer = peers[slot] as KeyPair
    const index = ledger.nodeIndex(peer.address) as number
    const challenge = challengeOf(ledger, index, epoch)
    if (!challenge) return undefined
    const entries = this.#entriesOf(index, challenge.snapshot.root)
    const tree = inventoryTree(entries)
    const openings: ProveOpening[] = challenge.positions.map((position, i) => {
      const entry = drawFromSumTree(tree, position)
      const opening = openLeaf(dataOf(slot), challengeLeaf(challenge.seed, i, LEAVES))
      return {
        ...(entries[entry] as InventoryEntry),
        entry,
        sumPath: sumPathOf(tree, entry),
        opening,
      }
    })
    const value = { epoch: challenge.epoch, openings, clear: [] }
    return this.chain.byNode(peer, { selector: 5, value })
  }

  /** The inventory behind a root, which may be one that the ring keeps. */
  #entriesOf(node: number, root: Uint8Array): readonly InventoryEntry[] {
    const { ledger } = this.chain
    const snapshots = ledger.nodes.get(node)?.snapshots ?? []
    const kept = snapshots.findIndex((snapshot) => bytesEqual(snapshot.root, root))
    return kept < 0
      ? ledger.inventory(node)
      : (ledger.inventorySnapshots(node)[kept] as readonly InventoryEntry[])
  }

  voucher(rail: number, kib: number) {
    const voucher = { rail, generation: 0, kib, reservations: 3 }
    const root = VoucherType.hashTreeRoot(voucher)
    const digest = signingDigest('voucher', this.chain.chainId, root)
    return { voucher, payerKey: alice.publicKey, signature: sign(digest, alice.secretKey) }
  }

  kinds(): Set<number> {
    return new Set(this.receipts.map(({ body }) => body.selector))
  }
}

const openContract: Payload = {
  selector: 2,
  value: {
    salt: new Uint8Array(32).fill(1),
    k: 1,
    n: 2,
    maxLeaves: LEAVES,
    priceCap: PRICE,
    unitPriceCap: 1000n,
    lockUnits: 1_000_000n,
    pot: 500n,
    term: 40,
    policy: 0,
    delegateFee: 0n,
    delegate: new Uint8Array(20),
    label: new Uint8Array(0),
  },
}
const relayTerms = { lockUnits: 10_000_000n, unitPrice: 5_000_000n, reservationPrice: 7n }

describe('a file is stored, proven, paid, lost and closed over real blocks', () => {
  test('every unit accounted for after every block', { timeout: 60_000 }, () => {
    const story = new Story()
    const { chain } = story
    const { ledger } = chain
    const relay = keyOf('relay')
    const openRelay: Payload = { selector: 3, value: { node: relay.address, ...relayTerms } }
    story.block([chain.byOwner(alice, openContract)])
    story.block([chain.byOwner(alice, openRelay)])
    story.runUntil(() => newestBeacons(ledger, chain.next().epoch, 1).length > 0)
    story.block([story.fill(0), story.fill(1)])
    expect(ledger.contracts.get(0)).toMatchObject({ active: true, filled: 2 })
    // Both answer their challenges for a while; then the second falls silent.
    const proofs = [0, 0]
    const answer = (slots: readonly number[]) =>
      slots.flatMap((slot) => {
        const proof = story.prove(slot)
        if (proof) proofs[slot] = (proofs[slot] ?? 0) + 1
        return proof ?? []
      })
    while (chain.epoch < 8) story.block(answer([0, 1]))
    expect(proofs[0]).toBeGreaterThan(3)
    const redeem = (rails: number[], key: KeyPair, kib?: number) => {
      const vouchers = kib === undefined ? [] : [story.voucher(rails[0] as number, kib)]
      return chain.byNode(key, { selector: 6, value: { rails, vouchers, least: 0n } })
    }
    const railOf = (slot: number) => ledger.contracts.get(0)?.rails[slot]?.rail as number
    // The relay rail was opened first: rail 0.
    const redeems = [
      redeem([railOf(0)], peers[0] as KeyPair),
      redeem([railOf(1)], peers[1] as KeyPair),
      redeem([0], relay, 1000),
    ]
    story.block(redeems)
    const paid = balanceOf(ledger, payoutOf(0).address)
    expect(paid).toBeGreaterThan(0n)
    expect(balanceOf(ledger, keyOf('relay-payout').address)).toBeGreaterThan(0n)
    while (chain.epoch < 9) story.block(answer([0]))
    const { burned, emission } = ledger.epochs.get(8) ?? { burned: 0n, emission: 0n }
    expect(emission).toBeGreaterThan(0n)
    expect(2n * emission).toBeLessThanOrEqual(burned)
    // The subsidy comes with the next touch: a prove is one.
    story.runUntil(() => story.prove(0) !== undefined)
    story.block(answer([0]))
    expect(ledger.globals().minted).toBeGreaterThan(0n)
    expect(balanceOf(ledger, payoutOf(0).address)).toBeGreaterThan(paid)
    const silent = (peers[1] as KeyPair).address
    const evict = chain.byNode(keyOf('anyone'), { selector: 10, value: { node: silent } })
    for (let i = 0; i < 200 && chain.outcome(evict) !== 'ok'; i++) {
      story.block(answer([0]))
      evict.body.validUntil = chain.height + 100
      const again = chain.byNode(keyOf('anyone'), evict.body.payload)
      Object.assign(evict, again)
    }
    story.block([evict])
    expect(ledger.nodes.get(ledger.nodeIndex(silent) as number)?.evicted).toBe(true)
    const close = (kind: number, target: number) =>
      chain.byOwner(alice, { selector: 7, value: { kind, target, generation: 0 } })
    story.block([close(1, 0)])
    for (const rail of [railOf(0), railOf(1), 0]) {
      if (rail === 0) story.block([close(0, 0), ...answer([0])])
      for (let i = 0; i < 100 && chain.outcome(close(0, rail)) !== 'ok'; i++) {
        story.block(answer([0]))
      }
      story.block([close(0, rail)])
    }
    expect(ledger.contracts.get(0)?.live).toBe(false)
    const audit = auditSupply(ledger)
    expect(audit).toMatchObject({ value: { rails: 0n, contracts: 0n, nodes: 0n } })
    // Proof, storage, relay, forfeit, eviction, reward, close, fee, creation, payout, end.
    expect([...story.kinds()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11])
  })
})
