import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import {
  createJSONRPCErrorResponse,
  isJSONRPCID,
  isJSONRPCRequest,
  type JSONRPCErrorResponse,
  type JSONRPCID,
  type JSONRPCRequest,
  type JSONRPCResponse,
  JSONRPCServer,
} from 'json-rpc-2.0'
import { type ErrorName, errorNumbers } from '../contract/error-codes.ts'
import { BATCH_CALLS_MAX } from '../contract/json-forms.ts'
import { type CheckedParamsOf, type MethodName, methods } from '../contract/methods.ts'
import type { CallContext, Handler, Handlers } from './handler.ts'
import { RpcFault } from './rpc-fault.ts'

/** Who calls and what the call may do. */
export interface Caller extends CallContext {
  /** Came with the token or over the protected socket. */
  readonly isAuthorised: boolean
  /** Takes one call from the caller's allowance; false when it is used up. */
  charge(): Promise<boolean>
  /** Methods that only this connection has (subscriptions of a WebSocket). */
  readonly own?: Handlers
}

/** Who sent the request, for as long as `signal` says it is there. */
export type CallerOf = (request: FastifyRequest, signal: AbortSignal) => Caller

export type CallObserver = (method: MethodName | 'unknown', code: string, seconds: number) => void

export interface CallServerOptions {
  readonly handlers: Handlers
  readonly logger: FastifyBaseLogger | undefined
  readonly responseBytesMax: number
  readonly observe: CallObserver
}

/** Answers JSON-RPC texts: single calls and batches, by the contract's definitions. */
export class CallServer {
  readonly #options: CallServerOptions
  readonly #server: JSONRPCServer<Caller>

  constructor(options: CallServerOptions) {
    this.#options = options
    this.#server = new JSONRPCServer<Caller>({ errorListener: () => undefined })
    this.#server.mapErrorToJSONRPCErrorResponse = (id, error) => this.#errorResponse(id, error)
    for (const name of Object.keys(methods) as MethodName[]) {
      this.#server.addMethod(name, (params: unknown, caller) => this.#call(name, params, caller))
    }
  }

  /** The answer's JSON text; undefined when the calls were notifications. */
  async answer(text: string, caller: Caller): Promise<string | undefined> {
    let request: unknown
    try {
      request = JSON.parse(text)
    } catch {
      return errorText(null, 'PARSE_ERROR', 'the request is not JSON')
    }
    if (Array.isArray(request)) return this.#answerBatch(request, caller)
    const response = await this.#receive(request, caller)
    return response === null ? undefined : this.#bounded(response)
  }

  /**
   * json-rpc-2.0 answers a batch with one reply by a bare object, against the specification, and
   * knows no limit; so batches are split here and always answered by an array.
   */
  async #answerBatch(batch: unknown[], caller: Caller): Promise<string | undefined> {
    if (batch.length === 0) return errorText(null, 'INVALID_REQUEST', 'the batch is empty')
    if (batch.length > BATCH_CALLS_MAX) {
      const message = `a batch has at most ${BATCH_CALLS_MAX} calls: send several`
      return errorText(null, 'LIMIT_EXCEEDED', message)
    }
    const responses = await Promise.all(batch.map((request) => this.#receive(request, caller)))
    const texts: string[] = []
    let bytes = 0
    for (const response of responses) {
      if (response === null) continue
      const text = this.#bounded(response)
      bytes += Buffer.byteLength(text)
      texts.push(bytes <= this.#options.responseBytesMax ? text : tooLarge(response.id))
    }
    return texts.length === 0 ? undefined : `[${texts.join(',')}]`
  }

  async #receive(request: unknown, caller: Caller): Promise<JSONRPCResponse | null> {
    if (!isRequest(request)) {
      const message =
        'not a JSON-RPC 2.0 call: give {"jsonrpc":"2.0","id":1,"method":…,"params":{…}}'
      return errorResponse(idOf(request), 'INVALID_REQUEST', message)
    }
    if (!(await caller.charge())) {
      return errorResponse(request.id ?? null, 'RATE_LIMITED', 'too many calls: wait a moment')
    }
    if (!this.#server.hasMethod(request.method)) {
      this.#options.observe('unknown', 'METHOD_NOT_FOUND', 0)
      if (request.id === undefined) return null
      const name = request.method.slice(0, 100)
      const message = `there is no method "${name}": rpc.discover lists them`
      return errorResponse(request.id, 'METHOD_NOT_FOUND', message)
    }
    return this.#server.receive(request, caller)
  }

  async #call(name: MethodName, params: unknown, caller: Caller): Promise<unknown> {
    const started = performance.now()
    let code = 'OK'
    try {
      return await this.#checkedCall(name, params, caller)
    } catch (error) {
      code = error instanceof RpcFault ? error.reason : 'INTERNAL_ERROR'
      throw error
    } finally {
      this.#options.observe(name, code, (performance.now() - started) / 1000)
    }
  }

