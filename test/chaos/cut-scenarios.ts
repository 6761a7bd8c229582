import { setTimeout } from 'node:timers/promises'
import { presets } from '@ioex/genesis/presets'
import { until, untilHeight } from '../e2e/network-harness.ts'
import { type CuttableNetwork, createCuttable } from './cuttable-network.ts'
import { differences, doubleVotes, fourOf, heightOf } from './network-checks.ts'

const { epochBlocks: EPOCH, skipTimeoutMs } = presets.ci
const DEADLINE_MS = 120_000
/** Blocks that may become final from what was on its way when the network fell apart. */
const UNDER_WAY = 2

export interface CutReport {
  /** What is wrong, in words. */
  readonly falsehoods: string[]
  /** From the healing to the first new final block, or until all are level. */
  readonly healedMs: number
  readonly blocks: number
}

/** One of four is cut off: the rest goes on, it stands still, comes back and votes. */
export async function minorityCut(): Promise<CutReport> {
  return withNetwork(async ({ network, board }, falsehoods) => {
    const [first, second, , cut] = fourOf(network)
    await untilHeight(first, EPOCH)
    await board.move(cut.name, 1)
    const before = await heightOf(cut)
    await untilHeight(first, (await heightOf(first)) + 3 * EPOCH, DEADLINE_MS)
    const alone = await heightOf(cut)
    if (alone > before + UNDER_WAY) falsehoods.push(`cut off it went from ${before} to ${alone}`)
    await board.move(cut.name, 0)
    const healedAt = Date.now()
    await untilHeight(cut, await heightOf(first), DEADLINE_MS)
    const healedMs = Date.now() - healedAt
    // Without another one its vote is needed.
    await second.kill()
    await untilHeight(first, (await heightOf(first)) + EPOCH, DEADLINE_MS)
    await second.start()
    return healedMs
  })
}

/** Two and two: nobody finalises; together again they go on. */
export async function evenSplit(): Promise<CutReport> {
  return withNetwork(async ({ network, board }, falsehoods) => {
    const nodes = fourOf(network)
    await untilHeight(nodes[0], EPOCH)
    for (const { name } of nodes.slice(2)) await board.move(name, 1)
    const highest = async () => Math.max(...(await Promise.all(nodes.map(heightOf))))
    const before = await highest()
    await setTimeout(8 * skipTimeoutMs)
    const after = await highest()
    if (after > before + UNDER_WAY) falsehoods.push(`split in two, ${before} became ${after}`)
    for (const { name } of nodes.slice(2)) await board.move(name, 0)
    const healedAt = Date.now()
    await until('a new block', async () => (await highest()) > after, DEADLINE_MS)
    const healedMs = Date.now() - healedAt
    await Promise.all(nodes.map((node) => untilHeight(node, after + EPOCH, DEADLINE_MS)))
    return healedMs
  })
}

async function withNetwork(
  scenario: (cuttable: CuttableNetwork, falsehoods: string[]) => Promise<number>,
): Promise<CutReport> {
  const cuttable = await createCuttable(4)
  const { network } = cuttable
  try {
    const falsehoods: string[] = []
    const healedMs = await scenario(cuttable, falsehoods)
    const nodes = fourOf(network)
    const blocks = (await heightOf(nodes[0])) + EPOCH
    await Promise.all(nodes.map((node) => untilHeight(node, blocks, DEADLINE_MS)))
    falsehoods.push(...(await differences(network, blocks)))
    await Promise.all(nodes.map((node) => node.stop()))
    falsehoods.push(...(await doubleVotes(network)))
    return { falsehoods, healedMs, blocks }
  } finally {
    await cuttable.destroy()
  }
}
