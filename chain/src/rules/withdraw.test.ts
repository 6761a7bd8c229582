import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { utf8ToBytes } from '../bytes/hex.ts'
import { AddressPrefix, parseElaAddress } from '../elastos/ela-address.ts'
import { checkpointHeight, epochOfHeight } from '../params/network-params.ts'
import { draftOf } from '../state/ledger.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { PayloadKind, type Transaction } from '../types/transactions.ts'
import { transactionId } from '../types/transaction-codec.ts'
import { balanceOf } from './accounts.ts'
import { pegReserve } from './peg-account.ts'
import { withdrawalOf, withdrawalsOfEpoch } from './peg-view.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleChain, type SampleOptions, UNITS } from './testing/sample-chain.ts'
import { elaAddressOf, fund } from './testing/sample-deposits.ts'

setHasher(asSha256)

const FEE = 10_000n
const HOME = elaAddressOf('home')

interface Asked {
  readonly to?: string
  readonly output?: bigint
  readonly amount?: bigint
}

function withdrawOf(chain: SampleChain, name: string, asked: Asked): Transaction {
  const { to = HOME, output = 2n * UNITS, amount = output - FEE } = asked
  return chain.byOwner(keyOf(name), {
    selector: PayloadKind.withdraw,
    value: { to: utf8ToBytes(to), output, amount },
  })
}

/** A chain with 100 units deposited for carol; alice has tokens of genesis only. */
function pegged(options: SampleOptions = {}): SampleChain {
  const chain = new SampleChain(options)
  fund(chain, 'carol', 100n * UNITS)
  return chain
}

