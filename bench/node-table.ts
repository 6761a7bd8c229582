import { sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { type Node, NodeType } from '@ioex/chain/types'

/** Nodes that were there for a while: a few resolutions, one old inventory. */
const SETTLED: Node = {
  ...NodeType.defaultValue(),
  nodeKey: keyLike('a node that nobody touches'),
  inventoryCount: 16,
  inventorySum: 2n ** 40n,
  inventoryBytes: 2 ** 30,
  log: [1, 2, 3].map((epoch) => ({ epoch, A: epoch, P: epoch, passed: true })),
  snapshots: [{ epoch: 1, root: new Uint8Array(32), sum: 2n ** 40n, bytes: 2 ** 30, count: 16 }],
}

function keyLike(name: string): Uint8Array {
  return new Uint8Array([2, ...sha256(utf8ToBytes(name))])
}

/** A node with a key of its own, which nobody has the secret of. */
export function nodeOfIts(name: string): Node {
  return { ...SETTLED, nodeKey: keyLike(name) }
}

/** So many nodes under one record: no rule of a benchmark ever asks for one of them. */
export function sameNodes(count: number): Node[] {
  return Array.from({ length: count }, () => SETTLED)
}
