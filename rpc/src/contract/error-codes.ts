/**
 * Numbers of JSON-RPC errors, by the stable text in `data.code`. The five standard ones, then
 * our own from -32000 down; numbers shared with other chains' servers mean the same there.
 */
export const errorNumbers = {
  PARSE_ERROR: -32700,
  INVALID_REQUEST: -32600,
  REQUEST_TOO_LARGE: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_PARAMS: -32602,
  INTERNAL_ERROR: -32603,
  INVALID_INPUT: -32000,
  NOT_FOUND: -32001,
  UNAVAILABLE: -32002,
  TRANSACTION_REJECTED: -32003,
  NOT_SUPPORTED: -32004,
  RATE_LIMITED: -32005,
  LIMIT_EXCEEDED: -32005,
  RESPONSE_TOO_LARGE: -32005,
  INSUFFICIENT_FUNDS: -32050,
  NONCE_TOO_LOW: -32051,
  NONCE_GAP: -32051,
  SIGNATURE_INVALID: -32052,
  POOL_FULL: -32053,
  POOL_ACCOUNT_FULL: -32053,
  POOL_SLOT_TAKEN: -32053,
  POOL_FEE_FLOOR: -32053,
  POOL_BUSY: -32053,
  NONCE_TAKEN: -32051,
  UNAUTHORIZED: -32054,
  HOST_REFUSED: -32054,
  STORAGE_UNAVAILABLE: -32055,
} as const
export type ErrorName = keyof typeof errorNumbers

/** The number for any stable code; faults of the rules without their own are "rejected". */
export function errorNumber(code: string): number {
  return Object.hasOwn(errorNumbers, code)
    ? errorNumbers[code as ErrorName]
    : errorNumbers.TRANSACTION_REJECTED
}

/** What `data` of every error carries. */
export interface ErrorData {
  readonly code: string
  readonly facts?: Readonly<Record<string, string | number | boolean>>
}
