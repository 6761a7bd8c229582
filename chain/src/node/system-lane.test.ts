import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { afterEach, expect, test } from 'vitest'
import { formatAddress } from '../bytes/address.ts'
import { assert } from '../bytes/assert.ts'
import {
  type BuiltInMainChain,
  builtInGenesisBlock,
  startBuiltInMainChain,
} from '../anchor/built-in-main-chain.ts'
import { planDepositTransaction } from '../anchor/deposit-transaction.ts'
import { MainChainFollower } from '../anchor/follower.ts'
import { createMainChainClient } from '../anchor/main-chain-client.ts'
import { signTransaction } from '../anchor/memo-transaction.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { balanceOf } from '../rules/accounts.ts'
import { depositProgramHash } from '../rules/deposit-content.ts'
import { headerContext, mainHeaderAt } from '../rules/main-chain.ts'
import { keyOf, SampleChain } from '../rules/testing/sample-chain.ts'
import { mainChainObjection, systemTransactions, unrecordableFork } from './system-lane.ts'

setHasher(asSha256)

const ELA = 100_000_000n
const secretKey = new Uint8Array(32).fill(31)
const publicKey = p256PublicKey(secretKey)
const payer = formatElaAddress(standardProgramHash(publicKey))
const miner = formatElaAddress(standardProgramHash(p256PublicKey(new Uint8Array(32).fill(32))))
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'lane-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const genesis = {
    allocations: [{ address: payer, sela: 100n * ELA }],
    timestamp: 1_700_000_000 - 10,
  }
  const options = { dataDir: folder, genesis, minerAddress: miner, blockIntervalMs: 0 }
  const main = await startBuiltInMainChain({ ...options, rpc: { port: 0 } })
  cleanups.push(() => main.stop())
  const block = builtInGenesisBlock(genesis)
  const header = decodeHeaderWithAuxPow(block)
  assert(header.ok, 'the genesis block has a header')
  const chain = new SampleChain({ mainCheckpoint: block.slice(0, header.value.length) })
  return { main, chain }
}

/** A follower of a node that starts now, with nothing but its ledger. */
function follow(main: BuiltInMainChain, chain: SampleChain): MainChainFollower {
  const start = mainHeaderAt(chain.ledger, chain.ledger.globals().mainBaseHeight)
  assert(start, 'the ledger keeps its headers')
  return new MainChainFollower({
    client: createMainChainClient({ url: main.rpcUrl }),
    params: chain.params.mainChain,
    start: headerContext(chain.ledger, start),
    sideGenesisHash: chain.chainId,
  })
}

async function deposit(main: BuiltInMainChain, chain: SampleChain, name: string, amount: bigint) {
  const client = createMainChainClient({ url: main.rpcUrl })
  const planned = planDepositTransaction({
    to: depositProgramHash(chain.chainId),
    target: formatAddress(keyOf(name).address, chain.params.addressPrefix),
    amount,
    spendable: await client.listUnspent(payer),
    feeSela: 100n,
    payerPublicKey: publicKey,
  })
  assert(planned.ok, 'the payer has enough')
  return client.sendRawTransaction(signTransaction(planned.value, secretKey))
}

async function mine(main: BuiltInMainChain, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) await main.mine()
}

test('proposers credit what the main chain shows, once, across restarts of the follower', async () => {
  const { main, chain } = await startWorld()
  const { depositConfirmations } = chain.params
  const follower = follow(main, chain)
  await deposit(main, chain, 'carol', 5n * ELA)
  await mine(main, depositConfirmations - 1)
  await follower.poll()
  expect([...follower.deposits(0, 99)]).toHaveLength(1)
  chain.block(systemTransactions(chain.ledger, follower))
  expect(systemTransactions(chain.ledger, follower)).toEqual([])
  await mine(main, 1)
  await follower.poll()
  chain.block(systemTransactions(chain.ledger, follower))
  expect(balanceOf(chain.ledger, keyOf('carol').address)).toBe(0n)
  // The header is on record now: the next block credits. A node started this moment does too.
  const fresh = follow(main, chain)
  await fresh.poll()
  const transactions = systemTransactions(chain.ledger, fresh)
  expect(transactions).toEqual(systemTransactions(chain.ledger, follower))
  chain.block(transactions)
  expect(balanceOf(chain.ledger, keyOf('carol').address)).toBe(5n * ELA)
  expect(systemTransactions(chain.ledger, follower)).toEqual([])
  expect(systemTransactions(chain.ledger, fresh)).toEqual([])
})

test('a block takes a bounded number of deposits; the rest comes with the next', async () => {
  const { main, chain } = await startWorld()
  for (let i = 0; i < 18; i++) {
    await deposit(main, chain, `account-${i}`, ELA)
    await main.mine()
  }
  await mine(main, chain.params.depositConfirmations)
  const follower = follow(main, chain)
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
  const { main, chain } = await startWorld()
  const follower = follow(main, chain)
  await deposit(main, chain, 'carol', ELA)
  await mine(main, 1)
  await follower.poll()
  chain.block(systemTransactions(chain.ledger, follower))
  await main.reorganise(1)
  await follower.poll()
  expect([...follower.deposits(0, 99)]).toEqual([])
  // The transaction waits again; it is mined into the branch and credited from there.
  await mine(main, chain.params.depositConfirmations)
  await follower.poll()
  for (let i = 0; i < 3; i++) chain.block(systemTransactions(chain.ledger, follower))
  expect(chain.ledger.peg()).toMatchObject({ deposited: ELA, unbacked: 0n, paused: false })
})

test('a main chain that left what is on record too deep is noticed, a shallower one followed', async () => {
  const { main, chain } = await startWorld()
  const final = chain.params.anchorFinalMainBlocks
  const follower = follow(main, chain)
  await mine(main, final + 2)
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
  const { main, chain } = await startWorld()
  const { epochBlocks, skipTimeoutMs } = chain.params
  const follower = follow(main, chain)
  await mine(main, 3)
  await follower.poll()
  const known = (height: number) => ({
    contradicts: () => false,
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
