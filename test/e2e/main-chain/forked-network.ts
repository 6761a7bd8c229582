import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import { peerIdOf } from '@ioex/chain/net'
import { ChildNode } from '../../../cli/src/devnet/child-node.ts'
import { freePort } from '../../../cli/src/devnet/free-port.ts'
import { readOrCreateKey } from '../../../cli/src/nodes/key-file.ts'
import type { NodeConfig } from '../../../cli/src/nodes/node-config.ts'

const LOOPBACK = '127.0.0.1'

export interface ExtraNode {
  readonly name: string
  readonly folder: string
  readonly address: string
  readonly rpcUrl: string
  readonly log: string
  readonly process: ChildNode
}

export interface ExtraNodeOptions {
  readonly data: string
  readonly name: string
  readonly mainChainUrl: string
  /** Key of its account on the main chain. */
  readonly mainKey: Uint8Array
  /** A validator of the network whose consensus key it signs with; undefined: a key of its own. */
  readonly signsFor?: string
}

/** A full node beside those of the network: it starts from genesis, with a node key of its own. */
export async function createExtraNode(options: ExtraNodeOptions): Promise<ExtraNode> {
  const { data, name, signsFor, mainKey } = options
  const folder = join(data, name)
  const keys = join(folder, 'keys')
  await mkdir(keys, { recursive: true, mode: 0o700 })
  const keyFile = (kind: string) => join(keys, `${kind}.key`)
  if (signsFor) await cp(join(data, signsFor, 'keys', 'consensus.key'), keyFile('consensus'))
  else await readOrCreateKey(keyFile('consensus'))
  await writeFile(keyFile('main-chain'), `${bytesToHex(mainKey)}\n`, { mode: 0o600 })
  const nodeKey = await readOrCreateKey(keyFile('node'))
  const [port, rpcPort] = [await freePort(), await freePort()]
  const log = join(data, 'logs', `${name}.log`)
  const process = new ChildNode({
    name,
    config: join(folder, 'config.json'),
    logPath: log,
    cacheFolder: join(data, 'cache'),
    nodeFlags: ['--max-semi-space-size=8'],
  })
  const node = {
    name,
    folder,
    address: `/ip4/${LOOPBACK}/tcp/${port}/p2p/${peerIdOf(nodeKey)}`,
    rpcUrl: `http://${LOOPBACK}:${rpcPort}/`,
    log,
    process,
  }
  await writeConfig(options, node, port, rpcPort)
  return node
}

async function writeConfig(
  { data, name, mainChainUrl }: ExtraNodeOptions,
  { folder }: ExtraNode,
  port: number,
  rpcPort: number,
): Promise<void> {
  const config: NodeConfig = {
    name,
    role: 'validator',
    genesis: join(data, 'genesis.json'),
    data: folder,
    listen: { host: LOOPBACK, port },
    peers: [],
    rpc: { host: LOOPBACK, port: rpcPort },
    mainChainUrl,
    newValidator: true,
    signing: { watchTimeouts: 1, reserveMiB: 1 },
    logLevel: 'info',
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
}

/** Tells a node whom to connect to; before it starts. */
export async function setPeers({ folder }: ExtraNode, peers: readonly string[]): Promise<void> {
  const path = join(folder, 'config.json')
  const config = JSON.parse(await readFile(path, 'utf8')) as NodeConfig
  await writeFile(path, JSON.stringify({ ...config, peers }))
}
