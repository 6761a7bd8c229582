import rateLimit from '@fastify/rate-limit'
import websocket from '@fastify/websocket'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { ErrorName } from '../contract/error-codes.ts'
import { type Bearer, checkBearer } from './access-token.ts'
import { type CallerOf, type CallServer, errorText } from './call-server.ts'
import { type HealthOptions, registerHealthRoutes } from './health-routes.ts'
import type { HostGuard } from './host-guard.ts'
import { registerWebSocketRoute } from './websocket-route.ts'

export interface HttpAppOptions {
  readonly calls: CallServer
  readonly health: HealthOptions
  /** JSON text of the OpenRPC document. */
  readonly openRpc: string
  readonly logger: FastifyBaseLogger | undefined
  readonly requestBytesMax: number
  readonly callsPerMinute: number
  readonly token: string | undefined
  /** Undefined on a Unix socket, whose file permissions guard it. */
  readonly guard: HostGuard | undefined
  /** Calls under way; closing the server aborts them. */
  readonly underWay: Set<AbortController>
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

/** How long a browser remembers what a page of another origin may send, seconds. */
const PREFLIGHT_SECONDS = 600

/** One listener's routes: /rpc, /ws, /openrpc.json and the health pages. */
export async function createHttpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...(options.logger && { loggerInstance: options.logger }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.requestBytesMax,
    requestTimeout: 30_000,
    connectionTimeout: 0,
    keepAliveTimeout: 60_000,
    forceCloseConnections: true,
  })
  await app.register(rateLimit, {
    global: false,
    max: options.callsPerMinute,
    timeWindow: 60_000,
    keyGenerator: callerKey,
  })
  await app.register(websocket, { options: { maxPayload: options.requestBytesMax } })
  parseJsonOurselves(app)
  guardRequests(app, options)
  answerErrorsInJson(app)
  const callerOf = callersOf(options, app.createRateLimit())
  registerRpcRoute(app, options, callerOf)
  app.get('/openrpc.json', async (_request, reply) => {
    void reply.type('application/json; charset=utf-8')
    return options.openRpc
  })
  registerHealthRoutes(app, options.health)
  const { calls, underWay } = options
  registerWebSocketRoute(app, { ledger: options.health.ledger, calls, underWay, callerOf })
  return app
}

/** The health and metrics pages alone. */
export function createHealthApp(options: HttpAppOptions): FastifyInstance {
  const app = fastify({ forceCloseConnections: true })
  guardRequests(app, options)
  answerErrorsInJson(app)
  registerHealthRoutes(app, options.health)
  return app
}

function guardRequests(app: FastifyInstance, options: HttpAppOptions): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (!refuseStranger(options, request, reply) && !answerPage(options, request, reply)) done()
  })
}

/**
 * The JSON-RPC envelope has its own way to say "not JSON". Other content types are refused, so
 * that a web page cannot send a call without the browser asking us first.
 */
function parseJsonOurselves(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    done(null, body)
  })
}

/** Host and Origin against web pages, then the token: a wrong one is refused before parsing. */
function refuseStranger(
  { guard, token }: HttpAppOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): boolean {
  void reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
  const { host, origin } = request.headers
  if (guard && (!guard.allowsHost(host) || guard.pageOf(origin) === 'stranger')) {
    const message = 'this host name is not allowed here: add it to the allowed hosts of the node'
    refuse(reply, 403, 'HOST_REFUSED', message)
    return true
  }
  if (bearerOf(request, token) === 'wrong') {
    refuse(reply, 401, 'UNAUTHORIZED', 'wrong token: read it from the data folder of the node')
    return true
  }
  return false
}

/**
 * Lets the browser hand our answers to a page that comes from elsewhere (CORS), and answers its
 * question beforehand. The owner's token may come from pages of this machine and of the node's own
 * names only. True once it has answered.
 */
function answerPage(
  { guard }: HttpAppOptions,
  { headers, method }: FastifyRequest,
  reply: FastifyReply,
): boolean {
  const { origin } = headers
  if (!guard || origin === undefined) return false
  void reply.header('access-control-allow-origin', origin).header('vary', 'origin')
  if (method !== 'OPTIONS' || !headers['access-control-request-method']) return false
  const isOwn = guard.pageOf(origin) === 'own'
  void reply
    .code(204)
    .header('access-control-allow-methods', 'GET, POST')
    .header('access-control-allow-headers', isOwn ? 'authorization, content-type' : 'content-type')
    .header('access-control-max-age', PREFLIGHT_SECONDS)
    .send()
  return true
}

function bearerOf(request: FastifyRequest, token: string | undefined): Bearer {
  return checkBearer(request.headers.authorization, token)
}

function refuse(reply: FastifyReply, status: number, name: ErrorName, message: string): void {
  void reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send(errorText(null, name, message))
}

function answerErrorsInJson(app: FastifyInstance): void {
  app.setErrorHandler((error: { statusCode?: number; code?: string }, request, reply) => {
    if (error.statusCode === 413) {
      refuse(reply, 413, 'REQUEST_TOO_LARGE', 'the request is too large: send less at once')
    } else if (error.statusCode === 415) {
      const message = 'send JSON with the header "Content-Type: application/json"'
      refuse(reply, 415, 'INVALID_REQUEST', message)
    } else if (error.statusCode !== undefined && error.statusCode < 500) {
      refuse(reply, error.statusCode, 'INVALID_REQUEST', 'not a request this server understands')
    } else {
      request.log.error({ err: error }, 'a request failed')
      refuse(reply, 500, 'INTERNAL_ERROR', 'the node failed to answer: its log says why')
    }
  })
  app.setNotFoundHandler((_request, reply) => {
    refuse(reply, 404, 'NOT_FOUND', 'nothing here: POST JSON-RPC calls to /rpc, see /openrpc.json')
  })
}

function registerRpcRoute(
  app: FastifyInstance,
  { calls, underWay }: HttpAppOptions,
  callerOf: CallerOf,
): void {
  app.post('/rpc', async (request, reply) => {
    const gone = new AbortController()
    const hangUp = () => gone.abort()
    request.raw.socket.once('close', hangUp)
    underWay.add(gone)
    try {
      let isLimited = false
      const caller = callerOf(request, gone.signal)
      const charge = async () => {
        const isAllowed = await caller.charge()
        isLimited ||= !isAllowed
        return isAllowed
      }
      const text = await calls.answer(request.body as string, { ...caller, charge })
      if (text === undefined) return await reply.code(204).send()
      if (isLimited) void reply.code(429)
      return await reply.type('application/json; charset=utf-8').send(text)
    } finally {
      underWay.delete(gone)
      request.raw.socket.removeListener('close', hangUp)
    }
  })
}

/** Callers share one allowance by address; each call of a batch counts. */
function callersOf({ guard, token }: HttpAppOptions, takeCall: Limiter): CallerOf {
  return (request, signal) => ({
    signal,
    isAuthorised: guard === undefined || bearerOf(request, token) === 'right',
    async charge() {
      const state = await takeCall(request)
      return state.isAllowed || !state.isExceeded
    },
  })
}

function callerKey(request: FastifyRequest): string {
  return request.ip ?? 'unix socket'
}
