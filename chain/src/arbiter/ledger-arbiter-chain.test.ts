import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { sideChainPowTransaction } from './arbiter-transactions.ts'
import { SubmittedAnchors } from '../anchor/submitted-anchors.ts'
import { sha256 } from '../bytes/hash.ts'
import { utf8ToBytes } from '../bytes/hex.ts'
import { standardProgramHash } from '../elastos/ela-address.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { merkleBranch, merkleRoot } from '../elastos/merkle.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import type { SideAuxPow } from '../elastos/side-aux-pow.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import { keyOf, SampleChain, UNITS } from '../rules/testing/sample-chain.ts'
import { addressText, elaAddressOf, fund } from '../rules/testing/sample-deposits.ts'
import { PayloadKind } from '../types/transactions.ts'
import type { ArbiterChain, AuxTemplate } from './arbiter-chain.ts'
import { createLedgerArbiterChain } from './ledger-arbiter-chain.ts'

setHasher(asSha256)

const T0 = 1_700_000_100
const EPOCH = 10
const [arbiter] = LOCAL_ARBITER_SECRETS as [Uint8Array]
const payTo = standardProgramHash(p256PublicKey(arbiter))

interface View {
  readonly chain: SampleChain
  readonly view: ArbiterChain
  readonly submitted: SubmittedAnchors
}

function viewOf(chain: SampleChain, powChain: boolean, isOnMainChain = false): View {
  const submitted = new SubmittedAnchors()
  const view = createLedgerArbiterChain({
    ledger: chain.ledger,
    powChain,
    submitted,
    isOnMainChain: () => isOnMainChain,
    depositTransaction: () => Promise.resolve(sha256(utf8ToBytes('deposit'))),
  })
  return { chain, view, submitted }
}

/** What an arbiter does with a template: a SideChainPow, mined, with its proof. */
function anchored(chain: SampleChain, template: AuxTemplate, height: number) {
  const genesisHash = asInternalHash(chain.chainId)
  const raw = sideChainPowTransaction({ hash: template.hash, genesisHash, height }, arbiter, payTo)
  const transaction = decodeTransaction(raw)
  if (!transaction.ok) throw new Error(transaction.fault.message)
  const ids = [asInternalHash(sha256()), transaction.value.id]
  const header = chain.main.mine(T0, merkleRoot(ids))
  const mainHeader = decodeHeaderWithAuxPow(header)
  if (!mainHeader.ok) throw new Error(mainHeader.fault.message)
  const proof: SideAuxPow = {
    transaction: transaction.value,
    branch: merkleBranch(ids, 1),
    index: 1,
    mainHeader: mainHeader.value,
  }
  return { header, proof }
}

function code(result: { ok: boolean; fault?: { code: string }; value?: unknown }): unknown {
  return result.ok ? result.value : result.fault?.code
}

