import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  HeaderType,
  PayloadKind,
  PayloadType,
  PrunedBodyPartType,
  type PrunedBlock,
  pruneBlock,
  type Transaction,
  transactionId,
  transactionsOf,
} from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { expect, test } from 'vitest'
import { blockHandlers } from './block-handlers.ts'
import { BlockWaits } from './block-waits.ts'
import type { LedgerBlock } from './ledger-source.ts'
import { createLedgerStory } from './testing/ledger-story.ts'
import type { MemoryLedger } from './testing/memory-ledger.ts'

function transactionOf(selector: number, nonce: number): Transaction {
  const type = PayloadType.types[selector]
  const value = type?.defaultValue()
  const fields = { nonce, validUntil: 1, maxBaseFee: 0n, tip: 0n, sender: new Uint8Array(33) }
  const payload = { selector, value } as Transaction['body']['payload']
  return { body: { ...fields, payload }, signature: new Uint8Array(64) }
}

const transactions = [transactionOf(PayloadKind.transfer, 1), transactionOf(PayloadKind.prove, 2)]
const header = { ...HeaderType.defaultValue(), height: 1 }
const ids = transactions.map((transaction) => bytesToHex(transactionId(transaction)))

/** A ledger whose only block has lost its openings. */
function prunedLedger(): MemoryLedger {
  const pruned = pruneBlock({ header, body: { transactions } })
  if (!pruned) throw new Error('a proof has openings')
  const ledger = createLedgerStory(presets.ci)
  const block: LedgerBlock = {
    header,
    hash: new Uint8Array(32),
    transactions: transactionsOf(pruned),
    pruned,
    receipts: [],
    certificate: undefined,
    justification: undefined,
  }
  ledger.block = () => block
  return ledger
}

test('a pruned block is told by its ids, never as if it were whole', async () => {
  const ledger = prunedLedger()
  const { chain_getBlock, chain_getRawBlocks } = blockHandlers(ledger, new BlockWaits(ledger))
  const told = await chain_getBlock({ height: 1 })
  expect(told.transactions).toEqual(ids)
  await expect(chain_getBlock({ height: 1, full: true })).rejects.toThrow('archive node')
  await expect(chain_getRawBlocks({ from: 1, to: 1 })).rejects.toThrow('archive node')
  const { blocks } = await chain_getRawBlocks({ from: 1, to: 1, pruned: true })
  expect(blocks).toMatchObject([{ height: 1, pruned: true }])
  const served = fromHex(blocks[0]?.body ?? '')
  const kept = PrunedBodyPartType.deserialize(served) as Pick<PrunedBlock, 'transactions'>
  expect(transactionsOf({ header, ...kept }).map((one) => bytesToHex(transactionId(one)))).toEqual(
    ids,
  )
})
