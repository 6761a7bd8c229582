import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { type CallerOf, type CallServer, errorText } from './call-server.ts'
import type { LedgerSource } from './ledger-source.ts'
import { Subscriptions } from './subscriptions.ts'

/** Bytes a slow reader may leave unread before the connection is cut. */
const UNREAD_BYTES_MAX = 8 * 1024 * 1024
/** Calls of one connection that may be under way at once. */
const CALLS_AT_ONCE_MAX = 64
const CLOSE_TOO_SLOW = 1013
const CLOSE_TEXT_ONLY = 1003

export interface WebSocketRouteOptions {
  readonly ledger: LedgerSource
  readonly calls: CallServer
  readonly underWay: Set<AbortController>
  readonly callerOf: CallerOf
}

/** JSON-RPC with subscriptions on /ws: one message, one call or batch. */
export function registerWebSocketRoute(app: FastifyInstance, options: WebSocketRouteOptions): void {
  app.get('/ws', { websocket: true }, (socket, request) => serveSocket(socket, request, options))
}

function serveSocket(
  socket: WebSocket,
  request: FastifyRequest,
  { ledger, calls, underWay: controllers, callerOf }: WebSocketRouteOptions,
): void {
  const gone = new AbortController()
  controllers.add(gone)
  const send = (text: string) => {
    if (socket.readyState !== socket.OPEN) return
    if (socket.bufferedAmount > UNREAD_BYTES_MAX) {
      socket.close(CLOSE_TOO_SLOW, 'reads too slowly')
      return
    }
    socket.send(text)
  }
  const subscriptions = new Subscriptions(ledger, send)
  const caller = { ...callerOf(request, gone.signal), own: subscriptions.handlers }
  let underWay = 0
  const answer = async (text: string) => {
    if (underWay >= CALLS_AT_ONCE_MAX) {
      send(errorText(null, 'LIMIT_EXCEEDED', 'too many calls at once: wait for their answers'))
      return
    }
    underWay++
    try {
      const reply = await calls.answer(text, caller)
      if (reply !== undefined) send(reply)
    } finally {
      underWay--
    }
  }
  socket.on('message', (data, isBinary) => {
    if (isBinary) socket.close(CLOSE_TEXT_ONLY, 'text messages only')
    else void answer(messageText(data))
  })
  // The reason does not matter: the connection is over either way, and close follows.
  socket.on('error', () => undefined)
  socket.on('close', () => {
    gone.abort()
    controllers.delete(gone)
    subscriptions.close()
  })
}

function messageText(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8')
  return data instanceof ArrayBuffer ? Buffer.from(data).toString('utf8') : data.toString('utf8')
}
