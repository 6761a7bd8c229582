import type { Indexed } from '@ioex/chain/state'
import { type Contract, type Epoch, NONE } from '@ioex/chain/types'
import { touched } from './contract-health.ts'
import type { LedgerSource } from './ledger-source.ts'

/**
 * Of these contracts the active ones with a slot that was lost, whose node is evicted by its missed
 * proofs up to now, or that is under notice: where a refill or a claim may be due.
 */
export async function withOpenSlots(
  ledger: LedgerSource,
  contracts: readonly Indexed<Contract>[],
): Promise<Indexed<Contract>[]> {
  const epochs = new Map<number, Epoch>()
  const evicted = new Map<number, boolean>()
  const open: Indexed<Contract>[] = []
  for (const contract of contracts) {
    const { active, askEpoch, rails } = contract.record
    if (!active || askEpoch !== NONE) continue
    for (const { rail } of rails) {
      if (rail === NONE || !(await isOpen(ledger, rail, { epochs, evicted }))) continue
      open.push(contract)
      break
    }
  }
  return open
}

async function isOpen(
  ledger: LedgerSource,
  index: number,
  known: { readonly epochs: Map<number, Epoch>; readonly evicted: Map<number, boolean> },
): Promise<boolean> {
  const rail = await ledger.railAt(index)
  if (!rail?.live || rail.askEpoch !== NONE) return false
  if (rail.left) return true
  let evicted = known.evicted.get(rail.node)
  if (evicted === undefined) {
    const node = await ledger.nodeAt(rail.node)
    evicted = node !== undefined && (await touched(ledger, node, known.epochs)).evicted
    known.evicted.set(rail.node, evicted)
  }
  return evicted
}
