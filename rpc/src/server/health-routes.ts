import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import type { LedgerSource } from './ledger-source.ts'

/** Blocks a ready node may lie behind the network. */
const READY_LAG_BLOCKS = 2

/** What hinders the node from being ready, in words; the composition adds its own (disk, keys). */
export type ReadinessCheck = () => readonly string[]

export interface HealthOptions {
  readonly ledger: LedgerSource
  readonly registry: Registry
  readonly readiness?: ReadinessCheck
}

/** /livez, /readyz (200 or 503), /health (200, 206 while syncing, 503) and /metrics. */
export function registerHealthRoutes(app: FastifyInstance, options: HealthOptions): void {
  const { ledger, registry } = options
  app.get('/livez', async () => 'ok\n')
  app.get('/readyz', async (request, reply) => {
    const hindrances = hindrancesOf(options)
    void reply.code(hindrances.length === 0 ? 200 : 503).type('text/plain; charset=utf-8')
    const isVerbose = Object.hasOwn(request.query as object, 'verbose')
    if (!isVerbose) return hindrances.length === 0 ? 'ok\n' : `${hindrances.join('\n')}\n`
    const status = ledger.status()
    const lines = [`[+] height ${status.height} of ${status.targetHeight}`]
    lines.push(...hindrances.map((text) => `[-] ${text}`))
    if (hindrances.length === 0) lines.push('[+] ready')
    return `${lines.join('\n')}\n`
  })
  app.get('/health', async (_request, reply) => {
    const { height, targetHeight, peers, syncing, epoch } = ledger.status()
    const hindrances = hindrancesOf(options)
    const state = syncing ? 'syncing' : hindrances.length > 0 ? 'degraded' : 'ok'
    void reply.code(syncing ? 206 : hindrances.length > 0 ? 503 : 200)
    return {
      status: state,
      height,
      target: targetHeight,
      epoch,
      peers,
      version: ledger.nodeInfo().version,
      hindrances,
    }
  })
  app.get('/metrics', async (_request, reply) => {
    void reply.type(registry.contentType)
    return registry.metrics()
  })
}

function hindrancesOf({ ledger, readiness }: HealthOptions): string[] {
  const { height, targetHeight, syncing } = ledger.status()
  const hindrances = [...(readiness?.() ?? [])]
  if (syncing) hindrances.push(`catching up: height ${height} of ${targetHeight}`)
  else if (targetHeight - height > READY_LAG_BLOCKS) {
    hindrances.push(`${targetHeight - height} blocks behind the network`)
  }
  return hindrances
}
