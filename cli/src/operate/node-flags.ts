import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import type { Environment } from '../settings.ts'
import { CommandError, EXIT_USAGE } from '../output/failure.ts'
import { schemaIssues } from '../output/schema-issues.ts'

export const NODE_ROLES = ['validator', 'bootstrap', 'peer'] as const
export type NodeRoleName = (typeof NODE_ROLES)[number]

const list = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean)
      : value,
  z.array(z.string().min(1)),
)
const count = z.coerce.number().int().min(0)
const flag = z.preprocess(
  (value) => (typeof value === 'string' ? /^(1|true|yes)$/i.test(value) : value),
  z.boolean(),
)

/** What a node may be told: by flag, by IOEX_* variable, or in the file that --config names. */
const NodeFlagsSchema = z
  .strictObject({
    roles: list,
    genesis: z.string().min(1),
    forks: z.string().min(1),
    data: z.string().min(1),
    name: z.string().min(1),
    /** "host:port", a port, or "none" for a device that nobody can dial. */
    listen: z.string().min(1),
    /** The same for a bootstrap node or peer in a validator's process. */
    bootstrapListen: z.string().min(1),
    peerListen: z.string().min(1),
    announce: list,
    peers: list,
    bootstraps: list,
    fullNodes: list,
    mainChain: z.string().min(1),
    mainChainOthers: list,
    mainArbiters: z.string().min(1),
    rpcHost: z.string().min(1),
    rpcPort: count,
    rpcPublic: flag,
    rpcAllowHost: list,
    rpcAllowOrigin: list,
    metrics: z.string().min(1),
    newValidator: flag,
    haltEpoch: count,
    sync: z.enum(['snapshot', 'full']),
    /** "epoch:hash" of a checkpoint, or "any". */
    trustedCheckpoint: z.string().min(1),
    openings: z.enum(['all', 'recent']),
    capacity: z.string().min(1),
    price: z.string().min(1),
    unitPrice: z.string().min(1),
    relayPrice: z.string().min(1),
    reservationPrice: z.string().min(1),
    /** Bytes that a peer moves in a day (UTC), and the times (UTC) when it moves none. */
    dailyTraffic: z.string().min(1),
    quietHours: z.string().min(1),
    /** Where a peer says it is: text, and its network's number. */
    region: z.string().min(1),
    asn: count,
    paidLinks: count,
    linkPriceMax: z.string().min(1),
    repair: flag,
    leave: flag,
    friends: list,
    logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']),
  })
  .partial()
export type NodeFlags = z.infer<typeof NodeFlagsSchema>

/** Names that one flag has in the three places. */
const NAMES = Object.keys(NodeFlagsSchema.shape) as (keyof NodeFlags)[]
export const variableOf = (name: string) =>
  `IOEX_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

/** Paths are relative to the place that names them. */
const PATHS = ['genesis', 'forks', 'data', 'mainArbiters'] as const
/** What is no path although it stands where one may. */
const isWord = (name: string, value: string) => name === 'mainArbiters' && value === 'nodes'

/** Flags win over variables, these over the file; a path starts from where it was written. */
export async function gatherNodeFlags(
  given: Readonly<Record<string, unknown>>,
  env: Environment,
  folder: string,
  configPath: string | undefined,
): Promise<NodeFlags> {
  const fromFlags = NAMES.map((name) => [name, given[name]] as const)
  const fromEnv = NAMES.map((name) => [name, env[variableOf(name)]] as const)
  const file = configPath === undefined ? {} : await readFlagsFile(resolve(folder, configPath))
  return {
    ...file,
    ...check('IOEX_* variables', Object.fromEntries(fromEnv), folder),
    ...check('the flags', Object.fromEntries(fromFlags), folder),
  }
}

/** A file of an operator (roles: …) as against one that the devnet wrote (role: …). */
export async function isFlagsFile(path: string): Promise<boolean> {
  const text = await readText(path)
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 })
    return !(isRecord(value) && 'role' in value)
  } catch {
    // Its own reader says what is wrong with it.
    return /\.ya?ml$/.test(path)
  }
}

async function readFlagsFile(path: string): Promise<NodeFlags> {
  const text = await readText(path)
  let value: unknown
  try {
    value = parse(text, { uniqueKeys: true, maxAliasCount: 0 })
  } catch (error) {
    throw new CommandError('CONFIG', `${path}: ${(error as Error).message}`, EXIT_USAGE)
  }
  return check(path, value ?? {}, resolve(path, '..'))
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new CommandError('CONFIG_MISSING', `there is no config file at ${path}`, EXIT_USAGE)
  }
}

function check(source: string, value: unknown, folder: string): NodeFlags {
  const parsed = NodeFlagsSchema.safeParse(isRecord(value) ? defined(value) : value)
  if (!parsed.success) {
    throw new CommandError('CONFIG', `${source}: ${schemaIssues(parsed.error)}`, EXIT_USAGE)
  }
  const flags = { ...defined(parsed.data) } as NodeFlags
  for (const name of PATHS) {
    if (flags[name] !== undefined && !isWord(name, flags[name]))
      flags[name] = resolve(folder, flags[name])
  }
  return flags
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function defined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
