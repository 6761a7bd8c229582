import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { presets } from '../../../genesis/src/presets/presets.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { sha256 } from '../bytes/hash.ts'
import type { Result } from '../bytes/result.ts'
import { addressOf, publicKeyOf } from '../bytes/signature.ts'
import { credit } from '../rules/accounts.ts'
import { createLedger, draftOf, type Ledger, merge, stateRoot } from '../state/ledger.ts'
import { StateProofType } from '../state/state-proof.ts'
import { type RecordPlace, StateProver } from '../state/state-prover.ts'
import { ContractType, EpochType, NodeType, RailType } from '../types/records.ts'
import {
  type ProvenRecord,
  verifyAccount,
  verifyGlobals,
  verifyNode,
  verifyPeg,
  verifyRecordAt,
} from './record-proofs.ts'

setHasher(asSha256)

const addressAt = (i: number) => sha256(Uint8Array.of(i)).slice(0, 20)
const nodeKey = publicKeyOf(sha256(Uint8Array.of(77)))

function ledgerOf(addresses: readonly Uint8Array[]): Ledger {
  const ledger = createLedger(presets.ci, sha256(Uint8Array.of(9)))
  const draft = draftOf(ledger)
  for (const address of addresses) credit(draft, address, 5n)
  draft.nodes.set(0, { ...NodeType.defaultValue(), nodeKey })
  for (let i = 0; i < 3; i++) draft.rails.set(i, { ...RailType.defaultValue(), kib: i })
  draft.contracts.set(0, { ...ContractType.defaultValue(), pot: 7n })
  draft.epochs.set(0, { ...EpochType.defaultValue(), fees: 8n })
  draft.setGlobals({ ...draft.globals(), height: 3 })
  merge(draft)
  return ledger
}

function proven(ledger: Ledger, place: RecordPlace): ProvenRecord {
  const found = new StateProver(ledger).prove(place)
  if (!found) throw new Error('nothing proves it')
  return found
}

const codeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.fault.code)

