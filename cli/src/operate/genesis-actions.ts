import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { bytesToHex, fault, formatAddress, parseAddress, parseHex } from '@ioex/chain/bytes'
import { asInternalHash, INSTANT_POW_LIMIT_BITS, toDisplayHash } from '@ioex/chain/elastos'
import type { Genesis } from '@ioex/chain/rules'
import { type Allocation, MAIN_HEADER_BYTES_MAX, NodeRole } from '@ioex/chain/types'
import {
  composeGenesis,
  ENTRY_TEXT_MAX,
  type GenesisPlan,
  genesisFileText,
  readEntryFile,
  readGenesisFile,
  type SignedGenesisEntry,
} from '@ioex/genesis/builder'
import { type PresetName, presets } from '@ioex/genesis/presets'
import writeFileAtomic from 'write-file-atomic'
import type { CommandContext } from '../command-context.ts'
import { builtInCheckpoint, builtInMainGenesis } from './built-in-genesis.ts'
import { readSmallText } from './node-keys.ts'
import { formatIoex, parseAmount } from '../output/amount.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'

/** What `genesis create` is told. */
export interface CreateFlags {
  readonly preset: string
  readonly validator: readonly string[]
  readonly bootstrap: readonly string[]
  readonly allocation: readonly string[]
  readonly time: string
  readonly mainCheckpoint?: string
  readonly output: string
}

/** genesis create */
export async function createGenesis(context: CommandContext, flags: CreateFlags): Promise<void> {
  const { folder } = context.io
  const plan = await planOf(folder, flags)
  const composed = composeGenesis(plan)
  if (!composed.ok) throw new CommandError(composed.fault.code, composed.fault.message)
  const path = resolve(folder, flags.output)
  const text = genesisFileText(plan.preset, composed.value.document)
  await writeOnce(path, text)
  showGenesis(context, path, composed.value.genesis)
}

async function planOf(folder: string, flags: CreateFlags): Promise<GenesisPlan> {
  const { preset } = flags
  if (!isPreset(preset)) {
    throw usageError(`--preset: "${preset}" is none of ${Object.keys(presets).join(', ')}`)
  }
  const timeMs = timeOf(flags.time)
  const entries = [
    ...(await readEntries(folder, flags.validator, NodeRole.validator)),
    ...(await readEntries(folder, flags.bootstrap, NodeRole.bootstrap)),
  ]
  const allocations = flags.allocation.map((text) => allocationOf(text, preset))
  const mainCheckpoint = await checkpointOf(folder, flags, preset, entries, timeMs)
  return { preset, timeMs, entries, allocations, mainCheckpoint }
}

const isPreset = (name: string): name is PresetName => Object.hasOwn(presets, name)

/** A full instant with its zone: two operators must not read it differently. */
function timeOf(text: string): number {
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
  const timeMs = isInstant ? Date.parse(text) : Number.NaN
  if (Number.isNaN(timeMs)) {
    throw usageError(`--time: "${text}" is no instant: give it as 2026-11-22T12:00:00Z`)
  }
  return timeMs
}

async function readEntries(
  folder: string,
  files: readonly string[],
  role: number,
): Promise<SignedGenesisEntry[]> {
  const entries: SignedGenesisEntry[] = []
  for (const file of files) {
    const path = resolve(folder, file)
    const read = readEntryFile(await readSmallText(path, ENTRY_TEXT_MAX))
    if (!read.ok) throw new CommandError(read.fault.code, `${path}: ${read.fault.message}`)
    if (read.value.entry.role !== role) {
      const flag = role === NodeRole.validator ? '--bootstrap' : '--validator'
      throw new CommandError('ENTRY_ROLE', `${path} is an entry for another role: use ${flag}`)
    }
    entries.push(read.value)
  }
  return entries
}

function allocationOf(text: string, preset: PresetName): Allocation {
  const at = text.indexOf('=')
  const address = parseAddress(text.slice(0, Math.max(at, 0)), presets[preset].addressPrefix)
  const amount = at < 0 ? fault('AMOUNT', 'no "="') : parseAmount(text.slice(at + 1))
  if (!address.ok) throw usageError(`--allocation ${text}: ${address.fault.message}`)
  if (!amount.ok) throw usageError(`--allocation ${text}: ${amount.fault.message}`)
  return { address: address.value, amount: amount.value }
}

