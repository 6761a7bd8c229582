import { GlobalsType, PegType } from '../types/records.ts'
import type { Ledger } from './ledger.ts'
import { recordCodecs, type TableName, type TableRecords } from './record-tables.ts'
import { orderedRoots, type ProvableName, proveUnder, type StateProof } from './state-proof.ts'

/** A record that somebody wants shown: by its index, accounts and nodes also by address. */
export type RecordPlace =
  | { readonly table: ProvableName; readonly index: number }
  | { readonly table: 'accounts' | 'nodes'; readonly address: Uint8Array }

/**
 * Proves records of the committed state one after the other: the ten roots are hashed once for
 * every block, however many records are asked for.
 */
export class StateProver {
  readonly #ledger: Ledger
  #version = -1
  #roots: readonly Uint8Array[] = []

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /**
   * What shows the place: its record, or, where there is none, the neighbour that proves it: the
   * account before the address in order, the last record of a table that ends before the index.
   * Undefined for a node of an unknown address and in an empty table, where nothing proves it.
   */
  prove(place: RecordPlace): { record: Uint8Array; proof: StateProof } | undefined {
    const { table } = place
    const index = this.#indexOf(place)
    if (index === undefined) return undefined
    const ledger = this.#ledger
    if (this.#version !== ledger.version) {
      this.#roots = orderedRoots(ledger)
      this.#version = ledger.version
    }
    const proof = proveUnder(ledger, this.#roots, table, index)
    const record = proof && recordBytes(ledger, table, index)
    return record && { record, proof }
  }

  #indexOf(place: RecordPlace): number | undefined {
    const ledger = this.#ledger
    if ('index' in place) {
      const { table, index } = place
      if (table === 'peg' || table === 'globals') return index
      return Math.min(index, ledger[table].count - 1)
    }
    const { table, address } = place
    if (table === 'nodes') return ledger.nodeIndex(address)
    return ledger.accountIndex(address) ?? ledger.accountBefore(address)
  }
}

function recordBytes(ledger: Ledger, table: ProvableName, index: number): Uint8Array | undefined {
  if (table === 'peg') return PegType.serialize(ledger.peg())
  if (table === 'globals') return GlobalsType.serialize(ledger.globals())
  return tableBytes(ledger, table, index)
}

function tableBytes<K extends TableName>(ledger: Ledger, table: K, index: number) {
  const record = ledger[table].get(index) as TableRecords[K] | undefined
  return record && recordCodecs[table].serialize(record)
}
