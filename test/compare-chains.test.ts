import { expect, test } from 'vitest'
import { compareChains, type HeaderSource } from './chaos/compare-chains.ts'

const NODES = 7
const TOP = 1500
const PER_CALL = 64

/** A node with all blocks from `begin` on, but what `changed` says. */
function node(
  name: string,
  changed: (height: number) => string | undefined = (height) => `h${height}`,
): HeaderSource & { calls: number } {
  const source = {
    name,
    calls: 0,
    client: {
      call: (_method: string, { from, to }: { from: number; to: number }) => {
        source.calls += 1
        const headers: { height: number; header: string; certificate: null }[] = []
        for (let height = from; height <= Math.min(to, from + PER_CALL - 1); height++) {
          const header = changed(height)
          if (header === undefined) break
          headers.push({ height, header, certificate: null })
        }
        return Promise.resolve({ height: TOP, headers })
      },
    },
  }
  return source as unknown as HeaderSource & { calls: number }
}

const quiet = () => undefined
const alike = (count: number) => Array.from({ length: count }, (_, i) => node(`n${i}`))

test('1,500 heights of seven nodes cost 25 calls to each', async () => {
  const nodes = alike(NODES)
  expect(await compareChains(nodes, TOP, quiet)).toEqual({ falsehoods: [], compared: TOP })
  for (const { calls } of nodes) expect(calls).toBe(Math.ceil(TOP / PER_CALL) + 1)
})

test('one header that differs is found, wherever it is', async () => {
  for (const at of [1, 64, 65, 700, TOP]) {
    const liar = node('liar', (height) => (height === at ? 'other' : `h${height}`))
    const { falsehoods } = await compareChains([...alike(3), liar], TOP, quiet)
    expect(falsehoods).toEqual([`fork at height ${at}: n0 n1 n2 | liar`])
  }
})

test('who joined later may lack what was before, but nothing since', async () => {
  const joined = node('late', (height) => (height < 333 ? undefined : `h${height}`))
  expect((await compareChains([...alike(2), joined], TOP, quiet)).falsehoods).toEqual([])
  const holed = node('holed', (height) => (height > 400 && height < 410 ? undefined : `h${height}`))
  const { falsehoods } = await compareChains([...alike(2), holed], TOP, quiet)
  expect(falsehoods).toEqual(['holed lacks block 401'])
  expect(joined.calls).toBeLessThan(40)
  const short = node('short', (height) => (height > 1490 ? undefined : `h${height}`))
  expect((await compareChains([...alike(2), short], TOP, quiet)).falsehoods).toEqual([
    'short lacks block 1491',
  ])
})