describe('the chain of checkpoints as an Arbiter sees it', () => {
  test('heights are anchored checkpoints with PowChain, sealed ones without', () => {
    const chain = new SampleChain()
    const pow = viewOf(chain, true).view
    const plain = viewOf(chain, false).view
    expect([pow.bestHeight(), plain.bestHeight()]).toEqual([0, 0])
    expect(pow.template()).toBeUndefined()
    chain.runToEpoch(3)
    expect([pow.bestHeight(), plain.bestHeight()]).toEqual([0, 2])
    expect(plain.template()).toBeUndefined()
    expect(pow.template()).toEqual({
      hash: chain.hashes[2 * EPOCH],
      previousHash: chain.chainId,
      bits: chain.main.tip.bits,
    })
    expect(plain.block(2)).toMatchObject({ hash: chain.hashes[2 * EPOCH], height: 2 })
    expect(plain.block(1)?.previousHash).toEqual(chain.chainId)
    expect(plain.block(3)).toBeUndefined()
    const first = asInternalHash(chain.hashes[EPOCH] as Uint8Array)
    expect(plain.blockByHash(first)?.height).toBe(1)
    expect(plain.blockByHash(asInternalHash(sha256()))).toBeUndefined()
  })

  test('a whole anchoring round: template, proof before its header, recorded, known', () => {
    const chain = new SampleChain()
    chain.runToEpoch(3)
    const { view, submitted } = viewOf(chain, true)
    const template = view.template()
    if (!template) expect.fail('a checkpoint waits')
    const { header, proof } = anchored(chain, template, view.bestHeight())
    expect(code(view.submit(template.hash, proof))).toBe('main-header-unknown')
    expect(code(viewOf(chain, true, true).view.submit(template.hash, proof))).toBe('taken')
    chain.block([chain.mainHeaders([header])])
    expect(code(view.submit(template.hash, proof))).toBe('taken')
    expect(submitted.list()).toHaveLength(1)
    const [kept] = submitted.list()
    if (!kept) expect.fail('the proof is kept')
    const { raw, branch, index, height } = kept
    const value = {
      epoch: 2,
      checkpointHash: kept.checkpointHash,
      transaction: raw,
      branch: [...branch],
      branchIndex: index,
      mainHeight: height,
    }
    chain.block([chain.bySystem({ selector: PayloadKind.anchor, value })])
    expect(view.bestHeight()).toBe(2)
    expect(view.template()).toBeUndefined()
    expect(code(view.submit(template.hash, proof))).toBe('known')
    // Main-chain reorganisations take anchors back, and with them the height.
    const fork = chain.main.fork(100)
    chain.block([chain.mainHeaders([fork.mine(T0), fork.mine(T0 + 1)])])
    expect(view.bestHeight()).toBe(0)
    expect(view.template()?.hash).toEqual(template.hash)
  })

  test('proofs of other blocks, other chains and unknown checkpoints are refused and not kept', () => {
    const chain = new SampleChain()
    chain.runToEpoch(3)
    const { view, submitted } = viewOf(chain, true)
    const template = view.template()
    if (!template) expect.fail('a checkpoint waits')
    const { proof } = anchored(chain, template, 0)
    const first = asInternalHash(chain.hashes[EPOCH] as Uint8Array)
    expect(code(view.submit(first, proof))).toBe('MAIN_ANCHOR_BLOCK')
    expect(code(view.submit(asInternalHash(sha256()), proof))).toBe('ANCHOR_CHECKPOINT')
    expect(code(view.submit(template.hash, { ...proof, index: 0 }))).toBe('MAIN_BRANCH_ROOT')
    expect(submitted.list()).toEqual([])
  })

  test('kept proofs are bounded, the oldest gives way', () => {
    const chain = new SampleChain()
    chain.runToEpoch(3)
    const template = viewOf(chain, true).view.template()
    if (!template) expect.fail('a checkpoint waits')
    const { submitted } = viewOf(chain, true)
    const { proof } = anchored(chain, template, 0)
    for (let i = 0; i < 70; i++) {
      const hash = asInternalHash(sha256(Uint8Array.of(i)))
      submitted.add({ ...proof, mainHeader: { ...proof.mainHeader, hash } })
    }
    expect(submitted.list()).toHaveLength(64)
    expect(submitted.has(template.hash)).toBe(true)
  })
})

describe('deposits and withdrawals as an Arbiter sees them', () => {
  test('withdrawals are listed by the checkpoint that contains them', () => {
    const chain = new SampleChain()
    fund(chain, 'carol', 100n * UNITS)
    const home = elaAddressOf('home')
    const value = { to: utf8ToBytes(home), output: 2n * UNITS, amount: 2n * UNITS - 10_000n }
    chain.block([chain.byOwner(keyOf('carol'), { selector: PayloadKind.withdraw, value })])
    const epoch = chain.epoch
    const { view } = viewOf(chain, false)
    const id = chain.ledger.withdrawals.get(0)?.id
    if (!id) expect.fail('the withdrawal is on record')
    expect(view.withdrawal(asInternalHash(id))).toBeUndefined()
    chain.runToEpoch(epoch + 1)
    const listed = { id, address: home, output: value.output, amount: value.amount }
    expect(view.withdrawals(epoch)).toEqual([listed])
    expect(view.withdrawals(epoch - 1)).toEqual([])
    expect(view.withdrawal(asInternalHash(id))).toEqual(listed)
    expect(view.isReturned(asInternalHash(id))).toBe(false)
    // Anchoring Arbiters see it when its checkpoint is anchored.
    expect(viewOf(chain, true).view.withdrawal(asInternalHash(id))).toBeUndefined()
  })

  test('deposits are waiting, credited or failed', async () => {
    const chain = new SampleChain()
    const { view } = viewOf(chain, false)
    const unknown = asInternalHash(sha256())
    expect(await view.deposit(unknown)).toEqual({ state: 'waiting' })
    expect(addressText(chain, 'carol')).toMatch(/^cioex1/)
    fund(chain, 'carol', 100n * UNITS)
    const record = chain.ledger.deposits.get(0)
    if (!record) expect.fail('the deposit is on record')
    const id = asInternalHash(record.mainTransaction)
    expect(view.isCredited(id)).toBe(true)
    expect(view.isFailed(id)).toBe(false)
    expect(await view.deposit(id)).toEqual({
      state: 'credited',
      sideTransaction: sha256(utf8ToBytes('deposit')),
    })
    expect([view.isCredited(unknown), view.isFailed(unknown)]).toEqual([false, false])
    expect(view.failedDeposits(1)).toEqual([])
  })
})
