import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sha256 } from '../bytes/hash.ts'
import { utf8ToBytes } from '../bytes/hex.ts'

/** JSON-RPC codes of the HTTP layer. */
export const JsonRpcCode = {
  parse: -32700,
  request: -32600,
  method: -32601,
  params: -32602,
  internal: -32603,
} as const

const LOOPBACK = '127.0.0.1'
/** Twice the largest transaction as hex, and the envelope. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
const BATCH_MAX = 100
const CONNECTIONS_MAX = 256
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 60_000

/** An answer that the caller should see as `error`. */
export class JsonRpcError extends Error {
  override name = 'JsonRpcError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export interface JsonRpcServerOptions {
  /** 0 takes a free port. */
  readonly port: number
  /** Address to listen on; loopback unless asked otherwise. */
  readonly host?: string
  /** Addresses that may call; undefined for all that reach the listener. */
  readonly allow?: readonly string[]
  /** With a user, Basic authorization is asked for. */
  readonly user?: string
  readonly password?: string
  /** Told of what the caller only sees as an internal error. */
  readonly onProblem?: (error: unknown) => void
}

/** Named or positional parameters, as they came. */
export type JsonRpcParams = Readonly<Record<string, unknown>> | readonly unknown[]

/** Answers one call; throws JsonRpcError for what is the caller's fault. */
export type JsonRpcHandler = (method: string, params: JsonRpcParams) => Promise<unknown>

export interface JsonRpcServer {
  readonly url: string
  stop(): Promise<void>
}

/**
 * JSON-RPC over HTTP, on loopback unless asked, with the habits and the words of an Elastos node:
 * no `id` or `jsonrpc` needed, named or positional params, batches, `error` null or an object.
 */
export async function startJsonRpcServer(
  handler: JsonRpcHandler,
  options: JsonRpcServerOptions,
): Promise<JsonRpcServer> {
  const server = createServer((request, response) => {
    serve(request, response, handler, options).catch(() => response.destroy())
  })
  server.headersTimeout = HEADERS_TIMEOUT_MS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.maxConnections = CONNECTIONS_MAX
  const host = options.host ?? LOOPBACK
  await listen(server, options.port, host)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  handler: JsonRpcHandler,
  options: JsonRpcServerOptions,
): Promise<void> {
  const refused = refusal(request, options)
  if (refused) {
    request.resume()
    send(response, refused.status, httpFailure(JsonRpcCode.internal, refused.message))
    return
  }
  const body = await readBody(request)
  if (body === undefined) {
    response.setHeader('Connection', 'close')
    const message = 'JSON-RPC request reading error:http: request body too large'
    send(response, 413, httpFailure(JsonRpcCode.request, message))
    request.destroy()
    return
  }
  send(response, 200, await answer(body, handler, options))
}

/** What the HTTP layer refuses before it reads a body. */
function refusal(
  request: IncomingMessage,
  options: JsonRpcServerOptions,
): { status: number; message: string } | undefined {
  const caller = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  if (options.allow && !options.allow.includes(caller)) {
    return { status: 403, message: 'Client ip is not allowed' }
  }
  // A browser always names its origin: no web page may mine or send from this machine.
  if (request.headers.origin !== undefined) {
    return { status: 403, message: 'calls from web pages are refused' }
  }
  if (request.method !== 'POST')
    return { status: 405, message: 'JSON-RPC protocol only allows POST method' }
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim()
  if (type !== 'application/json' && type !== 'text/plain') {
    const message = 'JSON-RPC need content type to be application/json or text/plain'
    return { status: 415, message }
  }
  if (!isAuthorized(request.headers.authorization, options)) {
    return { status: 401, message: 'Client authenticate failed' }
  }
  return undefined
}

function isAuthorized(header: string | undefined, options: JsonRpcServerOptions): boolean {
  if (options.user === undefined) return true
  const credentials = `${options.user}:${options.password ?? ''}`
  const expected = `Basic ${Buffer.from(credentials).toString('base64')}`
  // Hashes have one length, and their comparison takes one time.
  return timingSafeEqual(sha256(utf8ToBytes(header ?? '')), sha256(utf8ToBytes(expected)))
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > BODY_BYTES_MAX) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function answer(
  body: string,
  handler: JsonRpcHandler,
  options: JsonRpcServerOptions,
): Promise<unknown> {
  let call: unknown
  try {
    call = JSON.parse(body)
  } catch {
    const message = `JSON-RPC request parsing error:${parseProblem(body)}`
    return httpFailure(JsonRpcCode.parse, message)
  }
  if (!Array.isArray(call)) return answerCall(call, handler, options)
  if (call.length === 0 || call.length > BATCH_MAX) {
    return failure(null, JsonRpcCode.request, `a batch has 1 to ${BATCH_MAX} calls`)
  }
  const answers: unknown[] = []
  for (const one of call) answers.push(await answerCall(one, handler, options))
  return answers
}

async function answerCall(
  call: unknown,
  handler: JsonRpcHandler,
  options: JsonRpcServerOptions,
): Promise<unknown> {
  if (typeof call !== 'object' || call === null) {
    return failure(null, JsonRpcCode.request, 'a call is a JSON object')
  }
  const { id: givenId, method, params } = call as Record<string, unknown>
  const id = typeof givenId === 'number' || typeof givenId === 'string' ? givenId : null
  if (typeof method !== 'string') {
    return failure(id, JsonRpcCode.request, 'a call names its method')
  }
  const given = params ?? {}
  if (typeof given !== 'object') {
    return failure(id, JsonRpcCode.params, 'params are an object or an array')
  }
  try {
    const result = await handler(method, given as JsonRpcParams)
    return { id, jsonrpc: '2.0', result: result ?? null, error: null }
  } catch (error) {
    if (error instanceof JsonRpcError) return failure(id, error.code, error.message)
    options.onProblem?.(error)
    return failure(id, JsonRpcCode.internal, 'internal error')
  }
}

/** The reference's words for a body that is no JSON. */
function parseProblem(body: string): string {
  const first = body.trimStart()[0]
  if (first === undefined) return 'unexpected end of JSON input'
  if ('{["-0123456789tfn'.includes(first)) return 'invalid JSON'
  return `invalid character '${first}' looking for beginning of value`
}

/** A failure before any call was read: without `id`, keys in the order of the reference. */
function httpFailure(code: number, message: string): unknown {
  return { error: { code, id: null, message }, jsonrpc: '2.0', result: null }
}

function failure(id: number | string | null, code: number, message: string): unknown {
  return { id, jsonrpc: '2.0', result: null, error: { code, id, message } }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    Vary: 'Origin',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
