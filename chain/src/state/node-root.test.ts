import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { type Node, NodeType, type Resolution, RESOLUTIONS_MAX } from '../types/records.ts'
import { nodeRoot } from './node-root.ts'

setHasher(asSha256)

const resolution = (epoch: number): Resolution => ({
  epoch,
  A: epoch + 1,
  P: epoch >> 1,
  passed: epoch % 3 > 0,
})
const logOf = (length: number) => Array.from({ length }, (_, epoch) => resolution(epoch))
const nodeWith = (log: Resolution[]): Node => ({
  ...NodeType.defaultValue(),
  registered: 9,
  debt: 5n,
  log,
})
const check = (node: Node) =>
  expect(bytesToHex(nodeRoot(node))).toBe(bytesToHex(NodeType.hashTreeRoot(node)))

test('the root of a node is that of its type, for every length of the log', () => {
  for (const length of [0, 1, 2, 63, 64, 65, 127, 129, 1000]) check(nodeWith(logOf(length)))
  check(nodeWith(logOf(RESOLUTIONS_MAX)))
}, 60_000)

test('logs that share resolutions share no wrong chunk', () => {
  const change = fc.record({
    append: fc.nat(70),
    replaceLast: fc.boolean(),
    dropFirst: fc.nat(70),
    replaced: fc.option(fc.nat(200), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      let log: Resolution[] = logOf(150)
      let epoch = log.length
      for (const { append, replaceLast, dropFirst, replaced } of changes) {
        const before = nodeWith(log)
        log = replaceLast ? log.slice(0, -1) : [...log]
        for (let i = 0; i < append; i++) log.push(resolution(epoch++))
        if (replaced !== undefined && replaced < log.length) log[replaced] = resolution(epoch++)
        log = log.slice(Math.min(dropFirst, log.length))
        check(nodeWith(log))
        // The record as it was is still asked for by drafts beside this one.
        check(before)
      }
    }),
    { numRuns: 20 },
  )
}, 60_000)
