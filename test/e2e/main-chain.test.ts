import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatElaAddress, AddressPrefix, programHashOf } from '@ioex/chain/elastos'
import { utf8ToBytes } from '@ioex/chain/bytes'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient, type RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readOrCreateKey } from '../../cli/src/nodes/key-file.ts'
import { ioex } from './ioex-process.ts'
import { createExtraNode, type ExtraNode, setPeers } from './main-chain/forked-network.ts'
import { balanceOnMain, drain } from './main-chain/main-accounts.ts'
import { statusOf, TestNetwork, until, untilHeight } from './network-harness.ts'

const VALIDATORS = 4
const ELA = 100_000_000n
const EPOCHS = 20
const EPOCH_BLOCKS = presets.ci.epochBlocks
/** Twenty epochs on a busy machine. */
const LONG_MS = 600_000
/** Epochs that the fork is long. */
const FORK_EPOCHS = 5
const HOME = formatElaAddress(programHashOf(AddressPrefix.standard, utf8ToBytes('home')))

type AnchorView = ResultOf<'anchor_list'>['anchors'][number]

describe('the main chain and the side chain, end to end', () => {
  let network: TestNetwork
  let client: RpcClient
  let mainUrl: string
  let exported: string
  /** One anchored epoch of each kind, both in the export. */
  const anchored: Partial<Record<AnchorView['method'], number>> = {}
  const extra: ExtraNode[] = []
  /** Keys of main-chain accounts that the fork's validators pay from. */
  const forkKeys = Array.from({ length: VALIDATORS }, () => new Uint8Array(randomBytes(32)))

  beforeAll(async () => {
    network = await TestNetwork.create({ validators: VALIDATORS, bootstraps: 0, peers: 0 })
    mainUrl = network.running.mainChain.rpcUrl
    exported = join(network.options.data, 'history')
    const [url] = network.running.rpcUrls()
    client = createRpcClient({ url: url as string })
  })
  afterAll(async () => {
    await Promise.all(extra.map(({ process }) => process.stop()))
    await network.destroy()
  })

  const mainKey = (validator: number) =>
    readOrCreateKey(join(network.options.data, `validator-${validator}`, 'keys', 'main-chain.key'))

  function run(...args: string[]) {
    const { data } = network.options
    return ioex([...args, '--network', 'ci', '--json', '--data', data])
  }

  async function command(...args: string[]): Promise<Record<string, unknown>> {
    const [url] = network.running.rpcUrls()
    const { code, out, err } = await run(...args, '--rpc', url as string)
    expect(code, err).toBe(0)
    return JSON.parse(out) as Record<string, unknown>
  }

  async function anchorsFrom(epoch: number): Promise<AnchorView[]> {
    const found: AnchorView[] = []
    let cursor: string | null = null
    do {
      const page: ResultOf<'anchor_list'> = await client.call(
        'anchor_list',
        cursor === null ? {} : { cursor },
      )
      found.push(...page.anchors)
      cursor = page.next
    } while (cursor !== null)
    return found.filter((each) => each.epoch > epoch)
  }

  /** Until so many epochs more are covered by anchors of one kind alone. */
  async function untilAnchoredBy(method: AnchorView['method']): Promise<void> {
    // What was under way when the other kind ended.
    const settled = await until(
      `the first anchor by ${method} alone`,
      async () => {
        const newest = (await anchorsFrom(0)).at(-1)
        return newest?.method === method && newest.epoch
      },
      LONG_MS,
    )
    const { lag } = await until(
      `${EPOCHS} epochs by ${method}`,
      async () => {
        const status = await client.call('anchor_getStatus', {})
        return (status.epoch ?? 0) >= settled + EPOCHS && status
      },
      LONG_MS,
    )
    const others = (await anchorsFrom(settled)).filter((each) => each.method !== method)
    expect(others.map(({ epoch }) => epoch)).toEqual([])
    expect(lag).toBeLessThanOrEqual(3)
    anchored[method] = settled + 1
  }

  test('a deposit to the X address is a balance after its main blocks', async () => {
    const { depositAddress } = await client.call('peg_getStatus', {})
    expect(depositAddress).toMatch(/^X/)
    const { address } = await command('wallet', 'address')
    const balance = async () =>
      BigInt((await client.call('chain_getAccount', { address: String(address) })).balance)
    const before = await balance()
    const key = join(network.options.data, 'validator-1', 'keys', 'main-chain.key')
    const sent = await command('wallet', 'deposit', '9', '--main', mainUrl, '--main-key-file', key)
    expect(await balance()).toBe(before + 9n * ELA)
    const { deposit } = await client.call('peg_getDeposit', { txid: String(sent['txid']) })
    expect(deposit?.confirmations).toBeGreaterThanOrEqual(presets.ci.depositConfirmations)
    expect(await balanceOnMain(mainUrl, depositAddress)).toBeGreaterThanOrEqual(9n * ELA)
  })

  test(
    'a withdrawal is paid on the main chain by its arbiters',
    async () => {
      expect(await balanceOnMain(mainUrl, HOME)).toBe(0n)
      const sent = await command('wallet', 'withdraw', HOME, '3')
      expect(sent).toMatchObject({ state: 'final', to: HOME })
      await until(
        'the arbiters to pay',
        async () => (await balanceOnMain(mainUrl, HOME)) > 0n,
        LONG_MS,
      )
      expect(await balanceOnMain(mainUrl, HOME)).toBe(3n * ELA)
      const { reserve } = await client.call('chain_getSupply', {})
      const { depositAddress } = await client.call('peg_getStatus', {})
      // The X address holds what the reserve says, and the fee of the deposit's own output.
      expect(await balanceOnMain(mainUrl, depositAddress)).toBeGreaterThanOrEqual(BigInt(reserve))
    },
    LONG_MS,
  )

  test(
    'twenty epochs by memo, while the main chain runs on proof of work and takes no Arbiter',
    async () => {
      await network.running.mainChain.setPowMode(true)
      await untilAnchoredBy('memo')
      await network.running.mainChain.setPowMode(false)
    },
    2 * LONG_MS,
  )

  test(
    'twenty epochs by the Arbiters, while no validator can pay for a memo',
    async () => {
      for (let validator = 1; validator <= VALIDATORS; validator++) {
        await drain(mainUrl, await mainKey(validator), forkKeys)
      }
      await untilAnchoredBy('sideChainPow')
    },
    2 * LONG_MS,
  )

  test(
    'anchors are proven beside certified state, and from the export with nothing running',
    async () => {
      const epochs = Object.entries(anchored)
      expect(epochs.map(([method]) => method).sort()).toEqual(['memo', 'sideChainPow'])
      await command('audit', '--export', exported)
      // Asked of a node, beside what the validators certified.
      const asked = await run('anchor', 'verify', '1')
      expect(asked.code, asked.err).toBe(0)
      expect(JSON.parse(asked.out)).toMatchObject({ valid: true, asked: 1, proven: true })
      await network.stop()
      const genesis = join(network.options.data, 'genesis.json')
      for (const [method, epoch] of epochs) {
        const flags = ['--from', exported, '--trust-anchor', genesis]
        const { code, out, err } = await run('anchor', 'verify', String(epoch), ...flags)
        expect(code, err).toBe(0)
        const verdict = JSON.parse(out) as Record<string, unknown>
        expect(verdict).toMatchObject({ valid: true, method, asked: epoch, state: 'final' })
      }
      const idle = await run('anchor', 'verify', '1', '--trust-anchor', genesis)
      expect(idle).toMatchObject({ code: 2, out: '' })
    },
    LONG_MS,
  )

  test(
    'a fork that old validators sign, anchored too but later, is refused by a newcomer',
    async () => {
      await network.start()
      mainUrl = network.running.mainChain.rpcUrl
      const [honest, ...rest] = network.running.nodesOf('validator')
      if (!honest) throw new Error('four validators')
      await Promise.all(rest.map((node) => node.stop()))
      const fork = await startFork()
      const [liar, ...others] = fork as [ExtraNode, ...ExtraNode[]]
      await untilHeight(liar.process, FORK_EPOCHS * EPOCH_BLOCKS + 1, LONG_MS)
      await until(
        'an anchor of the fork',
        async () => (await clientOf(liar).call('anchor_getStatus', {})).epoch !== null,
        LONG_MS,
      )
      await Promise.all(others.map(({ process }) => process.stop()))
      const newcomer = await addNode('newcomer', new Uint8Array(randomBytes(32)))
      const [address] = honest.info['addresses'] as string[]
      await setPeers(newcomer, [address as string, liar.address])
      await newcomer.process.start()
      const { height } = await untilHeight(
        newcomer.process,
        (await statusOf(honest)).height,
        LONG_MS,
      )
      const hashAt = async (rpc: RpcClient) => (await rpc.call('chain_getBlock', { height })).hash
      const joined = await hashAt(clientOf(newcomer))
      const [url] = network.running.rpcUrls()
      expect(joined).toBe(await hashAt(createRpcClient({ url: url as string })))
      const log = await readFile(newcomer.log, 'utf8')
      expect(log).toContain('certified two histories; the anchored one is taken')
      expect(log).toContain('the snapshot is the database now')
    },
    2 * LONG_MS,
  )

  const clientOf = ({ rpcUrl }: ExtraNode) => createRpcClient({ url: rpcUrl })

  async function addNode(name: string, key: Uint8Array, signsFor?: string): Promise<ExtraNode> {
    const node = await createExtraNode({
      data: network.options.data,
      name,
      mainChainUrl: mainUrl,
      mainKey: key,
      ...(signsFor !== undefined && { signsFor }),
    })
    extra.push(node)
    return node
  }

  /** The same validators from the same genesis, with another history. */
  async function startFork(): Promise<ExtraNode[]> {
    const nodes = await Promise.all(
      forkKeys.map((key, i) => addNode(`fork-${i + 1}`, key, `validator-${i + 1}`)),
    )
    for (const node of nodes) {
      const peers = nodes.filter((each) => each !== node).map(({ address }) => address)
      await setPeers(node, peers)
    }
    await Promise.all(nodes.map(({ process }) => process.start()))
    return nodes
  }
})