describe('accounts', () => {
  test('each is proven present, every other address absent', () => {
    const addresses = fc.uniqueArray(fc.uint8Array({ minLength: 20, maxLength: 20 }), {
      minLength: 1,
      maxLength: 20,
      selector: bytesToHex,
    })
    const near = fc.uint8Array({ minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(addresses, near, (list, other) => {
        const ledger = ledgerOf(list)
        const root = stateRoot(ledger)
        for (const address of list) {
          const proof = proven(ledger, { table: 'accounts', address })
          const account = verifyAccount(root, address, proof)
          expect(account.ok && account.value?.balance).toBe(5n)
        }
        const isKnown = list.some((each) => bytesToHex(each) === bytesToHex(other))
        const proof = proven(ledger, { table: 'accounts', address: other })
        const absent = verifyAccount(root, other, proof)
        expect(absent.ok && absent.value === undefined).toBe(!isKnown)
      }),
      { numRuns: 30 },
    )
  })

  test('the neighbour of one gap says nothing about another', () => {
    const ledger = ledgerOf([2, 4, 6, 8].map(addressAt))
    const root = stateRoot(ledger)
    const gap = proven(ledger, { table: 'accounts', address: addressAt(3) })
    for (const [index, i] of [2, 4, 6, 8].entries()) {
      const expected = index === gap.proof.index ? 'ok' : 'RECORD_OTHER'
      expect(codeOf(verifyAccount(root, addressAt(i), gap))).toBe(expected)
    }
    const answers = [1, 3, 5, 7, 9, 11].map((i) => verifyAccount(root, addressAt(i), gap))
    const gaps = [1, 3, 5, 7, 9, 11].map((i) => {
      const own = proven(ledger, { table: 'accounts', address: addressAt(i) })
      return own.proof.index === gap.proof.index ? 'ok' : 'RECORD_OTHER'
    })
    expect(answers.map(codeOf)).toEqual(gaps)
  })
})

describe('other records', () => {
  const ledger = ledgerOf([1, 2, 3].map(addressAt))
  const root = stateRoot(ledger)

  test('rails, contracts, epochs by index; past the end they are absent', () => {
    const rail = verifyRecordAt(root, 'rails', 2, proven(ledger, { table: 'rails', index: 2 }))
    expect(rail.ok && rail.value?.kib).toBe(2)
    const beyond = proven(ledger, { table: 'rails', index: 9 })
    const absent = verifyRecordAt(root, 'rails', 9, beyond)
    expect(absent.ok && absent.value === undefined).toBe(true)
    expect(codeOf(verifyRecordAt(root, 'rails', 1, beyond))).toBe('RECORD_OTHER')
    const first = proven(ledger, { table: 'rails', index: 0 })
    expect(codeOf(verifyRecordAt(root, 'rails', 9, first))).toBe('RECORD_OTHER')
    const contract = proven(ledger, { table: 'contracts', index: 0 })
    expect(codeOf(verifyRecordAt(root, 'contracts', 0, contract))).toBe('ok')
    expect(codeOf(verifyRecordAt(root, 'rails', 0, contract))).not.toBe('ok')
    const epoch = verifyRecordAt(root, 'epochs', 0, proven(ledger, { table: 'epochs', index: 0 }))
    expect(epoch.ok && epoch.value?.fees).toBe(8n)
  })

  test('a node by its key; an unknown one, and an empty table, have no proof', () => {
    const address = addressOf(nodeKey)
    const node = verifyNode(root, address, proven(ledger, { table: 'nodes', address }))
    expect(node.ok && node.value.index).toBe(0)
    const at0 = proven(ledger, { table: 'nodes', index: 0 })
    expect(codeOf(verifyNode(root, addressAt(1), at0))).toBe('RECORD_OTHER')
    const prover = new StateProver(ledger)
    expect(prover.prove({ table: 'nodes', address: addressAt(1) })).toBeUndefined()
    expect(prover.prove({ table: 'mainHeaders', index: 0 })).toBeUndefined()
  })

  test('globals and peg', () => {
    const globals = verifyGlobals(root, proven(ledger, { table: 'globals', index: 0 }))
    expect(globals.ok && globals.value.height).toBe(3)
    expect(verifyPeg(root, proven(ledger, { table: 'peg', index: 0 })).ok).toBe(true)
    expect(new StateProver(ledger).prove({ table: 'globals', index: 1 })).toBeUndefined()
  })

  test('a prover follows the ledger from block to block', () => {
    const moving = ledgerOf([addressAt(1)])
    const prover = new StateProver(moving)
    prover.prove({ table: 'accounts', index: 0 })
    const draft = draftOf(moving)
    credit(draft, addressAt(2), 5n)
    merge(draft)
    const proof = prover.prove({ table: 'accounts', address: addressAt(2) })
    if (!proof) throw new Error('nothing proves it')
    expect(verifyAccount(stateRoot(moving), addressAt(2), proof).ok).toBe(true)
  })

  test('any byte changed in a record or its proof is refused', () => {
    const places: [RecordPlace, (found: ProvenRecord) => Result<unknown>][] = [
      [
        { table: 'accounts', address: addressAt(1) },
        (found) => verifyAccount(root, addressAt(1), found),
      ],
      [
        { table: 'accounts', address: addressAt(5) },
        (found) => verifyAccount(root, addressAt(5), found),
      ],
      [
        { table: 'nodes', address: addressOf(nodeKey) },
        (found) => verifyNode(root, addressOf(nodeKey), found),
      ],
      [{ table: 'rails', index: 1 }, (found) => verifyRecordAt(root, 'rails', 1, found)],
      [{ table: 'rails', index: 8 }, (found) => verifyRecordAt(root, 'rails', 8, found)],
      [{ table: 'contracts', index: 0 }, (found) => verifyRecordAt(root, 'contracts', 0, found)],
      [{ table: 'epochs', index: 0 }, (found) => verifyRecordAt(root, 'epochs', 0, found)],
      [{ table: 'globals', index: 0 }, (found) => verifyGlobals(root, found)],
      [{ table: 'peg', index: 0 }, (found) => verifyPeg(root, found)],
    ]
    for (const [place, verify] of places) {
      const { record, proof } = proven(ledger, place)
      expect(verify({ record, proof }).ok).toBe(true)
      for (let at = 0; at < record.length; at++) {
        const changed = record.slice()
        changed[at] = (changed[at] as number) ^ (1 << (at % 8))
        expect(verify({ record: changed, proof }).ok).toBe(false)
      }
      const bytes = StateProofType.serialize(proof)
      for (let at = 0; at < bytes.length; at++) {
        const changed = bytes.slice()
        changed[at] = (changed[at] as number) ^ (1 << (at % 8))
        expect(isAccepted(changed, (decoded) => verify({ record, proof: decoded }).ok)).toBe(false)
      }
    }
  })
})

function isAccepted(bytes: Uint8Array, verify: (proof: ProvenRecord['proof']) => boolean): boolean {
  let decoded: ProvenRecord['proof']
  try {
    decoded = StateProofType.deserialize(bytes)
  } catch {
    return false
  }
  return verify(decoded)
}
