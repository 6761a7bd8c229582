import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PresetName } from '@ioex/genesis/presets'
import writeFileAtomic from 'write-file-atomic'
import { z } from 'zod'

/** What `ioex devnet` is asked for. */
export interface DevnetOptions {
  /** The one folder that holds everything. */
  readonly data: string
  readonly preset: Extract<PresetName, 'local' | 'ci'>
  readonly validators: number
  readonly bootstraps: number
  readonly peers: number
  /** First node's ports start here: +666 JSON-RPC, +668 p2p, +606 arbiters, +336 and +338 main chain. 0: free. */
  readonly portBase: number
  /** Validators ask for the Confirms of main blocks; only where the network is made. */
  readonly mainConfirms?: boolean | undefined
}

/** Peers without a listen address, the last ones of the list. */
export const UNDIALABLE_PEERS = 2

const DevnetRecordSchema = z.strictObject({
  version: z.literal(1),
  preset: z.enum(['local', 'ci']),
  mainChainPort: z.int(),
  /** Its P2P listener; networks made earlier have none. */
  mainChainP2pPort: z.int().optional(),
  /** Where the first validator serves arbiters. */
  arbiterPort: z.int().optional(),
  mainChainGenesis: z.strictObject({
    allocations: z.array(z.strictObject({ address: z.string(), sela: z.string() })),
    timestamp: z.int(),
  }),
  /** Multiaddrs of the bootstrap nodes, for clients. */
  bootstrap: z.array(z.string()),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      role: z.enum(['validator', 'bootstrap', 'peer']),
      /** Path of its config file, relative to the data folder. */
      config: z.string(),
      rpcPort: z.int().optional(),
      p2pPort: z.int().optional(),
      dialable: z.boolean(),
    }),
  ),
})
/** The network's own description, kept so that it can be started again. */
export type DevnetRecord = z.infer<typeof DevnetRecordSchema>

/** The local network cannot be read or started as it is; the message says what to do. */
export class DevnetError extends Error {
  override name = 'DevnetError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Keys of the built-in main chain's arbiters, for validators that ask for Confirms. */
export const mainArbitersPath = (data: string) => join(data, 'main-arbiters.txt')
const recordPath = (data: string) => join(data, 'devnet.json')
export const genesisPath = (data: string) => join(data, 'genesis.json')
export const mainChainFolder = (data: string) => join(data, 'main-chain')
export const logPath = (data: string, name: string) => join(data, 'logs', `${name}.log`)

/** Undefined where no network was made yet. */
export async function readDevnet(data: string): Promise<DevnetRecord | undefined> {
  let text: string
  try {
    text = await readFile(recordPath(data), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const parsed = DevnetRecordSchema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new DevnetError(
    'NETWORK_DAMAGED',
    `${recordPath(data)} is damaged or of another version: start afresh with --reset ` +
      '(this deletes the local network and its files), or restore the file',
  )
}

/** JSON-RPC URLs of a network's full nodes, first node first. */
export function rpcUrlsOf(record: DevnetRecord): string[] {
  return record.nodes.flatMap(({ rpcPort }) =>
    rpcPort === undefined ? [] : [`http://127.0.0.1:${rpcPort}`],
  )
}

/** Written last, so that a half-made network is made again. */
export async function writeDevnet(data: string, record: DevnetRecord): Promise<void> {
  await writeJson(recordPath(data), record)
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
