/** What was sealed: says where a failed tag was found. */
export type SealedThing = 'cell' | 'label' | 'manifest'

/** The tag does not fit: other bytes, another key, or another place. Nothing was released. */
export class SealBrokenError extends Error {
  override name = 'SealBrokenError'
  readonly thing: SealedThing
  /** Number of the cell in its pack. */
  readonly cellNumber: number | undefined

  constructor(thing: SealedThing, cellNumber?: number) {
    const which = cellNumber === undefined ? `the ${thing}` : `cell ${cellNumber}`
    super(`${which} was changed or belongs to another key: its authentication tag does not fit`)
    this.thing = thing
    this.cellNumber = cellNumber
  }
}

/** A source gave other bytes than those it was planned and hashed with. */
export class SourceChangedError extends Error {
  override name = 'SourceChangedError'
  readonly source: string

  constructor(source: string, detail: string) {
    super(`${source} changed while it was being stored (${detail}): start the put again`)
    this.source = source
  }
}

/** The cells at hand do not give the stripe; `code` is a fault code of the erasure room. */
export class StripeUnreadableError extends Error {
  override name = 'StripeUnreadableError'
  readonly stripe: number
  readonly code: string

  constructor(stripe: number, code: string, message: string) {
    super(`stripe ${stripe} cannot be read: ${message}`)
    this.stripe = stripe
    this.code = code
  }
}
