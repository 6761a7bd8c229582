import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { ByteVectorType, ListCompositeType } from '@chainsafe/ssz'
import { describe, expect, test } from 'vitest'
import { presets } from '../../../genesis/src/presets/presets.ts'
import { sha256 } from '../bytes/hash.ts'
import { credit } from '../rules/accounts.ts'
import { type Account, AccountType, GlobalsType, RailType } from '../types/records.ts'
import { appendHistory, historyRoot } from './history-list.ts'
import { createLedger, draftOf, merge, stateRoot } from './ledger.ts'
import { recordCodecs } from './record-tables.ts'
import { proveRecord, type StateProof, verifyRecord } from './state-proof.ts'

setHasher(asSha256)

function smallLedger() {
  const ledger = createLedger(presets.ci, sha256(Uint8Array.of(9)))
  const draft = draftOf(ledger)
  for (let i = 0; i < 7; i++) credit(draft, sha256(Uint8Array.of(i)).slice(0, 20), 5n)
  for (let i = 0; i < 3; i++) {
    draft.rails.set(i, { ...RailType.defaultValue(), lockTime: BigInt(i) })
  }
  draft.setGlobals({ ...draft.globals(), height: 3 })
  merge(draft)
  return ledger
}

describe('state proofs', () => {
  test('every record proves against the state root', () => {
    const ledger = smallLedger()
    const root = stateRoot(ledger)
    for (let index = 0; index < ledger.accounts.count; index++) {
      const record = AccountType.serialize(ledger.accounts.get(index) as Account)
      const proof = proveRecord(ledger, 'accounts', index) as StateProof
      expect(verifyRecord(root, 'accounts', record, proof).ok).toBe(true)
    }
    const rail = recordCodecs.rails.serialize(ledger.rails.get(2) ?? RailType.defaultValue())
    const proof = proveRecord(ledger, 'rails', 2) as StateProof
    expect(verifyRecord(root, 'rails', rail, proof).ok).toBe(true)
    const globals = GlobalsType.serialize({ ...ledger.globals() })
    const single = proveRecord(ledger, 'globals', 0) as StateProof
    expect(verifyRecord(root, 'globals', globals, single).ok).toBe(true)
    expect(proveRecord(ledger, 'rails', 3)).toBeUndefined()
    expect(proveRecord(ledger, 'globals', 1)).toBeUndefined()
  })

  test('nothing else proves', () => {
    const ledger = smallLedger()
    const root = stateRoot(ledger)
    const record = AccountType.serialize(ledger.accounts.get(4) as Account)
    const proof = proveRecord(ledger, 'accounts', 4) as StateProof
    const code = (table: 'accounts' | 'rails' | 'globals', bytes: Uint8Array, p: StateProof) => {
      const result = verifyRecord(root, table, bytes, p)
      return result.ok ? 'ok' : result.fault.code
    }
    for (let at = 0; at < record.length; at++) {
      const forged = record.slice()
      forged[at] = (forged[at] as number) ^ 1
      expect(code('accounts', forged, proof)).toBe('STATE_PROOF_WRONG')
    }
    for (const [level] of proof.branch.entries()) {
      const branch = proof.branch.map((hash) => hash.slice())
      const at = branch[level] as Uint8Array
      at[0] = (at[0] as number) ^ 1
      expect(code('accounts', record, { ...proof, branch })).toBe('STATE_PROOF_WRONG')
    }
    expect(code('accounts', record, { ...proof, index: 5 })).toBe('STATE_PROOF_WRONG')
    expect(code('accounts', record, { ...proof, count: 8 })).toBe('STATE_PROOF_WRONG')
    expect(code('accounts', record, { ...proof, table: 2 })).toBe('STATE_PROOF_WRONG')
    expect(code('accounts', record.slice(1), proof)).toBe('RECORD_MALFORMED')
    expect(code('rails', record, proof)).toBe('RECORD_MALFORMED')
    const branch = proof.branch.slice(1)
    expect(code('accounts', record, { ...proof, branch })).toBe('STATE_PROOF_WRONG')
  })
})

test('the history list is the SSZ List[Root, 2^32] of its hashes', () => {
  const type = new ListCompositeType(new ByteVectorType(32), 2 ** 32)
  const hashes: Uint8Array[] = []
  let history = GlobalsType.defaultValue() as Parameters<typeof appendHistory>[0]
  for (let i = 0; i < 70; i++) {
    expect(historyRoot(history)).toEqual(type.hashTreeRoot(hashes))
    const hash = sha256(Uint8Array.of(i))
    hashes.push(hash)
    history = appendHistory(history, hash)
  }
})
