import { join } from 'node:path'
import { pino } from 'pino'
import { publicKeyOf } from '../../bytes/signature.ts'
import { GENESIS_MS, headerWith } from '../../consensus/testing/machine-bench.ts'
import type { NetworkParams } from '../../params/network-params.ts'
import { ConsensusDriver, type ConsensusDriverOptions } from '../consensus-driver.ts'
import type { ConsensusKey } from '../consensus-key.ts'
import type { MemoryHost } from './memory-host.ts'
import type { MemoryNetwork } from './memory-transport.ts'

export const CHAIN_ID = new Uint8Array(32).fill(9)
export const DEADLINE = { timeout: 30_000, interval: 10 }
/** Of the four validators, in their order in the set. */
export const secretKeys = [1, 2, 3, 4].map((i) => new Uint8Array(32).fill(i))

/** What a host is made from: the four validators over genesis. */
export function hostOf(name: string, epochBlocks: number) {
  const validators = secretKeys.map((key) => ({ publicKey: publicKeyOf(key), weight: 1 }))
  return [name, headerWith({ epoch: 0, timeMs: GENESIS_MS }), validators, epochBlocks] as const
}

/** The driver reads only what paces consensus. */
export const paramsOf = (epochBlocks: number) =>
  ({
    blockIntervalMs: 30,
    skipTimeoutMs: 300,
    skipTimeoutGrowthPercent: 150,
    skipTimeoutCapMs: 2000,
    rebroadcastMs: 150,
    clockAheadMs: 1000,
    clockBehindMs: 10_000,
    epochBlocks,
  }) as NetworkParams

export interface DriverPlace {
  readonly name: string
  readonly host: MemoryHost
  readonly network: MemoryNetwork
  /** Holds a directory of each node. */
  readonly folder: string
  readonly epochBlocks: number
  /** Undefined for a node that only follows. */
  readonly key: ConsensusKey | undefined
}

/** Starts the driver of one node of the world. */
export function startDriver(
  { name, host, network, folder, epochBlocks, key }: DriverPlace,
  newValidator: boolean,
  more: Partial<ConsensusDriverOptions> = {},
): Promise<ConsensusDriver> {
  return ConsensusDriver.start({
    host,
    transport: network.join(name),
    params: paramsOf(epochBlocks),
    chainId: CHAIN_ID,
    directory: join(folder, name),
    validator: key && { key, newValidator },
    reserveBytes: 4096,
    logger: pino({ level: 'silent' }),
    ...more,
  })
}