describe('withdraw', () => {
  test('burns the full output, is listed by the checkpoint that holds it', () => {
    const chain = pegged()
    const withdraw = withdrawOf(chain, 'carol', { output: 40n * UNITS })
    const before = balanceOf(chain.ledger, keyOf('carol').address)
    const { receipts } = chain.block([withdraw])
    const fee = receipts[0]?.body
    const paid = fee?.selector === ReceiptKind.fee ? fee.value.baseFee : 0n
    expect(before - balanceOf(chain.ledger, keyOf('carol').address)).toBe(40n * UNITS + paid)
    // The whole output leaves the reserve, not only what the address gets (attack case 16).
    expect(chain.ledger.peg()).toMatchObject({ withdrawn: 40n * UNITS })
    expect(pegReserve(chain.ledger.peg())).toBe(60n * UNITS)
    const home = parseElaAddress(HOME)
    expect(receipts[1]?.body).toMatchObject({
      selector: ReceiptKind.withdrawal,
      value: { output: 40n * UNITS, amount: 40n * UNITS - FEE, to: home.ok && home.value },
    })
    const id = transactionId(withdraw)
    expect(withdrawalOf(chain.ledger, id)?.record).toMatchObject({ id, height: chain.height })
    const listed = withdrawalsOfEpoch(chain.ledger, chain.epoch)
    expect(listed.map(({ record }) => record.id)).toEqual([id])
    expect(withdrawalsOfEpoch(chain.ledger, chain.epoch + 1)).toEqual([])
    expect(withdrawalsOfEpoch(chain.ledger, 0)).toEqual([])
    expect(auditSupply(draftOf(chain.ledger)).ok).toBe(true)
  })

  test('the first and the last block of an epoch list under it', () => {
    const chain = pegged()
    const epoch = chain.epoch + 1
    chain.runToEpoch(epoch)
    chain.runTo(chain.height + chain.params.epochBlocks - 1)
    chain.block([withdrawOf(chain, 'carol', {})])
    expect(chain.height).toBe(
      checkpointHeight(chain.params, epoch + 1) - chain.params.epochBlocks + 1,
    )
    chain.runTo(checkpointHeight(chain.params, epoch + 1) - 1)
    chain.block([withdrawOf(chain, 'carol', {})])
    expect(epochOfHeight(chain.params, chain.height)).toBe(epoch + 1)
    expect(withdrawalsOfEpoch(chain.ledger, epoch)).toHaveLength(0)
    expect(withdrawalsOfEpoch(chain.ledger, epoch + 1)).toHaveLength(2)
  })

  test.each([
    ['a side-chain address', { to: 'cioex1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq' }, 'WITHDRAW_ADDRESS'],
    ['an X address', { to: elaAddressOf('x', AddressPrefix.crossChain) }, 'WITHDRAW_ADDRESS'],
    ['a deposit address', { to: elaAddressOf('x', AddressPrefix.deposit) }, 'WITHDRAW_ADDRESS'],
    ['a stake address', { to: elaAddressOf('x', AddressPrefix.stake) }, 'WITHDRAW_ADDRESS'],
    ['a mistyped address', { to: `${HOME.slice(0, 33)}#` }, 'WITHDRAW_ADDRESS'],
    [
      'a wrong checksum',
      { to: HOME.slice(0, 33) + (HOME.endsWith('1') ? '2' : '1') },
      'WITHDRAW_ADDRESS',
    ],
    ['no address', { to: '' }, 'WITHDRAW_ADDRESS'],
    ['nothing', { output: FEE, amount: 0n }, 'WITHDRAW_AMOUNT'],
    ['more than exists', { output: (1n << 64n) - 1n, amount: 1n }, 'WITHDRAW_AMOUNT'],
    ['one unit too little as fee', { output: UNITS, amount: UNITS - FEE + 1n }, 'WITHDRAW_FEE'],
    ['more than its output', { output: UNITS, amount: 2n * UNITS }, 'WITHDRAW_FEE'],
    ['an output that wraps', { output: 1n, amount: (1n << 64n) - 5000n }, 'WITHDRAW_FEE'],
    ['a standard address', {}, 'ok'],
    ['a multisig address', { to: elaAddressOf('m', AddressPrefix.multisig) }, 'ok'],
  ] as const)('of or to %s', (_, asked, outcome) => {
    const chain = shared()
    expect(chain.outcome(withdrawOf(chain, 'carol', asked))).toBe(outcome)
  })

  test('tokens of genesis cannot drain what others deposited', () => {
    const chain = pegged()
    const over = { output: 100n * UNITS + 1n }
    expect(chain.outcome(withdrawOf(chain, 'alice', over))).toBe('PEG_RESERVE')
    chain.block([withdrawOf(chain, 'alice', { output: 100n * UNITS })])
    expect(pegReserve(chain.ledger.peg())).toBe(0n)
    expect(chain.outcome(withdrawOf(chain, 'alice', { output: FEE + 1n }))).toBe('PEG_RESERVE')
    expect(auditSupply(draftOf(chain.ledger)).ok).toBe(true)
  })

  test('without funds is refused and changes nothing', () => {
    const chain = pegged()
    fund(chain, 'dave', UNITS)
    const outcome = chain.outcome(withdrawOf(chain, 'dave', { output: UNITS }))
    expect(outcome).toBe('INSUFFICIENT_FUNDS')
  })

  test('a day lets out its share of the reserve it began with, or the floor', () => {
    const params = { pegDayEpochs: 2, pegDailyShare: 2500, pegDailyFloorUnits: 5n * UNITS }
    const chain = pegged({ params })
    // The deposit came on this day, which began with an empty reserve: the floor counts.
    expect(chain.outcome(withdrawOf(chain, 'carol', { output: 6n * UNITS }))).toBe('PEG_DAILY_CAP')
    chain.block([withdrawOf(chain, 'carol', { output: 4n * UNITS })])
    expect(chain.outcome(withdrawOf(chain, 'carol', { output: 2n * UNITS }))).toBe('PEG_DAILY_CAP')
    chain.runToEpoch(chain.epoch + 2)
    // A quarter of 96; what comes in during the day does not raise it.
    expect(chain.outcome(withdrawOf(chain, 'carol', { output: 24n * UNITS }))).toBe('ok')
    fund(chain, 'erin', 1000n * UNITS)
    const over = { output: 24n * UNITS + 1n }
    expect(chain.outcome(withdrawOf(chain, 'carol', over))).toBe('PEG_DAILY_CAP')
    chain.block([withdrawOf(chain, 'carol', { output: 24n * UNITS })])
    expect(chain.outcome(withdrawOf(chain, 'carol', {}))).toBe('PEG_DAILY_CAP')
    chain.runToEpoch(chain.epoch + 2)
    expect(chain.outcome(withdrawOf(chain, 'carol', {}))).toBe('ok')
  })
})

let chainOfAll: SampleChain | undefined
/** One chain for cases that only ask what would happen. */
function shared(): SampleChain {
  chainOfAll ??= pegged()
  return chainOfAll
}
