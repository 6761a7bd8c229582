import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { utf8ToBytes } from '../bytes/hex.ts'
import { draftOf } from '../state/ledger.ts'
import { DepositState, PegPauseCause } from '../types/records.ts'
import { DepositOutcome, ReceiptKind } from '../types/receipts.ts'
import { PayloadKind, PegVoteKind } from '../types/transactions.ts'
import { balanceOf } from './accounts.ts'
import { pegReserve } from './peg-account.ts'
import { depositOf } from './peg-view.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleChain, UNITS } from './testing/sample-chain.ts'
import {
  addressText,
  confirmDeposits,
  depositOn,
  depositTransaction,
  elaAddressOf,
  fund,
  type MinedDeposit,
  mineDeposits,
  mineEmpty,
  recordHeaders,
} from './testing/sample-deposits.ts'

setHasher(asSha256)

const OWNERS = [0, 1, 2].map((index) => `validator-${index}-owner`)

/** Ten units that stay, and thirty whose main block is just deep enough to be credited. */
function creditedShallow() {
  const balances = Object.fromEntries(OWNERS.map((name) => [name, UNITS]))
  const chain = new SampleChain({ balances })
  const firm = fund(chain, 'carol', 10n * UNITS)
  const forkHeight = chain.main.tip.height
  const transaction = depositTransaction(chain, [
    { target: addressText(chain, 'carol'), amount: 30n * UNITS },
  ])
  const [mined] = confirmDeposits(chain, [transaction]) as [MinedDeposit]
  chain.block([depositOn(chain, mined)])
  return { chain, firm, mined, transaction, forkHeight }
}

function withdrawal(chain: SampleChain, output: bigint) {
  const to = utf8ToBytes(elaAddressOf('home'))
  const value = { to, output, amount: output - 10_000n }
  return chain.byOwner(keyOf('carol'), { selector: PayloadKind.withdraw, value })
}

function resume(chain: SampleChain) {
  return OWNERS.map((owner, validator) =>
    chain.byOwner(keyOf(owner), {
      selector: PayloadKind.pegVote,
      value: { validator, kind: PegVoteKind.resume, withdrawal: 0 },
    }),
  )
}

