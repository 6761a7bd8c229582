import { expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { anchoredCheckpoints } from './anchored-checkpoints.ts'

const hashOf = (byte: number) => new Uint8Array(32).fill(byte)

/** A follower that sees so many blocks more with each poll, and forgets what it is told to. */
function followerOf(tipHeight: number, window: number) {
  const memos = [
    { anchor: { checkpointHash: hashOf(1) }, height: 3, index: 1 },
    { anchor: { checkpointHash: hashOf(2) }, height: 9, index: 0 },
  ]
  const proofs = [
    { checkpointHash: hashOf(3), height: 2, index: 4 },
    { checkpointHash: hashOf(4), height: 8, index: 2 },
  ]
  let tip = 0
  let kept = 0
  const seen = <T extends { readonly height: number }>(all: readonly T[]) =>
    all.filter(({ height }) => height > kept && height <= tip)
  return {
    get tip() {
      return { height: tip }
    },
    poll() {
      tip = Math.min(tipHeight, tip + window)
      return Promise.resolve()
    },
    status: () => ({ tip: { height: tip } }),
    release(height: number) {
      kept = height - 3
    },
    anchors: () => seen(memos),
    powAnchors: () => seen(proofs),
  }
}

test.each([2, 3, 10])('memos and proofs of arbiters count, in windows of %i', async (window) => {
  const found = await anchoredCheckpoints(followerOf(10, window) as never, 3)
  const places = found.map(({ checkpoint, mainHeight, index }) => [checkpoint, mainHeight, index])
  expect(places.toSorted((a, b) => Number(a[1]) - Number(b[1]))).toEqual([
    [bytesToHex(hashOf(3)), 2, 4],
    [bytesToHex(hashOf(1)), 3, 1],
    [bytesToHex(hashOf(4)), 8, 2],
  ])
})
