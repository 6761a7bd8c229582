import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { afterEach, expect, test } from 'vitest'
import { Cleanups, elaAddressOf, mineBlocks } from '../main-chain/testing/test-main-chain.ts'
import { formatAddress } from '../bytes/address.ts'
import { assert } from '../bytes/assert.ts'
import type { MainChainFollower } from '../follower/follower.ts'
import { LOCAL_ARBITER_KEYS } from '../elastos/local-arbiters.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { balanceOf } from '../rules/accounts.ts'
import { keyOf } from '../rules/testing/sample-chain.ts'
import {
  MAIN_HEADERS_PER_TRANSACTION_MAX,
  PayloadKind,
  type Transaction,
} from '../types/transactions.ts'
import {
  bringsNewerHeader,
  mainChainObjection,
  systemTransactions,
  unrecordableFork,
} from './system-lane.ts'
import { deposit, startTwoChains } from './testing/two-chains.ts'

setHasher(asSha256)

const ELA = 100_000_000n
const secretKey = new Uint8Array(32).fill(31)
const payer = elaAddressOf(secretKey)
const cleanups = new Cleanups()
afterEach(() => cleanups.run())

async function startWorld() {
  const world = await startTwoChains({ allocations: [{ address: payer, sela: 100n * ELA }] })
  cleanups.add(() => world.stop())
  const depositTo = (name: string, amount: bigint) => {
    const target = formatAddress(keyOf(name).address, world.chain.params.addressPrefix)
    return deposit(world, secretKey, { target, amount })
  }
  return { ...world, depositTo }
}

test('proposers credit what the main chain shows, once, across restarts of the follower', async () => {
  const { main, chain, follower, follow, depositTo } = await startWorld()
  const { depositConfirmations } = chain.params
  await depositTo('carol', 5n * ELA)
  await mineBlocks(main, depositConfirmations - 1)
  await follower.poll()
  expect([...follower.deposits(0, 99)]).toHaveLength(1)
  chain.block(systemTransactions(chain.ledger, follower))
  expect(systemTransactions(chain.ledger, follower)).toEqual([])
  await mineBlocks(main, 1)
  await follower.poll()
  chain.block(systemTransactions(chain.ledger, follower))
  expect(balanceOf(chain.ledger, keyOf('carol').address)).toBe(0n)
  // The header is on record now: the next block credits. A node started this moment does too.
  const fresh = follow()
  await fresh.poll()
  const transactions = systemTransactions(chain.ledger, fresh)
  expect(transactions).toEqual(systemTransactions(chain.ledger, follower))
  chain.block(transactions)
  expect(balanceOf(chain.ledger, keyOf('carol').address)).toBe(5n * ELA)
  expect(systemTransactions(chain.ledger, follower)).toEqual([])
  expect(systemTransactions(chain.ledger, fresh)).toEqual([])
})

test('a block takes a bounded number of deposits; the rest comes with the next', async () => {
  const { main, chain, follower, depositTo } = await startWorld()
  for (let i = 0; i < 18; i++) {
    await depositTo(`account-${i}`, ELA)
    await main.mine()
  }
  await mineBlocks(main, chain.params.depositConfirmations)
  await follower.poll()
  chain.block(systemTransactions(chain.ledger, follower))
  const first = systemTransactions(chain.ledger, follower)
  expect(first).toHaveLength(16)
  chain.block(first)
  chain.block(systemTransactions(chain.ledger, follower))
  expect(chain.ledger.peg().deposited).toBe(18n * ELA)
  expect(systemTransactions(chain.ledger, follower)).toEqual([])
})

test('a main block that left the best chain credits nobody', async () => {
  const { main, chain, follower, depositTo } = await startWorld()
  await depositTo('carol', ELA)
  await mineBlocks(main, 1)
  await follower.poll()
  chain.block(systemTransactions(chain.ledger, follower))
  await main.reorganise(1)
  await follower.poll()
  expect([...follower.deposits(0, 99)]).toEqual([])
  // The transaction waits again; it is mined into the branch and credited from there.
  await mineBlocks(main, chain.params.depositConfirmations)
  await follower.poll()
  for (let i = 0; i < 3; i++) chain.block(systemTransactions(chain.ledger, follower))
  expect(chain.ledger.peg()).toMatchObject({ deposited: ELA, unbacked: 0n, paused: false })
})

test('a main chain that left what is on record too deep is noticed, a shallower one followed', async () => {
  const { main, chain, follower } = await startWorld()
  const final = chain.params.anchorFinalMainBlocks
  await mineBlocks(main, final + 2)
  await follower.poll()
  chain.block(systemTransactions(chain.ledger, follower))
  expect(unrecordableFork(chain.ledger, follower)).toBeUndefined()
  await main.reorganise(final - 1)
  await follower.poll()
  expect(unrecordableFork(chain.ledger, follower)).toBeUndefined()
  chain.block(systemTransactions(chain.ledger, follower))
  expect(chain.ledger.globals().mainTipHeight).toBe(main.height)
  await main.reorganise(final)
  await follower.poll()
  expect(unrecordableFork(chain.ledger, follower)).toBe(final)
  const [headers] = systemTransactions(chain.ledger, follower)
  expect(headers && chain.outcome(headers)).toBe('MAIN_REORG_TOO_DEEP')
})

