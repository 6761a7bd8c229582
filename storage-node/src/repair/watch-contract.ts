import { bytesEqual } from '@ioex/chain/bytes'
import {
  type ContractHealth,
  contractHealthOf,
  slotStateOf,
  type SlotState,
  type Vacancy,
  vacancyOf,
} from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import { type Contract, type Node, NONE, type Rail, ZERO_HASH } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { ledgerView } from '../node/ledger-view.ts'
import { currentNode } from '../node/proving.ts'

/** A slot as proven records show it, its node's challenges replayed to now. */
export interface WatchedSlot {
  readonly slot: number
  readonly state: SlotState
  /** Missing where the slot has no rail. */
  readonly rail: Indexed<Rail> | undefined
  readonly node: Indexed<Node> | undefined
  /** Why the slot may be refilled; undefined where it may not. */
  readonly vacancy: Vacancy | undefined
  /** Waits for its first fill in a contract that is active and not closing. */
  readonly neverFilled: boolean
}

export interface ContractWatch {
  readonly contract: number
  readonly record: Contract
  readonly epoch: number
  readonly health: ContractHealth
  /** Slots that store their bytes as far as the ledger knows. */
  readonly live: number
  readonly slots: readonly WatchedSlot[]
}

/**
 * What a contract's slots are worth now, judged by the rules themselves on records that the chain
 * client has proven. Undefined for an index that holds no live contract.
 */
export async function watchContract(
  chain: ChainClient,
  contract: number,
): Promise<ContractWatch | undefined> {
  const { epoch } = await chain.head()
  const record = await chain.contract(contract)
  if (!record?.live) return undefined
  const slots: WatchedSlot[] = []
  for (let slot = 0; slot < record.n; slot++) {
    slots.push(await watchSlot(chain, record, slot, epoch))
  }
  const states = slots.map(({ state }) => state)
  return { contract, record, epoch, slots, ...contractHealthOf(record.k, record.n, states) }
}

/** Slots that a grant can fill now. */
export function openSlots(watch: ContractWatch): WatchedSlot[] {
  return watch.slots.filter(({ vacancy, neverFilled }) => vacancy !== undefined || neverFilled)
}

/** One slot of a contract whose record is known. */
export async function watchSlot(
  chain: ChainClient,
  record: Contract,
  slot: number,
  epoch: number,
): Promise<WatchedSlot> {
  const place = record.rails[slot]
  const takesFills = record.active && record.askEpoch === NONE
  const root = place?.root ?? ZERO_HASH
  const neverFilled =
    takesFills && bytesEqual(root, ZERO_HASH) && epoch < record.openEpoch + record.term
  const empty = { slot, state: 'empty' as const, rail: undefined, node: undefined, neverFilled }
  if (!place || place.rail === NONE) {
    const view = ledgerView(chain, {})
    return { ...empty, vacancy: takesFills ? vacancyOf(view, record, slot) : undefined }
  }
  const rail = await chain.rail(place.rail)
  const stored = rail && (await chain.nodeAt(rail.node))
  // Records of two heads may be read here; the next look sees the slot as it is.
  if (!rail?.live || !stored) return { ...empty, vacancy: undefined }
  const { node } = await currentNode(chain, stored, epoch)
  const view = ledgerView(chain, {
    rails: new Map([[place.rail, rail]]),
    nodes: new Map([[rail.node, node]]),
  })
  return {
    slot,
    state: record.askEpoch === NONE ? slotStateOf(epoch, rail, node) : 'ended',
    rail: { index: place.rail, record: rail },
    node: { index: rail.node, record: node },
    vacancy: takesFills ? vacancyOf(view, record, slot) : undefined,
    neverFilled: false,
  }
}
