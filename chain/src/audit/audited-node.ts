import type { Statement } from '../rules/statement.ts'

/** A block as a node serves it: SSZ bytes, not checked yet. */
export interface ServedBlock {
  readonly header: Uint8Array
  /** BlockBodyType; PrunedBodyPartType where the node has forgotten the openings. */
  readonly body: Uint8Array
  readonly isPruned: boolean
  /** Undefined for genesis. */
  readonly justification: Uint8Array | undefined
  readonly certificate: Uint8Array | undefined
}

/** Where an export comes from. Both may reject with operating errors. */
export interface BlockSource {
  tip(): Promise<{ readonly chainId: string; readonly height: number }>
  /** The block at `from` and as many after it, up to `to`, as fit into one answer. */
  blocks(from: number, to: number): Promise<readonly ServedBlock[]>
}

/** Which receipts are asked for; all given conditions hold. */
export interface ReceiptQuestion {
  /** Epoch in which they were booked. */
  readonly epoch: number | undefined
  /** Address of the node's key. */
  readonly node: Uint8Array | undefined
  /** Contract index. */
  readonly contract: number | undefined
}

/** The sums of a statement that a node serves and an auditor recomputes, units. */
export const STATEMENT_SUMS = [
  'fees',
  'burned',
  'toValidators',
  'net',
  'held',
  'released',
  'forfeited',
  'byteFees',
  'debtPaid',
  'paid',
  'subsidy',
] as const satisfies readonly (keyof Statement)[]
export type StatementSums = Pick<Statement, (typeof STATEMENT_SUMS)[number]>

/** What the audited node tells its users; the auditor compares it with its own reckoning. */
export interface ServedAnswers {
  /** How a report names the node, e.g. its URL. */
  readonly name: string
  /** SSZ of the receipts, oldest first. */
  receipts(question: ReceiptQuestion): AsyncIterable<Uint8Array>
  statement(node: Uint8Array, epoch: number): Promise<StatementSums>
}
