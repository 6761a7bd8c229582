import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { logPath } from '../../cli/src/devnet/devnet-files.ts'
import { freePort } from '../../cli/src/devnet/free-port.ts'
import { type NodeConfig, readNodeConfig } from '../../cli/src/nodes/node-config.ts'

/** Changes the config of a node that does not run. */
export async function reconfigure(
  folder: string,
  change: (config: NodeConfig) => Partial<NodeConfig>,
): Promise<void> {
  const path = join(folder, 'config.json')
  const config = await readNodeConfig(path)
  await writeFile(path, JSON.stringify({ ...config, ...change(config) }))
}

/** Puts the files of one folder in the place of another's. */
export async function replaceFolder(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true })
  await cp(from, to, { recursive: true })
}

/** A second node with all files of a stopped validator, keys too, on ports of its own. */
export async function copyValidator(data: string, name: string, copy: string): Promise<ChildNode> {
  const folder = join(data, copy)
  await replaceFolder(join(data, name), folder)
  const [p2pPort, rpcPort] = [await freePort(), await freePort()]
  await reconfigure(folder, ({ listen, rpc }) => ({
    name: copy,
    data: folder,
    listen: listen && { ...listen, port: p2pPort },
    rpc: rpc && { ...rpc, port: rpcPort },
  }))
  return new ChildNode({
    name: copy,
    config: join(folder, 'config.json'),
    logPath: logPath(data, copy),
    cacheFolder: join(data, 'cache'),
    nodeFlags: [],
  })
}
