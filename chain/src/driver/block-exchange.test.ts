import { expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import type { MachineState } from '../consensus/machine-state.ts'
import { headerWith } from '../consensus/testing/machine-bench.ts'
import { blockHash } from '../types/block.ts'
import { BlockExchange } from './block-exchange.ts'

const MEBIBYTE = 1024 * 1024
const header = headerWith({ epoch: 1, timeMs: 5 })
const hash = bytesToHex(blockHash(header))

/** Has one block of a mebibyte; notes how much each peer was sent. */
function exchange() {
  const clock = { nowMs: 0 }
  const sent = new Map<string, number>()
  const block = { hash, header, justification: { parent: [], skips: [] } }
  const machine = { tree: { blocks: new Map([[hash, block]]), wanted: new Map() } }
  const blocks = new BlockExchange({
    host: { isBodyOf: () => true, readBlock: () => Promise.resolve(undefined) },
    transport: {
      send: (peer, message) => void sent.set(peer, (sent.get(peer) ?? 0) + message.length),
      broadcast: () => undefined,
      peers: () => [],
      onMessage: () => undefined,
    },
    machine: () => machine as unknown as MachineState,
    isStopped: () => false,
    nowMs: () => clock.nowMs,
    onUnreadable: () => undefined,
  })
  blocks.begin(new Map([[hash, new Uint8Array(MEBIBYTE - 1024)]]))
  const all = () => [...sent.values()].reduce((sum, bytes) => sum + bytes, 0) / MEBIBYTE
  return { blocks, clock, sent, all }
}

test('a peer that asks for a block again and again gets eight mebibytes, then two a second', () => {
  const { blocks, clock, all } = exchange()
  for (let i = 0; i < 500; i++) blocks.answer('stranger', hash)
  expect(all()).toBeCloseTo(9, 0)
  for (let second = 0; second < 10; second++) {
    clock.nowMs += 1000
    for (let i = 0; i < 500; i++) blocks.answer('stranger', hash)
  }
  expect(all()).toBeLessThan(9 + 20 + 1)
  // It is no reason to leave others without an answer.
  const before = all()
  blocks.answer('honest', hash)
  expect(all() - before).toBeCloseTo(1, 1)
})

test('ever new names are answered with 64 mebibytes at once and 32 a second in all', () => {
  const { blocks, clock, all } = exchange()
  for (let i = 0; i < 1000; i++) blocks.answer(`name ${i}`, hash)
  expect(all()).toBeCloseTo(64, -1)
  clock.nowMs += 1000
  for (let i = 1000; i < 2000; i++) blocks.answer(`name ${i}`, hash)
  expect(all()).toBeLessThan(64 + 32 + 2)
})
