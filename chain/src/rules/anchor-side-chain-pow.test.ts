import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import { merkleBranch, merkleRoot } from '../elastos/merkle.ts'
import { p256PublicKey, signP256 } from '../elastos/p256.ts'
import {
  decodeTransaction,
  encodeTransaction,
  type MainTransaction,
} from '../elastos/transaction.ts'
import { AnchorState, NONE } from '../types/records.ts'
import { AnchorCarrier } from './anchor.ts'
import { SampleChain } from './testing/sample-chain.ts'

setHasher(asSha256)

const BASE = 100
const T0 = 1_700_000_001
const EPOCH = 2
const [arbiter] = LOCAL_ARBITER_SECRETS as [Uint8Array]

interface Variation {
  readonly block?: Uint8Array
  readonly genesis?: Uint8Array
  readonly height?: number
  readonly payloadVersion?: number
  readonly signer?: Uint8Array
  readonly signatureBytes?: number
}

/** The zero-cost form: no inputs, no programs; what is signed are the first 68 payload bytes. */
function powTransaction(chain: SampleChain, changes: Variation): Uint8Array {
  const { block = chain.hashes[20] as Uint8Array, genesis = chain.chainId, height = 1 } = changes
  const payload = {
    kind: 'side-chain-pow' as const,
    sideBlockHash: asInternalHash(block),
    sideGenesisHash: asInternalHash(genesis),
    sideHeight: height,
    signature: new Uint8Array(0),
  }
  const transaction: MainTransaction = {
    version: 9,
    type: 5,
    payloadVersion: changes.payloadVersion ?? 0,
    payload,
    attributes: [],
    inputs: [],
    outputs: [],
    lockTime: 0,
    programs: [],
  }
  const signed = encodeTransaction(transaction).slice(3, 3 + 68)
  const signature = signP256(signed, changes.signer ?? arbiter)
  const shown = signature.slice(0, changes.signatureBytes ?? 64)
  return encodeTransaction({ ...transaction, payload: { ...payload, signature: shown } })
}

function inEpoch3(params = {}): SampleChain {
  const chain = new SampleChain({ params })
  chain.runToEpoch(3)
  return chain
}

/** A chain in epoch 3 whose main chain holds the transaction in its newest block. */
function anchored(changes: Variation = {}, chain = inEpoch3()) {
  const transaction = powTransaction(chain, changes)
  const decoded = decodeTransaction(transaction)
  if (!decoded.ok) throw new Error(decoded.fault.message)
  const ids = [asInternalHash(sha256()), decoded.value.id]
  const header = chain.main.mine(T0 + chain.main.tip.height, merkleRoot(ids))
  chain.block([chain.mainHeaders([header])])
  const value = {
    epoch: EPOCH,
    checkpointHash: chain.hashes[20] as Uint8Array,
    transaction,
    branch: merkleBranch(ids, 1),
    branchIndex: 1,
    mainHeight: chain.main.tip.height,
  }
  return { chain, value, id: decoded.value.id, system: chain.bySystem({ selector: 13, value }) }
}

const outcomes = (chain: SampleChain) => (changes: Variation) => {
  const { system } = anchored(changes, chain)
  return chain.outcome(system)
}

describe('anchors by SideChainPow', () => {
  test('an arbiter’s transaction in a recorded main block anchors the checkpoint', () => {
    const { chain, system, value, id } = anchored()
    const { receipts } = chain.block([system])
    expect(receipts[0]?.body).toEqual({
      selector: 6,
      value: {
        epoch: EPOCH,
        checkpointHash: value.checkpointHash,
        mainHeight: BASE + 1,
        mainHash: chain.main.tip.hash,
        mainTransaction: id,
        carrier: AnchorCarrier.sideChainPow,
        validator: NONE,
      },
    })
    expect(chain.ledger.epochs.get(EPOCH)?.anchorState).toBe(AnchorState.submitted)
    expect(chain.ledger.globals().lastAnchoredEpoch).toBe(EPOCH)
    expect(chain.outcome(system)).toBe('ANCHOR_OLD')
  })

  test('each rule that the reference node leaves out', () => {
    const other = sha256(Uint8Array.of(1))
    const outcome = outcomes(inEpoch3())
    expect(outcome({ genesis: other })).toBe('MAIN_ANCHOR_GENESIS')
    expect(outcome({ block: other })).toBe('MAIN_ANCHOR_BLOCK')
    expect(outcome({ payloadVersion: 1 })).toBe('MAIN_ANCHOR_TYPE')
    expect(outcome({ height: EPOCH })).toBe('MAIN_ANCHOR_HEIGHT')
    expect(outcome({ height: 0 })).toBe('ok')
    expect(outcome({ signatureBytes: 0 })).toBe('MAIN_ANCHOR_SIGNATURE')
    expect(outcome({ signatureBytes: 63 })).toBe('MAIN_ANCHOR_SIGNATURE')
    expect(outcome({ signer: sha256(Uint8Array.of(7)) })).toBe('MAIN_ANCHOR_SIGNATURE')
  })

  test('any member of the set may sign; an unknown set is not judged here', () => {
    const outcome = outcomes(inEpoch3())
    for (const signer of LOCAL_ARBITER_SECRETS) expect(outcome({ signer })).toBe('ok')
    const stranger = sha256(Uint8Array.of(7))
    expect(outcomes(inEpoch3({ mainArbiters: [] }))({ signer: stranger })).toBe('ok')
    const key = Buffer.from(p256PublicKey(stranger)).toString('hex')
    expect(outcomes(inEpoch3({ mainArbiters: [key] }))({ signer: stranger })).toBe('ok')
  })

  test('every changed byte of transaction or branch is refused', () => {
    const { chain, value } = anchored()
    const changed = (bytes: Uint8Array, at: number) => {
      const copy = Uint8Array.from(bytes)
      copy[at] = (copy[at] as number) ^ 1
      return copy
    }
    const refused = (part: object) =>
      chain.outcome(chain.bySystem({ selector: 13, value: { ...value, ...part } }))
    for (let at = 0; at < value.transaction.length; at++) {
      expect(refused({ transaction: changed(value.transaction, at) }), `byte ${at}`).not.toBe('ok')
    }
    const [sibling] = value.branch
    if (!sibling) expect.fail('there is a sibling')
    for (let at = 0; at < 32; at++) {
      expect(refused({ branch: [changed(sibling, at)] })).toBe('MAIN_BRANCH_ROOT')
    }
    expect(refused({ mainHeight: BASE })).toBe('MAIN_BRANCH_ROOT')
    expect(refused({ branchIndex: 0 })).toBe('MAIN_BRANCH_ROOT')
    expect(refused({ epoch: 1 })).toBe('ANCHOR_CHECKPOINT')
  })
})
