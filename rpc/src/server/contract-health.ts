import { contractHealthOf, nodeAsTouched, slotStateOf, undecidedFrom } from '@ioex/chain/rules'
import type { RecordPlace } from '@ioex/chain/state'
import { type Contract, type Epoch, type Node, NONE, type Rail } from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { noneToNull } from './record-views.ts'
import { notFound } from './rpc-fault.ts'
import { withProof } from './state-proofs.ts'

type Health = ResultOf<'contracts_health'>
type SlotHealth = Health['slots'][number]

/** What the ledger shows of one slot; rail and node are missing where the slot is empty. */
function slotHealth(
  slot: number,
  epoch: number,
  found: { railIndex: number; rail: Rail; node: Node; isClosing: boolean } | undefined,
): SlotHealth {
  if (!found) return { slot, state: 'empty', rail: null, node: null, strikes: null, proof: null }
  const { railIndex, rail, node, isClosing } = found
  const last = node.log.at(-1)
  return {
    slot,
    state: isClosing ? 'ended' : slotStateOf(epoch, rail, node),
    rail: railIndex,
    node: rail.node,
    strikes: node.strikes,
    proof: last
      ? {
          epoch: noneToNull(last.epoch),
          A: noneToNull(last.A),
          P: noneToNull(last.P),
          passed: last.passed,
        }
      : null,
  }
}

/** See contractHealthOf, by the slots that the answer lists. */
function healthOf(k: number, n: number, slots: readonly SlotHealth[]) {
  return contractHealthOf(
    k,
    n,
    slots.map(({ state }) => state),
  )
}

export function contractHealthHandlers(ledger: LedgerSource) {
  return {
    async contracts_health({ id, prove }) {
      const { height, epoch } = ledger.status()
      const contract = await ledger.contractAt(id)
      if (!contract) throw notFound(`there is no contract ${id}`)
      const slots: SlotHealth[] = []
      const epochs = new Map<number, Epoch>()
      for (let slot = 0; slot < contract.n; slot++) {
        slots.push(slotHealth(slot, epoch, await findSlot(ledger, contract, slot, epochs)))
      }
      const { live, health } = healthOf(contract.k, contract.n, slots)
      const proof = withProof(ledger, prove, placesBehind(id, slots))
      const { k, n } = contract
      return { contract: id, health, live, k, n, height, epoch, slots, ...proof }
    },
  } satisfies Handlers
}

/** The records from which anybody can judge the contract's health by the rules above. */
function placesBehind(contract: number, slots: readonly SlotHealth[]): RecordPlace[] {
  const places: RecordPlace[] = [{ table: 'contracts', index: contract }]
  for (const { rail, node } of slots) {
    if (rail === null || node === null) continue
    places.push({ table: 'rails', index: rail }, { table: 'nodes', index: node })
  }
  return places
}

async function findSlot(
  ledger: LedgerSource,
  contract: Contract,
  slot: number,
  epochs: Map<number, Epoch>,
) {
  const railIndex = contract.rails[slot]?.rail ?? NONE
  if (railIndex === NONE) return undefined
  const rail = await ledger.railAt(railIndex)
  const stored = rail && (await ledger.nodeAt(rail.node))
  if (!stored) return undefined
  const node = await touched(ledger, stored, epochs)
  return { railIndex, rail, node, isClosing: contract.askEpoch !== NONE }
}

/** The node with its challenges decided up to now, as whatever touches it next will find it. */
export async function touched(ledger: LedgerSource, node: Node, epochs: Map<number, Epoch>) {
  const { params } = ledger
  const { epoch: now } = ledger.status()
  for (let epoch = undecidedFrom(params, node, now); epoch <= now; epoch++) {
    if (epochs.has(epoch)) continue
    const record = await ledger.epoch(epoch)
    if (record) epochs.set(epoch, record)
  }
  return nodeAsTouched({ params, epochs }, node, now)
}
