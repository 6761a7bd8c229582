import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { draftOf, merge } from '../state/ledger.ts'
import { ZERO_ADDRESS } from '../types/primitives.ts'
import { NONE } from '../types/records.ts'
import { transactionBytes } from '../types/transaction-codec.ts'
import {
  type OpenContract,
  type OpenRelay,
  type Payload,
  type Register,
  VoucherType,
} from '../types/transactions.ts'
import { accountOf, balanceOf } from './accounts.ts'
import { openContractCost, slotLeavesMax } from './open-contract.ts'
import { possessionDigest } from './register.ts'
import { auditSupply } from './supply.ts'
import { keyOf, type KeyPair, SampleChain, UNITS } from './testing/sample-chain.ts'
import { sign, signingDigest } from '../bytes/signature.ts'

setHasher(asSha256)

const alice = keyOf('alice')
const bob = keyOf('bob')

const terms: OpenContract = {
  salt: new Uint8Array(32).fill(5),
  k: 2,
  n: 6,
  maxLeaves: 1000,
  priceCap: 1_000_000n,
  unitPriceCap: 100_000n,
  lockUnits: 7_000n,
  pot: 11_000n,
  term: 10,
  policy: 3,
  delegateFee: 0n,
  delegate: bob.address,
  label: new Uint8Array([1, 2, 3]),
}

const opening = (changes: Partial<OpenContract> = {}) =>
  ({ selector: 2, value: { ...terms, ...changes } }) as const

describe('openContract', () => {
  test('locks all that its n slots can cost and leaves n empty slots', () => {
    const chain = new SampleChain()
    const transaction = chain.byOwner(alice, opening())
    const { receipts } = chain.block([transaction])
    const timeLock = (1_000_000n * 1000n * 10n) / 2n ** 22n
    const cost = 6n * (timeLock + 7_000n + 8192n) + 11_000n + chain.params.contractDepositUnits
    expect(openContractCost(chain.params, terms)).toBe(cost)
    const fee = BigInt(transactionBytes(transaction))
    expect(balanceOf(chain.ledger, alice.address)).toBe(1_000n * UNITS - cost - fee)
    expect(chain.ledger.contracts.get(0)).toMatchObject({
      live: true,
      generation: 0,
      payer: alice.address,
      unfilledLock: 6n * (timeLock + 7_000n),
      prepaidFees: 6n * 8192n,
      pot: 11_000n,
      potHeld: 0n,
      active: false,
      filled: 0,
      leaves: 0,
      openEpoch: 1,
      askEpoch: NONE,
      rails: Array(6).fill({ rail: NONE, root: new Uint8Array(32) }),
    })
    expect(receipts[1]?.body).toEqual({
      selector: 9,
      value: { kind: 1, index: 0, generation: 0, owner: alice.address },
    })
    expect(auditSupply(chain.ledger).ok).toBe(true)
  })

  test('a freed index is used again with its next generation', () => {
    const chain = new SampleChain()
    chain.block([chain.byOwner(alice, opening())])
    const close = { selector: 7, value: { kind: 1, target: 0, generation: 0 } } as const
    chain.block([chain.byOwner(alice, close)])
    expect(chain.ledger.contracts.get(0)?.live).toBe(false)
    const before = chain.ledger.contracts.count
    chain.block([chain.byOwner(bob, opening()), chain.byOwner(alice, opening())])
    expect(chain.ledger.contracts.get(0)).toMatchObject({ live: true, generation: 1 })
    expect(chain.ledger.contracts.count).toBe(before + 1)
    expect(chain.ledger.globals().freeContracts).toEqual([])
    expect(auditSupply(chain.ledger).ok).toBe(true)
  })

  const cases: [string, Partial<OpenContract>][] = [
    ['CONTRACT_SHARDS', { k: 0 }],
    ['CONTRACT_SHARDS', { k: 7 }],
    ['CONTRACT_SHARDS', { k: 0, n: 0 }],
    ['CONTRACT_SIZE', { maxLeaves: 0 }],
    ['CONTRACT_SIZE', { maxLeaves: slotLeavesMax(2) + 1 }],
    ['CONTRACT_TERM', { term: 0 }],
    ['CONTRACT_TERM', { term: 24 * 365 * 5 + 1 }],
    ['PRICE_TOO_HIGH', { priceCap: 1n << 48n }],
    ['PRICE_TOO_HIGH', { unitPriceCap: 1n << 48n }],
    ['CONTRACT_DUST', { priceCap: 1n }],
    ['AMOUNT_TOO_LARGE', { priceCap: (1n << 48n) - 1n, maxLeaves: 2 ** 21, term: 43_800 * 4 }],
    ['AMOUNT_TOO_LARGE', { pot: (1n << 64n) - 1n }],
    ['INSUFFICIENT_FUNDS', { pot: 1_000n * UNITS }],
    ['ok', { priceCap: 0n, maxLeaves: 1, pot: 0n, lockUnits: 0n, delegate: ZERO_ADDRESS }],
    ['ok', { k: 1, n: 255, maxLeaves: 1 }],
    ['ok', { maxLeaves: slotLeavesMax(2), priceCap: 1_000n }],
  ]
  const chain = new SampleChain({ params: { termMaxEpochs: 43_800 * 4 } })
  test.each(cases)('%s %o', (code, changes) => {
    const limited = code === 'CONTRACT_TERM' ? new SampleChain() : chain
    expect(limited.outcome(limited.byOwner(alice, opening(changes)))).toBe(code)
  })

  test('a slot of one data shard is the largest slot; 1 GiB fits for every k', () => {
    expect(slotLeavesMax(1)).toBe(2 ** 22)
    for (let k = 2; k <= 128; k++) {
      const cells = slotLeavesMax(k) / 256
      expect(cells * k * 65_520).toBeGreaterThanOrEqual(2 ** 30)
      expect((cells - 1) * k * 65_520).toBeLessThan(2 ** 30)
    }
  })
})

