import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import type { Ledger } from '../state/ledger.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import { NONE } from '../types/records.ts'

/** A rail of a contract as it stands at the end, units. */
export interface ContractRail {
  readonly slot: number
  readonly rail: number
  readonly generation: number
  /** Address of the node's key. */
  readonly node: Uint8Array
  readonly leaves: number
  readonly fees: bigint
  readonly burned: bigint
  readonly toValidators: bigint
  readonly net: bigint
  readonly held: bigint
  readonly forfeited: bigint
}

export interface RecomputedContract {
  readonly contract: number
  readonly generation: number
  /** False for one that has ended. */
  readonly live: boolean
  readonly active: boolean
  readonly payer: Uint8Array
  readonly k: number
  readonly n: number
  readonly rails: readonly ContractRail[]
  readonly receipts: readonly Receipt[]
}

/** A contract and its rails at the end of the replay; undefined where there is no such index. */
export function recomputeContract(
  ledger: Ledger,
  index: number,
  receipts: readonly Receipt[],
): RecomputedContract | undefined {
  const record = ledger.contracts.get(index)
  if (!record) return undefined
  const { generation, live, active, payer, k, n } = record
  const rails = record.rails.flatMap(({ rail }, slot) => {
    const found = rail === NONE ? undefined : railAt(ledger, rail, slot)
    return found ? [found] : []
  })
  return { contract: index, generation, live, active, payer, k, n, rails, receipts }
}

function railAt(ledger: Ledger, index: number, slot: number): ContractRail | undefined {
  const rail = ledger.rails.get(index)
  const node = rail && ledger.nodes.get(rail.node)
  if (!rail?.live || !node) return undefined
  return {
    slot,
    rail: index,
    generation: rail.generation,
    node: addressOf(node.nodeKey),
    leaves: rail.leaves,
    fees: rail.paidTime + rail.paidUnits,
    burned: rail.burned,
    toValidators: rail.validators,
    net: rail.net,
    held: rail.held,
    forfeited: rail.forfeited,
  }
}

/** The differences that a rail's receipts booked add up to its totals (PROTOCOL 7). */
export function checkRailSums({ rails, receipts }: RecomputedContract): Result<undefined> {
  for (const rail of rails) {
    const sums = { fees: 0n, burned: 0n, toValidators: 0n, net: 0n, held: 0n }
    for (const { body } of receipts) {
      if (body.selector !== ReceiptKind.storage) continue
      const { value } = body
      if (value.rail !== rail.rail || value.generation !== rail.generation) continue
      sums.fees += value.fee
      sums.burned += value.burned
      sums.toValidators += value.toValidators
      sums.net += value.net
      sums.held += value.held
    }
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) {
      if (sums[name] === rail[name]) continue
      return fault('RAIL_SUMS', `receipts of rail ${rail.rail} do not add up to its ${name}`, {
        receipts: sums[name],
        record: rail[name],
      })
    }
  }
  return ok()
}
