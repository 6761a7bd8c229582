import { beforeEach, describe, expect, test } from 'vitest'
import { bytesToHex } from '../../../chain/src/bytes/hex.ts'
import { SampleMainChain } from '../../../chain/src/rules/testing/sample-chain.ts'
import { ReceiptKind, StakeAction } from '../../../chain/src/types/receipts.ts'
import { type Payload, PayloadKind } from '../../../chain/src/types/transactions.ts'
import { type ModelBlock, ReleaseModel } from './release-model.ts'

const TERMS = { epochBlocks: 2, anchorFinalMainBlocks: 3, unbondingAnchors: 1, unbondingEpochs: 1 }
const EXIT = 7
const checkpoint = (epoch: number) => new Uint8Array(32).fill(epoch)

let main: SampleMainChain
let reports: string[]
let model: ReleaseModel
let height: number

beforeEach(() => {
  main = SampleMainChain.start(100, 1_000)
  reports = []
  height = 0
  model = new ReleaseModel(TERMS, main.tip.raw, (what) => reports.push(what))
})

type Part = { readonly payload?: Payload; readonly action?: number }

/** The next block: a transaction for each part, with the stake receipt it may leave. */
function block(...parts: Part[]): void {
  height += 1
  const epoch = Math.ceil(height / 2)
  const transactions = parts.map(({ payload }) => ({
    body: { payload: payload ?? { selector: PayloadKind.releaseStake, value: { delegation: 0 } } },
  }))
  const receipts = parts.flatMap(({ action }, transaction) => {
    if (action === undefined) return []
    const value = { action, delegation: EXIT }
    return [{ transaction, body: { selector: ReceiptKind.stake, value } }]
  })
  const made = { height, epoch, transactions, receipts } as unknown as ModelBlock
  model.block(made, bytesToHex(checkpoint(epoch)))
}

const unbond: Part = { action: StakeAction.unbond }
const release: Part = { action: StakeAction.release }
const mine = (chain = main): Part => ({
  payload: {
    selector: PayloadKind.mainHeaders,
    value: { headers: [chain.mine(chain.tip.time + 2)] },
  },
})
const anchorOf = (epoch: number, mainHeight: number): Part => ({
  payload: {
    selector: PayloadKind.anchor,
    value: {
      epoch,
      checkpointHash: checkpoint(epoch),
      transaction: new Uint8Array(0),
      branch: [],
      branchIndex: 0,
      mainHeight,
    },
  },
})
const mayLeave = () => [...model.exits()].map((exit) => exit.mayLeave)

/** Asked back in epoch 1, so without weight from 3 on; epochs 1 to 3 have their checkpoints. */
function exited(): void {
  block(unbond)
  while (height < 6) block()
}

describe('stake is let out', () => {
  test('when an anchor of its exit is FINAL, and the time after it is over', () => {
    exited()
    block(mine(), anchorOf(3, 101))
    block(mine())
    expect(mayLeave()).toEqual([false])
    // Depth 3 in epoch 5; an epoch more.
    block(mine())
    block()
    expect(mayLeave()).toEqual([false])
    block(release)
    expect(reports).toEqual([])
    expect(model.releases).toBe(1)
    expect(mayLeave()).toEqual([])
  })

  test.each([
    ['nothing is anchored', () => undefined],
    ['the anchor is one of before its exit', () => block(mine(), anchorOf(2, 101), mine(), mine())],
    ['the anchor has a block too few', () => block(mine(), anchorOf(3, 101), mine())],
    [
      'a reorganisation took the anchor away',
      () => {
        const other = main.fork(100)
        block(mine(), anchorOf(3, 101))
        block(mine(other), mine(other), mine(other))
      },
    ],
  ])('not where %s', (_, anchored) => {
    exited()
    anchored()
    while (height < 16) block()
    expect(mayLeave()).toEqual([false])
    expect(reports).toEqual([])
    block(release)
    expect(reports).toEqual(['I14 stake was released without a final anchor of its exit'])
  })

  test('only once', () => {
    exited()
    block(mine(), anchorOf(3, 101), mine(), mine())
    while (height < 10) block()
    block(release)
    expect(reports).toEqual([])
    block(release)
    expect(reports).toHaveLength(1)
  })
})

test('what is no checkpoint, and a FINAL anchor that goes, are found out', () => {
  exited()
  const other = main.fork(100)
  block(mine(), anchorOf(9, 101))
  expect(reports).toEqual(['I14 what is anchored for epoch 9 is not its checkpoint'])
  block(mine(), mine(), mine(other))
  expect(reports.at(-1)).toBe('I14 the FINAL anchor in main block 101 is gone')
})