describe('openRelay', () => {
  const relay = keyOf('relay')
  const open: OpenRelay = {
    node: relay.address,
    lockUnits: 50_000n,
    unitPrice: 9n,
    reservationPrice: 4n,
  }
  const relaying = (changes: Partial<OpenRelay> = {}) =>
    ({ selector: 3, value: { ...open, ...changes } }) as const

  test('makes a rail without root, slot or time lock', () => {
    const chain = new SampleChain({ nodes: ['relay'] })
    const { receipts } = chain.block([chain.byOwner(alice, relaying())])
    expect(chain.ledger.rails.get(0)).toMatchObject({
      live: true,
      payer: alice.address,
      node: 0,
      contract: NONE,
      leaves: 0,
      price: 0n,
      need: 0n,
      lockTime: 0n,
      lockUnits: 50_000n,
      unitPrice: 9n,
      reservationPrice: 4n,
      entry: NONE,
      askEpoch: NONE,
      lostEpoch: NONE,
    })
    expect(receipts[1]?.body).toMatchObject({ selector: 9, value: { kind: 3, index: 0 } })
    expect(auditSupply(chain.ledger)).toMatchObject({ value: { rails: 50_000n } })
  })

  test('each fault', () => {
    const chain = new SampleChain({ nodes: ['relay'] })
    const code = (changes: Partial<OpenRelay>) =>
      chain.outcome(chain.byOwner(alice, relaying(changes)))
    expect(code({})).toBe('ok')
    expect(code({ node: bob.address })).toBe('NODE_UNKNOWN')
    expect(code({ lockUnits: 0n })).toBe('AMOUNT_ZERO')
    expect(code({ unitPrice: 1n << 48n })).toBe('PRICE_TOO_HIGH')
    expect(code({ reservationPrice: 1n << 48n })).toBe('PRICE_TOO_HIGH')
    expect(code({ lockUnits: 1_000n * UNITS })).toBe('INSUFFICIENT_FUNDS')
    const draft = draftOf(chain.ledger)
    const node = draft.nodes.get(0)
    if (node) draft.nodes.set(0, { ...node, evicted: true })
    merge(draft)
    expect(code({})).toBe('NODE_EVICTED')
  })
})

