import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import {
  type Node,
  NodeType,
  type Resolution,
  RESOLUTIONS_MAX,
  type Snapshot,
  SNAPSHOTS_MAX,
} from '../types/records.ts'
import { serializeNode } from './node-bytes.ts'
import { nodeRoot, nodeRoots } from './node-root.ts'

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

const u32 = fc.nat(0xffff_ffff)
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const snapshot: fc.Arbitrary<Snapshot> = fc.record({
  epoch: u32,
  root: bytes(32),
  sum: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
  bytes: fc.nat(),
  count: u32,
})
const anyNode: fc.Arbitrary<Node> = fc
  .record({
    nodeKey: bytes(33),
    owner: bytes(20),
    roles: fc.nat(255),
    evicted: fc.boolean(),
    A: u32,
    held: u64,
    inventoryRoot: bytes(32),
    snapshots: fc.array(snapshot, { maxLength: SNAPSHOTS_MAX }),
    length: fc.oneof(fc.nat(5), fc.nat(200)),
    evictedEpoch: u32,
  })
  .map(({ length, ...fields }) => ({ ...nodeWith(logOf(length)), ...fields }))

test('of many nodes at once, whatever stands in them, and again from what was kept', () => {
  fc.assert(
    fc.property(fc.array(anyNode, { maxLength: 9 }), (nodes) => {
      const expected = nodes.map((node) => bytesToHex(NodeType.hashTreeRoot(node))).join('')
      expect(bytesToHex(nodeRoots(nodes))).toBe(expected)
      expect(bytesToHex(nodeRoots(nodes))).toBe(expected)
      // The same snapshots one place further, as in a ring that moved on.
      const moved = nodes.map((node) => ({ ...node, snapshots: node.snapshots.slice(1) }))
      const after = moved.map((node) => bytesToHex(NodeType.hashTreeRoot(node))).join('')
      expect(bytesToHex(nodeRoots(moved))).toBe(after)
    }),
    { numRuns: 60 },
  )
})

test('the bytes of a node are those of its type', () => {
  fc.assert(
    fc.property(anyNode, (node) => {
      expect(serializeNode(node)).toEqual(NodeType.serialize(node))
    }),
    { numRuns: 60 },
  )
})
