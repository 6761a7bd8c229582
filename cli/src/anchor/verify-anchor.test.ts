import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import { asInternalHash, decodeTransaction, merkleBranch, merkleRoot } from '@ioex/chain/elastos'
import { mainHeaderAt } from '@ioex/chain/rules'
import {
  AnchorState,
  BlockBodyType,
  type Epoch,
  HeaderType,
  type MainHeaderRecord,
  PayloadKind,
  PrunedBodyPartType,
  pruneBlock,
  ProveType,
  type Transaction,
  TransactionBodyType,
} from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import { describe, expect, test, vi } from 'vitest'
import {
  keyOf,
  memoTransaction,
  SampleChain,
} from '../../../chain/src/rules/testing/sample-chain.ts'
import { type TrustedChain, verifyAnchor } from './verify-anchor.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000 })

const T0 = 1_700_000_001
const EPOCH = 1
const HEADERS_ON_TOP = 3

/** A chain whose first epoch is anchored by memo, and the answers of a node that has it. */
function anchoredNode() {
  const chain = new SampleChain({ params: { epochBlocks: 3 } })
  const blocks: { height: number; header: string; body: string }[] = []
  const block = (transactions: Transaction[] = []) => {
    chain.block(transactions)
    blocks.push({
      height: chain.height,
      header: bytesToHex(HeaderType.serialize(chain.header)),
      body: bytesToHex(BlockBodyType.serialize({ transactions })),
    })
  }
  for (let i = 0; i < 4; i++) block()
  const checkpointHash = chain.hashes[3] as Uint8Array
  const raw = memoTransaction(
    chain.chainId,
    { epoch: EPOCH, checkpointHash, validatorIndex: 0 },
    keyOf('validator-0').secretKey,
  )
  const decoded = decodeTransaction(raw)
  if (!decoded.ok) throw new Error(decoded.fault.message)
  const ids = [asInternalHash(new Uint8Array(32).fill(7)), decoded.value.id]
  block([chain.mainHeaders([chain.main.mine(T0, merkleRoot(ids))])])
  const { hash: mainHash, height: mainHeight } = chain.main.tip
  const branch = merkleBranch(ids, 1)
  const value = {
    epoch: EPOCH,
    checkpointHash,
    transaction: raw,
    branch,
    branchIndex: 1,
    mainHeight,
  }
  block([chain.bySystem({ selector: PayloadKind.anchor, value })])
  const recordedAt = chain.height
  for (let i = 1; i <= HEADERS_ON_TOP; i++) block([chain.mainHeaders([chain.main.mine(T0 + i)])])
  const answers: Record<string, unknown> = {
    anchor_get: {
      epoch: EPOCH,
      checkpointHash: bytesToHex(checkpointHash),
      state: 'final',
      mainHeight,
      mainHash: bytesToHex(mainHash),
      mainTransaction: bytesToHex(decoded.value.id),
      method: 'memo',
      height: recordedAt,
      proof: {
        transaction: bytesToHex(raw),
        branch: branch.map((hash) => bytesToHex(hash)),
        branchIndex: 1,
        mainHeight,
      },
    },
    chain_getStatus: { chainId: bytesToHex(chain.chainId), height: chain.height },
    chain_getParams: { epochBlocks: 3, mainArbiters: [] },
    chain_getValidators: {
      validators: [{ consensusKey: bytesToHex(keyOf('validator-0').publicKey) }],
    },
  }
  return { answers, blocks, chain }
}

type Node = ReturnType<typeof anchoredNode>

function clientOf({ answers, blocks }: Node): RpcClient {
  const call = (method: string, params: { from?: number; to?: number }) => {
    if (method !== 'chain_getRawBlocks') return Promise.resolve(answers[method])
    const { from = 0, to = 0 } = params
    const found = blocks.filter(({ height }) => height >= from && height <= to)
    return Promise.resolve({ blocks: found, next: null })
  }
  return { call } as unknown as RpcClient
}

/** The code of the verdict after a change of what the node answers. */
async function codeAfter(change: (anchor: Record<string, never>, node: Node) => void) {
  const node = anchoredNode()
  change(node.answers['anchor_get'] as Record<string, never>, node)
  const { valid, code } = await verifyAnchor(clientOf(node), EPOCH)
  return valid ? 'ok' : code
}

const set = (target: object, fields: object) => void Object.assign(target, fields)

/** The ledger of the sample chain, as a light client would prove it. */
function provenOf({ chain }: Node): TrustedChain {
  const { ledger, params, epoch } = chain
  return {
    params,
    epoch: (each) => Promise.resolve(ledger.epochs.get(each)),
    mainHeader: (height) => Promise.resolve(mainHeaderAt(ledger, height)),
    head: () => Promise.resolve({ epoch }),
  }
}

