import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { blockHash } from '../types/block.ts'
import { type Certificate, VoteKind } from '../types/consensus-objects.ts'
import { contradicts } from '../types/contradiction.ts'
import { signersOf } from './certificate.ts'
import { type ChainLink, contradictionTo, guiltyVotes } from './fork-proof.ts'
import { quorumOf } from './quorum.ts'
import { MachineBench, ofType, type ProposedBlock } from './testing/machine-bench.ts'

const { finalize, notarize, nullify } = VoteKind
const OTHER = { txRoot: new Uint8Array(32).fill(7) }

const linkOf = ({ header, hash, justification }: ProposedBlock): ChainLink => {
  return { view: header.view, hash, justification }
}

/** Commits blocks as the network would, oldest first: the last one is certified final. */
function commit(bench: MachineBench, ...blocks: readonly ProposedBlock[]): void {
  for (const block of blocks) bench.receiveProposal(block)
  const last = blocks.at(-1)
  if (!last) throw new Error('a commit has a block')
  bench.certify(finalize, last.header.view, blockHash(last.header))
  for (const { hash } of blocks) bench.validated(hash)
}

/** Gives a chain that the machine does not stand on, newest block first, with its certificate. */
function reveal(bench: MachineBench, blocks: readonly ProposedBlock[]): void {
  const [newest] = blocks
  if (!newest) throw new Error('a chain has a block')
  bench.certify(finalize, newest.header.view, blockHash(newest.header))
  for (const { header, justification } of blocks) {
    bench.step({ type: 'blockFetched', nowMs: bench.nowMs, header, justification })
  }
}

function outcome(bench: MachineBench) {
  const [halt] = ofType(bench.effects, 'halt')
  const evidence = ofType(bench.effects, 'evidence')
  for (const { first, second } of evidence) {
    expect(contradicts(first.statement, second.statement)).toBe(true)
  }
  const kinds = evidence.map(({ first, second }) => [first.statement.kind, second.statement.kind])
  return { guilty: halt?.guilty, reason: halt?.reason, kinds: kinds[0] }
}

describe('a fork stops the machine and names who made it', () => {
  test('the other chain jumped over a final view: nullify and finalize (E2)', () => {
    const bench = new MachineBench({ self: undefined })
    commit(bench, bench.propose(1))
    reveal(bench, [bench.propose(2, undefined, OTHER)])
    expect(outcome(bench)).toMatchObject({ guilty: [1, 2, 3], kinds: [finalize, nullify] })
  })

  test('the other chain stands on another block of the final view: E4', () => {
    const bench = new MachineBench({ self: undefined })
    commit(bench, bench.propose(1))
    const first = bench.propose(1, undefined, OTHER)
    reveal(bench, [bench.propose(2, first), first])
    expect(outcome(bench)).toMatchObject({ guilty: [1, 2, 3], kinds: [finalize, notarize] })
  })

  test('the link that tells lies below others', () => {
    const bench = new MachineBench({ self: undefined })
    commit(bench, bench.propose(1))
    const first = bench.propose(2, undefined, OTHER)
    const second = bench.propose(4, first)
    const links = [linkOf(bench.propose(5, second)), linkOf(second), linkOf(first)]
    const ours = bench.certificate(finalize, 1, new Uint8Array(32).fill(1))
    const theirs = bench.certificate(finalize, 5, new Uint8Array(32).fill(5))
    expect(contradictionTo(ours, theirs, links)?.statement).toMatchObject({
      kind: nullify,
      view: 1,
    })
  })

  test('the same, found from below: an older view is final on another chain', () => {
    for (const skipped of [true, false]) {
      const bench = new MachineBench({ self: undefined })
      const one = bench.propose(1)
      const two = skipped ? bench.propose(2) : bench.propose(2, one)
      commit(bench, ...(skipped ? [two] : [one, two]))
      expect(ofType(bench.effects, 'commit')).toHaveLength(1)
      bench.certify(finalize, 1, blockHash(bench.propose(1, undefined, OTHER).header))
      expect(outcome(bench).guilty).toEqual([1, 2, 3])
    }
  })

  test('certificates of the own chain, old or again, are no fork', () => {
    const bench = new MachineBench({ self: undefined })
    const one = bench.propose(1)
    const two = bench.propose(2, one)
    commit(bench, one, two)
    bench.certify(finalize, 1, blockHash(one.header))
    bench.certify(finalize, 2, blockHash(two.header))
    expect(ofType(bench.effects, 'halt')).toEqual([])
    commit(bench, bench.propose(3, two))
    expect(ofType(bench.effects, 'commit')).toHaveLength(2)
  })

  test('a certificate without a quorum stops nothing', () => {
    const bench = new MachineBench({ self: undefined })
    commit(bench, bench.propose(2))
    const hash = blockHash(bench.propose(1, undefined, OTHER).header)
    const certificate = bench.certificate(finalize, 1, hash, [1, 2])
    bench.receive({ type: 'certificate', certificate })
    expect(ofType(bench.effects, 'halt')).toEqual([])
  })

  test('what block sync skipped is not known well enough to call it a fork', () => {
    const bench = new MachineBench({ self: undefined })
    const one = bench.propose(1)
    const two = bench.propose(2, one)
    const certificate = bench.certificate(finalize, 2, blockHash(two.header))
    const head = { hash: two.hash, header: two.header, certificate }
    bench.step({ type: 'headMoved', nowMs: bench.nowMs, head })
    bench.certify(finalize, 1, blockHash(one.header))
    expect(ofType(bench.effects, 'halt')).toEqual([])
  })
})