async function checkpointOf(
  folder: string,
  { mainCheckpoint }: CreateFlags,
  preset: PresetName,
  entries: readonly SignedGenesisEntry[],
  timeMs: number,
): Promise<Uint8Array> {
  if (mainCheckpoint !== undefined) {
    const path = resolve(folder, mainCheckpoint)
    const text = await readSmallText(path, 2 * MAIN_HEADER_BYTES_MAX + 2)
    const bytes = parseHex(text.trim(), MAIN_HEADER_BYTES_MAX)
    if (!bytes.ok) throw new CommandError('GENESIS_CHECKPOINT', `${path}: ${bytes.fault.message}`)
    return bytes.value
  }
  if (presets[preset].mainChain.powLimitBits !== INSTANT_POW_LIMIT_BITS) {
    throw usageError(
      `--main-checkpoint: a ${preset} network starts from a recent main-chain header`,
    )
  }
  const keys = entries.flatMap(({ entry }) =>
    entry.role === NodeRole.validator ? [entry.mainKey] : [],
  )
  return builtInCheckpoint(builtInMainGenesis(keys, timeMs))
}

/** A genesis that others may use already is never replaced by another. */
async function writeOnce(path: string, text: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (before === text) return
  if (before !== undefined) {
    throw new CommandError(
      'GENESIS_EXISTS',
      `${basename(path)} holds another genesis: move it away, or write elsewhere with --output`,
    )
  }
  await writeFileAtomic(path, text, { mode: 0o644 })
}

function showGenesis({ output }: CommandContext, path: string, genesis: Genesis): void {
  const facts = factsOf(genesis)
  output.result({ path, ...facts }, () => {
    const text = factsText([
      ['chain id', facts.chainId],
      ['network', `${facts.network} (protocol version ${facts.protocolVersion})`],
      ['time', facts.time],
      ['supply', formatIoex(facts.supply)],
      ['accounts', String(facts.accounts)],
      ['bootstrap nodes', String(facts.nodes.length)],
      ['main chain from', `height ${facts.mainCheckpoint.height}, ${facts.mainCheckpoint.hash}`],
      ['block 0', facts.hash],
      ['state root', facts.stateRoot],
      ['file', path],
    ])
    const table = output.table(
      [
        { head: 'validator' },
        { head: 'consensus key' },
        { head: 'power', align: 'right' },
        { head: 'bond', align: 'right' },
      ],
      facts.validators.map(({ owner, consensusKey, power, bond }) => [
        owner,
        consensusKey,
        String(power),
        formatIoex(bond),
      ]),
    )
    return `${text}\n\n${table}`
  })
}

function factsOf({ chainId, hash, params, ledger, block }: Genesis) {
  const address = (bytes: Uint8Array) => formatAddress(bytes, params.addressPrefix)
  const { genesisSupply, mainTipHeight } = ledger.globals()
  const rows = <T>(table: { count: number; get(index: number): T | undefined }) =>
    Array.from({ length: table.count }, (_, index) => table.get(index) as T)
  const checkpoint = ledger.mainHeaders.get(mainTipHeight % ledger.mainHeaders.count)
  return {
    chainId: bytesToHex(chainId),
    network: params.network,
    protocolVersion: params.protocolVersion,
    time: new Date(block.header.timeMs).toISOString(),
    hash: bytesToHex(hash),
    stateRoot: bytesToHex(block.header.stateRoot),
    supply: genesisSupply,
    accounts: ledger.accounts.count,
    validators: rows(ledger.validators).map((validator) => ({
      owner: address(validator.owner),
      payout: address(validator.payout),
      consensusKey: bytesToHex(validator.consensusKey),
      mainKey: bytesToHex(validator.mainKey),
      power: validator.power,
      bond: validator.bond,
    })),
    nodes: rows(ledger.nodes).map((node) => ({
      owner: address(node.owner),
      nodeKey: bytesToHex(node.nodeKey),
      payout: address(node.payout),
      roles: node.roles,
    })),
    mainCheckpoint: {
      height: mainTipHeight,
      hash: checkpoint ? toDisplayHash(asInternalHash(checkpoint.hash)) : '',
    },
    params,
  }
}

/** genesis show */
export async function showGenesisFile(context: CommandContext, file: string): Promise<void> {
  const path = resolve(context.io.folder, file)
  const read = readGenesisFile(await readFile(path, 'utf8'))
  if (!read.ok) throw new CommandError(read.fault.code, `${path}: ${read.fault.message}`)
  showGenesis(context, path, read.value)
}
