import { beforeAll, describe, expect, test } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf, UNITS } from '../rules/testing/sample-chain.ts'
import { blockHash } from '../types/block.ts'
import { findBranches } from './epoch-branches.ts'
import { type AnchoredCheckpoint, chooseBranch } from './fork-choice.ts'
import { EpochProofsAnswerType, SyncRequestKind, SyncRequestType } from './sync-messages.ts'
import { hopContext, managerOf, peersOf, serverOf, trustedGenesis } from './testing/served-chain.ts'

const EPOCH_BLOCKS = 10
const anchor = (checkpoint: string, mainHeight: number, index = 0): AnchoredCheckpoint => ({
  checkpoint,
  mainHeight,
  index,
})

describe('fork choice', () => {
  const honest = { checkpoints: ['1', '2', '3'] }
  const short = { checkpoints: ['1', '2'] }
  const forged = { checkpoints: ['1', 'x', 'y', 'z'] }

  test('without a fork the longest branch is taken, whatever was anchored', () => {
    const choice = chooseBranch([short, honest], [])
    expect(choice).toEqual({ ok: true, value: { branch: honest, forks: [] } })
  })

  test('the branch with the earliest anchor from the fork on wins, not the longest', () => {
    const anchors = [anchor('1', 1), anchor('z', 9), anchor('x', 8), anchor('3', 7)]
    const choice = chooseBranch([forged, honest, short], anchors)
    const forks = [{ epoch: 2, checkpoints: ['x', '2'] }]
    expect(choice).toEqual({ ok: true, value: { branch: honest, forks } })
  })

  test('within one main block the earlier transaction counts', () => {
    const choice = chooseBranch([forged, honest], [anchor('x', 7, 4), anchor('2', 7, 3)])
    expect(choice).toMatchObject({ value: { branch: honest } })
  })

  test('an anchor below the fork says nothing about it', () => {
    const choice = chooseBranch([forged, honest], [anchor('1', 1)])
    expect(choice).toMatchObject({
      ok: false,
      fault: { code: 'FORK_UNANCHORED', facts: { epoch: 2 } },
    })
  })

  test('a fork within the chosen side is decided in its turn', () => {
    const other = { checkpoints: ['1', '2', 'w'] }
    const anchors = [anchor('2', 3), anchor('x', 4), anchor('w', 6), anchor('3', 5)]
    const choice = chooseBranch([forged, other, honest], anchors)
    expect(choice).toMatchObject({ value: { branch: honest, forks: [{ epoch: 2 }, { epoch: 3 }] } })
  })
})

describe('a newcomer among liars (I16)', () => {
  const build = (height: number, forgedFrom?: number) => {
    const chain = new CertifiedChain()
    while (chain.height < height) {
      const isForged = chain.height + 1 === forgedFrom
      const payment = { to: keyOf('bob').address, amount: 7n * UNITS }
      const thief = () => chain.sample.byOwner(keyOf('alice'), { selector: 0, value: payment })
      chain.append(isForged ? [thief()] : [])
    }
    return chain
  }
  const hashAt = (chain: CertifiedChain, epoch: number) =>
    bytesToHex(blockHash(chain.records[epoch * EPOCH_BLOCKS]?.block.header as never))

  // The same validator keys sign both: what old keys can do once their stake is gone.
  const honest = build(42)
  const forged = build(61, 15)
  let answers: Record<string, (request: Uint8Array) => Promise<Uint8Array>>
  let downloads = 0

  beforeAll(async () => {
    await installNativeCrypto()
    const [truth, lie] = [serverOf(await managerOf(honest)), serverOf(await managerOf(forged))]
    const counted = (request: Uint8Array) => {
      const { kind, count } = SyncRequestType.deserialize(request)
      if (kind === SyncRequestKind.epochProofs && count > 1) downloads += 1
      return truth.answer(request)
    }
    answers = {
      liar: (request) => lie.answer(request),
      liar2: (request) => lie.answer(request),
      peer: counted,
      peer2: counted,
    }
  }, 60_000)

  const search = (of = answers) =>
    findBranches({
      peers: peersOf(of),
      start: trustedGenesis(),
      context: hopContext(),
      epochMax: 1000,
    })

  test('finds both certified branches, each downloaded once', async () => {
    downloads = 0
    const branches = await search()
    expect(branches.map(({ peers, checkpoints }) => [peers, checkpoints.length])).toEqual([
      [['liar', 'liar2'], 6],
      [['peer', 'peer2'], 4],
    ])
    // The second one is asked for what comes after that, and has no more.
    expect(downloads).toBe(2)
  })

  test('follows the anchored chain and names the epoch in which validators signed twice', async () => {
    const anchors = [
      anchor(hashAt(honest, 3), 120),
      anchor(hashAt(honest, 2), 100),
      ...[2, 3, 4, 5, 6].map((epoch) => anchor(hashAt(forged, epoch), 101)),
    ]
    const choice = chooseBranch(await search(), anchors)
    if (!choice.ok) throw new Error(choice.fault.message)
    expect(choice.value.branch.peers).toEqual(['peer', 'peer2'])
    expect(choice.value.branch.epochs.at(-1)?.hash).toBe(hashAt(honest, 4))
    expect(choice.value.forks).toMatchObject([{ epoch: 2 }])
  })

  test('stops where the main chain has anchored neither', async () => {
    const choice = chooseBranch(await search(), [anchor(hashAt(honest, 1), 90)])
    expect(choice).toMatchObject({ ok: false, fault: { code: 'FORK_UNANCHORED' } })
  })

  test('takes nothing beyond the first proof that fails', async () => {
    const bad: string[] = []
    const spoilt = async (request: Uint8Array) => {
      const answer = EpochProofsAnswerType.deserialize(
        await (answers.peer as never as typeof spoilt)(request),
      )
      const proofs = answer.proofs.map((proof, i) => (i === 2 ? new Uint8Array(7) : proof))
      return EpochProofsAnswerType.serialize({ ...answer, proofs })
    }
    const branches = await findBranches({
      peers: peersOf({ spoilt }),
      start: trustedGenesis(),
      context: hopContext(),
      epochMax: 1000,
      onBadPeer: (peer) => bad.push(peer),
    })
    expect(branches.map(({ checkpoints }) => checkpoints)).toEqual([
      [hashAt(honest, 1), hashAt(honest, 2)],
    ])
    expect(bad).toEqual(['spoilt'])
  })

  test('a peer that gives one proof at a time is not asked for ever; the others show the rest', async () => {
    let pages = 0
    const peer = answers.peer as NonNullable<typeof answers.peer>
    const trickling = async (request: Uint8Array) => {
      const bytes = await peer(request)
      const { kind, count } = SyncRequestType.deserialize(request)
      if (kind !== SyncRequestKind.epochProofs || count === 1) return bytes
      pages += 1
      const answer = EpochProofsAnswerType.deserialize(bytes)
      return EpochProofsAnswerType.serialize({ ...answer, proofs: answer.proofs.slice(0, 1) })
    }
    const branches = await search({ trickling, peer })
    expect(pages).toBe(1)
    expect(branches.map(({ peers, checkpoints }) => [peers, checkpoints.length])).toEqual([
      [['trickling', 'peer'], 4],
    ])
  })

  test('takes no more epochs than can have passed', async () => {
    const branches = await findBranches({
      peers: peersOf({ liar: answers.liar as never }),
      start: trustedGenesis(),
      context: hopContext(),
      epochMax: 2,
    })
    expect(branches[0]?.checkpoints).toHaveLength(2)
  })
})
