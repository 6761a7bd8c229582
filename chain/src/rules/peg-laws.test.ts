import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import type { MainTransaction } from '../elastos/transaction.ts'
import { draftOf } from '../state/ledger.ts'
import { DepositState } from '../types/records.ts'
import { PayloadKind, PegVoteKind, type Transaction } from '../types/transactions.ts'
import { pegReserve } from './peg-account.ts'
import { auditSupply, circulatingSupply } from './supply.ts'
import { keyOf, SampleChain, type SampleMainChain, UNITS } from './testing/sample-chain.ts'
import {
  addressText,
  depositOn,
  depositTransaction,
  elaAddressOf,
  mineDeposits,
  mineEmpty,
  type MinedDeposit,
} from './testing/sample-deposits.ts'

setHasher(asSha256)

const OWNERS = [0, 1, 2].map((index) => `validator-${index}-owner`)

/** A world that does whatever it is told, as far as the rules let it, and counts for itself. */
class PegWorld {
  readonly chain = new SampleChain({
    // Room between the confirmations and FINAL for reorganisations that undo credits.
    params: { anchorFinalMainBlocks: 10 },
    balances: {
      ...Object.fromEntries(OWNERS.map((name) => [name, UNITS])),
      alice: 1000n * UNITS,
    },
  })
  main: SampleMainChain = this.chain.main
  readonly made: MainTransaction[] = []
  readonly proofs: MinedDeposit[] = []
  /** Amount by id, of everything ever credited here. */
  readonly credited = new Map<string, bigint>()
  withdrawn = 0n

  mine(amounts: readonly bigint[], again: number): void {
    const target = addressText(this.chain, 'carol')
    const fresh = amounts.map((amount) => depositTransaction(this.chain, [{ target, amount }]))
    this.made.push(...fresh)
    // After a reorganisation the same transaction may be mined a second time.
    // The same transaction again: after a reorganisation, or because the main chain is broken.
    const old = this.made[again]
    const transactions = old === undefined || fresh.includes(old) ? fresh : [...fresh, old]
    this.proofs.push(...mineDeposits(this.main, transactions))
  }

  /** Leaves the newest blocks for a branch; they may be on record already or not. */
  reorganise(depth: number, extra: number): void {
    const { mainTipHeight, mainBaseHeight } = this.chain.ledger.globals()
    const lowest = Math.max(
      mainBaseHeight,
      mainTipHeight - this.chain.params.anchorFinalMainBlocks + 1,
    )
    const height = Math.max(lowest, this.main.tip.height - depth)
    const length = this.main.tip.height - height + 1 + extra
    this.main = this.main.fork(height)
    mineEmpty(this.main, length)
  }

  record(): void {
    const { chain, main } = this
    const known = new Set<string>()
    const { mainTipHeight, mainBaseHeight } = chain.ledger.globals()
    for (let height = mainBaseHeight; height <= mainTipHeight; height++) {
      const record = chain.ledger.mainHeaders.get(height % 2048)
      if (record) known.add(bytesToHex(record.hash))
    }
    const news = main.headers.filter(({ hash }) => !known.has(bytesToHex(hash)))
    this.try(news.length === 0 ? [] : [chain.mainHeaders(news.slice(0, 32).map(({ raw }) => raw))])
  }

  credit(which: number): void {
    const proof = this.proofs[which % Math.max(1, this.proofs.length)]
    if (!proof) return
    const before = this.chain.ledger.peg().deposited
    const deposit = depositOn(this.chain, proof)
    this.try([deposit])
    // A replay is never taken.
    expect(this.chain.outcome(deposit)).not.toBe('ok')
    const gained = this.chain.ledger.peg().deposited - before
    if (gained === 0n) return
    expect(this.credited.has(bytesToHex(proof.id))).toBe(false)
    this.credited.set(bytesToHex(proof.id), gained)
  }

