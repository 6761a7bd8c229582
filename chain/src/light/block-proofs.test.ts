import { MerkleTree } from 'merkletreejs'
import { describe, expect, test } from 'vitest'
import { proveListElement } from '../bytes/list-proof.ts'
import { sha256 } from '../bytes/hash.ts'
import { rewardLeafHash, rewardNodeHash, rewardProof, rewardRoot } from '../rules/reward-tree.ts'
import {
  appendHistory,
  HISTORY_CHUNK,
  historyBranch,
  historyChunkRoot,
  historyRoot,
} from '../state/history-list.ts'
import { blockHash } from '../types/block.ts'
import type { Header } from '../types/consensus-objects.ts'
import { FeeReceiptType, type Receipt, RECEIPTS_PER_BLOCK_MAX } from '../types/receipts.ts'
import { ReceiptListType, ReceiptType } from '../types/receipts.ts'
import { GlobalsType } from '../types/records.ts'
import { transactionListRoot } from '../types/transaction-codec.ts'
import { type Transaction, TRANSACTIONS_PER_BLOCK_MAX } from '../types/transactions.ts'
import { TransactionType } from '../types/transactions.ts'
import { type BlockBranch, verifyReceiptIn, verifyTransactionIn } from './block-proofs.ts'
import { verifyHistory } from './history-proof.ts'
import { verifyReward } from './reward-proof.ts'
import { finalOf, headerAt, signer } from './testing/certified-chain.ts'

const signers = ['a', 'b'].map((name) => signer(name))

/** Every single byte of some bytes changed, one after the other. */
function* changesOf(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice()
    changed[at] = (changed[at] as number) ^ (1 << (at % 8))
    yield changed
  }
}

/** Every proof that differs in one byte of one hash, or in its index. */
function* changedBranches({ index, branch }: BlockBranch): Iterable<BlockBranch> {
  for (const other of [index - 1, index + 1, index + 2 ** 20]) yield { index: other, branch }
  yield { index, branch: branch.slice(1) }
  yield { index, branch: [...branch, new Uint8Array(32)] }
  for (let level = 0; level < branch.length; level++) {
    for (const changed of changesOf(branch[level] as Uint8Array)) {
      yield { index, branch: branch.map((hash, at) => (at === level ? changed : hash)) }
    }
  }
}

function transferOf(nonce: number): Transaction {
  const payload = { selector: 0, value: { to: new Uint8Array(20).fill(3), amount: 5n } } as const
  const body = { sender: new Uint8Array(33).fill(2), nonce, validUntil: 9, maxBaseFee: 1n, tip: 0n }
  return { body: { ...body, payload }, signature: new Uint8Array(64).fill(1) } as Transaction
}

function receiptOf(index: number): Receipt {
  const body = { selector: 8, value: FeeReceiptType.defaultValue() } as const
  return { height: 4, epoch: 1, transaction: index, index, body }
}

describe('transactions and receipts', () => {
  const transactions = [0, 1, 2].map(transferOf)
  const receipts = [0, 1, 2, 3, 4].map(receiptOf)
  const header = headerAt(4, signers, signers, {
    txRoot: transactionListRoot(transactions),
    receiptRoot: ReceiptListType.hashTreeRoot(receipts),
  })

  test('stand in the block that its header commits to; any byte changed is refused', () => {
    const roots = transactions.map((each) => TransactionType.hashTreeRoot(each))
    const proof = proveListElement(roots, TRANSACTIONS_PER_BLOCK_MAX, 1)
    const bytes = TransactionType.serialize(transactions[1] as Transaction)
    const found = verifyTransactionIn(header, bytes, proof)
    expect(found.ok && found.value.body.nonce).toBe(1)
    for (const other of changesOf(bytes)) {
      expect(verifyTransactionIn(header, other, proof).ok).toBe(false)
    }
    for (const other of changedBranches(proof)) {
      expect(verifyTransactionIn(header, bytes, other).ok).toBe(false)
    }
  })

  test('receipts likewise, and none is a transaction', () => {
    const roots = receipts.map((each) => ReceiptType.hashTreeRoot(each))
    const proof = proveListElement(roots, RECEIPTS_PER_BLOCK_MAX, 3)
    const bytes = ReceiptType.serialize(receipts[3] as Receipt)
    const found = verifyReceiptIn(header, bytes, proof)
    expect(found.ok && found.value.index).toBe(3)
    for (const other of changesOf(bytes)) {
      expect(verifyReceiptIn(header, other, proof).ok).toBe(false)
    }
    for (const other of changedBranches(proof)) {
      expect(verifyReceiptIn(header, bytes, other).ok).toBe(false)
    }
    expect(verifyTransactionIn(header, bytes, proof).ok).toBe(false)
  })
})

