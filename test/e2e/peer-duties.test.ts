import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { type Receipt, ReceiptKind } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { createRpcClient, type RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import type { FileStatus, RepairResult } from '@ioex/storage-node/repair'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allReceipts } from '../../cli/src/demo/ledger-figures.ts'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { freePort } from '../../cli/src/devnet/free-port.ts'
import { genesisPath } from '../../cli/src/devnet/devnet-files.ts'
import { identityPath } from '../../cli/src/nodes/node-owner.ts'
import { keyPath } from '../../cli/src/operate/node-keys.ts'
import { readWallet } from '../../cli/src/wallet/wallet-file.ts'
import { PassphraseSource } from '../../cli/src/keys/passphrase.ts'
import { ioex, IoexProcess } from './ioex-process.ts'
import { TestNetwork, until } from './network-harness.ts'

const STORY_MS = 900_000
const STEP_MS = 240_000
const FILE_BYTES = 400_000
/** Repair is due where no more than two slots stand: one loss is enough. */
const [K, N] = [1, 3]

type Slots = { contracts: { contract: number; slots: { slot: number; node?: string }[] }[] }
type Health = ResultOf<'contracts_health'>

/**
 * What a peer and an owner can be told to do and then do by themselves, each as a process of its
 * own: leave in order, watch over files, keep one's own files whole beside storing others'.
 */
