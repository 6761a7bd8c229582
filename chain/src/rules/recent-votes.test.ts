import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { VoteKind } from '../types/consensus-objects.ts'
import { type LateVote, LateVotesType, PayloadKind } from '../types/transactions.ts'
import { missingVotes } from './recent-votes.ts'
import { keyOf, SampleChain } from './testing/sample-chain.ts'
import { signedStatement } from './testing/stake-world.ts'

beforeAll(() => installNativeCrypto())

/** A vote of a genesis validator for a block of the chain, as a block that comes next shows it. */
function lateVote(chain: SampleChain, height: number, validator: number, view = height): LateVote {
  const epoch = Math.floor((height - 1) / chain.params.epochBlocks) + 1
  const hash = chain.hashes[height] as Uint8Array
  const statement = { kind: VoteKind.notarize, epoch, view, hash }
  const { secretKey } = keyOf(`validator-${validator}`)
  const { signature } = signedStatement(chain.chainId, statement, secretKey)
  return { back: chain.height - height, validator, kind: statement.kind, view, signature }
}
const show = (chain: SampleChain, ...votes: LateVote[]) =>
  chain.bySystem({ selector: PayloadKind.lateVotes, value: { votes } })
const participation = (chain: SampleChain, index: number) =>
  chain.ledger.validators.get(index)?.participation

describe('late votes', () => {
  test('count once for each of the last eight blocks, whatever leaders left out', () => {
    const chain = new SampleChain({ params: { epochBlocks: 40 } })
    chain.runTo(9)
    expect([0, 3].map((index) => participation(chain, index))).toEqual([8, 0])
    const votes = Array.from({ length: 8 }, (_, i) => lateVote(chain, 9 - i, 3))
    expect(votes.map(({ back }) => back)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    chain.block([show(chain, ...votes)])
    // Its own certificate counts the parent, too: nine blocks voted, block 1 was too old.
    expect([0, 3].map((index) => participation(chain, index))).toEqual([9, 8])
    expect(chain.outcome(show(chain, lateVote(chain, 9, 3)))).toBe('LATE_VOTE_KNOWN')
    expect(chain.outcome(show(chain, lateVote(chain, 10, 3)))).toBe('ok')
    expect(chain.outcome(show(chain, lateVote(chain, 10, 2)))).toBe('LATE_VOTE_KNOWN')
  })

  test('of the last epoch count with its set; nothing older than eight blocks does', () => {
    const chain = new SampleChain()
    chain.runTo(12)
    expect(participation(chain, 3)).toBe(0)
    expect(chain.outcome(show(chain, lateVote(chain, 5, 3)))).toBe('ok')
    const old = lateVote(chain, 4, 3)
    expect(old.back).toBe(8)
    expect(chain.outcome(show(chain, old))).toBe('LATE_VOTE_BLOCK')
    chain.block([show(chain, lateVote(chain, 11, 3), lateVote(chain, 10, 3))])
    expect(participation(chain, 3)).toBe(2)
  })

  test('each fault', () => {
    const chain = new SampleChain()
    chain.runTo(5)
    const good = lateVote(chain, 4, 3)
    expect(chain.outcome(show(chain, good))).toBe('ok')
    expect(chain.outcome(show(chain))).toBe('LATE_VOTES_EMPTY')
    expect(chain.outcome(show(chain, good, good))).toBe('LATE_VOTES_ORDER')
    expect(chain.outcome(show(chain, good, lateVote(chain, 5, 3)))).toBe('LATE_VOTES_ORDER')
    expect(chain.outcome(show(chain, { ...good, back: 200 }))).toBe('LATE_VOTE_BLOCK')
    expect(chain.outcome(show(chain, { ...good, validator: 4 }))).toBe('LATE_VOTE_VALIDATOR')
    expect(chain.outcome(show(chain, { ...good, kind: VoteKind.nullify }))).toBe('LATE_VOTE_KIND')
    expect(chain.outcome(show(chain, { ...good, view: 0 }))).toBe('LATE_VOTE_KIND')
    for (const wrong of [{ kind: VoteKind.finalize }, { view: 77 }, { back: 2 }]) {
      expect(chain.outcome(show(chain, { ...good, ...wrong }))).toBe('LATE_VOTE_SIGNATURE')
    }
  })

  test('with any byte changed are refused', () => {
    const chain = new SampleChain()
    chain.runTo(5)
    const bytes = LateVotesType.serialize({ votes: [lateVote(chain, 4, 3)] })
    for (let at = 0; at < bytes.length; at++) {
      const forged = Uint8Array.from(bytes)
      forged[at] = (forged[at] as number) ^ (1 + (at % 255))
      const votes = decoded(forged)
      if (votes) expect(chain.outcome(show(chain, ...votes)), `byte ${at}`).toMatch(/^LATE_VOTE/)
    }
  })

  test('what a block may still bring: nothing of its parent, all else that is missing', () => {
    const chain = new SampleChain()
    chain.runTo(4)
    chain.block([], { participants: [0, 1, 2, 3] })
    // The next block stands on 5; recent are the parents 0 to 4, and 4 has all votes.
    const missing = missingVotes(chain.ledger)
    expect(missing.map(({ back, validator }) => [back, validator])).toEqual([
      [2, 3],
      [3, 3],
      [4, 3],
      [5, 0],
      [5, 1],
      [5, 2],
      [5, 3],
    ])
    const { back, validator } = missing[0] as (typeof missing)[0]
    const vote = { ...lateVote(chain, 3, validator), back }
    expect(chain.outcome(show(chain, vote))).toBe('ok')
  })
})

function decoded(bytes: Uint8Array): LateVote[] | undefined {
  try {
    return LateVotesType.deserialize(bytes).votes
  } catch {
    return undefined
  }
}