describe('old blocks', () => {
  const length = 2 * HISTORY_CHUNK + 30
  const headers: Header[] = []
  let history = GlobalsType.defaultValue() as Parameters<typeof appendHistory>[0]
  for (let height = 0; height < length; height++) {
    const header = headerAt(height, signers)
    headers.push(header)
    history = appendHistory(history, blockHash(header))
  }
  const later = finalOf(headerAt(length, signers, signers, { historyRoot: historyRoot(history) }))
  const hashes = headers.map(blockHash)
  const chunkAt = (start: number) => hashes.slice(start, start + HISTORY_CHUNK)
  const roots = [0, 1, 2].map((i) => historyChunkRoot(chunkAt(i * HISTORY_CHUNK)))
  const branchOf = (height: number) =>
    historyBranch(height, length, chunkAt(height - (height % HISTORY_CHUNK)), roots)

  test('stand under historyRoot at their own height', () => {
    for (const height of [0, 1, 1023, 1024, 1500, 2047, 2048, length - 1]) {
      const old = headers[height] as Header
      const found = verifyHistory(later, old, branchOf(height))
      expect(found.ok && found.value.header.height).toBe(height)
      expect(verifyHistory(later, { ...old, timeMs: 1 }, branchOf(height)).ok).toBe(false)
      expect(verifyHistory(later, { ...old, height: height + 1 }, branchOf(height)).ok).toBe(false)
    }
    expect(verifyHistory(later, headerAt(length, signers), branchOf(5)).ok).toBe(false)
  })

  test('any byte of the path changed is refused', () => {
    const old = headers[1500] as Header
    const branch = branchOf(1500)
    for (let level = 0; level < branch.length; level++) {
      for (const changed of changesOf(branch[level] as Uint8Array)) {
        const other = branch.map((hash, at) => (at === level ? changed : hash))
        expect(verifyHistory(later, old, other).ok).toBe(false)
      }
    }
  })
})

describe('rewards', () => {
  const fees = Array.from({ length: 11 }, (_, i) => ({
    node: sha256(Uint8Array.of(i)).slice(0, 20),
    fee: BigInt(1000 + i),
  }))
  const root = rewardRoot(fees)
  const fee = fees[4] as (typeof fees)[number]
  const steps = rewardProof(fees, 4)

  test('a fee stands under the reward root, as a stock merkletreejs agrees', () => {
    expect(verifyReward(root, { fee, steps }).ok).toBe(true)
    const stock = new MerkleTree([], (data: Buffer) => Buffer.from(rewardNodeHash(data)))
    const path = steps.map(({ position, data }) => ({ position, data: Buffer.from(data) }))
    const leaf = Buffer.from(rewardLeafHash(fee))
    expect(stock.verify(path, leaf, Buffer.from(root))).toBe(true)
    const more = Buffer.from(rewardLeafHash({ ...fee, fee: fee.fee + 1n }))
    expect(stock.verify(path, more, Buffer.from(root))).toBe(false)
  })

  test('any byte or side changed is refused', () => {
    for (const node of changesOf(fee.node)) {
      expect(verifyReward(root, { fee: { ...fee, node }, steps }).ok).toBe(false)
    }
    for (let bit = 0n; bit < 64n; bit++) {
      const other = { ...fee, fee: fee.fee ^ (1n << bit) }
      expect(verifyReward(root, { fee: other, steps }).ok).toBe(false)
    }
    for (const [level, step] of steps.entries()) {
      const replaced = (other: (typeof steps)[number]) =>
        steps.map((each, at) => (at === level ? other : each))
      const position = step.position === 'left' ? 'right' : 'left'
      const turned = replaced({ ...step, position })
      expect(verifyReward(root, { fee, steps: turned }).ok).toBe(false)
      for (const data of changesOf(step.data)) {
        expect(verifyReward(root, { fee, steps: replaced({ ...step, data }) }).ok).toBe(false)
      }
    }
  })
})
