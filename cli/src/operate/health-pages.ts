import type { NodeConfig } from '../nodes/node-config.ts'
import type { HealthServer, HealthServerOptions } from './health-server.ts'

/** The pages that a process's first config asks for, up before its nodes are; loads no server else. */
export async function openHealthPages(
  [first]: readonly NodeConfig[],
  nodes: HealthServerOptions['nodes'],
): Promise<HealthServer | undefined> {
  if (!first?.metrics) return undefined
  const { startHealthServer } = await import('./health-server.ts')
  return startHealthServer({ ...first.metrics, dataFolder: first.data, nodes })
}