describe('register', () => {
  const nodeKey = keyOf('bootstrap')
  const payout = keyOf('cold').address

  function registration(
    chain: SampleChain,
    owner: KeyPair,
    changes: Partial<Register> = {},
    consensus?: KeyPair,
  ) {
    const prove = (key: KeyPair) =>
      sign(possessionDigest(chain.chainId, owner.address, key.publicKey), key.secretKey)
    const value: Register = {
      nodeKey: nodeKey.publicKey,
      nodeProof: prove(nodeKey),
      consensusKey: consensus?.publicKey ?? new Uint8Array(33),
      consensusProof: consensus ? prove(consensus) : new Uint8Array(64),
      payout,
      roles: 2,
      replaces: NONE,
      ...changes,
    }
    return { selector: 1, value } as const
  }

  test('makes a node; sent again it changes payout and roles; nobody else can', () => {
    const chain = new SampleChain()
    const { receipts } = chain.block([chain.byOwner(alice, registration(chain, alice))])
    const index = chain.ledger.nodeIndex(nodeKey.address) as number
    const deposit = chain.params.registerDepositUnits
    expect(chain.ledger.nodes.get(index)).toMatchObject({
      owner: alice.address,
      payout,
      roles: 2,
      deposit,
      registered: 1,
      A: 1,
      P: 0,
      evicted: false,
    })
    expect(receipts[1]?.body).toMatchObject({ selector: 9, value: { kind: 0, index } })
    expect(auditSupply(chain.ledger)).toMatchObject({ value: { nodes: deposit } })
    const again = registration(chain, alice, { payout: bob.address, roles: 3 })
    chain.block([chain.byOwner(alice, again)])
    expect(chain.ledger.nodes.get(index)).toMatchObject({
      payout: bob.address,
      roles: 3,
      deposit,
    })
    const stolen = chain.byOwner(bob, registration(chain, bob))
    expect(chain.outcome(stolen)).toBe('NODE_KEY_TAKEN')
  })

  test('a new key takes a node’s place: roles and deposit move, rails and pay stay', () => {
    const chain = new SampleChain()
    const fresh = keyOf('bootstrap-2')
    chain.block([chain.byOwner(alice, registration(chain, alice))])
    const open = { node: nodeKey.address, lockUnits: 5n * UNITS, unitPrice: 1n }
    const relayRail = { selector: 3, value: { ...open, reservationPrice: UNITS } } as const
    chain.block([chain.byOwner(bob, relayRail)])
    const index = chain.ledger.nodeIndex(nodeKey.address) as number
    const deposit = chain.params.registerDepositUnits
    const moved = (changes: Partial<Register> = {}, by = alice) => {
      const digest = possessionDigest(chain.chainId, by.address, fresh.publicKey)
      const nodeProof = sign(digest, fresh.secretKey)
      const key = { nodeKey: fresh.publicKey, nodeProof, replaces: index }
      return chain.byOwner(by, registration(chain, by, { ...key, ...changes }))
    }
    const { nodeProof } = registration(chain, alice).value
    expect(chain.outcome(moved({}, bob))).toBe('NODE_UNKNOWN')
    expect(chain.outcome(moved({ replaces: 99 }))).toBe('NODE_UNKNOWN')
    expect(chain.outcome(moved({ nodeProof }))).toBe('POSSESSION_PROOF')
    expect(chain.outcome(moved({ nodeKey: nodeKey.publicKey, nodeProof }))).toBe('NODE_KEY_TAKEN')
    chain.block([moved()])
    const next = chain.ledger.nodeIndex(fresh.address) as number
    expect(chain.ledger.nodes.get(next)).toMatchObject({ roles: 2, deposit, payout })
    expect(chain.ledger.nodes.get(index)).toMatchObject({ roles: 0, deposit: 0n, evicted: false })
    expect(auditSupply(chain.ledger)).toMatchObject({ ok: true, value: { nodes: deposit } })
    expect(chain.ledger.rails.get(0)).toMatchObject({ node: index, live: true })
    // The old key redeems what it earned, to the same payout; it cannot be replaced twice.
    const voucher = { rail: 0, generation: 0, kib: 0, reservations: 1 }
    const digest = signingDigest('voucher', chain.chainId, VoucherType.hashTreeRoot(voucher))
    const signature = sign(digest, bob.secretKey)
    const vouchers = [{ voucher, payerKey: bob.publicKey, signature }]
    const redeem: Payload = { selector: 6, value: { rails: [0], vouchers, least: 0n } }
    expect(chain.outcome(chain.byNode(nodeKey, redeem))).toBe('ok')
    expect(chain.outcome(chain.byNode(fresh, redeem))).not.toBe('ok')
    const third = { nodeKey: keyOf('third').publicKey }
    expect(chain.outcome(moved(third))).toBe('NODE_ROLES')
    const draft = draftOf(chain.ledger)
    const node = draft.nodes.get(next)
    if (node) draft.nodes.set(next, { ...node, evicted: true })
    merge(draft)
    expect(chain.outcome(moved({ ...third, replaces: next }))).toBe('NODE_EVICTED')
  })

  test('a validator of genesis registers its node with both proofs', () => {
    const owner = keyOf('validator-1-owner')
    const chain = new SampleChain({
      balances: { alice: 10n * UNITS, 'validator-1-owner': 10n * UNITS },
    })
    const consensus = keyOf('validator-1')
    const payload = registration(chain, owner, { roles: 6 }, consensus)
    expect(chain.outcome(chain.byOwner(owner, payload))).toBe('ok')
    const code = (changes: Partial<Register>, key: KeyPair | undefined = consensus, by = owner) =>
      chain.outcome(chain.byOwner(by, registration(chain, by, changes, key)))
    expect(code({ roles: 6, consensusProof: new Uint8Array(64) })).toBe('POSSESSION_PROOF')
    expect(code({ roles: 6 }, keyOf('validator-2'))).toBe('CONSENSUS_KEY_TAKEN')
    const fifth = keyOf('fifth')
    chain.block([chain.byOwner(owner, registration(chain, owner, { roles: 6 }, fifth))])
    const { validatorBondMin: bond } = chain.params
    expect(chain.ledger.validators.count).toBe(5)
    expect(chain.ledger.validators.get(4)).toMatchObject({ owner: owner.address, bond, power: 0 })
    expect(accountOf(chain.ledger, owner.address)?.bond).toBe(100n * UNITS + bond)
    expect(code({ roles: 6 }, keyOf('sixth'), keyOf('nobody'))).toBe('INSUFFICIENT_FUNDS')
  })

  test('each fault', () => {
    const chain = new SampleChain()
    const code = (changes: Partial<Register>) =>
      chain.outcome(chain.byOwner(alice, registration(chain, alice, changes)))
    expect(code({ roles: 1 })).toBe('NODE_ROLES')
    expect(code({ roles: 10 })).toBe('NODE_ROLES')
    expect(code({ roles: 6 })).toBe('NODE_ROLES')
    expect(code({ payout: ZERO_ADDRESS })).toBe('ADDRESS_ZERO')
    expect(code({ nodeProof: new Uint8Array(64) })).toBe('POSSESSION_PROOF')
    expect(code({ nodeKey: keyOf('other').publicKey })).toBe('POSSESSION_PROOF')
    expect(code({ consensusProof: new Uint8Array(64).fill(1) })).toBe('POSSESSION_PROOF')
    const poor = new SampleChain({ balances: { alice: 1_000_000n } })
    const payload = registration(poor, alice)
    expect(poor.outcome(poor.byOwner(alice, payload))).toBe('INSUFFICIENT_FUNDS')
    const evicted = new SampleChain()
    evicted.block([evicted.byOwner(alice, registration(evicted, alice))])
    const draft = draftOf(evicted.ledger)
    const node = draft.nodes.get(0)
    if (node) draft.nodes.set(0, { ...node, evicted: true })
    merge(draft)
    const again = registration(evicted, alice)
    expect(evicted.outcome(evicted.byOwner(alice, again))).toBe('NODE_EVICTED')
  })
})
