import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { compactToTarget, targetToCompact } from '../elastos/difficulty.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { merkleBranch, merkleRoot } from '../elastos/merkle.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import { AnchorState } from '../types/records.ts'
import type { Anchor } from '../types/transactions.ts'
import { confirmationsOf, encodeWork, mainHeaderAt, workOf } from './main-chain.ts'
import {
  GENESIS_TIME_MS,
  keyOf,
  MAIN_CHECKPOINT_HEIGHT as BASE,
  memoTransaction,
  mineMainHeader,
  SampleChain,
  type SampleMainChain,
} from './testing/sample-chain.ts'

setHasher(asSha256)

const T0 = GENESIS_TIME_MS / 1000
const mineMany = (main: SampleMainChain, count: number, time: number) =>
  Array.from({ length: count }, (_, i) => main.mine(time + i))

describe('mainHeaders', () => {
  test('extend the chain on record; work adds up', () => {
    const chain = new SampleChain()
    chain.block([chain.mainHeaders(mineMany(chain.main, 3, T0))])
    chain.block([chain.mainHeaders([chain.main.mine(T0 + 5)])])
    expect(chain.ledger.globals()).toMatchObject({
      mainTipHeight: BASE + 4,
      mainBaseHeight: BASE,
    })
    const tip = mainHeaderAt(chain.ledger, BASE + 4)
    expect(tip).toMatchObject({ height: BASE + 4, time: T0 + 5, recordedAt: 2 })
    expect(tip && workOf(tip)).toBe(8n)
    expect(mainHeaderAt(chain.ledger, BASE + 5)).toBeUndefined()
    expect(mainHeaderAt(chain.ledger, BASE - 1)).toBeUndefined()
    expect(confirmationsOf(chain.ledger, BASE + 4)).toBe(1)
    expect(confirmationsOf(chain.ledger, BASE + 5)).toBe(0)
  })

  test('each fault', () => {
    const chain = new SampleChain()
    const first = chain.main.mine(T0)
    const second = chain.main.mine(T0 + 1)
    const code = (headers: Uint8Array[]) => chain.outcome(chain.mainHeaders(headers))
    expect(code([])).toBe('MAIN_HEADERS_EMPTY')
    expect(code([first.slice(0, 50)])).toMatch(/^MAIN_/)
    expect(code([Uint8Array.from([...first, 0])])).toBe('MAIN_HEADER_TRAILING')
    expect(code([second])).toBe('MAIN_HEADER_UNKNOWN_PARENT')
    expect(code([first, first])).toBe('MAIN_HEADER_PREVIOUS')
    chain.block([chain.mainHeaders([first, second])])
    expect(code([first, second])).toBe('MAIN_HEADERS_WORK')
    const fork = chain.main.fork(BASE + 1)
    expect(code([fork.mine(T0 + 9)])).toBe('MAIN_HEADERS_WORK')
    const { hash, height } = chain.main.tip
    const old = { height: height + 1, previous: hash, time: T0 - 11, merkleRoot: hash }
    expect(code([mineMainHeader({ ...old, time: T0 + 2, bits: 0x207ffffe })])).toBe(
      'MAIN_HEADER_BITS',
    )
    expect(code([mineMainHeader({ ...old, time: T0 + 2, height: height + 2 })])).toBe(
      'MAIN_HEADER_UNKNOWN_PARENT',
    )
  })

  test('the median of eleven is demanded as soon as eleven are known', () => {
    const chain = new SampleChain()
    const outcome = (time: number) => {
      const fork = chain.main.fork(chain.main.tip.height)
      return chain.outcome(chain.mainHeaders([fork.mine(time)]))
    }
    // Ten headers with the checkpoint: the main chain knows more, so nothing is refused.
    chain.block([chain.mainHeaders(mineMany(chain.main, 9, T0))])
    expect(outcome(T0 - 100)).toBe('ok')
    chain.block([chain.mainHeaders([chain.main.mine(T0 + 9)])])
    // The eleven: the checkpoint, then T0 to T0 + 9; the sixth is T0 + 4.
    expect(outcome(T0 + 4)).toBe('MAIN_HEADER_TIME')
    expect(outcome(T0 + 5)).toBe('ok')
  })

  test('a longer branch replaces headers, but none with the depth of FINAL', () => {
    const chain = new SampleChain()
    const final = chain.params.anchorFinalMainBlocks
    chain.block([chain.mainHeaders(mineMany(chain.main, 6, T0))])
    const fork = chain.main.fork(BASE + 4)
    const branch = mineMany(fork, 3, T0 + 20)
    chain.block([chain.mainHeaders(branch)])
    expect(chain.ledger.globals().mainTipHeight).toBe(BASE + 7)
    expect(mainHeaderAt(chain.ledger, BASE + 5)?.hash).toEqual(fork.headers[5]?.hash)

    const deepest = fork.fork(BASE + 7 - final + 1)
    const allowed = chain.mainHeaders(mineMany(deepest, final, T0 + 40))
    expect(chain.outcome(allowed)).toBe('ok')
    const tooDeep = fork.fork(BASE + 7 - final)
    const refused = chain.mainHeaders(mineMany(tooDeep, final + 1, T0 + 40))
    expect(chain.outcome(refused)).toBe('MAIN_REORG_TOO_DEEP')
  })

  test('the ring keeps the last 2,048', () => {
    const chain = new SampleChain()
    let time = T0
    for (let i = 0; i < 66; i++) {
      chain.block([chain.mainHeaders(mineMany(chain.main, 32, time))])
      time += 32
    }
    const tip = BASE + 66 * 32
    expect(chain.ledger.globals()).toMatchObject({
      mainTipHeight: tip,
      mainBaseHeight: tip - 2047,
    })
    expect(mainHeaderAt(chain.ledger, tip - 2048)).toBeUndefined()
    expect(mainHeaderAt(chain.ledger, tip - 2047)?.height).toBe(tip - 2047)
    expect(chain.ledger.mainHeaders.count).toBe(2048)
  })

  test('difficulty follows the retarget rule from the checkpoint on', () => {
    const limit = 0x2000ffff
    const mainChain = {
      powLimitBits: limit,
      targetTimespanSeconds: 10,
      targetSecondsPerBlock: 1,
      adjustmentFactor: 4,
    }
    const chain = new SampleChain({ params: { mainChain }, mainBits: limit })
    // Nine headers to the end of the window, the last one 20 s after the checkpoint.
    const times = [0, 1, 2, 3, 4, 5, 6, 7, 10].map((offset) => T0 + offset)
    chain.block([chain.mainHeaders(times.map((time) => chain.main.mine(time)))])
    const target = compactToTarget(limit) * 2n
    const wrong = chain.main.fork(BASE + 9).mine(T0 + 11)
    expect(chain.outcome(chain.mainHeaders([wrong]))).toBe('MAIN_HEADER_BITS')
    const right = chain.main.mine(T0 + 11, new Uint8Array(32), targetToCompact(target))
    chain.block([chain.mainHeaders([right])])
    expect(mainHeaderAt(chain.ledger, BASE + 10)?.bits).toBe(targetToCompact(target))
  })

  test('work survives its 256-bit form', () => {
    for (const work of [0n, 1n, 255n, 256n, (1n << 256n) - 1n]) {
      expect(workOf({ work: encodeWork(work) })).toBe(work)
    }
  })
})