describe('anchor verify', () => {
  test('a node that has forgotten the openings in those blocks shows as much', async () => {
    const node = anchoredNode()
    const prove = { selector: PayloadKind.prove, value: ProveType.defaultValue() }
    for (const block of node.blocks) {
      const whole = BlockBodyType.deserialize(fromHex(block.body)).transactions as Transaction[]
      const header = HeaderType.deserialize(fromHex(block.header))
      const [first] = whole
      const fields = first?.body ?? TransactionBodyType.defaultValue()
      const body = { ...fields, payload: prove } as Transaction['body']
      const transactions = [...whole, { body, signature: new Uint8Array(64) }]
      const pruned = pruneBlock({ header, body: { transactions } })
      if (!pruned) throw new Error('a proof has openings')
      block.body = bytesToHex(PrunedBodyPartType.serialize({ transactions: pruned.transactions }))
      Object.assign(block, { pruned: true })
    }
    const verdict = await verifyAnchor(clientOf(node), EPOCH)
    expect(verdict).toMatchObject({ valid: true, headersChecked: HEADERS_ON_TOP + 1 })
  })

  test('each step holds, headers on top included', async () => {
    const verdict = await verifyAnchor(clientOf(anchoredNode()), EPOCH)
    expect(verdict).toMatchObject({ valid: true, headersChecked: HEADERS_ON_TOP + 1 })
    expect(verdict.checks.length).toBeGreaterThan(9)
    expect(verdict.checks.every(({ ok }) => ok)).toBe(true)
  })

  test('a node that lies about any part of it is found out', async () => {
    const other = '11'.repeat(32)
    expect(await codeAfter((anchor) => set(anchor, { mainTransaction: other }))).toBe(
      'ANCHOR_TRANSACTION',
    )
    expect(await codeAfter((anchor) => set(anchor, { checkpointHash: other }))).toBe(
      'ANCHOR_MEMO_OTHER',
    )
    expect(await codeAfter((anchor) => set(anchor, { mainHash: other }))).toBe(
      'ANCHOR_HEADER_UNKNOWN',
    )
    const branch = [other]
    expect(await codeAfter((anchor) => set(anchor['proof'] ?? {}, { branch }))).toBe(
      'MAIN_BRANCH_ROOT',
    )
    const validators = [{ consensusKey: bytesToHex(keyOf('stranger').publicKey) }]
    expect(
      await codeAfter((_anchor, { answers }) =>
        set(answers, { chain_getValidators: { validators } }),
      ),
    ).toBe('MAIN_ANCHOR_SIGNATURE')
    expect(
      await codeAfter((_anchor, { blocks }) => set(blocks[2] ?? {}, { header: blocks[1]?.header })),
    ).toBe('ANCHOR_CHECKPOINT')
  })

  test('by certified state: what it does not record is no anchor, whoever names the keys', async () => {
    const node = anchoredNode()
    const judged = (chain: TrustedChain) => verifyAnchor(clientOf(node), EPOCH, chain)
    const proven = provenOf(node)
    expect(await judged(proven)).toMatchObject({ valid: true, proven: true })

    // The node that shows the anchor has no say in who the validators are.
    const strangers = [{ consensusKey: bytesToHex(keyOf('stranger').publicKey) }]
    set(node.answers, { chain_getValidators: { validators: strangers } })
    expect(await judged(proven)).toMatchObject({ valid: true })

    const record = node.chain.ledger.epochs.get(EPOCH) as Epoch
    const withRecord = (change: Partial<Epoch>): TrustedChain => ({
      ...proven,
      epoch: (epoch) =>
        epoch === EPOCH ? Promise.resolve({ ...record, ...change }) : proven.epoch(epoch),
    })
    for (const change of [
      { anchorState: AnchorState.none },
      { checkpointHash: new Uint8Array(32).fill(1) },
      { anchorMainHeight: record.anchorMainHeight + 1 },
    ]) {
      expect(await judged(withRecord(change))).toMatchObject({ code: 'ANCHOR_RECORD' })
    }
    const other = { ...mainHeaderAt(node.chain.ledger, record.anchorMainHeight) }
    const forked = { ...other, hash: new Uint8Array(32).fill(1) } as MainHeaderRecord
    expect(await judged({ ...proven, mainHeader: () => Promise.resolve(forked) })).toMatchObject({
      code: 'ANCHOR_RECORD',
    })
    expect(await judged({ ...proven, mainHeader: () => Promise.resolve(undefined) })).toMatchObject(
      { valid: true },
    )
    const open = { ...proven, head: () => Promise.resolve({ epoch: EPOCH }) }
    expect(await judged(open)).toMatchObject({ code: 'ANCHOR_RECORD' })
  })
})
