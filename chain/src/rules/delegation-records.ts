import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_ADDRESS } from '../types/primitives.ts'
import { type Delegation, DelegationKind } from '../types/records.ts'

type Content = Pick<Delegation, 'kind' | 'owner' | 'validator'> & Partial<Delegation>

const EMPTY: Omit<Delegation, 'generation'> = {
  kind: DelegationKind.free,
  owner: ZERO_ADDRESS,
  validator: 0,
  shares: 0n,
  rewardIndex: 0n,
  amount: 0n,
  exitEpoch: 0,
  penalty: 0,
  nextFree: 0,
}

/** Writes a new record at the index freed last, or at the end; gives its index. */
export function addDelegation(draft: LedgerDraft, content: Content): number {
  const globals = draft.globals()
  if (globals.freeDelegations === 0) {
    const index = draft.delegations.count
    draft.delegations.set(index, { ...EMPTY, generation: 0, ...content })
    return index
  }
  const index = globals.freeDelegations - 1
  const free = draft.delegations.get(index)
  assert(free?.kind === DelegationKind.free, 'the list of free records holds free ones')
  draft.setGlobals({ ...globals, freeDelegations: free.nextFree })
  draft.delegations.set(index, { ...EMPTY, generation: free.generation, ...content })
  return index
}

/** Frees a record; its index is used again with the next generation. */
export function freeDelegation(draft: LedgerDraft, index: number): void {
  const record = draft.delegations.get(index)
  assert(record && record.kind !== DelegationKind.free, 'a record is freed once')
  const globals = draft.globals()
  const generation = record.generation + 1
  draft.delegations.set(index, { ...EMPTY, generation, nextFree: globals.freeDelegations })
  draft.setGlobals({ ...globals, freeDelegations: index + 1 })
}
