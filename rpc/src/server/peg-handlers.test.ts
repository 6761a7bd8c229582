import { sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { asInternalHash, toDisplayHash } from '@ioex/chain/elastos'
import { trustCheckpoint } from '@ioex/chain/light'
import {
  DepositFailure,
  DepositOutcome,
  type DepositRecord,
  DepositState,
  PegPauseCause,
  PegType,
  ReceiptKind,
  type WithdrawalRecord,
  WithdrawalState,
} from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LightChainClient } from '../client/light-chain-client.ts'
import { createRpcClient, type RpcClient } from '../client/rpc-client.ts'
import { type RpcServer, startRpcServer } from './rpc-server.ts'
import { MemoryLedger } from './testing/memory-ledger.ts'

const hashOf = (name: string) => sha256(utf8ToBytes(name))
const displayed = (name: string) => toDisplayHash(asInternalHash(hashOf(name)))
const owner = hashOf('owner').slice(0, 20)

const deposit = (name: string, changes: Partial<DepositRecord>): DepositRecord => ({
  mainTransaction: hashOf(name),
  mainHeight: 95,
  amount: 70n,
  entries: 1,
  state: DepositState.credited,
  failure: DepositFailure.none,
  height: 3,
  ...changes,
})
const withdrawal = (name: string, changes: Partial<WithdrawalRecord>): WithdrawalRecord => ({
  id: hashOf(name),
  owner,
  to: Uint8Array.of(0x21, ...owner),
  output: 30_000n,
  amount: 20_000n,
  height: 4,
  state: WithdrawalState.listed,
  ...changes,
})

let ledger: MemoryLedger
let server: RpcServer
let client: RpcClient

beforeAll(async () => {
  ledger = new MemoryLedger({ params: presets.ci, validatorSecrets: [hashOf('validator')] })
  ledger.globals.mainTipHeight = 100
  ledger.depositRecords.push(
    deposit('good', {}),
    deposit('bad', { amount: 0n, entries: 0, state: DepositState.failed, failure: 1 }),
    deposit('moved', { state: DepositState.orphaned, mainHeight: 99 }),
  )
  ledger.withdrawalRecords.push(
    withdrawal('first', {}),
    withdrawal('second', { state: WithdrawalState.returned }),
    withdrawal('third', { height: 14, owner: hashOf('other').slice(0, 20) }),
  )
  ledger.pegRecord = {
    ...PegType.defaultValue(),
    deposited: 200_000n,
    withdrawn: 60_000n,
    unbacked: 70n,
    paused: true,
    pauseCause: PegPauseCause.reorganisation,
    pauseVotes: [0],
  }
  ledger.waitingDeposits.set(Buffer.from(hashOf('young')).toString('hex'), { mainHeight: 99 })
  ledger.append([])
  ledger.append([])
  const value = {
    deposit: 0,
    mainTransaction: hashOf('good'),
    mainHeight: 95,
    mainHash: hashOf('header'),
    account: owner,
    amount: 70n,
    outcome: DepositOutcome.credited,
    failure: DepositFailure.none,
  }
  ledger.append([{ selector: ReceiptKind.deposit, value }])
  server = await startRpcServer({ ledger, port: 0 })
  client = createRpcClient({ url: server.url })
})

afterAll(() => server.close())

test('a stopped peg says why, and what is still in it', async () => {
  expect(await client.call('peg_getStatus', {})).toMatchObject({
    deposited: '200000',
    withdrawn: '60000',
    unbacked: '70',
    reserve: '139930',
    paused: true,
    cause: 'reorganisation',
    pauseVotes: [0],
    // Only what can no longer be replaced is credited while it is stopped.
    depositConfirmations: presets.ci.anchorFinalMainBlocks,
    // The floor is far above what there is: the reserve bounds it.
    day: { withdrawn: '0', allowance: '139930' },
    deposits: 3,
    withdrawals: 3,
    mainTipHeight: 100,
  })
  expect(await client.call('chain_getSupply', {})).toMatchObject({ reserve: '139930' })
  const metrics = await (await fetch(new URL('/metrics', server.url))).text()
  expect(metrics).toContain('ioex_peg_paused 1')
  expect(metrics).toContain('ioex_peg_reserve_units 139930')
  expect(metrics).toContain('ioex_peg_unbacked_units 70')
})