describe('the theorem', () => {
  test('over any two quorums, guilty weight is 2q - W at least, and only of those in both', () => {
    const weight = fc.integer({ min: 1, max: 9 })
    const scenario = fc.record({
      weights: fc.array(weight, { minLength: 4, maxLength: 9 }),
      orders: fc.array(fc.nat(), { minLength: 18, maxLength: 18 }),
      lower: fc.integer({ min: 1, max: 3 }),
      jump: fc.boolean(),
      above: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(scenario, ({ weights, orders, lower, jump, above }) => {
        const bench = new MachineBench({ weights, self: undefined })
        const { quorum, total } = quorumOf(bench.setup.validators)
        const pick = (shift: number) => quorumBy(weights, orders.slice(shift), quorum)
        const [a, b] = [pick(0), pick(9)]
        const certify = (kind: VoteKind, view: number, byte: number, signers: number[]) =>
          bench.certificate(kind, view, byte ? new Uint8Array(32).fill(byte) : undefined, signers)
        const ours = certify(finalize, lower, 1, a)
        const view = lower + above
        const skips: Certificate[] = []
        for (let u = jump ? 1 : lower + 1; u < view; u++) skips.push(certify(nullify, u, 0, b))
        const parent = jump ? [] : [certify(notarize, lower, 2, b)]
        const hash = bytesToHex(new Uint8Array(32).fill(3))
        const link = { view, hash, justification: { parent, skips } }
        const theirs = certify(finalize, view + 2, 3, b)
        const contradiction = contradictionTo(ours, theirs, [link])
        if (!contradiction) throw new Error('the link leads over the lower view')
        const guilty = guiltyVotes(ours, contradiction).map(({ first }) => first.validator)
        const signedBoth = signersOf(ours).filter((index) => b.includes(index))
        expect(guilty.toSorted((x, y) => x - y)).toEqual(signedBoth)
        const sum = guilty.reduce((all, index) => all + (weights[index] ?? 0), 0)
        expect(sum).toBeGreaterThanOrEqual(2 * quorum - total)
        expect(3 * sum).toBeGreaterThan(total)
      }),
    )
  })

  test('links that do not reach the view prove nothing', () => {
    const bench = new MachineBench({ self: undefined })
    const one = bench.propose(3, bench.propose(2))
    const ours = bench.certificate(finalize, 1, new Uint8Array(32).fill(1))
    const theirs = bench.certificate(finalize, 3, blockHash(one.header))
    expect(contradictionTo(ours, theirs, [linkOf(one)])).toBeUndefined()
    expect(contradictionTo(ours, theirs, [])).toBeUndefined()
  })
})

/** Validators in an order that the numbers give, until their weight is a quorum; ascending. */
function quorumBy(weights: readonly number[], order: readonly number[], quorum: number): number[] {
  const ranked = weights
    .map((_, index) => index)
    .toSorted((x, y) => {
      return (order[x] ?? 0) - (order[y] ?? 0) || x - y
    })
  const chosen: number[] = []
  let sum = 0
  for (const index of ranked) {
    if (sum >= quorum) break
    chosen.push(index)
    sum += weights[index] ?? 0
  }
  return chosen.toSorted((x, y) => x - y)
}