  withdraw(output: bigint): void {
    const { chain } = this
    const value = { to: utf8ToBytes(elaAddressOf('home')), output, amount: 1n }
    const { withdrawn } = chain.ledger.peg()
    this.try([chain.byOwner(keyOf('alice'), { selector: PayloadKind.withdraw, value })])
    const left = chain.ledger.peg().withdrawn - withdrawn
    expect(left === 0n || left === output).toBe(true)
    this.withdrawn += left
    const { deposited, unbacked } = chain.ledger.peg()
    if (left > 0n) expect(this.withdrawn).toBeLessThanOrEqual(deposited - unbacked)
  }

  resume(): void {
    this.try(
      OWNERS.map((owner, validator) =>
        this.chain.byOwner(keyOf(owner), {
          selector: PayloadKind.pegVote,
          value: { validator, kind: PegVoteKind.resume, withdrawal: 0 },
        }),
      ),
    )
  }

  /** A block of those that the rules take at this moment. */
  try(transactions: readonly Transaction[]): void {
    const taken = transactions.filter((transaction) => this.chain.outcome(transaction) === 'ok')
    this.chain.block(taken)
    this.check()
  }

  check(): void {
    const { ledger } = this.chain
    const peg = ledger.peg()
    expect(peg.deposited - peg.withdrawn).toBeGreaterThanOrEqual(0n)
    expect(pegReserve(peg)).toBeGreaterThanOrEqual(0n)
    let orphaned = 0n
    let standing = 0n
    for (let index = 0; index < ledger.deposits.count; index++) {
      const record = ledger.deposits.get(index)
      if (record?.state === DepositState.orphaned) orphaned += record.amount
      if (record?.state === DepositState.credited) standing += record.amount
    }
    expect(peg.unbacked).toBe(orphaned)
    expect(peg.deposited).toBe(standing + orphaned)
    expect(auditSupply(draftOf(ledger)).ok).toBe(true)
    expect(circulatingSupply(ledger.globals(), peg)).toBeGreaterThanOrEqual(0n)
  }
}

const amounts = fc.array(fc.bigInt({ min: 1n, max: 50n * UNITS }), { maxLength: 3 })
const index = fc.nat({ max: 40 })
const act = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('mine' as const), amounts, again: index }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('record' as const), empty: fc.nat({ max: 3 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('credit' as const), index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('withdraw' as const),
      output: fc.bigInt({ min: 10_001n, max: 30n * UNITS }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('reorganise' as const),
      depth: fc.integer({ min: 1, max: 9 }),
      extra: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resume' as const) }) },
)

test('no coin without backing, none twice, whatever happens in whatever order', () => {
  const seen = { credited: 0, withdrawn: 0, paused: 0 }
  fc.assert(
    fc.property(fc.array(act, { minLength: 20, maxLength: 60 }), (acts) => {
      const world = new PegWorld()
      for (const step of acts) perform(world, step)
      const peg = world.chain.ledger.peg()
      seen.credited += world.credited.size
      seen.withdrawn += peg.withdrawn > 0n ? 1 : 0
      seen.paused += peg.unbacked > 0n || peg.paused ? 1 : 0
    }),
    { numRuns: 40, seed: 20_261_122 },
  )
  // The runs reach what they are to show.
  expect(seen.credited).toBeGreaterThan(20)
  expect(seen.withdrawn).toBeGreaterThan(5)
  expect(seen.paused).toBeGreaterThan(3)
}, 120_000)

type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

function perform(world: PegWorld, step: Act): void {
  switch (step.do) {
    case 'mine':
      world.mine(step.amounts, step.again)
      return
    case 'record':
      mineEmpty(world.main, step.empty)
      world.record()
      return
    case 'credit':
      world.credit(step.index)
      return
    case 'withdraw':
      world.withdraw(step.output)
      return
    case 'reorganise':
      world.reorganise(step.depth, step.extra)
      return
    case 'resume':
      world.resume()
  }
}
