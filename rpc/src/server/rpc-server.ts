import { chmod, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { type MethodName, methods } from '../contract/methods.ts'
import { openRpcDocument } from '../contract/openrpc.ts'
import { readOrCreateToken } from './access-token.ts'
import { anchorHandlers } from './anchor-handlers.ts'
import { BlockWaits } from './block-waits.ts'
import { CallServer } from './call-server.ts'
import { chainHandlers } from './chain-handlers.ts'
import { contractHealthHandlers } from './contract-health.ts'
import type { Handlers } from './handler.ts'
import type { ReadinessCheck } from './health-routes.ts'
import { HostGuard, isLoopback } from './host-guard.ts'
import { createHealthApp, createHttpApp, type HttpAppOptions } from './http-app.ts'
import type { LedgerSource } from './ledger-source.ts'
import { nodeHandlers, storageHandlers } from './node-handlers.ts'
import { pegHandlers } from './peg-handlers.ts'
import { ownerContractsHandlers } from './owner-contracts.ts'
import { receiptsHandlers } from './receipts-handlers.ts'
import { contractsHandlers, nodesHandlers, railsHandlers } from './record-handlers.ts'
import { rewardsHandlers } from './rewards-handlers.ts'
import { addProcessMetrics, createServerMetrics } from './server-metrics.ts'
import type { StorageBackend } from './storage-backend.ts'

const REQUEST_BYTES_MAX = 2 * 1024 * 1024
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024
/** A local network of eight peers that follow 200 ms blocks makes about 6,000 a minute. */
const CALLS_PER_MINUTE = 60_000

export interface RpcServerOptions {
  readonly ledger: LedgerSource
  /** The node owner's files; without it the storage methods are not served. */
  readonly storage?: StorageBackend
  /** Secret of the node's owner; without it contracts_open is not served. */
  readonly ownerKey?: Uint8Array
  /** Default 127.0.0.1. Any address beyond this machine needs `allowRemote`. */
  readonly host?: string
  /** 0 = a free one. */
  readonly port: number
  readonly allowRemote?: boolean
  /** Names under which a remote listener may be addressed, e.g. node.example.org. */
  readonly allowedHosts?: readonly string[]
  /** Web pages that may read, e.g. https://page.example; "*" for any. Default: the node's own. */
  readonly allowedOrigins?: readonly string[]
  /** File of the access token; made when missing. Without it no token is accepted. */
  readonly tokenFile?: string
  /** Also listens here; the file is readable by its owner only and needs no token. */
  readonly socketPath?: string
  /** Also serves the health and metrics pages alone on this port, for a monitor. */
  readonly healthPort?: number
  readonly readiness?: ReadinessCheck
  /** Registry for the metrics; a new one if not given. */
  readonly registry?: Registry
  /** Adds Node's process metrics; once per process. */
  readonly processMetrics?: boolean
  readonly logger?: FastifyBaseLogger
  readonly requestBytesMax?: number
  readonly responseBytesMax?: number
  readonly callsPerMinute?: number
}

export interface RpcServer {
  /** http://host:port, without /rpc. */
  readonly url: string
  readonly port: number
  readonly healthPort: number | undefined
  readonly registry: Registry
  /** Ends long polls and connections, then stops listening. */
  close(): Promise<void>
}

/** A listener was configured in a way that would expose the node. */
export class RpcServerConfigError extends Error {
  override name = 'RpcServerConfigError'
}

/** Starts the JSON-RPC server over a ledger. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { ledger, storage, host = '127.0.0.1', tokenFile } = options
  refuseExposure(host, options.allowRemote ?? false)
  const token = tokenFile === undefined ? undefined : await readOrCreateToken(tokenFile)
  const metrics = createServerMetrics(ledger, options.registry)
  if (options.processMetrics) addProcessMetrics(metrics.registry)
  const waits = new BlockWaits(ledger)
  const underWay = new Set<AbortController>()
  const handlers = {
    ...allHandlers(ledger, waits, storage),
    ...(options.ownerKey && ownerContractsHandlers(ledger, waits, options.ownerKey)),
  }
  const openRpc = openRpcDocument(servedMethods(handlers), {
    version: ledger.nodeInfo().version,
    url: `http://${urlHost(host)}:${options.port}/rpc`,
  })
  const calls = new CallServer({
    handlers: { ...handlers, 'rpc.discover': () => ({ ...openRpc }) },
    logger: options.logger,
    responseBytesMax: options.responseBytesMax ?? RESPONSE_BYTES_MAX,
    observe: metrics.observe,
  })
  const { registry } = metrics
  const { readiness } = options
  const app: HttpAppOptions = {
    calls,
    health: { ledger, registry, ...(readiness && { readiness }) },
    openRpc: JSON.stringify(openRpc),
    logger: options.logger,
    requestBytesMax: options.requestBytesMax ?? REQUEST_BYTES_MAX,
    callsPerMinute: options.callsPerMinute ?? CALLS_PER_MINUTE,
    token,
    guard: new HostGuard(host, options.allowedHosts ?? [], options.allowedOrigins),
    underWay,
  }
  const listeners = await listenAll(options, host, app)
  const { port, healthPort } = listeners
  return {
    url: `http://${urlHost(host)}:${port}`,
    port,
    healthPort,
    registry,
    async close() {
      waits.close()
      for (const call of underWay) call.abort()
      await listeners.close()
    },
  }
}

const urlHost = (host: string) => (host.includes(':') ? `[${host}]` : host)

function refuseExposure(host: string, allowRemote: boolean): void {
  if (isLoopback(host) || allowRemote) return
  throw new RpcServerConfigError(
    `the RPC listener would be open to other machines at ${host}: use 127.0.0.1, or allow remote ` +
      'access explicitly',
  )
}

function allHandlers(
  ledger: LedgerSource,
  waits: BlockWaits,
  storage: StorageBackend | undefined,
): Handlers {
  return {
    ...chainHandlers(ledger, waits),
    ...nodesHandlers(ledger),
    ...contractsHandlers(ledger),
    ...contractHealthHandlers(ledger),
    ...railsHandlers(ledger),
    ...receiptsHandlers(ledger),
    ...rewardsHandlers(ledger),
    ...anchorHandlers(ledger),
    ...pegHandlers(ledger),
    ...nodeHandlers(ledger),
    ...(storage && storageHandlers(storage)),
  }
}

/** What this server's document lists: all handled methods and those of every WebSocket. */
function servedMethods(handlers: Handlers): MethodName[] {
  const names = Object.keys(methods) as MethodName[]
  return names.filter(
    (name) => handlers[name] || methods[name].socketOnly || name === 'rpc.discover',
  )
}

interface Listeners {
  readonly port: number
  readonly healthPort: number | undefined
  close(): Promise<void>
}

async function listenAll(
  options: RpcServerOptions,
  host: string,
  app: HttpAppOptions,
): Promise<Listeners> {
  const open: FastifyInstance[] = []
  const close = async () => {
    await Promise.all(open.map((each) => each.close()))
    if (options.socketPath !== undefined) await rm(options.socketPath, { force: true })
  }
  const listen = async (instance: FastifyInstance, port: number) => {
    open.push(instance)
    await instance.listen({ host, port })
    return (instance.server.address() as AddressInfo).port
  }
  try {
    const port = await listen(await createHttpApp(app), options.port)
    if (options.socketPath !== undefined) {
      const local = await createHttpApp({ ...app, guard: undefined })
      open.push(local)
      await listenOnSocket(local, options.socketPath)
    }
    let healthPort: number | undefined
    if (options.healthPort !== undefined) {
      healthPort = await listen(createHealthApp(app), options.healthPort)
    }
    return { port, healthPort, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The socket's file permissions are its access control, so they are set before anyone can dial. */
async function listenOnSocket(app: FastifyInstance, path: string): Promise<void> {
  await rm(path, { force: true })
  const mask = process.umask(0o177)
  try {
    await app.listen({ path })
  } finally {
    process.umask(mask)
  }
  await chmod(path, 0o600)
}
