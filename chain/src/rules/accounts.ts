import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { U64_MAX } from '../types/primitives.ts'
import type { Account } from '../types/records.ts'

/** Account record of an address; undefined where it never held anything. */
export function accountOf(draft: LedgerDraft, address: Uint8Array): Readonly<Account> | undefined {
  const index = draft.accountIndex(address)
  return index === undefined ? undefined : draft.accounts.get(index)
}

/** Spendable units of an address; 0 where it has no account. */
export function balanceOf(draft: LedgerDraft, address: Uint8Array): bigint {
  return accountOf(draft, address)?.balance ?? 0n
}

/** The nonce that the next transaction of an owner must carry. */
export function nonceOf(draft: LedgerDraft, address: Uint8Array): number {
  return accountOf(draft, address)?.nonce ?? 0
}

/**
 * Adds units to an address, creating its account if it has none. A credit of 0 creates
 * nothing: free state is not given away.
 */
export function credit(draft: LedgerDraft, address: Uint8Array, amount: bigint): void {
  assert(amount >= 0n, 'a credit is never negative')
  if (amount === 0n) return
  const index = draft.accountIndex(address)
  if (index === undefined) {
    createAccount(draft, address, amount)
    return
  }
  const account = accountAt(draft, index)
  const balance = account.balance + amount
  assert(balance <= U64_MAX, 'a balance exceeds the supply')
  draft.accounts.set(index, { ...account, balance })
}

/** Takes units from an address; faults with INSUFFICIENT_FUNDS, unchanged, if it has less. */
export function debit(draft: LedgerDraft, address: Uint8Array, amount: bigint): Result<undefined> {
  assert(amount >= 0n, 'a debit is never negative')
  if (amount === 0n) return ok()
  const index = draft.accountIndex(address)
  const account = index === undefined ? undefined : accountAt(draft, index)
  if (index === undefined || account === undefined || account.balance < amount) {
    return insufficientFunds(account?.balance ?? 0n, amount)
  }
  draft.accounts.set(index, { ...account, balance: account.balance - amount })
  return ok()
}

/** Moves units of an address from its balance to its bond; faults with INSUFFICIENT_FUNDS. */
export function moveToBond(
  draft: LedgerDraft,
  address: Uint8Array,
  amount: bigint,
): Result<undefined> {
  const taken = debit(draft, address, amount)
  if (!taken.ok) return taken
  changeBond(draft, address, amount)
  return ok()
}

/** Adds to the bond of an address that has an account, or takes from it. */
export function changeBond(draft: LedgerDraft, address: Uint8Array, change: bigint): void {
  if (change === 0n) return
  const index = draft.accountIndex(address)
  assert(index !== undefined, 'only an existing account has a bond')
  const account = accountAt(draft, index)
  const bond = account.bond + change
  assert(bond >= 0n, 'an account has what its validators have bonded')
  draft.accounts.set(index, { ...account, bond })
}

export function insufficientFunds(balance: bigint, needed: bigint) {
  return fault(
    'INSUFFICIENT_FUNDS',
    `the account holds ${balance} units where ${needed} are needed`,
    {
      balance,
      needed,
    },
  )
}

/** Counts one transaction of an owner, so that none of its signed bytes can execute twice. */
export function raiseNonce(draft: LedgerDraft, address: Uint8Array): void {
  const index = draft.accountIndex(address)
  assert(index !== undefined, 'only an existing account has a nonce to raise')
  const account = accountAt(draft, index)
  draft.accounts.set(index, { ...account, nonce: account.nonce + 1 })
}

function createAccount(draft: LedgerDraft, address: Uint8Array, balance: bigint): void {
  const index = draft.accounts.count
  const before = draft.accountBefore(address)
  // The first account of a ledger closes the circle on itself.
  let nextAddress = address
  if (before !== undefined) {
    const predecessor = accountAt(draft, before)
    nextAddress = predecessor.nextAddress
    draft.accounts.set(before, { ...predecessor, nextAddress: address })
  }
  draft.accounts.set(index, { address, nextAddress, balance, bond: 0n, nonce: 0, flags: 0 })
}

function accountAt(draft: LedgerDraft, index: number): Readonly<Account> {
  const account = draft.accounts.get(index)
  assert(account !== undefined, 'an account index names no account')
  return account
}