  #checkedCall<M extends MethodName>(name: M, params: unknown, caller: Caller): unknown {
    const method = methods[name]
    const handler = (caller.own?.[name] ?? this.#options.handlers[name]) as Handler<M> | undefined
    if (!handler) throw notServed(name, method.socketOnly)
    if (method.token && !caller.isAuthorised) {
      throw new RpcFault(
        'UNAUTHORIZED',
        'this method needs the token from the data folder: "Authorization: Bearer …"',
      )
    }
    return handler(checkParams(name, params), caller)
  }

  #errorResponse(id: JSONRPCID, error: unknown): JSONRPCErrorResponse {
    if (error instanceof RpcFault) {
      return createJSONRPCErrorResponse(id, error.number, error.message, error.data)
    }
    this.#options.logger?.error({ err: error }, 'a JSON-RPC method failed')
    return errorResponse(id, 'INTERNAL_ERROR', 'the node failed to answer: its log says why')
  }

  #bounded(response: JSONRPCResponse): string {
    const text = JSON.stringify(response)
    return text.length > this.#options.responseBytesMax ? tooLarge(response.id) : text
  }
}

function checkParams<M extends MethodName>(name: M, params: unknown): CheckedParamsOf<M> {
  if (Array.isArray(params)) {
    throw new RpcFault('INVALID_PARAMS', `${name}: give parameters by name, as an object`)
  }
  const parsed = methods[name].params.safeParse(params ?? {})
  if (parsed.success) return parsed.data as CheckedParamsOf<M>
  const issues = parsed.error.issues
    .slice(0, 5)
    .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
  throw new RpcFault('INVALID_PARAMS', `${name}: ${issues.join('; ')}`)
}

function notServed(name: MethodName, socketOnly: boolean): RpcFault {
  if (socketOnly) {
    return new RpcFault('NOT_SUPPORTED', `${name} works only on the WebSocket at /ws`)
  }
  return new RpcFault(
    'NOT_SUPPORTED',
    `this node does not serve ${name}: ask the node that holds the owner's files`,
  )
}

function isRequest(request: unknown): request is JSONRPCRequest {
  if (typeof request !== 'object' || request === null || !isJSONRPCRequest(request)) return false
  const { method, id } = request as { method: unknown; id?: unknown }
  return typeof method === 'string' && (id === undefined || isJSONRPCID(id))
}

function idOf(request: unknown): JSONRPCID {
  const id: unknown = (request as { id?: unknown } | null)?.id
  return isJSONRPCID(id) ? id : null
}

function errorResponse(id: JSONRPCID, name: ErrorName, message: string): JSONRPCErrorResponse {
  return createJSONRPCErrorResponse(id, errorNumbers[name], message, { code: name })
}

/** JSON text of an error answer. */
export function errorText(id: JSONRPCID, name: ErrorName, message: string): string {
  return JSON.stringify(errorResponse(id, name, message))
}

function tooLarge(id: JSONRPCID): string {
  const message = 'the answer is too large: ask for fewer items, or page through them'
  return errorText(id, 'RESPONSE_TOO_LARGE', message)
}
