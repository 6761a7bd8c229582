import { type JsonRpcServer, startJsonRpcServer } from '../main-chain/json-rpc-server.ts'
import type { ArbiterChain } from './arbiter-chain.ts'
import { arbiterRpcHandler } from './arbiter-methods.ts'

/** Who may call when nobody was named: this machine. */
const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1']

export interface ArbiterServerOptions {
  readonly chain: ArbiterChain
  /** Loopback unless asked otherwise. */
  readonly host?: string
  /** 0 takes a free port. */
  readonly port: number
  /** Arbiters always send Basic authorization; without a user here any is taken. */
  readonly user?: string
  readonly password?: string
  /** Addresses that may call; this machine's own by default. */
  readonly allow?: readonly string[]
  readonly onProblem?: (error: unknown) => void
}

/** Serves the dialect that an unmodified Elastos Arbiter speaks with a side node. */
export function startArbiterServer(options: ArbiterServerOptions): Promise<JsonRpcServer> {
  const { chain, allow = LOOPBACK_ADDRESSES, ...listener } = options
  return startJsonRpcServer(arbiterRpcHandler(chain), { ...listener, allow })
}
