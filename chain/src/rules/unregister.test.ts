import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { sign } from '../bytes/signature.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { NONE } from '../types/records.ts'
import { ZERO_KEY, ZERO_SIGNATURE } from '../types/primitives.ts'
import { NodeRole } from '../types/transactions.ts'
import { applyRegister, possessionDigest } from './register.ts'
import { type KeyPair, keyOf, UNITS } from './testing/sample-chain.ts'
import { StakeWorld } from './testing/stake-world.ts'
import { codeOf } from './testing/world.ts'
import { applyUnregister } from './unregister.ts'

beforeAll(() => installNativeCrypto())

const [alice, bob] = [keyOf('alice'), keyOf('bob')] as const
const node = keyOf('bootstrap')
const START = 100n * UNITS
const WAIT = 2

class RegisterWorld extends StakeWorld {
  constructor() {
    const params = { unbondingAnchors: 2, unbondingEpochs: WAIT, registerDepositUnits: 7n * UNITS }
    super({ balances: { alice: START, bob: START }, params })
  }

  register(owner: KeyPair, key: KeyPair, replaces = NONE) {
    const digest = possessionDigest(this.draft.chainId, owner.address, key.publicKey)
    const value = {
      nodeKey: key.publicKey,
      nodeProof: sign(digest, key.secretKey),
      consensusKey: ZERO_KEY,
      consensusProof: ZERO_SIGNATURE,
      payout: owner.address,
      roles: NodeRole.bootstrap,
      replaces,
    }
    return codeOf(this.apply(owner, (draft, context) => applyRegister(draft, value, context)))
  }

  unregister(owner: KeyPair, index = this.index()) {
    const value = { node: index }
    return codeOf(this.apply(owner, (draft, context) => applyUnregister(draft, value, context)))
  }

  index(key: KeyPair = node): number {
    return this.draft.nodeIndex(key.address) ?? NONE
  }

  record(key: KeyPair = node) {
    return this.draft.nodes.get(this.index(key))
  }

  change(changes: object): void {
    const record = this.record()
    if (record) this.draft.nodes.set(this.index(), { ...record, ...changes })
  }

  epochs(count: number): void {
    for (let i = 0; i < count; i++) this.nextEpoch()
  }
}

function registered(): RegisterWorld {
  const world = new RegisterWorld()
  expect(world.register(alice, node)).toBe('ok')
  expect(world.balance(alice)).toBe(START - 7n * UNITS)
  return world
}

