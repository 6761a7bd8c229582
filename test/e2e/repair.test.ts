import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installNativeCrypto } from '@ioex/chain/native'
import { type Receipt, ReceiptKind } from '@ioex/chain/types'
import { createRpcClient } from '@ioex/rpc/client'
import type { FileStatus, RepairResult } from '@ioex/storage-node/repair'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runAudit } from '../../cli/src/audit/run-audit.ts'
import { allReceipts } from '../../cli/src/demo/ledger-figures.ts'
import { genesisPath } from '../../cli/src/devnet/devnet-files.ts'
import { TestNetwork, until } from './network-harness.ts'

const STORY_MS = 600_000
const FILE_BYTES = 3 * 2 ** 20 + 4321
const K = 2
const N = 6

/** What the parts of `ioex status --json` that are looked at here say. */
type Slots = { contracts: { slots: { slot: number; node?: string; open?: string }[] }[] }

describe('repair on a network of processes', () => {
  let network: TestNetwork
  let content: Buffer
  let repair: RepairResult
  let dead: readonly string[]
  let healthBefore: string
  let healthAfter: string
  let restored: Buffer
  let receipts: readonly Receipt[]
  /** Slots that still stand on a peer that is on when the file is restored. */
  let standing: readonly number[]
  let audit: Awaited<ReturnType<typeof runAudit>>

  beforeAll(async () => {
    await installNativeCrypto()
    network = await TestNetwork.create({ validators: 4, bootstraps: 1, peers: 8 })
    content = randomBytes(FILE_BYTES)
    await writeFile(join(network.options.data, 'source'), content)
    const shards = ['--data-shards', String(K), '--total-shards', String(N)]
    await network.command('put', 'source', '--name', 'file', ...shards, '--pot', '0.5')
    dead = await killHolders([0, 1])
    const degraded = await until('the dead peers to be evicted', twoOpen, 240_000)
    healthBefore = degraded.health
    repair = await network.command<RepairResult>('repair', 'file')
    const after = await status()
    healthAfter = after.health
    const rebuilt = repair.contracts.flatMap((one) => one.repaired.map(({ slot }) => slot))
    // One of the peers that had their slot from the beginning stays, and those of rebuilt slots.
    const old = after.contracts[0]?.slots.map(({ slot }) => slot) ?? []
    const others = old.filter((slot) => !rebuilt.includes(slot))
    await killHolders(others.slice(1))
    standing = [...rebuilt, ...others.slice(0, 1)]
    await until('the file', () => network.command('get', 'file', '-o', 'restored'), 120_000)
    restored = await readFile(join(network.options.data, 'restored'))
    const [rpcUrl] = network.running.rpcUrls() as [string]
    receipts = await allReceipts(createRpcClient({ url: rpcUrl }))
    const folder = join(network.options.data, 'audit')
    const genesisFile = genesisPath(network.options.data)
    audit = await runAudit({ genesisFile, exportFolder: folder, rpcUrl })
  }, STORY_MS)
  afterAll(() => network?.destroy())

  const status = () => network.command<FileStatus & Slots>('status', 'file')

  /** Ends the processes of the peers that hold these slots; gives their node keys. */
  async function killHolders(slots: readonly number[]): Promise<string[]> {
    const { contracts } = await status()
    const keys = slots.map((slot) => contracts[0]?.slots[slot]?.node ?? '')
    const peers = network.running.nodesOf('peer')
    const holders = peers.filter(({ info }) => keys.includes(String(info.nodeKey)))
    await Promise.all(holders.map((peer) => peer.kill()))
    return keys
  }

  async function twoOpen(): Promise<(FileStatus & Slots) | false> {
    const found = await status()
    const open = found.contracts[0]?.slots.filter((slot) => slot.open !== undefined) ?? []
    return open.length >= 2 && found
  }

  test('two peers that died for good were evicted by their missed proofs', () => {
    expect(dead).toHaveLength(2)
    expect(healthBefore).not.toBe('safe')
    const evicted = receipts.filter(({ body }) => body.selector === ReceiptKind.eviction)
    expect(evicted.length).toBeGreaterThanOrEqual(2)
  })

  test('their slots stand again on two others, under the same roots', () => {
    expect(healthAfter).toBe('safe')
    const [contract] = repair.contracts
    expect(contract?.failed).toEqual([])
    const repaired = contract?.repaired ?? []
    expect(repaired.map(({ slot }) => slot)).toEqual(expect.arrayContaining([0, 1]))
    for (const { node, why } of repaired) {
      expect(why).toBe('evicted')
      expect(dead).not.toContain(node)
    }
  })

  test('those who served were paid from the pot before the slots were refilled', () => {
    const repairs = receipts.flatMap(({ body, height }) =>
      body.selector === ReceiptKind.repair ? [{ ...body.value, height }] : [],
    )
    const refills = receipts.flatMap(({ body, height }) =>
      body.selector === ReceiptKind.refill ? [{ ...body.value, height }] : [],
    )
    expect(repairs.length).toBeGreaterThanOrEqual(K)
    expect(refills.length).toBe(repair.contracts[0]?.repaired.length)
    const kib = repairs.reduce((sum, one) => sum + one.kib, 0)
    expect(kib).toBeGreaterThanOrEqual(FILE_BYTES / 1024)
    for (const { fee, fromHeld, fromPot, slot, height } of repairs) {
      expect(fee).toBeGreaterThan(0n)
      expect(fromHeld + fromPot).toBe(fee)
      const refill = refills.find((one) => one.slot === slot)
      expect(height).toBeLessThanOrEqual(refill?.height ?? -1)
    }
  })

  test('the file comes back from rebuilt slots', () => {
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    // Fewer than k of the first slots are left.
    expect(standing.length - (repair.contracts[0]?.repaired.length ?? 0)).toBeLessThan(K)
    expect(digest(restored)).toBe(digest(content))
  })

  test('the audit recomputes evictions, refills and repairs', () => {
    expect(audit.falsehood).toBeUndefined()
  })
})
