import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { presets } from '@ioex/genesis/presets'
import { z } from 'zod'
import { readDevnet, rpcUrlsOf } from './devnet/devnet-files.ts'
import { CommandError, EXIT_USAGE } from './output/failure.ts'
import { schemaIssues } from './output/schema-issues.ts'

const networks = Object.keys(presets) as [keyof typeof presets]

/** What every command may be told, by flag, IOEX_* variable or file. */
const SettingsSchema = z.strictObject({
  json: z.boolean().optional(),
  rpc: z
    .url({ protocol: /^https?$/, error: 'give an address such as http://127.0.0.1:22666' })
    .optional(),
  data: z.string().min(1).optional(),
  network: z.enum(networks).optional(),
  tokenFile: z.string().min(1).optional(),
  passphraseFile: z.string().min(1).optional(),
})
export type GivenSettings = z.infer<typeof SettingsSchema>

export interface Settings {
  readonly json: boolean
  /** JSON-RPC address of the node to ask. */
  readonly rpc: string
  /** Folder of the wallet and of everything local, absolute. */
  readonly data: string
  readonly network: keyof typeof presets
  /** Access token of the node, if its file is known. */
  readonly tokenFile: string
  /** File whose first line opens sealed keys, absolute, if one is named. */
  readonly passphraseFile: string | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_DATA = '.ioex'
const DEFAULT_RPC = 'http://127.0.0.1:22666'

/**
 * Flags win over IOEX_* variables, these over the file (--config, else ioex.yaml in the data
 * folder), that over what the folder's own network says (genesis.json, devnet.json), that over
 * the defaults.
 */
export async function resolveSettings(
  flags: GivenSettings & { readonly config?: string },
  env: Environment,
  folder: string,
): Promise<Settings> {
  const { config, ...given } = flags
  const fromEnv = check('IOEX_* variables', {
    json: env.IOEX_JSON === undefined ? undefined : /^(1|true|yes)$/i.test(env.IOEX_JSON),
    rpc: env.IOEX_RPC,
    data: env.IOEX_DATA,
    network: env.IOEX_NETWORK,
    tokenFile: env.IOEX_TOKEN_FILE,
    passphraseFile: env.IOEX_PASSPHRASE_FILE,
  })
  const outer = { ...fromEnv, ...defined(check('the flags', given)) }
  const configPath = config ?? env.IOEX_CONFIG
  const file = await readConfig(
    resolve(folder, configPath ?? join(outer.data ?? DEFAULT_DATA, 'ioex.yaml')),
    configPath !== undefined,
  )
  const all = { ...file, ...outer }
  const data = resolve(folder, all.data ?? DEFAULT_DATA)
  return {
    json: all.json ?? false,
    rpc: all.rpc ?? (await rpcOfFolder(data)) ?? DEFAULT_RPC,
    data,
    network: all.network ?? (await networkOfFolder(data)) ?? 'local',
    tokenFile: resolve(folder, all.tokenFile ?? join(data, 'rpc-token')),
    passphraseFile: all.passphraseFile && resolve(folder, all.passphraseFile),
  }
}

async function readConfig(path: string, isRequired: boolean): Promise<GivenSettings> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    if (!isRequired) return {}
    throw new CommandError('CONFIG_MISSING', `there is no config file at ${path}`, EXIT_USAGE)
  }
  // Few commands have a config file to read.
  const { parse } = await import('yaml')
  let value: unknown
  try {
    value = parse(text, { uniqueKeys: true, maxAliasCount: 0 })
  } catch (error) {
    throw new CommandError('CONFIG', `${path}: ${(error as Error).message}`, EXIT_USAGE)
  }
  return check(path, value ?? {})
}

function check(source: string, value: unknown): GivenSettings {
  const parsed = SettingsSchema.safeParse(value)
  if (parsed.success) return defined(parsed.data)
  throw new CommandError('CONFIG', `${source}: ${schemaIssues(parsed.error)}`, EXIT_USAGE)
}

function defined(settings: GivenSettings): GivenSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

const GenesisSchema = z.looseObject({ network: z.enum(networks) })

/** Undefined without a genesis file; a damaged one must not pass for another network's. */
async function networkOfFolder(data: string): Promise<Settings['network'] | undefined> {
  const path = join(data, 'genesis.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return undefined
  }
  const parsed = GenesisSchema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data.network
  throw new CommandError(
    'GENESIS_DAMAGED',
    `${path} is damaged: restore it from a copy, or name the network with --network`,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** First full node of a local network; commands that need the network itself report its damage. */
async function rpcOfFolder(data: string): Promise<string | undefined> {
  try {
    const record = await readDevnet(data)
    return record && rpcUrlsOf(record)[0]
  } catch {
    return undefined
  }
}
