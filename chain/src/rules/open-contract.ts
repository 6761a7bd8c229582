import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { U64_MAX, ZERO_HASH } from '../types/primitives.ts'
import { type Contract, NONE, SLOTS_MAX } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type OpenContract, SLOT_LEAVES_MAX } from '../types/transactions.ts'
import { debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { byteFee, isDust, railNeed, slotReserve, timeAmount } from './settlement.ts'

/** CreationReceipt.kind of each record. */
export const CreationKind = { node: 0, contract: 1, storageRail: 2, relayRail: 3 } as const

const LEAF_BYTES = 256
const CELL_BYTES = 64 * 1024
/** Plaintext of a cell: 64 KiB less the GCM tag (PROTOCOL 5.3). */
const CELL_DATA_BYTES = 65_520
const CONTRACT_DATA_BYTES_MAX = 2 ** 30

/**
 * Leaves of a slot where k of them carry at most 1 GiB of data in whole stripes of cells
 * (PROTOCOL 5.3).
 */
export function slotLeavesMax(k: number): number {
  const cells = Math.ceil(CONTRACT_DATA_BYTES_MAX / CELL_DATA_BYTES)
  return Math.min(SLOT_LEAVES_MAX, Math.ceil(cells / k) * (CELL_BYTES / LEAF_BYTES))
}

/** What opening a contract takes from its payer besides the transaction's own fee, units. */
export function openContractCost(params: NetworkParams, open: OpenContract): bigint {
  const slots = BigInt(open.n)
  const fills = slots * byteFee(params, params.fillBytes)
  return slots * slotReserve(open) + fills + open.pot + params.contractDepositUnits
}

/**
 * Opens a contract: locks price cap x billed x term and the traffic budget for each of its n
 * slots, the pot, the byte fees of n fills and a deposit, and leaves n empty slots that the
 * payer's grants fill (PROTOCOL 5.2, 5.3, 7).
 */
export function applyOpenContract(
  draft: LedgerDraft,
  open: OpenContract,
  context: TransactionContext,
): Result<undefined> {
  const { params } = draft
  const allowed = checkOpenContract(params, open)
  if (!allowed.ok) return allowed
  const cost = openContractCost(params, open)
  if (cost > U64_MAX) return fault('AMOUNT_TOO_LARGE', 'the locks together exceed 64 bits')
  const paid = debit(draft, context.senderAddress, cost)
  if (!paid.ok) return paid
  const index = takeContractIndex(draft)
  const generation = draft.contracts.get(index)?.generation ?? 0
  draft.contracts.set(index, newContract(params, open, context, generation))
  context.emit({
    selector: ReceiptKind.creation,
    value: {
      kind: CreationKind.contract,
      index,
      generation,
      owner: context.senderAddress,
    },
  })
  return ok()
}

function newContract(
  params: NetworkParams,
  open: OpenContract,
  context: TransactionContext,
  generation: number,
): Contract {
  const { n } = open
  return {
    ...open,
    generation,
    live: true,
    payer: context.senderAddress,
    unfilledLock: BigInt(n) * slotReserve(open),
    potHeld: 0n,
    active: false,
    openEpoch: context.epoch,
    leaves: 0,
    filled: 0,
    rails: Array.from({ length: n }, () => ({ rail: NONE, root: ZERO_HASH, refill: 0 })),
    prepaidFees: BigInt(n) * byteFee(params, params.fillBytes),
    deposit: params.contractDepositUnits,
    askEpoch: NONE,
    askHeight: 0,
    detached: 0,
    repairs: [],
  }
}

/** All that can be said of a contract's terms without the state. */
function checkOpenContract(params: NetworkParams, open: OpenContract): Result<undefined> {
  const { k, n, maxLeaves, term } = open
  if (k < 1 || k > n || n > SLOTS_MAX) {
    return fault('CONTRACT_SHARDS', `shards must satisfy 1 <= k <= n <= ${SLOTS_MAX}`, { k, n })
  }
  const leavesMax = slotLeavesMax(k)
  if (maxLeaves < 1 || maxLeaves > leavesMax) {
    return fault('CONTRACT_SIZE', `with ${k} data shards a slot has 1 to ${leavesMax} leaves`, {
      maxLeaves,
    })
  }
  if (term < params.minimumChargeEpochs || term > params.termMaxEpochs) {
    const { minimumChargeEpochs, termMaxEpochs } = params
    return fault('CONTRACT_TERM', `the term is ${minimumChargeEpochs} to ${termMaxEpochs} epochs`, {
      term,
    })
  }
  return checkPrices(params, open)
}

function checkPrices(params: NetworkParams, open: OpenContract): Result<undefined> {
  const { priceCap, unitPriceCap, maxLeaves, term } = open
  if (priceCap > params.priceMax || unitPriceCap > params.priceMax) {
    return fault('PRICE_TOO_HIGH', `prices are at most ${params.priceMax} units`)
  }
  if (isDust(params, priceCap, maxLeaves)) {
    return fault(
      'CONTRACT_DUST',
      'the pay of a slot over the minimum charge is below one unit of burn and share; ' +
        'raise the price or make it 0',
      { priceCap, maxLeaves },
    )
  }
  // Its part of a pot that forfeited holds filled is no wage: it ends where a repair's cost does.
  const delegateFeeMax = railNeed(params, unitPriceCap, maxLeaves)
  if (open.delegateFee > delegateFeeMax) {
    return fault('DELEGATE_FEE', `the delegate's fee is at most ${delegateFeeMax} units`, {
      delegateFee: open.delegateFee,
      delegateFeeMax,
    })
  }
  if (timeAmount(priceCap, maxLeaves, term) > U64_MAX) {
    return fault('AMOUNT_TOO_LARGE', 'the time lock of a slot exceeds 64 bits', { term })
  }
  return ok()
}

/** A freed index, or the next new one. */
function takeContractIndex(draft: LedgerDraft): number {
  const globals = draft.globals()
  const freed = globals.freeContracts.at(-1)
  if (freed === undefined) return draft.contracts.count
  draft.setGlobals({ ...globals, freeContracts: globals.freeContracts.slice(0, -1) })
  assert(draft.contracts.get(freed.index)?.live === false, 'a free contract index is in use')
  return freed.index
}