describe('unregister', () => {
  test('gives the roles up at once, and the deposit back behind FINAL anchors of the exit', () => {
    const world = registered()
    world.change({ roles: NodeRole.bootstrap | NodeRole.peer })
    expect(world.unregister(alice)).toBe('ok')
    expect(world.record()).toMatchObject({
      roles: NodeRole.peer,
      deposit: 7n * UNITS,
      exitEpoch: 3,
    })
    const refused = () => expect(world.unregister(alice)).toBe('DEPOSIT_HELD')
    refused()
    world.epochs(7)
    refused()
    // Neither an anchor from before the exit, nor one alone, nor two before the time is over.
    for (const epoch of [2, 3, 5]) {
      world.makeFinal(epoch)
      refused()
    }
    world.epochs(WAIT - 1)
    refused()
    world.epochs(1)
    expect(world.unregister(alice)).toBe('ok')
    expect(world.balance(alice)).toBe(START)
    expect(world.record()).toMatchObject({ deposit: 0n, roles: NodeRole.peer })
    expect(world.unregister(alice)).toBe('DEPOSIT_NONE')
    world.audit()
    const receipts = world.receipts.filter(({ selector }) => selector === ReceiptKind.unregister)
    const about = { node: node.address, index: world.index(), owner: alice.address, exitEpoch: 3 }
    expect(receipts.map(({ value }) => value)).toEqual([
      { ...about, refund: 0n, debtPaid: 0n },
      { ...about, refund: 7n * UNITS, debtPaid: 0n },
    ])
  })

  test('pays what the node owes for proofs first, and never more than the deposit', () => {
    for (const [debt, refund] of [
      [5n, 7n * UNITS - 5n],
      [7n * UNITS, 0n],
      [9n * UNITS, 0n],
    ] as const) {
      const world = registered()
      world.unregister(alice)
      world.epochs(7)
      for (const epoch of [3, 4]) world.makeFinal(epoch)
      world.epochs(WAIT)
      world.change({ debt })
      const burned = world.draft.globals().burnedBaseFee
      const paid = 7n * UNITS - refund
      expect(world.unregister(alice)).toBe('ok')
      expect(world.balance(alice)).toBe(START - paid)
      expect(world.record()).toMatchObject({ debt: debt - paid, deposit: 0n })
      expect(world.draft.globals().burnedBaseFee - burned).toBe(paid)
      world.audit()
    }
  })

  test('is the owner’s alone; a peer and a node whose key was replaced have nothing to give up', () => {
    const world = registered()
    expect(world.unregister(bob)).toBe('NODE_UNKNOWN')
    expect(world.unregister(alice, 99)).toBe('NODE_UNKNOWN')
    const [former, next] = [world.index(), keyOf('bootstrap-2')]
    expect(world.register(alice, next, former)).toBe('ok')
    expect(world.unregister(alice, former)).toBe('DEPOSIT_NONE')
    expect(world.unregister(alice, world.index(next))).toBe('ok')
    // On its way out nothing moves to another key either.
    expect(world.register(alice, keyOf('third'), world.index(next))).toBe('NODE_ROLES')
    world.change({ roles: NodeRole.peer })
    expect(world.unregister(alice, former)).toBe('DEPOSIT_NONE')
  })

  test('register takes it back, at no second deposit; the time starts anew with the next exit', () => {
    const world = registered()
    world.unregister(alice)
    world.epochs(4)
    expect(world.register(alice, node)).toBe('ok')
    expect(world.record()).toMatchObject({ roles: NodeRole.bootstrap, exitEpoch: NONE })
    expect(world.balance(alice)).toBe(START - 7n * UNITS)
    world.unregister(alice)
    expect(world.record()?.exitEpoch).toBe(world.epoch + 2)
    for (const epoch of [3, 4]) world.makeFinal(epoch)
    world.epochs(WAIT + 1)
    expect(world.unregister(alice)).toBe('DEPOSIT_HELD')
  })

  test('an evicted node’s owner gets it back, too: what it held back was its penalty', () => {
    const world = registered()
    world.change({ evicted: true, evictedEpoch: 1 })
    expect(world.unregister(alice)).toBe('ok')
    world.epochs(7)
    for (const epoch of [3, 4]) world.makeFinal(epoch)
    world.epochs(WAIT)
    expect(world.unregister(alice)).toBe('ok')
    expect(world.balance(alice)).toBe(START)
  })

  test('no order of moves makes or loses a unit, or pays a deposit before its time', () => {
    const KINDS = [
      'register',
      'unregister',
      'unregister',
      'replace',
      'final',
      'epoch',
      'epoch',
      'settle',
      'debt',
    ]
    const move = fc.record({ kind: fc.constantFrom(...KINDS), who: fc.nat(1), pick: fc.nat(3) })
    const seen = { paid: 0, held: 0, replaced: 0 }
    fc.assert(
      fc.property(fc.array(move, { minLength: 20, maxLength: 60 }), (moves) => {
        const world = new RegisterWorld()
        const keys = ['n0', 'n1', 'n2', 'n3'].map(keyOf)
        for (const { kind, who, pick } of moves) {
          const owner = who === 0 ? alice : bob
          const key = keys[pick] as KeyPair
          const before = world.record(key)
          const balance = world.balance(owner)
          if (kind === 'register') world.register(owner, key)
          if (kind === 'replace') {
            const next = keys[(pick + 1) % 4] as KeyPair
            if (world.register(owner, next, world.index(key)) === 'ok') seen.replaced += 1
          }
          if (kind === 'unregister' && before) {
            const code = world.unregister(owner, world.index(key))
            if (code === 'DEPOSIT_HELD') seen.held += 1
            const gained = world.balance(owner) - balance
            if (gained > 0n) {
              seen.paid += 1
              expect(code).toBe('ok')
              expect(before.exitEpoch + WAIT <= world.epoch).toBe(true)
              expect(gained <= before.deposit).toBe(true)
            }
          }
          if (kind === 'final' && world.epoch > 1)
            world.makeFinal(Math.max(1, world.epoch - 1 - pick))
          if (kind === 'epoch') world.nextEpoch()
          if (kind === 'settle') {
            for (let epoch = 1; epoch < world.epoch; epoch++) world.makeFinal(epoch)
            world.epochs(WAIT + 1)
          }
          if (kind === 'debt' && before) {
            world.draft.nodes.set(world.index(key), { ...before, debt: before.debt + BigInt(pick) })
          }
          world.audit()
        }
      }),
      { numRuns: 80 },
    )
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0)
  })
})
