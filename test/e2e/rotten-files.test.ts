import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { presets } from '@ioex/genesis/presets'
import { differences, doubleVotes, fourOf, heightOf } from '../chaos/network-checks.ts'
import { filesIn, rotByteOf, withoutChain } from '../chaos/rotten-folder.ts'
import { Random } from '../sim/random.ts'
import { TestNetwork, untilHeight } from './network-harness.ts'

const { epochBlocks: EPOCH } = presets.ci
const DEADLINE_MS = 120_000
/** A refusal says what to do. */
const ADVICE = /move .* away|restore it from a backup/
let network: TestNetwork

beforeAll(async () => {
  network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
})
afterAll(() => network?.destroy())

/** Numbers differ from run to run. */
const kindOf = (path: string) => path.replace(/\d+/g, 'N')

test('with one bit flipped in any kind of file a validator goes on or says what to do', async () => {
  const random = new Random(5)
  const [first, , , victim] = fourOf(network)
  const folder = join(network.options.data, victim.name)
  await untilHeight(victim, 3 * EPOCH, DEADLINE_MS)
  await victim.stop()
  const kinds = Map.groupBy(await filesIn(folder), kindOf)
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining(['chain/N.log', 'consensus/signer-lease.json', 'config.json']),
  )
  for (const [kind, paths] of kinds) {
    const present = new Set(await filesIn(folder))
    const path =
      paths.find((each) => present.has(each)) ?? [...present].find((p) => kindOf(p) === kind)
    if (!path) continue
    const flipped = await rotByteOf(folder, path, random)
    const refusal = await victim.start().then(
      () => undefined,
      (error: unknown) => String(error),
    )
    if (refusal !== undefined) {
      expect.soft(refusal, flipped.place).toMatch(ADVICE)
      if (kind.startsWith('chain')) await withoutChain(folder)
      else await flipped.restore()
      await victim.start()
    }
    await untilHeight(victim, (await heightOf(first)) + 1, DEADLINE_MS)
    await victim.stop()
  }
  await victim.start()
  const blocks = (await heightOf(first)) + 1
  const nodes = fourOf(network)
  await Promise.all(nodes.map((node) => untilHeight(node, blocks, DEADLINE_MS)))
  expect(await differences(network, blocks)).toEqual([])
  await Promise.all(nodes.map((node) => node.stop()))
  expect(await doubleVotes(network)).toEqual([])
}, 900_000)
