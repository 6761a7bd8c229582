import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Metric, metricsText, processMetrics } from './metrics.ts'

/** How a running node is, for monitors. */
export interface NodeHealth {
  /** What hinders it from doing its work, in words; empty = ready. */
  hindrances(): Promise<readonly string[]> | readonly string[]
  isSyncing(): boolean
  /** For /health. */
  facts(): Promise<Readonly<Record<string, unknown>>>
  metrics(): Promise<readonly Metric[]>
  /** Measurements that are text already. */
  metricsText?(): Promise<string>
}

export interface HealthServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Folder whose disk is watched. */
  readonly dataFolder: string
  /** The process's nodes that have started; none while they start. */
  nodes(): readonly { readonly role: string; readonly health?: NodeHealth }[]
}

export interface HealthServer {
  readonly url: string
  close(): Promise<void>
}

interface Page {
  readonly status: number
  readonly type: string
  readonly text: string
}

const REQUEST_MS = 10_000
const TEXT = 'text/plain; charset=utf-8'
const LOOPBACK_NAMES = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i

/**
 * /livez, /readyz (200 or 503), /health (200, 206 while syncing, 503) and /metrics for any role,
 * on Node's own server: a peer loads nothing for it that it would not need.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const isLocal = /^(127\.|::1$|localhost$)/.test(options.host)
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS })
  server.maxConnections = 64
  server.on('request', (request, response) => {
    void answer(options, isLocal, request, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

async function answer(
  options: HealthServerOptions,
  isLocal: boolean,
  { method, url = '/', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // A page in the operator's browser must not read this by a name that it points here.
  const isStranger = isLocal && !LOOPBACK_NAMES.test(headers.host ?? '')
  const path = url.split('?')[0] as string
  let page: Page
  if (isStranger) page = { status: 403, type: TEXT, text: 'host name refused\n' }
  else if (method !== 'GET') page = { status: 405, type: TEXT, text: 'only GET\n' }
  else page = await pageOf(options, path).catch(failed)
  response.writeHead(page.status, {
    'content-type': page.type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(page.text)
}

const failed = (): Page => ({ status: 500, type: TEXT, text: 'not measurable now\n' })

async function pageOf(options: HealthServerOptions, path: string): Promise<Page> {
  switch (path) {
    case '/livez':
      return { status: 200, type: TEXT, text: 'ok\n' }
    case '/readyz': {
      const hindrances = await hindrancesOf(options)
      const isReady = hindrances.length === 0
      const text = isReady ? 'ok\n' : `${hindrances.join('\n')}\n`
      return { status: isReady ? 200 : 503, type: TEXT, text }
    }
    case '/health':
      return healthPage(options)
    case '/metrics':
      return {
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        text: await allMetrics(options),
      }
    default:
      return { status: 404, type: TEXT, text: '/livez /readyz /health /metrics\n' }
  }
}

async function healthPage(options: HealthServerOptions): Promise<Page> {
  const hindrances = await hindrancesOf(options)
  const nodes = options.nodes()
  const isSyncing = nodes.some(({ health }) => health?.isSyncing())
  const facts = await Promise.all(
    nodes.map(async ({ role, health }) => ({ role, ...(await health?.facts()) })),
  )
  const status = isSyncing ? 'syncing' : hindrances.length > 0 ? 'degraded' : 'ok'
  const code = isSyncing ? 206 : hindrances.length > 0 ? 503 : 200
  const text = `${JSON.stringify({ status, hindrances, nodes: facts })}\n`
  return { status: code, type: 'application/json; charset=utf-8', text }
}

async function hindrancesOf({ nodes }: HealthServerOptions): Promise<string[]> {
  const running = nodes()
  if (running.length === 0) return ['starting']
  const all = await Promise.all(
    running.map(async ({ health }) => (await health?.hindrances()) ?? []),
  )
  return all.flat()
}

async function allMetrics({ nodes, dataFolder }: HealthServerOptions): Promise<string> {
  const running = nodes()
  const texts = await Promise.all(
    running.map(async ({ health }) => (await health?.metricsText?.()) ?? ''),
  )
  const own = await Promise.all(running.map(async ({ health }) => (await health?.metrics()) ?? []))
  return metricsText([...own.flat(), ...(await processMetrics(dataFolder))], texts.join(''))
}
