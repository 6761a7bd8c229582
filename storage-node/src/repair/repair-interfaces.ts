import type { ContractHealth, SlotState, Vacancy } from '@ioex/chain/rules'
import type { TransferProgress } from '../scheduler/transfer-progress.ts'

export interface RepairOptions {
  /** Rebuild open slots also while the contract is safe; otherwise only when repair is due. */
  readonly always: boolean
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A slot that was rebuilt on another peer. */
export interface RepairedSlot {
  readonly slot: number
  /** Which refill this was; 0 for a slot that was never filled before. */
  readonly refill: number
  readonly why: Vacancy['why'] | 'never filled'
  /** Its new rail, and the node key (hex) of the peer. */
  readonly rail: number
  readonly node: string
}

/** An open slot that was not rebuilt now. */
export interface UnrepairedSlot {
  readonly slot: number
  readonly code: string
  readonly reason: string
}

export interface ContractRepair {
  readonly contract: number
  readonly healthBefore: ContractHealth
  readonly health: ContractHealth
  readonly live: number
  readonly k: number
  readonly n: number
  readonly repaired: readonly RepairedSlot[]
  readonly failed: readonly UnrepairedSlot[]
  /** Slots that miss proofs but are not lost: they may come back, and are left alone. */
  readonly waiting: readonly { readonly slot: number; readonly state: SlotState }[]
  /** Bytes read from other peers to rebuild. */
  readonly readBytes: number
}

export interface RepairRequest extends RepairOptions {
  /** Only the contracts that hold this file; all of the owner's where undefined. */
  readonly path?: string | undefined
  /** Units that may be added to used-up traffic locks of its rails; 1 IOEX where undefined. */
  readonly topUpMax?: bigint | undefined
}

export interface RepairResult {
  /** Contracts whose slots all stand and that are safe are in the list too. */
  readonly contracts: readonly ContractRepair[]
  /** Units that the payer added to used-up traffic locks; unused ones come back. */
  readonly toppedUpUnits: bigint
}