test('a checkpoint may leave out headers that its proposer could not know yet', async () => {
  const { main, chain, follower } = await startWorld()
  const { epochBlocks, skipTimeoutMs } = chain.params
  await mineBlocks(main, 3)
  await follower.poll()
  const known = (height: number) => ({
    contradicts: () => false,
    confirmedHeight: Number.POSITIVE_INFINITY,
    blockAt: () => undefined,
    heightKnownFor(ms: number) {
      expect(ms).toBe(skipTimeoutMs)
      return height
    },
  })
  const headers = systemTransactions(chain.ledger, follower)
  const objection = (height: number, transactions: typeof headers, knownHeight: number) =>
    mainChainObjection({ ...chain.header, height }, transactions, chain.ledger, known(knownHeight))
  expect(objection(epochBlocks, [], 1)).toBeUndefined()
  expect(objection(epochBlocks, [], 2)).toBe('the checkpoint leaves out 2 main headers')
  expect(objection(epochBlocks - 1, [], 2)).toBeUndefined()
  expect(objection(epochBlocks, headers, 4)).toBeUndefined()
  expect(objection(epochBlocks, headers, 5)).toBe('the checkpoint leaves out 2 main headers')
  // Read a moment ago: known for no time at all, and at once where no time is asked for.
  expect(follower.heightKnownFor(0)).toBe(3)
  expect(follower.heightKnownFor(24 * 3600_000)).toBe(0)
})

test('after a standstill longer than one block makes up for, a full checkpoint is voted for', async () => {
  const { main, chain, follower } = await startWorld()
  await mineBlocks(main, MAIN_HEADERS_PER_TRANSACTION_MAX + 5)
  await follower.poll()
  const [full] = systemTransactions(chain.ledger, follower)
  assert(full?.body.payload.selector === PayloadKind.mainHeaders, 'headers come first')
  const { headers } = full.body.payload.value
  expect(headers).toHaveLength(MAIN_HEADERS_PER_TRANSACTION_MAX)
  const header = { ...chain.header, height: chain.params.epochBlocks }
  const known = {
    contradicts: () => false,
    confirmedHeight: Number.POSITIVE_INFINITY,
    blockAt: (height: number) => follower.blockAt(height),
    heightKnownFor: () => follower.tip.height,
  }
  const objection = (count: number) => {
    const payload = { ...full.body.payload, value: { headers: headers.slice(0, count) } }
    const transactions = [{ ...full, body: { ...full.body, payload } }] as Transaction[]
    return mainChainObjection(header, transactions, chain.ledger, known)
  }
  expect(objection(headers.length)).toBeUndefined()
  expect(objection(headers.length - 1)).toBe('the checkpoint leaves out 6 main headers')
  chain.block([full])
  expect(chain.ledger.globals().mainTipHeight).toBe(MAIN_HEADERS_PER_TRANSACTION_MAX)
})

test('with Confirms a header is proposed and voted for once arbiters have confirmed it', async () => {
  const { main, chain, follow, follower: careless } = await startWorld()
  await mineBlocks(main, 3)
  const strangers = [p256PublicKey(secretKey)]
  const careful = follow({ confirms: { arbiters: LOCAL_ARBITER_KEYS } })
  const waiting = follow({ confirms: { arbiters: strangers } })
  await careless.poll()
  const headers = systemTransactions(chain.ledger, careless)
  const objection = (follower: MainChainFollower) =>
    mainChainObjection({ ...chain.header, height: 1 }, headers, chain.ledger, follower)
  expect(headers).toHaveLength(1)
  // Not read yet: the node looks for it before it refuses.
  expect(bringsNewerHeader(headers, careful)).toBe(true)
  expect(objection(careful)).toContain('main header 1 has no Confirm here')
  await careful.poll()
  await waiting.poll()
  expect(bringsNewerHeader(headers, careful)).toBe(false)
  expect(objection(careful)).toBeUndefined()
  expect(systemTransactions(chain.ledger, careful)).toEqual(headers)
  expect(objection(waiting)).toContain('main header 1 has no Confirm here')
  expect(systemTransactions(chain.ledger, waiting)).toEqual([])
  // It holds nobody up for what it cannot vote for itself.
  const { epochBlocks } = chain.params
  const checkpoint = { ...chain.header, height: epochBlocks }
  expect(waiting.heightKnownFor(0)).toBe(0)
  expect(mainChainObjection(checkpoint, [], chain.ledger, waiting)).toBeUndefined()
})
