import { beforeAll, describe, expect, test, vi } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { assert } from '../bytes/assert.ts'
import { bytesToHex, fromHex } from '../bytes/hex.ts'
import type { ContradictingVotes } from '../consensus/fork-proof.ts'
import type { FoundFork } from '../driver/fork-watch.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf } from '../rules/testing/sample-chain.ts'
import type { Ledger } from '../state/ledger.ts'
import { LevelStore } from '../store/level-store.ts'
import type { FinalHeader } from '../sync/sync-messages.ts'
import { envelopeOf, hopContext, managerOf, managerOn } from '../sync/testing/served-chain.ts'
import { blockHash } from '../types/block.ts'
import { VoteKind } from '../types/consensus-objects.ts'
import { contradicts } from '../types/contradiction.ts'
import { AnchorState } from '../types/records.ts'
import { RivalHeaders, type RivalHeadersOptions } from './rival-headers.ts'

/** Validators whose votes the chain's certificates carry: in the rival's, too. */
const SIGNERS = [0, 1, 3]
const guiltyKeys = SIGNERS.map((i) => bytesToHex(keyOf(`validator-${i}`).publicKey))
let chain: CertifiedChain
let manager: ChainManager
let height = 0

beforeAll(async () => {
  await installNativeCrypto()
  chain = new CertifiedChain()
  const { epochBlocks } = chain.sample.params
  height = 2 * epochBlocks + 12
  chain.runTo(height)
  manager = await managerOf(chain)
}, 120_000)

/** Another block than the chain's of a height, final in the same view. */
function rivalAt(at: number, viewsLater = 0): FinalHeader {
  const record = chain.records[at]
  assert(record?.certificate, 'every block of the chain is certified')
  const { header } = record.block
  const view = header.view + viewsLater
  const other = { ...header, view, timeMs: header.timeMs + 1 }
  const { epoch } = header
  return {
    header: other,
    certificate: chain.certify(VoteKind.finalize, epoch, view, blockHash(other)),
  }
}

async function judgeOf(more: Partial<RivalHeadersOptions> = {}) {
  const forks: { fork: FoundFork; pairs: readonly ContradictingVotes[] }[] = []
  const clock = { nowMs: 0 }
  const rivals = new RivalHeaders({
    manager,
    crypto: hopContext().crypto,
    settledEpoch: () => 0,
    onFork: (fork, pairs) => void forks.push({ fork, pairs }),
    nowMs: () => clock.nowMs,
    ...more,
  })
  await rivals.begin()
  const tell = (claim: FinalHeader, peer = 'peer') =>
    rivals.judge(peer, claim, blockHash(claim.header))
  return { rivals, forks, tell, clock }
}

describe('a certified header beside the final chain', () => {
  test('in the view of our own block: all who signed both are guilty, at any of the newest heights', async () => {
    for (const at of [height, height - 3, height - 7]) {
      const { forks, tell } = await judgeOf()
      const rival = rivalAt(at)
      expect(tell(rival)).toBe('accept')
      const [found] = forks
      expect(found?.fork.theirs).toEqual(rival.certificate)
      expect(found?.fork.guilty.map(bytesToHex)).toEqual(guiltyKeys)
      expect(found?.pairs.map(({ first }) => first.validator)).toEqual(SIGNERS)
      for (const { first, second } of found?.pairs ?? []) {
        expect(contradicts(first.statement, second.statement)).toBe(true)
      }
    }
  })

  test('in a view that our chain jumped over: the links show who is guilty', async () => {
    const jumped = new CertifiedChain()
    jumped.runTo(3)
    jumped.append([], { skips: 2 })
    jumped.runTo(6)
    const after = jumped.records[4]?.block.header
    assert(after, 'the block after the jump')
    const header = { ...after, view: after.view - 1 }
    const { epoch, view } = header
    const certificate = jumped.certify(VoteKind.finalize, epoch, view, blockHash(header))
    const { forks, tell } = await judgeOf({ manager: await managerOf(jumped) })
    expect(tell({ header, certificate })).toBe('accept')
    expect(forks[0]?.fork.guilty.map(bytesToHex)).toEqual(guiltyKeys)
  })

  test('of the epoch before, while its end is among the newest blocks', async () => {
    const start = new CertifiedChain()
    const { epochBlocks } = start.sample.params
    start.runTo(epochBlocks - 2)
    start.append([], { skips: 1 })
    start.runTo(epochBlocks + 3)
    const after = start.records[epochBlocks - 1]?.block.header
    assert(after, 'the block after the jump')
    const header = { ...after, view: after.view - 1 }
    const { epoch, view } = header
    const certificate = start.certify(VoteKind.finalize, epoch, view, blockHash(header))
    const { forks, tell } = await judgeOf({ manager: await managerOf(start) })
    expect(tell({ header, certificate })).toBe('accept')
    expect(forks[0]?.fork.ours.statement.epoch).toBe(epoch)
    expect(forks[0]?.fork.guilty.map(bytesToHex)).toEqual(guiltyKeys)
  })

  test('of a later view than ours: a fork, and nobody named where their chain is not known', async () => {
    const { forks, tell } = await judgeOf()
    expect(tell(rivalAt(height, 1))).toBe('accept')
    expect(forks).toMatchObject([{ fork: { guilty: [] }, pairs: [] }])
  })

  test('without a quorum, or of another epoch than its height: held against the peer', async () => {
    const { forks, tell } = await judgeOf()
    const { header, certificate } = rivalAt(height)
    const [first] = certificate.signatures
    assert(first, 'signatures')
    const swapped = { ...certificate, signatures: certificate.signatures.with(1, first) }
    expect(tell({ header, certificate: swapped }, 'a')).toBe('reject')
    expect(tell({ header, certificate: rivalAt(height - 1).certificate }, 'b')).toBe('reject')
    expect(tell({ header: { ...header, epoch: 1 }, certificate }, 'c')).toBe('reject')
    expect(tell({ header: { ...header, height: 0, epoch: 0 }, certificate }, 'd')).toBe('reject')
    expect(forks).toEqual([])
  })

  test('one peer, and all of them, buy only so much checking', async () => {
    let verified = 0
    const { crypto } = hopContext()
    const counting = {
      verify: (...vote: Parameters<typeof crypto.verify>) => {
        verified += 1
        return crypto.verify(...vote)
      },
    }
    const { forks, tell, clock } = await judgeOf({ crypto: counting })
    const { header, certificate } = rivalAt(height)
    const last = certificate.signatures.length - 1
    const [first] = certificate.signatures
    assert(first, 'signatures')
    const forged = {
      header,
      certificate: { ...certificate, signatures: certificate.signatures.with(last, first) },
    }
    for (let i = 0; i < 100; i++) tell(forged, 'flooder')
    expect(verified).toBe(2 * SIGNERS.length)
    for (let i = 0; i < 1000; i++) tell(forged, `flooder ${i}`)
    expect(verified).toBe(16 * SIGNERS.length)
    expect(tell(rivalAt(height), 'honest')).toBe('ignore')
    clock.nowMs += 1000
    expect(tell(rivalAt(height), 'honest')).toBe('accept')
    expect(forks).toHaveLength(1)
  })

  test('heard before our own block is final: found when ours is', async () => {
    const behind = await managerOn(await LevelStore.inMemory())
    const { rivals, forks } = await judgeOf({ manager: behind })
    const same = chain.records[1]
    assert(same?.certificate, 'a certified block')
    rivals.expect(
      { header: same.block.header, certificate: same.certificate },
      blockHash(same.block.header),
    )
    const rival = rivalAt(2)
    rivals.expect(rival, blockHash(rival.header))
    for (const record of chain.records.slice(1, 3)) {
      expect(forks).toEqual([])
      const envelope = envelopeOf(record)
      await behind.validateBlock(envelope)
      assert(record.certificate, 'a certified block')
      await behind.commitBlocks({
        blocks: [envelope],
        certificate: record.certificate,
        reproposals: [],
      })
    }
    expect(forks[0]?.fork.theirs).toEqual(rival.certificate)
    expect(forks[0]?.fork.guilty.map(bytesToHex)).toEqual(guiltyKeys)
  })
})

