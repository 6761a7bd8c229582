/** What can go wrong between two peers; stable codes, shown to users and counted in metrics. */
export type TransferErrorCode =
  | 'PEER_UNREACHABLE'
  | 'PEER_SILENT'
  | 'PEER_IDENTITY'
  | 'PEER_PROTOCOL'
  | 'PEER_REFUSED'
  | 'CHANNEL_CLOSED'
  | 'VOUCHER_LATE'
  | 'VOUCHER_INVALID'
  | 'LOCK_EXHAUSTED'
  | 'SLOT_CORRUPT'
  | 'NO_BOOTSTRAP'
  | 'NO_RELAY_RAIL'
  | 'RAIL_SPENT'

/**
 * An operating error of a transfer. `code` says which kind; where a peer refused, `refusal` is
 * the code that the peer gave.
 */
export class TransferError extends Error {
  override name = 'TransferError'
  readonly code: TransferErrorCode
  readonly refusal: string | undefined
  constructor(
    code: TransferErrorCode,
    message: string,
    more?: { cause?: unknown; refusal?: string },
  ) {
    super(message, more?.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.refusal = more?.refusal
  }
}

export function isTransferError(error: unknown, code?: TransferErrorCode): error is TransferError {
  return error instanceof TransferError && (code === undefined || error.code === code)
}

/** The thrown thing as text for a log line or an error that wraps it. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
