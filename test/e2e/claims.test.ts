import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, bytesToHex, fromHex } from '@ioex/chain/bytes'
import { type Receipt, ReceiptKind, RefillBy } from '@ioex/chain/types'
import { createRpcClient, type RpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allReceipts } from '../../cli/src/demo/ledger-figures.ts'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { createNetwork } from '../../cli/src/devnet/create-network.ts'
import { TestNetwork, until } from './network-harness.ts'

const STORY_MS = 600_000
const STEP_MS = 240_000
const FILE_BYTES = 100_000
/** Held pay covers a further slot where earlier customers paid the node more for what it moves. */
const DEAR = 100n

type Slots = { contracts: { contract: number }[] }
interface Rail {
  readonly paidTime: string
  readonly root: string
}

describe('a slot that nobody refills, on a network of processes', () => {
  let network: TestNetwork
  let client: RpcClient
  let giver: ChildNode
  let heir: ChildNode
  let content: Buffer
  let restored: Buffer
  let contract: number
  let roots: { before: string; after: string }
  let paidTime: bigint
  let receipts: readonly Receipt[]

  beforeAll(async () => {
    network = await TestNetwork.create({ validators: 3, bootstraps: 1, peers: 4 }, async (to) => {
      await createNetwork(to)
      await change(to.data, 'peer-1', (terms) => {
        Object.assign(terms, { region: 'heir', unitPrice: `${BigInt(terms.unitPrice) * DEAR}` })
      })
      await change(to.data, 'peer-2', (terms) => Object.assign(terms, { region: 'giver' }))
      return {}
    })
    client = createRpcClient({ url: network.running.rpcUrls()[0] as string })
    heir = network.running.node('peer-1')
    giver = network.running.node('peer-2')
    content = randomBytes(FILE_BYTES)
    await put('own', 'heir', randomBytes(FILE_BYTES))
    await heirHolds()
    await whileChainStands(async () => {
      await heir.stop()
      await change(network.options.data, 'peer-1', (terms) => {
        Object.assign(terms, { unitPrice: `${BigInt(terms.unitPrice) / DEAR}` })
      })
      await heir.start()
    })
    await put('file', 'giver', content)
    const { contracts } = await network.command<Slots>('status', 'file')
    contract = contracts[0]?.contract ?? -1
    await claimed()
    await giver.kill()
    await until('the file', () => network.command('get', 'file', '-o', 'restored'), STEP_MS)
    restored = await readFile(join(network.options.data, 'restored'))
    receipts = await allReceipts(client)
  }, STORY_MS)
  afterAll(() => network?.destroy())

  async function change(
    data: string,
    name: string,
    by: (terms: { unitPrice: string }) => void,
  ): Promise<void> {
    const path = join(data, name, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as { storage: { unitPrice: string } }
    by(config.storage)
    await writeFile(path, JSON.stringify(config))
  }

  /** One slot, on the peer that says it is there. */
  async function put(name: string, region: string, bytes: Uint8Array): Promise<void> {
    await writeFile(join(network.options.data, name), bytes)
    const shards = ['--data-shards', '1', '--total-shards', '1']
    await network.command('put', name, '--name', name, ...shards, '--region', region)
  }

  const heirAddress = () => addressOf(fromHex(String(heir.info.nodeKey)))

  async function heirHolds(): Promise<void> {
    await until(
      'held pay of the heir',
      async () => {
        await heir.ask('redeem')
        const { nodes } = await client.call('nodes_list', { role: 'peer' })
        return nodes.some(({ record }) => BigInt((record as { held: string }).held) > 50_000n)
      },
      STEP_MS,
    )
  }

  /** Epochs are seconds: a peer that is started again on a slow machine would miss its proofs. */
  async function whileChainStands(work: () => Promise<void>): Promise<void> {
    const [, , third] = network.running.nodesOf('validator')
    if (third?.pid === undefined) throw new Error('there are three validators')
    process.kill(third.pid, 'SIGSTOP')
    try {
      await work()
    } finally {
      process.kill(third.pid, 'SIGCONT')
    }
  }

  const slot = async () => {
    const { slots } = await client.call('contracts_health', { id: contract })
    return slots[0]
  }
  const railOf = async (id: number) =>
    (await client.call('rails_get', { id })).record as unknown as Rail

  /** The giver leaves, its customer does nothing, and the heir takes the slot and serves it. */
  async function claimed(): Promise<void> {
    const before = await slot()
    await giver.ask('leave')
    const after = await until(
      'a claim',
      async () => {
        const now = await slot()
        if (!now || now.rail === null || now.node === before?.node)
          throw new Error(JSON.stringify(now))
        return now.rail
      },
      STEP_MS,
    )
    roots = { before: (await railOf(before?.rail ?? -1)).root, after: (await railOf(after)).root }
    paidTime = await until(
      'pay for the claimed slot',
      async () => {
        await heir.ask('redeem')
        const paid = BigInt((await railOf(after)).paidTime)
        return paid > 0n && paid
      },
      STEP_MS,
    )
  }

  test('goes to a peer that the lottery draws, under its old root', () => {
    const refills = receipts.flatMap(({ body }) =>
      body.selector === ReceiptKind.refill ? [body.value] : [],
    )
    expect(refills).toHaveLength(1)
    const [refill] = refills
    expect(refill).toMatchObject({ contract, slot: 0, refill: 1, by: RefillBy.lottery })
    expect(bytesToHex(refill?.node ?? new Uint8Array())).toBe(bytesToHex(heirAddress()))
    expect(refill?.draw).toBeLessThan(refill?.chance as bigint)
    expect(roots.after).toBe(roots.before)
  })

  test('pays the peer that proves it, and gives the file back', () => {
    expect(paidTime).toBeGreaterThan(0n)
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    expect(digest(restored)).toBe(digest(content))
  })
})
