import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FolderInUseError, type FolderLock, lockFolder } from '@ioex/chain/main-chain'
import { DevnetError, type DevnetRecord } from './devnet-files.ts'
import { assertPortFree } from './free-port.ts'

/** Nodes whose supervisor was killed notice it and stop by themselves within this time. */
const LEFTOVERS_DEADLINE_MS = 20_000
const POLL_MS = 100

export interface FolderClaim {
  readonly lock: FolderLock
  /** The process that held it last did not come to an orderly end. */
  readonly wasKilled: boolean
}

/** Makes this process the only one that makes, runs or deletes the network of the folder. */
export async function claimFolder(data: string): Promise<FolderClaim> {
  await mkdir(data, { recursive: true, mode: 0o700 })
  const path = join(data, 'devnet.lock')
  const wasKilled = await access(path).then(
    () => true,
    () => false,
  )
  try {
    return { lock: await lockFolder(path), wasKilled }
  } catch (error) {
    if (!(error instanceof FolderInUseError)) throw error
    throw new DevnetError(
      'NETWORK_RUNNING',
      `the network in ${data} runs already: ${error.message}`,
    )
  }
}

/**
 * Resolves when every port of the network is free; after a kill it waits until the nodes that
 * were left behind have stopped, so that no folder is used twice.
 */
export async function freePortsOf(record: DevnetRecord, wasKilled: boolean): Promise<void> {
  const deadline = Date.now() + (wasKilled ? LEFTOVERS_DEADLINE_MS : 0)
  const wanted = record.nodes.flatMap(({ name, rpcPort, p2pPort }) =>
    [rpcPort, p2pPort].flatMap((port) => (port === undefined ? [] : [{ name, port }])),
  )
  const { mainChainPort, mainChainP2pPort, arbiterPort } = record
  if (mainChainP2pPort !== undefined) {
    wanted.push({ name: "main chain's P2P side", port: mainChainP2pPort })
  }
  if (arbiterPort !== undefined) wanted.push({ name: 'arbiter listener', port: arbiterPort })
  for (const { name, port } of [{ name: 'main chain', port: mainChainPort }, ...wanted]) {
    while (!(await isFree(port))) {
      if (Date.now() >= deadline) {
        throw new DevnetError(
          'PORT_TAKEN',
          `port ${port}, which the network's ${name} needs, is taken: stop what listens there`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  try {
    await assertPortFree(port)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
}