describe('peers and watchers as processes', () => {
  let network: TestNetwork
  let client: RpcClient
  let contract: number
  let content: Buffer
  const processes: IoexProcess[] = []
  let receipts: readonly Receipt[]
  let restored: Buffer
  const leaver = { address: '', node: -1, end: -1, repair: undefined as RepairResult | undefined }
  let leaverHealth: Health
  let afterLeaving: Health
  const watch = {
    lost: -1,
    node: -1,
    out: '',
    code: undefined as number | string | null | undefined,
  }
  const keeper = {
    lost: -1,
    node: -1,
    log: '',
    code: undefined as number | string | null | undefined,
  }

  beforeAll(async () => {
    network = await TestNetwork.create({ validators: 3, bootstraps: 1, peers: 6 })
    const [url] = network.running.rpcUrls() as [string]
    client = createRpcClient({ url })
    content = randomBytes(FILE_BYTES)
    await writeFile(join(network.options.data, 'source'), content)
    const shards = ['--data-shards', String(K), '--total-shards', String(N)]
    await network.command('put', 'source', '--name', 'file', ...shards)
    const { contracts } = await status()
    contract = contracts[0]?.contract ?? -1
    await leaves()
    await watches()
    await keeps()
    await until('the file', () => network.command('get', 'file', '-o', 'restored'), STEP_MS)
    restored = await readFile(join(network.options.data, 'restored'))
    receipts = await allReceipts(client)
  }, STORY_MS)
  afterAll(async () => {
    await Promise.all(processes.map((one) => one.end('SIGKILL')))
    await network?.destroy()
  })

  const status = () => network.command<FileStatus & Slots>('status', 'file')
  const health = () => client.call('contracts_health', { id: contract })
  const launch = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const launched = new IoexProcess(args, env)
    processes.push(launched)
    return launched
  }

  /** The process that stores a slot and was not ended before. */
  async function holderOf(slot: number): Promise<{ holder: ChildNode; node: number }> {
    const { contracts } = await status()
    const key = contracts[0]?.slots[slot]?.node
    const holder = network.running.nodesOf('peer').find(({ info }) => info.nodeKey === key)
    if (!holder) throw new Error(`slot ${slot} is on no peer of the network`)
    return { holder, node: (await health()).slots[slot]?.node ?? -1 }
  }

  async function peerFlags(data: string): Promise<string[]> {
    const { running, options } = network
    const fullNodes = running.rpcUrls().slice(0, 2).join(',')
    const flags = {
      roles: 'peer',
      genesis: genesisPath(options.data),
      data,
      listen: `127.0.0.1:${await freePort()}`,
      capacity: '1GiB',
      metrics: 'none',
      'full-nodes': fullNodes,
      peers: running.record.bootstrap.join(','),
      'log-level': 'info',
    }
    return ['node', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])]
  }

  /** On a slow machine a peer that is restarted would miss all its proofs: epochs are seconds. */
  async function whileChainStands<T>(work: () => Promise<T>): Promise<T> {
    const [, , third] = network.running.nodesOf('validator')
    if (third?.pid === undefined) throw new Error('there are three validators')
    // Three of three make a quorum; the two others answer questions meanwhile.
    process.kill(third.pid, 'SIGSTOP')
    try {
      return await work()
    } finally {
      process.kill(third.pid, 'SIGCONT')
    }
  }

  /** A peer is started again with --leave; the owner hands its slot over to another. */
  async function leaves(): Promise<void> {
    const { holder, node } = await holderOf(0)
    const { rail } = (await health()).slots[0] ?? {}
    const flags = await peerFlags(join(network.options.data, holder.name))
    const leaving = await whileChainStands(async () => {
      await holder.stop()
      const again = launch([...flags, '--leave'])
      await again.says('is ready')
      return again
    })
    await leaving.says('notice given', STEP_MS)
    leaverHealth = await health()
    leaver.node = node
    leaver.address = (await client.call('nodes_get', { id: node })).address
    leaver.repair = await network.command<RepairResult>('repair', 'file')
    const record = await client.call('rails_get', { id: rail ?? -1 })
    leaver.end = (record.record as { end: number }).end
    afterLeaving = await health()
    expect(await leaving.end()).toBe(0)
  }

  /** Ends the process that stores a slot, for good; gives its node. */
  async function kill(slot: number): Promise<number> {
    const { holder, node } = await holderOf(slot)
    await holder.kill()
    return node
  }

  const untilElsewhere = (slot: number, former: number) =>
    until(
      `slot ${slot} on another peer`,
      async () => {
        const found = (await health()).slots[slot]
        if (found?.node === former || !found || !isLive(found.state)) {
          throw new Error(JSON.stringify(found))
        }
        return found.node ?? undefined
      },
      STEP_MS,
    )

  /** An owner's watch rebuilds what a dead peer had, in an epoch of its own choice. */
  async function watches(): Promise<void> {
    const [rpc] = network.running.rpcUrls()
    const { data, preset } = network.options
    const env = { IOEX_RPC: rpc, IOEX_DATA: data, IOEX_NETWORK: preset }
    const watching = launch(['repair', '--watch', '--json'], env)
    watch.lost = await kill(1)
    watch.node = await untilElsewhere(1, watch.lost)
    await watching.says('"repaired"', STEP_MS)
    watch.code = await watching.end('SIGINT')
    watch.out = watching.out()
  }

  /** A peer of the owner's own does the same with --repair. */
  async function keeps(): Promise<void> {
    const { data } = network.options
    const folder = join(data, 'keeper')
    const place = ['--genesis', genesisPath(data), '--data', folder]
    const made = await ioex(['node', 'init', '--role', 'peer', ...place, '--no-passphrase'])
    expect(made.code, made.err).toBe(0)
    const passphrase = new PassphraseSource({ file: undefined, prompt: undefined })
    const { owner } = await readWallet(data, passphrase)
    // A peer that pays for repairs holds its owner's key instead of the owner's signature.
    await rm(identityPath(folder))
    await mkdir(join(folder, 'keys'), { recursive: true })
    await writeFile(keyPath(folder, 'owner'), `${bytesToHex(owner.secretKey)}\n`, { mode: 0o600 })
    const keeping = launch([...(await peerFlags(folder)), '--repair'])
    await keeping.says('is ready', STEP_MS)
    keeper.lost = await kill(2)
    keeper.node = await untilElsewhere(2, keeper.lost)
    await keeping.says('slots rebuilt', STEP_MS)
    keeper.code = await keeping.end()
    keeper.log = keeping.err()
  }

  const isLive = (state: string) => ['proven', 'waiting', 'leaving'].includes(state)

  test('a peer that leaves gives notice, and its slot is handed over while it may still serve', () => {
    expect(leaverHealth.slots[0]).toMatchObject({ node: leaver.node, strikes: 0 })
    // The notice of the ci preset is a few epochs: a slow machine may see its end.
    expect(['leaving', 'ended']).toContain(leaverHealth.slots[0]?.state)
    const [one] = leaver.repair?.contracts ?? []
    expect(one).toMatchObject({ failed: [], repaired: [{ slot: 0, why: 'left' }] })
    expect(afterLeaving.slots[0]?.node).not.toBe(leaver.node)
    expect(isLive(afterLeaving.slots[0]?.state ?? '')).toBe(true)
    // A notice, or the hand-over that ended it, not the term of the contract.
    expect(leaver.end).toBeLessThanOrEqual(afterLeaving.epoch + 3)
  })

  test('it lost nothing by leaving: no forfeit, no eviction', () => {
    const losers = receipts.flatMap(({ body }) =>
      body.selector === ReceiptKind.eviction || body.selector === ReceiptKind.forfeit
        ? [formatAddress(body.value.node, presets.ci.addressPrefix)]
        : [],
    )
    expect(losers.length).toBeGreaterThan(0)
    expect(losers).not.toContain(leaver.address)
  })

  test('ioex repair --watch rebuilds what is due, says so and stops in order', () => {
    expect(watch.node).not.toBe(watch.lost)
    const documents = watch.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RepairResult)
    const repaired = documents.flatMap(({ contracts }) => contracts.flatMap((one) => one.repaired))
    expect(repaired).toMatchObject([{ slot: 1, why: 'evicted' }])
    expect(watch.code).toBe(0)
  })

  test('ioex node --repair rebuilds its owner’s files and stops in order', () => {
    expect(keeper.node).not.toBe(keeper.lost)
    expect(keeper.log).toContain('slots rebuilt')
    expect(keeper.code).toBe(0)
  })

  test('three peers later the file is what it was', () => {
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    expect(digest(restored)).toBe(digest(content))
    const refills = receipts.filter(({ body }) => body.selector === ReceiptKind.refill)
    expect(refills).toHaveLength(3)
  })
})