/** A chain in epoch 3 whose epoch 2 checkpoint stands in a main block. */
function anchored(validator = 0, signer = 'validator-0') {
  const chain = new SampleChain()
  chain.runToEpoch(3)
  const checkpointHash = chain.hashes[20] as Uint8Array
  const raw = memoTransaction(
    chain.chainId,
    { epoch: 2, checkpointHash, validatorIndex: validator },
    keyOf(signer).secretKey,
  )
  const decoded = decodeTransaction(raw)
  if (!decoded.ok) throw new Error(decoded.fault.message)
  const ids = [asInternalHash(sha256()), decoded.value.id, asInternalHash(sha256(raw))]
  const header = chain.main.mine(T0, merkleRoot(ids))
  chain.block([chain.mainHeaders([header])])
  const anchor: Anchor = {
    epoch: 2,
    checkpointHash,
    transaction: raw,
    branch: merkleBranch(ids, 1),
    branchIndex: 1,
    mainHeight: BASE + 1,
  }
  return { chain, anchor, id: decoded.value.id }
}

describe('anchor', () => {
  test('is recorded, confirmed and final as the main chain grows', () => {
    const { chain, anchor, id } = anchored()
    const state = () => chain.ledger.epochs.get(2)
    const { receipts } = chain.block([chain.bySystem({ selector: 13, value: anchor })])
    expect(receipts[0]?.body).toEqual({
      selector: 6,
      value: {
        epoch: 2,
        checkpointHash: anchor.checkpointHash,
        mainHeight: BASE + 1,
        mainHash: chain.main.tip.hash,
        mainTransaction: id,
        carrier: 0,
        validator: 0,
      },
    })
    expect(state()).toMatchObject({
      anchorMainHeight: BASE + 1,
      anchorState: AnchorState.submitted,
    })
    expect(chain.outcome(chain.bySystem({ selector: 13, value: anchor }))).toBe('ANCHOR_OLD')
    chain.block([chain.mainHeaders([chain.main.mine(T0 + 1)])])
    expect(state()?.anchorState).toBe(AnchorState.confirmed)
    expect(chain.ledger.globals()).toMatchObject({ lastAnchoredEpoch: 2, lastFinalEpoch: 0 })
    chain.block([chain.mainHeaders(mineMany(chain.main, 2, T0 + 2))])
    expect(state()?.anchorState).toBe(AnchorState.final)
    expect(chain.ledger.globals()).toMatchObject({
      lastAnchoredEpoch: 2,
      lastFinalEpoch: 2,
      openAnchors: [],
    })
  })

  test('one whose block is reorganised away is forgotten and may come again', () => {
    const { chain, anchor } = anchored()
    chain.block([chain.bySystem({ selector: 13, value: anchor })])
    const fork = chain.main.fork(BASE)
    chain.block([chain.mainHeaders(mineMany(fork, 2, T0))])
    expect(chain.ledger.epochs.get(2)).toMatchObject({
      anchorMainHeight: 0,
      anchorState: AnchorState.none,
    })
    expect(chain.ledger.globals()).toMatchObject({ lastAnchoredEpoch: 0, openAnchors: [] })
    const again = chain.bySystem({ selector: 13, value: anchor })
    expect(chain.outcome(again)).toBe('MAIN_BRANCH_ROOT')
  })

  test('recorded late it is final at once', () => {
    const { chain, anchor } = anchored()
    chain.block([chain.mainHeaders(mineMany(chain.main, 5, T0 + 1))])
    chain.block([chain.bySystem({ selector: 13, value: anchor })])
    expect(chain.ledger.epochs.get(2)?.anchorState).toBe(AnchorState.final)
    expect(chain.ledger.globals()).toMatchObject({ lastFinalEpoch: 2, openAnchors: [] })
  })

  test('each fault', () => {
    const { chain, anchor } = anchored()
    const code = (changes: Partial<Anchor>) =>
      chain.outcome(chain.bySystem({ selector: 13, value: { ...anchor, ...changes } }))
    expect(code({ epoch: 3 })).toBe('ANCHOR_EPOCH_OPEN')
    expect(code({ epoch: 400 })).toBe('ANCHOR_EPOCH_OPEN')
    expect(code({ epoch: 0 })).toBe('ANCHOR_OLD')
    expect(code({ epoch: 1 })).toBe('ANCHOR_CHECKPOINT')
    expect(code({ checkpointHash: new Uint8Array(32) })).toBe('ANCHOR_CHECKPOINT')
    expect(code({ mainHeight: BASE + 2 })).toBe('ANCHOR_HEADER_UNKNOWN')
    expect(code({ mainHeight: BASE })).toBe('MAIN_BRANCH_ROOT')
    expect(code({ branchIndex: 0 })).toBe('MAIN_BRANCH_ROOT')
    expect(code({ branchIndex: 9 })).toBe('MAIN_BRANCH_INDEX')
    expect(code({ transaction: anchor.transaction.slice(1) })).not.toBe('ok')
    const stranger = anchored(0, 'validator-1')
    const signed = stranger.chain.bySystem({ selector: 13, value: stranger.anchor })
    expect(stranger.chain.outcome(signed)).toBe('MAIN_ANCHOR_SIGNATURE')
    const nobody = anchored(7, 'validator-1')
    const named = nobody.chain.bySystem({ selector: 13, value: nobody.anchor })
    expect(nobody.chain.outcome(named)).toBe('ANCHOR_VALIDATOR')
    const first = chain.hashes[10] as Uint8Array
    expect(code({ epoch: 1, checkpointHash: first })).toBe('ANCHOR_MEMO_OTHER')
  })
})
