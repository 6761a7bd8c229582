import type { CheckedParamsOf, MethodName, ResultOf } from '../contract/methods.ts'
import type { Awaitable } from './ledger-source.ts'

/** Who calls, as far as a method may care. */
export interface CallContext {
  /** Ends long waits: the caller hung up or the server closes. */
  readonly signal: AbortSignal
}

export type Handler<M extends MethodName> = (
  params: CheckedParamsOf<M>,
  context: CallContext,
) => Awaitable<ResultOf<M>>

/** Handlers by method name; a method without one is not served. */
export type Handlers = { readonly [M in MethodName]?: Handler<M> }
