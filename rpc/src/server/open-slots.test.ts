import { NONE } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { beforeEach, expect, test } from 'vitest'
import type { LedgerSource } from './ledger-source.ts'
import { contractsHandlers } from './record-handlers.ts'
import { createLedgerStory } from './testing/ledger-story.ts'
import type { MemoryLedger } from './testing/memory-ledger.ts'

const CONTRACTS = 120
const SLOTS = 3
const NODES = 40
const LIMIT = 10

let ledger: MemoryLedger
let reads: { rails: number; nodes: number; epochs: number }
let counting: LedgerSource

/** Many contracts, each on some of the nodes, none of them open. */
beforeEach(() => {
  ledger = createLedgerStory(presets.ci)
  const [contract, rail, node] = [ledger.contractAt(0), ledger.railAt(0), ledger.nodeAt(1)]
  if (!contract || !rail || !node) throw new Error('the story has a contract')
  for (let index = 1; index <= NODES; index++) ledger.nodeRecords.set(index, node)
  for (let index = 0; index < CONTRACTS; index++) {
    const rails = Array.from({ length: SLOTS }, (_, slot) => index * SLOTS + slot)
    for (const at of rails) ledger.railRecords.set(at, { ...rail, node: 1 + (at % NODES) })
    ledger.contractRecords.set(index, {
      ...contract,
      active: true,
      rails: rails.map((each) => ({ rail: each, root: new Uint8Array(32), refill: 0 })),
    })
  }
  reads = { rails: 0, nodes: 0, epochs: 0 }
  counting = new Proxy<LedgerSource>(ledger, {
    get(target, name) {
      if (name === 'railAt') reads.rails++
      if (name === 'nodeAt') reads.nodes++
      if (name === 'epoch') reads.epochs++
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
})

test('a page reads the rails of its own contracts, and a node once per block', async () => {
  const { contracts_list } = contractsHandlers(counting)
  const first = await contracts_list({ open: true, limit: LIMIT })
  expect(first).toMatchObject({ contracts: [], next: String(LIMIT) })
  expect(reads.rails).toBe(LIMIT * SLOTS)
  expect(reads.nodes).toBe(LIMIT * SLOTS)
  expect(reads.epochs).toBeLessThanOrEqual(ledger.status().epoch + 1)
  let { next } = first
  while (next !== null) {
    next = (await contracts_list({ open: true, limit: LIMIT, cursor: next })).next
  }
  expect(reads.rails).toBe(CONTRACTS * SLOTS)
  expect(reads.nodes).toBe(NODES)

  // Whoever asks again in the same block costs rails, no node.
  await contracts_list({ open: true, limit: LIMIT })
  expect(reads.nodes).toBe(NODES)
  expect(reads.rails).toBe((CONTRACTS + LIMIT) * SLOTS)
})

test('the next block judges anew', async () => {
  const { contracts_list } = contractsHandlers(counting)
  expect((await contracts_list({ open: true, limit: LIMIT })).contracts).toEqual([])
  const node = ledger.nodeAt(1)
  if (!node) throw new Error('the story has a node')
  ledger.nodeRecords.set(1, { ...node, evicted: true, evictedEpoch: 1, challenge: NONE })
  ledger.append([])
  const { contracts } = await contracts_list({ open: true, limit: LIMIT })
  // Rail 0 of contract 0 stands on it.
  expect(contracts.map(({ index }) => index)).toEqual([0])
})
