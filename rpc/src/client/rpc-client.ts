import { createJSONRPCRequest } from 'json-rpc-2.0'
import { z } from 'zod'
import { type MethodName, methods, type ParamsOf, type ResultOf } from '../contract/methods.ts'
import { checkAnswer } from './answer-check.ts'
import { RpcError } from './rpc-error.ts'

const TIMEOUT_MS = 15_000
/** Restoring a large file takes its time. */
const TRANSFER_TIMEOUT_MS = 3_600_000
const RESPONSE_BYTES_MAX = 32 * 1024 * 1024

export interface RpcClientOptions {
  /** http://host:port, with or without /rpc. */
  readonly url: string
  /** Access token of the node's data folder, for its protected methods. */
  readonly token?: string
  readonly timeoutMs?: number
  readonly responseBytesMax?: number
}

export interface CallOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** The node's methods with the contract's types. */
export interface RpcClient {
  readonly url: string
  /** The result, checked against the contract; throws RpcError. */
  call<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    options?: CallOptions,
  ): Promise<ResultOf<M>>
  /** Any method by name, its result as it came. */
  callUnchecked(method: string, params: unknown, options?: CallOptions): Promise<unknown>
}

const envelope = z.looseObject({
  result: z.unknown().optional(),
  error: z
    .looseObject({
      code: z.int(),
      message: z.string(),
      data: z.looseObject({ code: z.string() }).optional(),
    })
    .optional(),
})

export function createRpcClient(options: RpcClientOptions): RpcClient {
  const url = rpcUrl(options.url)
  let nextId = 1
  const callUnchecked = async (method: string, params: unknown, call: CallOptions = {}) => {
    const body = JSON.stringify(createJSONRPCRequest(nextId++, method, params))
    const text = await post(url, body, options, {
      ...call,
      timeoutMs: call.timeoutMs ?? options.timeoutMs ?? TIMEOUT_MS,
    })
    return resultOf(url, text)
  }
  return {
    url,
    callUnchecked,
    async call(method, params, call = {}) {
      const timeoutMs = call.timeoutMs ?? defaultTimeout(method, params, options.timeoutMs)
      const result = await callUnchecked(method, params, { ...call, timeoutMs })
      const checked = checkAnswer(method, result)
      if (checked.ok) return checked.value
      const { message } = checked.fault
      throw new RpcError('BAD_RESPONSE', `${url} answered ${method} with another form: ${message}`)
    },
  }
}

function rpcUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new RpcError('UNREACHABLE', `"${text}" is not an RPC address: give http://host:port`)
  }
  const url = new URL(text)
  if (url.pathname === '/') url.pathname = '/rpc'
  return url.href
}

/** A node that waits on purpose gets its waiting time on top. */
function defaultTimeout(method: MethodName, params: object, own = TIMEOUT_MS): number {
  if (!methods[method].waits) return own
  const { waitMs, timeoutMs } = params as { waitMs?: number; timeoutMs?: number }
  const waiting = waitMs ?? timeoutMs
  if (waiting !== undefined) return own + waiting
  return method === 'storage_get' ? TRANSFER_TIMEOUT_MS : own
}

async function post(
  url: string,
  body: string,
  { token, responseBytesMax = RESPONSE_BYTES_MAX }: RpcClientOptions,
  { timeoutMs, signal }: CallOptions & { timeoutMs: number },
): Promise<string> {
  const ending = new AbortController()
  const timer = setTimeout(() => ending.abort('timeout'), timeoutMs)
  const hangUp = () => ending.abort('aborted')
  signal?.addEventListener('abort', hangUp)
  if (signal?.aborted) hangUp()
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      redirect: 'error',
      signal: ending.signal,
    })
    return await readBounded(response, responseBytesMax)
  } catch (error) {
    if (error instanceof RpcError) throw error
    if (ending.signal.aborted) {
      throw ending.signal.reason === 'timeout'
        ? new RpcError('TIMEOUT', `${url} did not answer within ${timeoutMs / 1000} s`)
        : new RpcError('ABORTED', 'the call was given up')
    }
    throw new RpcError('UNREACHABLE', `cannot reach ${url} (${causeOf(error)}): is the node up?`)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', hangUp)
  }
}

/** Reads at most `bytesMax`, so that a hostile node cannot fill our memory. */
async function readBounded(response: Response, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  // A reader, not a loop over the stream: not every browser can iterate one.
  const reader = response.body?.getReader()
  while (reader) {
    const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array }
    if (done || !value) break
    bytes += value.length
    if (bytes > bytesMax) {
      await reader.cancel()
      throw new RpcError('RESPONSE_TOO_LARGE', `an answer is longer than ${bytesMax} bytes`)
    }
    text += decoder.decode(value, { stream: true })
  }
  text += decoder.decode()
  if (response.ok || text.startsWith('{')) return text
  throw new RpcError('BAD_RESPONSE', `${response.url} answered with HTTP ${response.status}`)
}

function causeOf(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown } } | null)?.cause
  return typeof cause?.code === 'string' ? cause.code : 'connection failed'
}

function resultOf(url: string, text: string): unknown {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new RpcError('BAD_RESPONSE', `${url} did not answer with JSON: is it an ioeX node?`)
  }
  const parsed = envelope.safeParse(json)
  if (!parsed.success) {
    throw new RpcError('BAD_RESPONSE', `${url} did not answer with JSON-RPC: is it an ioeX node?`)
  }
  const { result, error } = parsed.data
  if (!error) return result
  const reason = error.data?.code ?? String(error.code)
  throw new RpcError(reason, error.message, { number: error.code, data: error.data })
}
