import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { utf8ToBytes } from '../bytes/hex.ts'
import { draftOf } from '../state/ledger.ts'
import { PegPauseCause } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { PayloadKind, PegVoteKind, type Transaction } from '../types/transactions.ts'
import { balanceOf } from './accounts.ts'
import { pegReserve } from './peg-account.ts'
import { withdrawalsOfEpoch } from './peg-view.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleChain, UNITS } from './testing/sample-chain.ts'
import { elaAddressOf, fund } from './testing/sample-deposits.ts'

setHasher(asSha256)

const OWNERS = [0, 1, 2, 3].map((index) => `validator-${index}-owner`)

function pegged(): SampleChain {
  const balances = Object.fromEntries(OWNERS.map((name) => [name, UNITS]))
  const chain = new SampleChain({ balances: { ...balances, alice: UNITS } })
  fund(chain, 'carol', 100n * UNITS)
  return chain
}

function vote(
  chain: SampleChain,
  validator: number,
  kind: keyof typeof PegVoteKind,
  withdrawal = 0,
  signer = OWNERS[validator] ?? 'alice',
): Transaction {
  return chain.byOwner(keyOf(signer), {
    selector: PayloadKind.pegVote,
    value: { validator, kind: PegVoteKind[kind], withdrawal },
  })
}

function withdraw(chain: SampleChain): Transaction {
  const to = utf8ToBytes(elaAddressOf('home'))
  const value = { to, output: 2n * UNITS, amount: UNITS }
  return chain.byOwner(keyOf('carol'), { selector: PayloadKind.withdraw, value })
}

describe('votes on the peg', () => {
  test('more than two thirds of the power stop withdrawals, and resume them', () => {
    const chain = pegged()
    chain.block([vote(chain, 0, 'pause'), vote(chain, 1, 'pause')])
    expect(chain.ledger.peg()).toMatchObject({ paused: false, pauseVotes: [0, 1] })
    expect(chain.outcome(withdraw(chain))).toBe('ok')
    // The same voter again is no third vote.
    chain.block([vote(chain, 1, 'pause')])
    expect(chain.ledger.peg().paused).toBe(false)
    const { receipts } = chain.block([vote(chain, 2, 'pause')])
    expect(chain.ledger.peg()).toMatchObject({ paused: true, pauseVotes: [] })
    expect(receipts.at(-1)?.body).toMatchObject({
      selector: ReceiptKind.peg,
      value: { paused: true, cause: PegPauseCause.vote },
    })
    expect(chain.outcome(withdraw(chain))).toBe('PEG_PAUSED')
    chain.block([0, 1, 3].map((index) => vote(chain, index, 'resume')))
    expect(chain.ledger.peg().paused).toBe(false)
    expect(chain.outcome(withdraw(chain))).toBe('ok')
  })

  test('a vote can be taken back', () => {
    const chain = pegged()
    chain.block([vote(chain, 0, 'pause'), vote(chain, 1, 'pause')])
    chain.block([vote(chain, 1, 'resume')])
    chain.block([vote(chain, 2, 'pause')])
    expect(chain.ledger.peg()).toMatchObject({ paused: false, pauseVotes: [0, 2] })
  })

  test('only the owner of an active validator votes', () => {
    const chain = pegged()
    expect(chain.outcome(vote(chain, 0, 'pause', 0, 'alice'))).toBe('PEG_VOTE_OWNER')
    expect(chain.outcome(vote(chain, 1, 'pause', 0, OWNERS[0]))).toBe('PEG_VOTE_OWNER')
    expect(chain.outcome(vote(chain, 4, 'pause'))).toBe('PEG_VOTE_VALIDATOR')
    const body = { selector: PayloadKind.pegVote, value: { validator: 0, kind: 3, withdrawal: 0 } }
    const unknown = chain.byOwner(keyOf(OWNERS[0] as string), body)
    expect(chain.outcome(unknown)).toBe('PEG_VOTE_KIND')
  })

  test('a withdrawal that was voted invalid comes back once', () => {
    const chain = pegged()
    chain.block([withdraw(chain)])
    chain.block([withdraw(chain)])
    const epoch = chain.epoch
    const before = balanceOf(chain.ledger, keyOf('carol').address)
    expect(chain.outcome(vote(chain, 0, 'returnWithdrawal', 2))).toBe('PEG_VOTE_WITHDRAWAL')
    chain.block([vote(chain, 0, 'returnWithdrawal', 1), vote(chain, 1, 'returnWithdrawal', 0)])
    chain.block([vote(chain, 2, 'returnWithdrawal', 1)])
    expect(pegReserve(chain.ledger.peg())).toBe(96n * UNITS)
    // The voter changes its mind from one withdrawal to the other: that makes three for 1.
    const { receipts } = chain.block([vote(chain, 1, 'returnWithdrawal', 1)])
    expect(receipts.at(-1)?.body).toMatchObject({
      selector: ReceiptKind.withdrawal,
      value: { withdrawal: 1, returned: true },
    })
    expect(balanceOf(chain.ledger, keyOf('carol').address) - before).toBe(2n * UNITS)
    expect(chain.ledger.peg()).toMatchObject({ withdrawn: 2n * UNITS, returnVotes: [] })
    expect(withdrawalsOfEpoch(chain.ledger, epoch).map(({ index }) => index)).toEqual([0])
    expect(chain.outcome(vote(chain, 3, 'returnWithdrawal', 1))).toBe('PEG_VOTE_WITHDRAWAL')
    expect(auditSupply(draftOf(chain.ledger)).ok).toBe(true)
  })
})
