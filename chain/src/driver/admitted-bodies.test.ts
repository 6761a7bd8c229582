import { expect, test } from 'vitest'
import { MachineBench, type ProposedBlock } from '../consensus/testing/machine-bench.ts'
import { blockHash } from '../types/block.ts'
import { type Header, VoteKind } from '../types/consensus-objects.ts'
import { BlockExchange } from './block-exchange.ts'
import type { ConsensusTransport } from './consensus-transport.ts'

const BODY = Uint8Array.of(1)

/** An exchange beside a machine, and the headers whose bodies it hashed. */
function exchangeOf(bench: MachineBench) {
  const hashed: Header[] = []
  const host = {
    isBodyOf: (header: Header) => hashed.push(header) > 0,
    readBlock: () => Promise.resolve(undefined),
  }
  const transport = {} as ConsensusTransport
  const exchange = new BlockExchange({
    host,
    transport,
    machine: () => bench.machine,
    isStopped: () => false,
    nowMs: () => 0,
    onUnreadable: () => undefined,
  })
  const admit = (peer: string, { header, justification, leaderVote }: ProposedBlock) => {
    const proposal = { header, justification, leaderVote }
    return exchange.admit(peer, { message: { type: 'proposal', proposal }, body: BODY })
  }
  return { admit, exchange, hashed }
}

test('a leader that signs many blocks for its view has the bodies of two of them hashed', () => {
  const bench = new MachineBench()
  const view = bench.viewLed(false)
  bench.skipTo(view)
  const { admit, hashed } = exchangeOf(bench)
  const blocks = [1, 2, 3, 4].map((i) =>
    bench.propose(view, undefined, { height: 1, timeMs: 2_000_000 + i }),
  )
  const admitted = blocks.map((block) => {
    const answer = admit('leader', block)
    bench.receiveProposal(block)
    return answer
  })
  expect(admitted.map((answer) => answer !== false)).toEqual([true, true, false, false])
  expect(hashed).toHaveLength(2)
})

/** A block of the next epoch in a validator's name, whose signature the host checks. */
function early(validator: number, view: number): ProposedBlock {
  const { header, ...rest } = new MachineBench().propose(1)
  const moved = { ...header, epoch: 2, view, proposer: validator }
  const statement = { kind: VoteKind.notarize, epoch: 2, view, hash: blockHash(moved) }
  return { ...rest, header: moved, leaderVote: { ...rest.leaderVote, statement, validator } }
}

test('a validator brings two bodies early, however many peers bring them for it', () => {
  const { admit, exchange } = exchangeOf(new MachineBench())
  const admitted = Array.from({ length: 20 }, (_, i) => admit(`peer-${i}`, early(3, i + 1)))
  expect(admitted.filter((answer) => answer !== false)).toHaveLength(2)
  expect(exchange.sizes().early).toEqual({ bodies: 2, bodiesOfSigner: 2 })
  // Which leaves room for the others'.
  for (const validator of [0, 1, 2])
    expect(admit(`${validator}`, early(validator, 1))).not.toBe(false)
})

test('a vote that is not for the block brings no body early', () => {
  const { admit, hashed } = exchangeOf(new MachineBench())
  const { leaderVote } = early(3, 1)
  expect(admit('peer', { ...early(2, 2), leaderVote })).toBe(false)
  const skip = { ...leaderVote, statement: { ...leaderVote.statement, kind: VoteKind.nullify } }
  expect(admit('peer', { ...early(3, 1), leaderVote: skip })).toBe(false)
  expect(hashed).toEqual([])
})