describe('older ones', () => {
  test('of the end of an epoch that is over, and from its middle: compared with the store', async () => {
    const { epochBlocks } = manager.params
    for (const at of [epochBlocks, epochBlocks - 1, 2 * epochBlocks]) {
      const { forks, tell } = await judgeOf()
      expect(tell(rivalAt(at))).toBe('ignore')
      await vi.waitFor(() => expect(forks).toHaveLength(1))
      expect(forks[0]?.fork.theirs.statement.epoch).toBe(at / epochBlocks > 1 ? 2 : 1)
    }
    const { forks, tell } = await judgeOf()
    tell(rivalAt(epochBlocks))
    await vi.waitFor(() => expect(forks).toHaveLength(1))
    expect(forks[0]?.fork.guilty.map(bytesToHex)).toEqual(guiltyKeys)
  })

  test('of our own chain, or without a quorum: nothing', async () => {
    const read = vi.fn<(at: number) => void>()
    const store = {
      block: (at: number) => manager.store.block(at),
      epochProof: (epoch: number) => manager.store.epochProof(epoch),
      hashAt: (at: number) => {
        read(at)
        return manager.store.hashAt(at)
      },
    }
    const watched = { ...partsOf(manager), store }
    const { forks, tell } = await judgeOf({ manager: watched })
    const own = chain.records[2]
    assert(own?.certificate, 'a certified block')
    expect(tell({ header: own.block.header, certificate: own.certificate }, 'a')).toBe('ignore')
    const { header } = rivalAt(3)
    expect(tell({ header, certificate: rivalAt(4).certificate }, 'b')).toBe('ignore')
    await vi.waitFor(() => expect(read.mock.calls.map(([at]) => at)).toEqual([2, 3]))
    // The one after these is judged when they are.
    tell(rivalAt(5), 'c')
    await vi.waitFor(() => expect(forks).toHaveLength(1))
    expect(bytesToHex(forks[0]?.fork.theirs.statement.hash ?? fromHex(''))).toBe(
      bytesToHex(blockHash(rivalAt(5).header)),
    )
  })

  test('of an epoch that the operator settled, or whose stake has left: nobody may stop us', async () => {
    const settled = await judgeOf({ settledEpoch: () => manager.final.header.epoch })
    expect(settled.tell(rivalAt(height))).toBe('ignore')
    const { epochs } = manager.ledger
    const record = epochs.get(0)
    assert(record, 'an epoch is on record')
    const gone = { ...record, anchorState: AnchorState.final, anchorFinalEpoch: 0 }
    const globals = { ...manager.ledger.globals(), lastFinalEpoch: 1e6, epoch: 1e9 }
    const ledger = {
      params: manager.params,
      globals: () => globals,
      epochs: { get: () => gone },
    } as unknown as Ledger
    const old = await judgeOf({ manager: { ...partsOf(manager), ledger } })
    expect(old.tell(rivalAt(height))).toBe('ignore')
    expect([settled.forks, old.forks]).toEqual([[], []])
  })
})

function partsOf(of: ChainManager) {
  const { params, final, store, ledger } = of
  return {
    params,
    final,
    store,
    ledger,
    validators: (epoch?: number) => of.validators(epoch),
    onFinal: () => () => undefined,
  }
}
