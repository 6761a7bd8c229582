import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { utf8ToBytes } from '@ioex/chain/bytes'
import { AddressPrefix, formatElaAddress, programHashOf } from '@ioex/chain/elastos'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient, type RpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ioex } from './ioex-process.ts'
import { readOrCreateKey } from '../../cli/src/nodes/key-file.ts'
import type { NodeConfig } from '../../cli/src/nodes/node-config.ts'
import { balanceOnMain, drain } from './main-chain/main-accounts.ts'
import { TestNetwork, until } from './network-harness.ts'

const ELA = 100_000_000n
const CONFIRMATIONS = presets.local.depositConfirmations
/** Side blocks in which nothing may happen: one takes a header, the next would credit. */
const IDLE_BLOCKS = 3
const HOME = formatElaAddress(programHashOf(AddressPrefix.standard, utf8ToBytes('home')))
/** A twenty-second epoch ends, is anchored, and the arbiters see it; on a busy machine. */
const LONG_MS = 300_000

/**
 * The `local` preset has the confirmations of the main and test networks; `ci` has three. Every
 * validator asks for the Confirms of main blocks.
 */
describe('the peg with six confirmations, main blocks on demand', () => {
  let network: TestNetwork
  let client: RpcClient
  let mainUrl: string
  let address: string

  beforeAll(async () => {
    const size = { validators: 4, bootstraps: 0, peers: 0 }
    const options = { ...size, preset: 'local', mainConfirms: true } as const
    network = await TestNetwork.create(options, { mainBlockMs: 0 })
    const [url] = network.running.rpcUrls()
    client = createRpcClient({ url: url as string })
    mainUrl = network.running.mainChain.rpcUrl
    address = String((await command('wallet', 'address'))['address'])
  })
  afterAll(() => network.destroy())

  async function command(...args: string[]): Promise<Record<string, unknown>> {
    const { data } = network.options
    const [url] = network.running.rpcUrls()
    const flags = ['--network', 'local', '--json', '--data', data, '--rpc', url as string]
    const { code, out, err } = await ioex([...args, ...flags])
    expect(code, err).toBe(0)
    return JSON.parse(out) as Record<string, unknown>
  }

  const balance = async () => BigInt((await client.call('chain_getAccount', { address })).balance)

  const mine = async (blocks: number) => {
    for (let i = 0; i < blocks; i++) await network.running.mainChain.mine()
  }

  /** The main chain as the ledger has it, so many final blocks ago at least. */
  async function settled(): Promise<void> {
    const { height: main } = network.running.mainChain
    const recorded = async () => (await client.call('anchor_getStatus', {})).mainTipHeight === main
    await until('the headers on record', recorded)
    await sideBlocks(IDLE_BLOCKS)
  }

  async function sideBlocks(count: number): Promise<void> {
    const height = async () => (await client.call('chain_getStatus', {})).height
    const last = (await height()) + count
    await until(`block ${last}`, async () => (await height()) >= last)
  }

  test('a deposit is absent at 5 main blocks and a balance at 6, whatever branch they are of', async () => {
    expect(CONFIRMATIONS).toBe(6)
    const before = await balance()
    const flags = ['--main', mainUrl, '--main-key-file', keyFile(1), '--no-wait']
    const { txid } = await command('wallet', 'deposit', '9', ...flags)
    const deposit = () => client.call('peg_getDeposit', { txid: String(txid) })
    await mine(CONFIRMATIONS - 2)
    // Two of the four leave the best chain for three others: five confirmations.
    await network.running.mainChain.reorganise(2)
    await settled()
    expect(await deposit()).toMatchObject({ waiting: { confirmations: CONFIRMATIONS - 1 } })
    expect(await balance()).toBe(before)
    await mine(1)
    await settled()
    expect(await balance()).toBe(before + 9n * ELA)
    expect(await deposit()).toMatchObject({ state: 'recorded', deposit: { state: 'credited' } })
  })

  test('main headers go on record while the main chain has no arbiters, and after it', async () => {
    const { mainChain, nodes } = network.running
    const modes = () =>
      Promise.all(
        nodes.map(async (node) => {
          const { mainConfirms } = (await node.ask('status')) as { mainConfirms?: { mode: string } }
          return mainConfirms?.mode
        }),
      )
    await mainChain.setPowMode(true)
    await mine(3)
    await settled()
    expect(await modes()).toEqual(nodes.map(() => 'pow'))
    await mainChain.setPowMode(false)
    await mine(2)
    await settled()
    expect(await modes()).toEqual(nodes.map(() => 'dpos'))
  })

  const keyFile = (validator: number) =>
    join(network.options.data, `validator-${validator}`, 'keys', 'main-chain.key')

  /** A validator that knows its main node over P2P alone from now on, and was paid since. */
  async function startP2pOnly(validator: number): Promise<void> {
    const { data } = network.options
    const node = network.running.node(`validator-${validator}`)
    await node.stop()
    const path = join(data, `validator-${validator}`, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as NodeConfig
    const { mainChainOtherUrls: [p2p] = [], ...rest } = config
    expect(p2p).toMatch(/^elap2p:/)
    await writeFile(path, JSON.stringify({ ...rest, mainChainUrl: p2p }))
    await writeFile(join(data, 'logs', `validator-${validator}.log`), '')
    await node.start()
    const [from, to] = [
      await readOrCreateKey(keyFile(1)),
      await readOrCreateKey(keyFile(validator)),
    ]
    let isPaid = false
    const paid = drain(mainUrl, from, [to]).finally(() => {
      isPaid = true
    })
    while (!isPaid) {
      await mine(1)
      await sideBlocks(1)
    }
    await paid
  }

  test(
    'a withdrawal is paid on the main chain by its arbiters, a memo by a node with P2P alone',
    async () => {
      await startP2pOnly(4)
      const sent = await command('wallet', 'withdraw', HOME, '3')
      expect(sent).toMatchObject({ state: 'final', to: HOME })
      await until(
        'the arbiters to pay',
        async () => {
          await mine(1)
          await sideBlocks(1)
          return (await balanceOnMain(mainUrl, HOME)) > 0n
        },
        LONG_MS,
      )
      expect(await balanceOnMain(mainUrl, HOME)).toBe(3n * ELA)
      const { reserve } = await client.call('chain_getSupply', {})
      const { depositAddress } = await client.call('peg_getStatus', {})
      expect(await balanceOnMain(mainUrl, depositAddress)).toBeGreaterThanOrEqual(BigInt(reserve))
      // Six epochs later each of the four has had its turn.
      const log = await readFile(join(network.options.data, 'logs', 'validator-4.log'), 'utf8')
      expect(log).toContain('checkpoint sent to the main chain')
    },
    LONG_MS,
  )
})
