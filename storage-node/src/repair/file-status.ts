import { bytesToHex } from '@ioex/chain/bytes'
import type { ContractHealth, SlotState } from '@ioex/chain/rules'
import { NONE } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { type ContractWatch, watchContract, type WatchedSlot } from './watch-contract.ts'

export interface SlotStatus {
  readonly slot: number
  readonly state: SlotState
  /** Why it may be refilled now. */
  readonly open: string | undefined
  readonly refills: number
  /** Index of its rail; undefined where it has none. */
  readonly rail: number | undefined
  /** Node key and owner address, hex. */
  readonly node: string | undefined
  readonly owner: string | undefined
  readonly strikes: number | undefined
  /** Epoch up to which its node has proven. */
  readonly provenTo: number | undefined
  /** Epoch before which storage is paid for. */
  readonly end: number | undefined
  /** Units paid for it so far: storage and traffic. */
  readonly paid: bigint
}

/** A contract that holds a file or a part of it. */
export interface ContractStatus {
  readonly contract: number
  readonly health: ContractHealth
  readonly k: number
  readonly n: number
  readonly live: number
  readonly closing: boolean
  /** Units for repair. */
  readonly pot: bigint
  /** First epoch that some slot is not paid for; peers delete after the grace that follows. */
  readonly paidUntil: number
  readonly deletedFrom: number
  readonly slots: readonly SlotStatus[]
}

export interface FileStatus {
  readonly path: string
  readonly size: number
  readonly epoch: number
  /** Of its worst contract. */
  readonly health: ContractHealth
  /** Epochs that are paid for from now on, in full. */
  readonly epochsLeft: number
  /** Epoch in which the next topUp is due, and from which on peers may delete without one. */
  readonly nextDue: number
  readonly deletedFrom: number
  readonly contracts: readonly ContractStatus[]
}

const WORST: readonly ContractHealth[] = ['act-now', 'degraded', 'safe']

/** What the chain knows of the contracts of a file. Contracts that are gone are left out. */
export async function fileStatus(
  chain: ChainClient,
  file: { readonly path: string; readonly size: number },
  indexes: readonly number[],
): Promise<FileStatus> {
  const { epoch } = await chain.head()
  const contracts: ContractStatus[] = []
  for (const index of indexes) {
    const watch = await watchContract(chain, index)
    if (watch) contracts.push(contractStatus(watch, chain.params.graceEpochs))
  }
  const health = WORST.find((one) => contracts.some((contract) => contract.health === one))
  const nextDue = Math.min(...contracts.map(({ paidUntil }) => paidUntil))
  return {
    ...file,
    epoch,
    health: health ?? 'act-now',
    epochsLeft: Math.max(0, nextDue - epoch),
    nextDue,
    deletedFrom: nextDue + chain.params.graceEpochs,
    contracts,
  }
}

function contractStatus(watch: ContractWatch, graceEpochs: number): ContractStatus {
  const { contract, record, health, live, slots } = watch
  const isStored = ({ state }: WatchedSlot) =>
    state === 'proven' || state === 'waiting' || state === 'missed'
  const ends = slots.flatMap((slot) => (slot.rail && isStored(slot) ? [slot.rail.record.end] : []))
  const paidUntil = ends.length > 0 ? Math.min(...ends) : watch.epoch
  return {
    contract,
    health,
    k: record.k,
    n: record.n,
    live,
    closing: record.askEpoch !== NONE,
    pot: record.pot,
    paidUntil,
    deletedFrom: paidUntil + graceEpochs,
    slots: slots.map((slot) => slotStatus(slot, record.rails[slot.slot]?.refill ?? 0)),
  }
}

function slotStatus(
  { slot, state, rail, node, vacancy, neverFilled }: WatchedSlot,
  refills: number,
): SlotStatus {
  const record = rail?.record
  return {
    slot,
    state,
    open: vacancy?.why ?? (neverFilled ? 'never filled' : undefined),
    refills,
    rail: rail?.index,
    node: node && bytesToHex(node.record.nodeKey),
    owner: node && bytesToHex(node.record.owner),
    strikes: node?.record.strikes,
    provenTo: node?.record.A,
    end: record?.end,
    paid: record ? record.paidTime + record.paidUnits : 0n,
  }
}
