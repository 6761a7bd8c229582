import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { pegReserve } from '@ioex/chain/rules'
import type { CallObserver } from './call-server.ts'
import type { LedgerSource } from './ledger-source.ts'

/** The RPC server's own measurements, in a registry that the node may add to. */
export interface ServerMetrics {
  readonly registry: Registry
  readonly observe: CallObserver
}

export function createServerMetrics(
  ledger: LedgerSource,
  registry: Registry = new Registry(),
): ServerMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'ioex_rpc_requests_total',
    help: 'JSON-RPC calls by method and outcome',
    labelNames: ['method', 'code'],
    registers,
  })
  const duration = new Histogram({
    name: 'ioex_rpc_duration_seconds',
    help: 'Time to answer a JSON-RPC call, long polls included',
    labelNames: ['method'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30],
    registers,
  })
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  gauge('ioex_chain_height', 'Height of the newest final block', () => ledger.status().height)
  gauge('ioex_chain_epoch', 'Epoch of the newest final block', () => ledger.status().epoch)
  gauge('ioex_chain_target_height', 'Height the network has reached', () => {
    return ledger.status().targetHeight
  })
  gauge('ioex_peers', 'Connected peers', () => ledger.status().peers)
  gauge('ioex_peg_paused', '1 while withdrawals to the main chain are stopped', () => {
    return ledger.peg.totals().paused ? 1 : 0
  })
  gauge('ioex_peg_reserve_units', 'Units that the main chain holds for this one', () => {
    return Number(pegReserve(ledger.peg.totals()))
  })
  gauge('ioex_peg_unbacked_units', 'Units whose deposits a reorganisation took away', () => {
    return Number(ledger.peg.totals().unbacked)
  })
  const { version } = ledger.nodeInfo()
  const build = new Gauge({
    name: 'ioex_build_info',
    help: 'Constant 1; the version is its label',
    labelNames: ['version'],
    registers,
  })
  build.set({ version }, 1)
  return {
    registry,
    observe(method, code, seconds) {
      requests.inc({ method, code })
      duration.observe({ method }, seconds)
    },
  }
}

/** Adds Node's process metrics; once per process, because they watch the whole of it. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry })
}
