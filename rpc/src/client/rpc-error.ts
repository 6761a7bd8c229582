/** Reasons that the client itself finds, beside the stable codes of the server. */
const TRANSPORT_REASONS = [
  'UNREACHABLE',
  'TIMEOUT',
  'ABORTED',
  'BAD_RESPONSE',
  'RESPONSE_TOO_LARGE',
  'FALSE_PROOF',
] as const
export type TransportReason = (typeof TRANSPORT_REASONS)[number]

/** A call that did not give a result. */
export class RpcError extends Error {
  override name = 'RpcError'
  /** Stable text: the server's data.code, or a TransportReason. */
  readonly reason: string
  /** JSON-RPC number; 0 when no server answered. */
  readonly number: number
  readonly data: unknown

  constructor(reason: string, message: string, details: { number?: number; data?: unknown } = {}) {
    super(message)
    this.reason = reason
    this.number = details.number ?? 0
    this.data = details.data
  }
}

const ANOTHER_NODE_MAY_KNOW = new Set<string>([
  ...TRANSPORT_REASONS,
  'RATE_LIMITED',
  'LIMIT_EXCEEDED',
  'UNAVAILABLE',
  'INTERNAL_ERROR',
  'METHOD_NOT_FOUND',
  'NOT_SUPPORTED',
])

/** True where the failure is the node's, so that asking another one makes sense. */
export function isNodeFailure(error: unknown): boolean {
  return error instanceof RpcError && ANOTHER_NODE_MAY_KNOW.has(error.reason)
}
