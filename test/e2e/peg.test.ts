import { join } from 'node:path'
import { isSpendable, planDepositTransaction, signTransaction } from '@ioex/chain/anchor'
import { fromHex, utf8ToBytes } from '@ioex/chain/bytes'
import {
  AddressPrefix,
  formatElaAddress,
  p256PublicKey,
  programHashOf,
  standardProgramHash,
} from '@ioex/chain/elastos'
import { createMainChainClient } from '@ioex/chain/follower'
import { depositProgramHash } from '@ioex/chain/rules'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient, type RpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readOrCreateKey } from '../../cli/src/nodes/key-file.ts'
import { ioex } from './ioex-process.ts'
import { TestNetwork, until } from './network-harness.ts'

const ELA = 100_000_000n
const FEE = 10_000n
const HOME = formatElaAddress(programHashOf(AddressPrefix.standard, utf8ToBytes('home')))

describe('the peg, on four validators and the built-in main chain', () => {
  let network: TestNetwork
  let client: RpcClient
  /** The wallet of the network's folder has tokens of genesis; the other one has nothing. */
  let rich: string
  let other: string
  let mainUrl: string
  let mainKeyFile: string
  let otherAddress: string

  beforeAll(async () => {
    network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
    const [url] = network.running.rpcUrls()
    client = createRpcClient({ url: url as string })
    rich = network.options.data
    other = join(rich, 'other-wallet')
    mainUrl = network.running.mainChain.rpcUrl
    mainKeyFile = mainKeyPath(1)
    otherAddress = String((await command(other, 'wallet', 'create'))['address'])
  })
  afterAll(() => network.destroy())

  const mainKeyPath = (validator: number) =>
    join(rich, `validator-${validator}`, 'keys', 'main-chain.key')

  /** A command that succeeds; gives its JSON. */
  async function command(data: string, ...args: string[]): Promise<Record<string, unknown>> {
    const outcome = await run(data, ...args)
    expect(outcome.code, outcome.err).toBe(0)
    return JSON.parse(outcome.out) as Record<string, unknown>
  }

  function run(data: string, ...args: string[]) {
    const [url] = network.running.rpcUrls()
    const flags = ['--network', 'ci', '--json', '--data', data, '--rpc', url as string]
    return ioex([...args, ...flags])
  }

  async function refusal(data: string, ...args: string[]): Promise<string> {
    const outcome = await run(data, ...args)
    expect(outcome.code).toBe(1)
    return (JSON.parse(outcome.err) as { error: { code: string } }).error.code
  }

  const balanceOf = async (address: string) =>
    BigInt((await client.call('chain_getAccount', { address })).balance)

  /** circulating = genesis + deposited + minted - burned - withdrawn, on every full node. */
  async function expectIdentity(): Promise<{ deposited: bigint; withdrawn: bigint }> {
    for (const url of network.running.rpcUrls()) {
      const supply = await createRpcClient({ url }).call('chain_getSupply', {})
      const { genesis, deposited, minted, burned, withdrawn, circulating } = supply
      const issued = BigInt(genesis) + BigInt(deposited) + BigInt(minted)
      expect(BigInt(circulating)).toBe(issued - BigInt(burned) - BigInt(withdrawn))
      expect(BigInt(supply.reserve)).toBe(BigInt(deposited) - BigInt(withdrawn))
    }
    const { height, deposited, withdrawn } = await client.call('chain_getSupply', {})
    const then = await client.call('chain_getSupply', { height: 1 })
    expect(then).toMatchObject({ height: 1, deposited: '0', withdrawn: '0', minted: '0' })
    expect(await client.call('chain_getSupply', { height })).toMatchObject({ deposited })
    return { deposited: BigInt(deposited), withdrawn: BigInt(withdrawn) }
  }

  test('before anything is deposited nothing can be withdrawn', async () => {
    const shown = await command(rich, 'wallet', 'deposit-address')
    const status = await client.call('peg_getStatus', {})
    expect(shown['depositAddress']).toBe(status.depositAddress)
    expect(status).toMatchObject({ reserve: '0', paused: false, deposits: 0 })
    expect(await refusal(rich, 'wallet', 'withdraw', HOME, '1')).toBe('PEG_RESERVE')
    expect(await expectIdentity()).toEqual({ deposited: 0n, withdrawn: 0n })
  })

  test('a deposit is credited after its confirmations, whatever shallow branches win', async () => {
    const flags = ['--main', mainUrl, '--main-key-file', mainKeyFile, '--to', otherAddress]
    // While a memo of the validator waits for its block, so does the change of its account.
    const sent = until('the deposit to be paid for', async () => {
      const outcome = await run(other, 'wallet', 'deposit', '5', ...flags)
      if (outcome.code === 0) return JSON.parse(outcome.out) as Record<string, unknown>
      expect(outcome.err).toContain('DEPOSIT_FUNDS')
      return undefined
    })
    const { mainChain } = network.running
    await until('the deposit on the main chain', async () => mainChain.mempool.size > 0)
    await mainChain.mine()
    await mainChain.reorganise(1)
    const credited = await sent
    expect(credited).toMatchObject({ state: 'credited', target: otherAddress })
    expect(await balanceOf(otherAddress)).toBe(5n * ELA)
    const txid = String(credited['txid'])
    const found = await client.call('peg_getDeposit', { txid, prove: true })
    expect(found).toMatchObject({
      state: 'recorded',
      deposit: { state: 'credited', amount: String(5n * ELA), entries: 1 },
      credits: [{ account: otherAddress, amount: String(5n * ELA) }],
    })
    expect(found.proof?.records[0]).toMatchObject({ table: 'deposits', record: found.deposit?.ssz })
    const { mainHeight } = found.deposit ?? { mainHeight: Number.NaN }
    const { header } = await client.call('chain_getBlock', { height: found.deposit?.height ?? 0 })
    expect(header).toBeDefined()
    expect(found.deposit?.confirmations).toBeGreaterThanOrEqual(presets.ci.depositConfirmations)
    expect(mainHeight).toBeGreaterThan(0)
    expect(await expectIdentity()).toEqual({ deposited: 5n * ELA, withdrawn: 0n })
  })

  test('a deposit to an address that does not exist here is listed as failed', async () => {
    const secretKey = await readOrCreateKey(mainKeyPath(2))
    const publicKey = p256PublicKey(secretKey)
    const main = createMainChainClient({ url: mainUrl })
    const payer = formatElaAddress(standardProgramHash(publicKey))
    const count = await main.getBlockCount()
    const { chainId } = await client.call('chain_getStatus', {})
    const planned = planDepositTransaction({
      to: depositProgramHash(fromHex(chainId)),
      target: 'nobody',
      amount: ELA,
      spendable: (await main.listUnspent(payer)).filter((each) => isSpendable(each, count)),
      feeSela: 100n,
      payerPublicKey: publicKey,
    })
    if (!planned.ok) expect.fail(planned.fault.message)
    const txid = await main.sendRawTransaction(signTransaction(planned.value, secretKey))
    const found = await until('the failed deposit', async () => {
      const answer = await client.call('peg_getDeposit', { txid })
      return answer.state === 'recorded' && answer
    })
    expect(found).toMatchObject({ deposit: { state: 'failed', failure: 'address' }, credits: [] })
    const failed = await client.call('peg_listDeposits', { state: 'failed' })
    expect(failed.deposits.map((each) => each.mainTxid)).toEqual([txid])
    expect(await expectIdentity()).toEqual({ deposited: 5n * ELA, withdrawn: 0n })
  })

  test('deposited coin is spent here and withdrawn, never more than the main chain holds', async () => {
    const friend = String((await command(join(rich, 'friend'), 'wallet', 'create'))['address'])
    await command(other, 'wallet', 'send', friend, '1.5')
    expect(await balanceOf(friend)).toBe((15n * ELA) / 10n)
    await expectIdentity()
    // Whoever has tokens of genesis cannot take out what others deposited, beyond it.
    expect(await refusal(rich, 'wallet', 'withdraw', HOME, '5')).toBe('PEG_RESERVE')
    const withdrawn = await command(other, 'wallet', 'withdraw', HOME, '2')
    expect(withdrawn).toMatchObject({ state: 'final', to: HOME, output: String(2n * ELA + FEE) })
    expect(await expectIdentity()).toEqual({ deposited: 5n * ELA, withdrawn: 2n * ELA + FEE })
    expect(await refusal(rich, 'wallet', 'withdraw', HOME, '3')).toBe('PEG_RESERVE')
    const epoch = Number(withdrawn['epoch'])
    const listed = await client.call('peg_listWithdrawals', { epoch })
    expect(listed.withdrawals).toMatchObject([
      { id: withdrawn['id'], owner: otherAddress, to: HOME, amount: String(2n * ELA) },
    ])
    await until('the anchor of its checkpoint', async () => {
      const { epoch: anchored } = await client.call('anchor_getStatus', {})
      return anchored !== null && anchored >= epoch
    })
  })

  test('validators stop withdrawals and let them go on', async () => {
    const vote = (kind: string, validator: number) => {
      const key = join(rich, `validator-${validator + 1}`, 'keys', 'owner.key')
      const flags = ['--validator', String(validator), '--owner-key-file', key]
      return command(rich, 'peg', 'vote', kind, ...flags)
    }
    await vote('pause', 0)
    await vote('pause', 1)
    expect(await vote('pause', 2)).toMatchObject({ paused: true })
    expect(await refusal(other, 'wallet', 'withdraw', HOME, '0.5')).toBe('PEG_PAUSED')
    expect(await command(rich, 'peg', 'status')).toMatchObject({ paused: true, cause: 'vote' })
    await Promise.all([vote('resume', 1), vote('resume', 2), vote('resume', 3)])
    await until('the peg to go on', async () => !(await client.call('peg_getStatus', {})).paused)
  })

  test('goes on after a restart and passes the audit', async () => {
    await network.stop()
    await network.start()
    expect(await expectIdentity()).toEqual({ deposited: 5n * ELA, withdrawn: 2n * ELA + FEE })
    const flags = ['--main', network.running.mainChain.rpcUrl, '--main-key-file', mainKeyFile]
    await command(rich, 'wallet', 'deposit', '1', ...flags)
    expect(await expectIdentity()).toEqual({ deposited: 6n * ELA, withdrawn: 2n * ELA + FEE })
    const audited = await run(rich, 'audit')
    expect(audited.code, audited.err).toBe(0)
  })
})