test('deposits by state and by either form of the main-chain id', async () => {
  const { deposits } = await client.call('peg_listDeposits', {})
  expect(deposits.map(({ state, failure }) => [state, failure])).toEqual([
    ['credited', 'none'],
    ['failed', 'address'],
    ['orphaned', 'none'],
  ])
  const failed = await client.call('peg_listDeposits', { state: 'failed' })
  expect(failed.deposits.map(({ mainTxid }) => mainTxid)).toEqual([displayed('bad')])
  const page = await client.call('peg_listDeposits', { limit: 2 })
  expect(page.next).toBe('2')
  const rest = await client.call('peg_listDeposits', { cursor: page.next ?? '' })
  expect(rest.deposits.map(({ index }) => index)).toEqual([2])
  const good = await client.call('peg_getDeposit', { txid: displayed('good') })
  expect(good).toMatchObject({
    state: 'recorded',
    deposit: { index: 0, confirmations: 6, amount: '70' },
    credits: [{ amount: '70', account: expect.stringMatching(/^cioex1/) }],
  })
  const mainTransaction = good.deposit?.mainTransaction ?? ''
  expect(await client.call('peg_getDeposit', { mainTransaction })).toEqual(good)
  expect(await client.call('peg_getDeposit', { txid: displayed('young') })).toMatchObject({
    state: 'waiting',
    waiting: { mainHeight: 99, confirmations: 2, needed: presets.ci.anchorFinalMainBlocks },
  })
  // The turned-round id is another transaction.
  const turned = { mainTransaction: displayed('good') }
  expect(await client.call('peg_getDeposit', turned)).toMatchObject({ state: 'unknown' })
})

test('withdrawals of an epoch are those that the main chain is to pay', async () => {
  const ids = async (params: Parameters<typeof client.call<'peg_listWithdrawals'>>[1]) =>
    (await client.call('peg_listWithdrawals', params)).withdrawals.map(({ index }) => index)
  expect(await ids({})).toEqual([0, 1, 2])
  expect(await ids({ epoch: 1 })).toEqual([0])
  expect(await ids({ epoch: 2 })).toEqual([2])
  const [first] = (await client.call('peg_listWithdrawals', { epoch: 1 })).withdrawals
  expect(await ids({ owner: first?.owner ?? '' })).toEqual([0, 1])
  expect(await client.call('peg_getWithdrawal', { id: first?.id ?? '' })).toMatchObject({
    to: expect.stringMatching(/^E/),
    output: '30000',
    amount: '20000',
    epoch: 1,
    state: 'listed',
    anchor: 'none',
  })
})

test('a light client reads the peg by proof', async () => {
  const genesis = ledger.block(0)
  const trusted = genesis && trustCheckpoint(genesis, ledger.validatorSet())
  if (!trusted?.ok) expect.fail('the ledger has a genesis')
  const light = new LightChainClient({
    endpoints: [server.url],
    params: presets.ci,
    start: trusted.value,
    allowSingleEndpoint: true,
  })
  try {
    await light.start()
    expect(await light.peg()).toMatchObject({ deposited: 200_000n, paused: true })
    expect(await light.depositOf(hashOf('moved'))).toMatchObject({
      index: 2,
      record: { state: DepositState.orphaned, amount: 70n },
    })
    expect(await light.depositOf(hashOf('young'))).toBeUndefined()
    expect(await light.withdrawalOf(hashOf('third'))).toMatchObject({
      index: 2,
      record: { output: 30_000n },
    })
    expect(await light.withdrawalOf(hashOf('none'))).toBeUndefined()
  } finally {
    await light.close()
  }
})
