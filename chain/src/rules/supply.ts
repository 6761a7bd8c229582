import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { BASIS_POINTS } from '../params/network-params.ts'
import { changedRecords, parentOf } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { TableRecords } from '../state/record-tables.ts'
import { DelegationKind, type Epoch, type Globals, type Peg } from '../types/records.ts'
import { railEscrow } from './settlement.ts'

/** Tables whose records hold units. */
const holdingTables = [
  'accounts',
  'nodes',
  'rails',
  'contracts',
  'validators',
  'delegations',
] as const
type HoldingTable = (typeof holdingTables)[number]

/** Units that stand in one record; the same unit never stands in two (PROTOCOL 7, supply). */
const holdings: { readonly [K in HoldingTable]: (record: Readonly<TableRecords[K]>) => bigint } = {
  accounts: ({ balance, bond }) => balance + bond,
  // A node's `held` is the sum over its rails and stands there.
  nodes: ({ deposit }) => deposit,
  rails: (rail) => (rail.live ? railEscrow(rail) + rail.held - rail.forfeited : 0n),
  contracts: (contract) =>
    contract.live
      ? contract.unfilledLock + contract.pot + contract.prepaidFees + contract.deposit
      : 0n,
  // A validator's own bond stands on its owner's account.
  validators: ({ delegated, rewards }) => delegated + rewards,
  // What is staked stands in the validator's record; here only what is on its way out.
  delegations: ({ kind, amount }) => (kind === DelegationKind.unbonding ? amount : 0n),
}

/** circulating = genesis + deposited + minted - burned - withdrawn; locks and held are inside. */
export function circulatingSupply(globals: Readonly<Globals>, peg: Readonly<Peg>): bigint {
  const { burnedService, burnedBaseFee, burnedForfeit, burnedSlash } = globals
  const burned = burnedService + burnedBaseFee + burnedForfeit + burnedSlash
  return globals.genesisSupply + peg.deposited + globals.minted - burned - peg.withdrawn
}

/**
 * Runs at the end of every block: what the records hold changed by exactly what was minted and
 * burned, and no epoch minted more than its ceiling. Work grows with the records written.
 */
export function assertConserved(draft: LedgerDraft): void {
  const before = parentOf(draft)
  let change = draft.globals().validatorPool - before.globals().validatorPool
  for (const table of holdingTables) change += changeOf(draft, table)
  const supply = circulatingSupply(draft.globals(), draft.peg())
  const supplyBefore = circulatingSupply(before.globals(), before.peg())
  assert(change === supply - supplyBefore, `supply is off by ${change - (supply - supplyBefore)}`)
  for (const { after } of changedRecords(draft, 'epochs')) {
    assert(isWithinCeiling(draft, after), 'an epoch minted more than rho of what it burned')
  }
}

function changeOf<K extends HoldingTable>(draft: LedgerDraft, table: K): bigint {
  const held = holdings[table]
  let change = 0n
  for (const { before, after } of changedRecords(draft, table)) {
    const now = held(after)
    assert(now >= 0n, `a record of ${table} holds less than nothing`)
    change += now - (before === undefined ? 0n : held(before))
  }
  return change
}

/** minted(e) <= rho x burned(e) by source epoch, service burns only (PROTOCOL 7). */
function isWithinCeiling(draft: LedgerDraft, epoch: Readonly<Epoch>): boolean {
  return epoch.minted * BASIS_POINTS <= BigInt(draft.params.rho) * epoch.burned
}

/** Units by where they stand, from a walk over the whole state. */
export interface SupplyAudit {
  readonly accounts: bigint
  readonly nodes: bigint
  readonly rails: bigint
  readonly contracts: bigint
  /** Delegated stake and its uncollected rewards. */
  readonly validators: bigint
  /** Stake on its way out. */
  readonly delegations: bigint
  readonly validatorPool: bigint
  /** Sum of all the above. */
  readonly held: bigint
  readonly circulating: bigint
}

/**
 * Recounts every unit and every epoch's mint. Faults with SUPPLY_MISMATCH, MINT_ABOVE_CEILING or
 * SUPPLY_TOTALS, naming the difference: a ledger that this finds wrong must not be used.
 */
export function auditSupply(draft: LedgerDraft): Result<SupplyAudit> {
  const accounts = sumOf(draft, 'accounts')
  const nodes = sumOf(draft, 'nodes')
  const rails = sumOf(draft, 'rails')
  const contracts = sumOf(draft, 'contracts')
  const validators = sumOf(draft, 'validators')
  const delegations = sumOf(draft, 'delegations')
  const { validatorPool } = draft.globals()
  const staked = validators + delegations
  const held = accounts + nodes + rails + contracts + staked + validatorPool
  const circulating = circulatingSupply(draft.globals(), draft.peg())
  if (held !== circulating) {
    return fault('SUPPLY_MISMATCH', `records hold ${held} units of ${circulating} circulating`, {
      held,
      circulating,
    })
  }
  const epochs = auditEpochs(draft)
  if (!epochs.ok) return epochs
  const stake = { validators, delegations, validatorPool }
  return ok({ accounts, nodes, rails, contracts, ...stake, held, circulating })
}

function sumOf<K extends HoldingTable>(draft: LedgerDraft, table: K): bigint {
  const held = holdings[table]
  const records = draft[table] as {
    readonly count: number
    get(i: number): TableRecords[K] | undefined
  }
  let sum = 0n
  for (let index = 0; index < records.count; index++) {
    const record = records.get(index)
    assert(record !== undefined, 'a table is dense')
    sum += held(record)
  }
  return sum
}

/** Mint and service burn of all epochs add up to the totals, each epoch within its ceiling. */
function auditEpochs(draft: LedgerDraft): Result<undefined> {
  let minted = 0n
  let burned = 0n
  for (let e = 0; e < draft.epochs.count; e++) {
    const epoch = draft.epochs.get(e)
    assert(epoch !== undefined, 'epochs are dense')
    if (!isWithinCeiling(draft, epoch)) {
      return fault('MINT_ABOVE_CEILING', `epoch ${e} minted more than rho of what it burned`)
    }
    minted += epoch.minted
    burned += epoch.burned
  }
  const globals = draft.globals()
  if (minted !== globals.minted || burned !== globals.burnedService) {
    return fault('SUPPLY_TOTALS', 'the epochs do not add up to the totals', {
      minted,
      burned,
    })
  }
  return ok()
}
