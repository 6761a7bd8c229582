import type { z } from 'zod'

/** One method of the interface: everything that server, client and documents derive from. */
export interface Method<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly summary: string
  /** A strict object: JSON-RPC's named parameters. */
  readonly params: P
  readonly result: R
  /** Parameters of a call that makes sense. */
  readonly example: z.input<P>
  /** Moves money or shows private files: needs the token or the protected socket. */
  readonly token: boolean
  /** Only on a WebSocket, because it answers with notifications. */
  readonly socketOnly: boolean
  /** The node waits before it answers: clients add this to their time-out. */
  readonly waits: boolean
}

interface MethodText<P extends z.ZodType, R extends z.ZodType> {
  readonly summary: string
  readonly params: P
  readonly result: R
  readonly example: z.input<P>
  readonly token?: boolean
  readonly socketOnly?: boolean
  readonly waits?: boolean
}

export function defineMethod<P extends z.ZodType, R extends z.ZodType>(
  text: MethodText<P, R>,
): Method<P, R> {
  return { token: false, socketOnly: false, waits: false, ...text }
}
