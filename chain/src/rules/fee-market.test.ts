import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { draftOf, merge } from '../state/ledger.ts'
import { ReceiptKind, type Receipt } from '../types/receipts.ts'
import { transactionBytes } from '../types/transaction-codec.ts'
import type { Payload, Transaction } from '../types/transactions.ts'
import { balanceOf } from './accounts.ts'
import { baseFeeCap, nextBaseFee, ORDINARY_BODY_BYTES_TARGET } from './base-fee.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleChain, UNITS } from './testing/sample-chain.ts'

const alice = keyOf('alice')
const bob = keyOf('bob')
const pay: Payload = { selector: 0, value: { to: bob.address, amount: 1n } }

beforeAll(async () => {
  await installNativeCrypto()
})

const baseFee = (chain: SampleChain) => chain.ledger.globals().baseFee

function setBaseFee(chain: SampleChain, fee: bigint): void {
  const draft = draftOf(chain.ledger)
  draft.setGlobals({ ...draft.globals(), baseFee: fee })
  merge(draft)
}

/** Signed transfers of alice, enough to fill so many bytes. */
function transfers(chain: SampleChain, bytes: number): Transaction[] {
  const made: Transaction[] = []
  const cap = { maxBaseFee: baseFeeCap(baseFee(chain)), tip: 2n }
  for (let size = 0; size < bytes; ) {
    const one = chain.byOwner(alice, pay, { ...cap, nonce: made.length + nonceOf(chain) })
    size += transactionBytes(one) + 4
    made.push(one)
  }
  return made
}

const nonceOf = (chain: SampleChain) => {
  const index = chain.ledger.accountIndex(alice.address)
  return index === undefined ? 0 : (chain.ledger.accounts.get(index)?.nonce ?? 0)
}

function fees(receipts: readonly Receipt[]): { base: bigint; tip: bigint } {
  const sums = { base: 0n, tip: 0n }
  for (const { body } of receipts) {
    if (body.selector !== ReceiptKind.fee) continue
    sums.base += body.value.baseFee
    sums.tip += body.value.tip
  }
  return sums
}

describe('the fee market in blocks', () => {
  test('begins at the floor; a block over half raises it for the next, idle blocks lower it', () => {
    const chain = new SampleChain()
    expect(baseFee(chain)).toBe(chain.params.baseFeePerByte)
    const busy = transfers(chain, ORDINARY_BODY_BYTES_TARGET + 20_000)
    chain.block(busy)
    const bytes = busy.reduce((sum, each) => sum + transactionBytes(each) + 4, 0)
    expect(baseFee(chain)).toBe(nextBaseFee(1n, 1n, bytes))
    expect(baseFee(chain)).toBe(2n)
    const stingy = chain.byOwner(alice, pay, { maxBaseFee: 1n })
    expect(chain.outcome(stingy)).toBe('FEE_CAP_TOO_LOW')
    chain.block()
    expect(baseFee(chain)).toBe(1n)
    expect(chain.outcome(stingy)).toBe('ok')
  })

  test('the base fee of the block burns, the tip reaches the proposer, every unit is somewhere', () => {
    const chain = new SampleChain()
    setBaseFee(chain, 1000n)
    const most = { maxBaseFee: 1n << 39n, tip: 7n }
    for (let height = 1; height <= 25; height++) {
      const fee = baseFee(chain)
      const before = chain.ledger.globals().burnedBaseFee
      const rich = balanceOf(chain.ledger, alice.address)
      const transaction = chain.byOwner(alice, pay, most)
      const bytes = BigInt(transactionBytes(transaction))
      const { receipts } = chain.block([transaction])
      expect(fees(receipts)).toEqual({ base: fee * bytes, tip: 7n * bytes })
      expect(chain.ledger.globals().burnedBaseFee - before).toBe(fee * bytes)
      expect(rich - balanceOf(chain.ledger, alice.address)).toBe((fee + 7n) * bytes + 1n)
      expect(baseFee(chain)).toBe(nextBaseFee(1n, fee, Number(bytes) + 4))
      expect(auditSupply(chain.ledger).ok).toBe(true)
    }
    expect(baseFee(chain)).toBeLessThan(50n)
  })

  test('what no account pays for stays at the floor, however dear the rest is', () => {
    const chain = new SampleChain({ nodes: ['relay'] })
    setBaseFee(chain, 1n << 40n)
    const rail = { node: keyOf('relay').address, lockUnits: UNITS, unitPrice: 3n }
    const open: Payload = { selector: 3, value: { ...rail, reservationPrice: 2n } }
    expect(chain.outcome(chain.byOwner(alice, open, { maxBaseFee: 1n << 40n }))).toBe(
      'INSUFFICIENT_FUNDS',
    )
    setBaseFee(chain, 1n)
    chain.block([chain.byOwner(alice, open)])
    setBaseFee(chain, 1n << 40n)
    const leave: Payload = { selector: 9, value: { rail: 0, lost: false, unpaid: false } }
    const left = chain.byNode(keyOf('relay'), leave, { maxBaseFee: 0n })
    chain.block([left])
    const node = chain.ledger.nodes.get(0)
    expect(node?.debt).toBe(chain.params.baseFeePerByte * BigInt(transactionBytes(left)))
  })
})