describe('a main-chain reorganisation deeper than the confirmations', () => {
  test('stops the peg; the coin stays, the reserve no longer counts it', () => {
    const { chain, firm, mined, forkHeight } = creditedShallow()
    const before = balanceOf(chain.ledger, keyOf('carol').address)
    const fork = chain.main.fork(forkHeight)
    mineEmpty(fork, chain.params.depositConfirmations + 1)
    const headers = fork.headers.filter(({ height }) => height > forkHeight)
    const { receipts } = chain.block([chain.mainHeaders(headers.map(({ raw }) => raw))])
    expect(receipts.map(({ body }) => body)).toMatchObject([
      {
        selector: ReceiptKind.peg,
        value: {
          paused: true,
          cause: PegPauseCause.reorganisation,
          orphaned: 1,
          unbacked: 30n * UNITS,
        },
      },
    ])
    expect(depositOf(chain.ledger, mined.id)?.record.state).toBe(DepositState.orphaned)
    expect(depositOf(chain.ledger, firm.id)?.record.state).toBe(DepositState.credited)
    expect(balanceOf(chain.ledger, keyOf('carol').address)).toBe(before)
    expect(chain.outcome(withdrawal(chain, UNITS))).toBe('PEG_PAUSED')
    expect(auditSupply(draftOf(chain.ledger)).ok).toBe(true)

    // Even after the validators go on, nobody gets out what the main chain does not hold.
    chain.block(resume(chain))
    expect(pegReserve(chain.ledger.peg())).toBe(10n * UNITS)
    expect(chain.outcome(withdrawal(chain, 10n * UNITS + 1n))).toBe('PEG_RESERVE')
    chain.block([withdrawal(chain, 10n * UNITS)])
    expect(chain.outcome(withdrawal(chain, UNITS))).toBe('PEG_RESERVE')
  })

  test('gives the backing back, and no second coin, when the deposit is mined again', () => {
    const { chain, mined, transaction, forkHeight } = creditedShallow()
    const before = balanceOf(chain.ledger, keyOf('carol').address)
    const fork = chain.main.fork(forkHeight)
    mineEmpty(fork, 1)
    const [again] = mineDeposits(fork, [transaction]) as [MinedDeposit]
    mineEmpty(fork, chain.params.depositConfirmations - 1)
    recordHeaders(chain, fork, forkHeight)
    expect(again.id).toEqual(mined.id)
    // The old proof stands on a block that is no longer on record.
    expect(chain.outcome(depositOn(chain, mined))).toMatch(/^MAIN_BRANCH|^DEPOSIT/)
    // Paused: only what can no longer be replaced counts.
    expect(chain.outcome(depositOn(chain, again))).toBe('DEPOSIT_UNCONFIRMED')
    mineEmpty(fork, chain.params.anchorFinalMainBlocks - chain.params.depositConfirmations)
    recordHeaders(chain, fork)
    const { receipts } = chain.block([depositOn(chain, again)])
    expect(receipts[0]?.body.value).toMatchObject({ outcome: DepositOutcome.backedAgain })
    expect(balanceOf(chain.ledger, keyOf('carol').address)).toBe(before)
    expect(chain.ledger.peg()).toMatchObject({
      deposited: 40n * UNITS,
      unbacked: 0n,
      paused: true,
    })
    expect(depositOf(chain.ledger, mined.id)).toMatchObject({
      index: 2,
      record: { state: DepositState.credited, mainHeight: again.mainHeight },
    })
    expect(chain.ledger.deposits.get(1)?.state).toBe(DepositState.replaced)
    expect(chain.outcome(depositOn(chain, again))).toBe('DEPOSIT_KNOWN')
    expect(auditSupply(draftOf(chain.ledger)).ok).toBe(true)
  })

  test('shallower than the confirmations, it only moves a deposit that nobody credited', () => {
    const { chain, transaction, forkHeight } = creditedShallow()
    const other = depositTransaction(chain, [{ target: addressText(chain, 'dave'), amount: UNITS }])
    expect(transaction).not.toEqual(other)
    const base = chain.main.tip.height
    expect(base).toBeGreaterThan(forkHeight)
    const [first] = mineDeposits(chain.main, [other]) as [MinedDeposit]
    mineEmpty(chain.main, 1)
    recordHeaders(chain, chain.main)
    const fork = chain.main.fork(base)
    mineEmpty(fork, 1)
    const [second] = mineDeposits(fork, [other]) as [MinedDeposit]
    mineEmpty(fork, chain.params.depositConfirmations - 1)
    recordHeaders(chain, fork, base)
    expect(chain.ledger.peg()).toMatchObject({ paused: false, unbacked: 0n })
    expect(chain.outcome(depositOn(chain, first))).toMatch(/^MAIN_BRANCH/)
    chain.block([depositOn(chain, second)])
    expect(balanceOf(chain.ledger, keyOf('dave').address)).toBe(UNITS)
    expect(chain.ledger.peg()).toMatchObject({ paused: false, deposited: 41n * UNITS })
  })

  test('as deep as the main network allows, it is recorded in one piece', () => {
    const params = { depositConfirmations: 6, anchorFinalMainBlocks: 100 }
    const chain = new SampleChain({ params })
    const forkHeight = chain.main.tip.height
    const transaction = depositTransaction(chain, [
      { target: addressText(chain, 'carol'), amount: UNITS },
    ])
    const [mined] = mineDeposits(chain.main, [transaction]) as [MinedDeposit]
    mineEmpty(chain.main, 98)
    recordHeaders(chain, chain.main)
    chain.block([depositOn(chain, mined)])
    const fork = chain.main.fork(forkHeight)
    mineEmpty(fork, 100)
    recordHeaders(chain, fork, forkHeight)
    expect(chain.ledger.peg()).toMatchObject({ paused: true, unbacked: UNITS })
    // One more on top of the deposit's block, and it could not have been replaced.
    const deeper = new SampleChain({ params })
    const base = deeper.main.tip.height
    mineEmpty(deeper.main, 100)
    recordHeaders(deeper, deeper.main)
    const other = deeper.main.fork(base)
    mineEmpty(other, 101)
    const headers = other.headers.filter(({ height }) => height > base)
    expect(deeper.outcome(deeper.mainHeaders(headers.map(({ raw }) => raw)))).toBe(
      'MAIN_REORG_TOO_DEEP',
    )
  })
})
