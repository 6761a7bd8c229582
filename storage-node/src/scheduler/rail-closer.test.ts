import { sign, signingDigest } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { type OpenContract, PayloadKind, VoucherType, ZERO_ADDRESS } from '@ioex/chain/types'
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { keyOf, UNITS } from '../../../chain/src/rules/testing/sample-chain.ts'
import { MemoryChain } from '../node/testing/memory-chain.ts'
import { OwnerAccount } from '../node/transactions.ts'
import { RailCloser } from './rail-closer.ts'

const alice = keyOf('alice')
const relay = keyOf('relay')
const START = 1000n * UNITS

let chain: MemoryChain
let account: OwnerAccount
let closer: RailCloser

beforeEach(async () => {
  await installNativeCrypto()
  // No byte fees, so that the money that comes back can be counted.
  const params = { baseFeePerByte: 0n }
  chain = new MemoryChain({ balances: { alice: START }, nodes: ['relay'], params })
  account = new OwnerAccount(chain, alice.secretKey)
  closer = new RailCloser(chain, account, pino({ level: 'silent' }))
  chain.tick()
})
afterEach(() => chain.stop())

const balance = async () => (await chain.account(alice.address))?.balance

function openRelay(lockUnits: bigint) {
  const value = { node: relay.address, lockUnits, unitPrice: 1n << 20n, reservationPrice: 0n }
  return account.send({ selector: PayloadKind.openRelay, value })
}

/** The relay redeems a voucher over so many units, one per KiB. */
async function redeem(rail: number, kib: number): Promise<void> {
  const voucher = { rail, generation: 0, kib, reservations: 0 }
  const digest = signingDigest('voucher', chain.chainId, VoucherType.hashTreeRoot(voucher))
  const signed = { voucher, payerKey: alice.publicKey, signature: sign(digest, alice.secretKey) }
  const value = { rails: [rail], vouchers: [signed], least: 0n }
  await chain.submit(chain.sample.byNode(relay, { selector: PayloadKind.redeem, value }))
  chain.tick()
}

const NOTHING = { asked: 0, settled: 0, waiting: 0 }

test('a used relay rail is closed in two steps and its rest comes back; a fresh one stays', async () => {
  await openRelay(1000n)
  await openRelay(1000n)
  expect(await closer.run()).toEqual(NOTHING)
  await redeem(0, 990)
  expect(await closer.run()).toEqual({ asked: 1, settled: 0, waiting: 0 })
  expect(await closer.run()).toEqual(NOTHING)
  chain.runEpochs(chain.params.proofWindowEpochs)
  expect(await closer.run()).toEqual({ asked: 0, settled: 1, waiting: 0 })
  expect(await balance()).toBe(START - 1000n - 990n)
  expect((await chain.rail(0))?.live).toBe(false)
  expect((await chain.rail(1))?.live).toBe(true)
})

test('a contract that nobody filled is refunded after its deadline', async () => {
  const value: OpenContract = {
    salt: new Uint8Array(32).fill(3),
    k: 1,
    n: 2,
    maxLeaves: 256,
    priceCap: UNITS,
    unitPriceCap: 0n,
    lockUnits: 500n,
    pot: 70n,
    term: 20,
    policy: 0,
    delegate: ZERO_ADDRESS,
    delegateFee: 0n,
    label: new Uint8Array(0),
  }
  await account.send({ selector: PayloadKind.openContract, value })
  expect(await closer.run()).toEqual(NOTHING)
  chain.runEpochs(chain.params.fillDeadlineEpochs)
  expect(await closer.run()).toEqual({ asked: 0, settled: 1, waiting: 0 })
  expect(await balance()).toBe(START)
})

test('bounded in a run, and what is refused waits longer each time', async () => {
  for (let i = 0; i < 10; i++) await openRelay(100n)
  for (let i = 0; i < 10; i++) await redeem(i, 100)
  expect(await closer.run()).toMatchObject({ asked: 8 })
  expect(await closer.run()).toMatchObject({ asked: 2 })
  chain.runEpochs(chain.params.proofWindowEpochs)
  // Somebody else is refused by name: the closer leaves it alone for 1, then 2 epochs.
  const refusing = new OwnerAccount(chain, alice.secretKey)
  let calls = 0
  refusing.send = () => {
    calls += 1
    return Promise.reject(Object.assign(new Error('later'), { code: 'CHALLENGE_OPEN' }))
  }
  const patient = new RailCloser(chain, refusing, pino({ level: 'silent' }))
  const tries: number[] = []
  for (let i = 0; i < 8; i++) {
    await patient.run()
    tries.push(calls)
    chain.runEpochs(1)
  }
  // Eight at once, two in the next epoch; again after 1, 3 and 7 epochs.
  expect(tries[0]).toBe(8)
  expect(tries.at(-1)).toBeLessThanOrEqual(10 * 4)
  expect(tries.at(-1)).toBeGreaterThan(20)
  expect(await closer.run()).toMatchObject({ settled: 8 })
})
