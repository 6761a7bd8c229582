import { bytesToHex, parseHex } from '../bytes/hex.ts'
import { BLOCK_BYTES_MAX } from '../elastos/block.ts'
import { type Confirm, decodeConfirm } from '../elastos/confirm.ts'
import { parseEla } from '../elastos/ela-amount.ts'
import { type DisplayHash, parseDisplayHash } from '../elastos/hash-orientation.ts'
import { P256_PUBLIC_KEY_BYTES } from '../elastos/p256.ts'
import type { ArbiterSet } from './main-sources.ts'

const DEFAULT_TIMEOUT_MS = 15_000
/** A block as hex, and the envelope. */
const RESPONSE_BYTES_MAX = 2 * BLOCK_BYTES_MAX + 64 * 1024
const UNSPENT_MAX = 100_000
const TRANSACTIONS_MAX = 10_000
/** The main network has 36. */
const ARBITERS_MAX = 1024
const CONFIRM_BYTES_MAX = 256 * 1024
/** Codes by which a node says that it has no such block, or no Confirm of it. */
const NO_CONFIRM: ReadonlySet<number> = new Set([44003, 44004])

export interface MainChainClientOptions {
  readonly url: string
  readonly user?: string
  readonly password?: string
  /** Bound of one call, connection included. */
  readonly timeoutMs?: number
}

/** The main node does not answer, or with something that is no answer. */
export class MainChainUnreachableError extends Error {
  override name = 'MainChainUnreachableError'
}

/** The main node answered with an error. */
export class MainChainRpcError extends Error {
  override name = 'MainChainRpcError'
  /** Elastos' code, e.g. 43001 transaction refused, 45010 double spend. */
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** An entry of `listunspent`. */
export interface UnspentOutput {
  readonly txid: DisplayHash
  readonly index: number
  readonly sela: bigint
  readonly address: string
  readonly transactionType: number
  readonly confirmations: number
  readonly outputLock: number
}

/** JSON-RPC client of an Elastos main node or of the built-in main chain. */
export interface MainChainClient {
  /** Best height + 1. */
  getBlockCount(): Promise<number>
  getBlockHash(height: number): Promise<DisplayHash>
  /** Raw block: header, AuxPow, transactions. */
  getBlockRaw(hash: DisplayHash): Promise<Uint8Array>
  /** Ids of a block's transactions, in order. */
  getBlockTransactionIds(hash: DisplayHash): Promise<DisplayHash[]>
  getRawTransaction(txid: DisplayHash): Promise<Uint8Array>
  /** Undefined where the node has none of the block, as in the main chain's PoW mode. */
  getConfirm(hash: DisplayHash): Promise<Confirm | undefined>
  /** The arbiters of the node's tip. */
  getArbiters(): Promise<ArbiterSet>
  listUnspent(address: string): Promise<UnspentOutput[]>
  sendRawTransaction(raw: Uint8Array): Promise<DisplayHash>
  /** Any other method, for tools; the result as it came. */
  call(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown>
}

/** Makes a client; nothing is sent before the first call. Answers are bounded and checked. */
export function createMainChainClient(options: MainChainClientOptions): MainChainClient {
  const call = (method: string, params: Readonly<Record<string, unknown>>) =>
    callNode(options, method, params)
  return {
    call,
    async getBlockCount() {
      return wholeNumber(await call('getblockcount', {}), 'getblockcount')
    },
    async getBlockHash(height) {
      return displayHash(await call('getblockhash', { height }), 'getblockhash')
    },
    async getBlockRaw(hash) {
      const params = { blockhash: hash, verbosity: 0 }
      return bytes(await call('getblock', params), 'getblock', BLOCK_BYTES_MAX)
    },
    async getBlockTransactionIds(hash) {
      const block = await call('getblock', { blockhash: hash, verbosity: 1 })
      const ids = record(block, 'getblock')['tx']
      return list(ids, 'getblock', TRANSACTIONS_MAX).map((id) => displayHash(id, 'getblock'))
    },
    async getRawTransaction(txid) {
      const raw = await call('getrawtransaction', { txid, verbose: false })
      return bytes(raw, 'getrawtransaction', BLOCK_BYTES_MAX)
    },
    async getConfirm(hash) {
      const method = 'getconfirmbyhash'
      const params = { blockhash: hash, verbosity: 0 }
      const raw = await call(method, params).catch((error: unknown) => {
        if (error instanceof MainChainRpcError && NO_CONFIRM.has(error.code)) return undefined
        throw error
      })
      if (raw === undefined) return undefined
      const confirm = decodeConfirm(bytes(raw, method, CONFIRM_BYTES_MAX))
      if (!confirm.ok) throw malformed(method)
      return confirm.value
    },
    async getArbiters() {
      const method = 'getarbitersinfo'
      const { arbiters } = record(await call(method, {}), method)
      const named = list(arbiters, method, ARBITERS_MAX)
      // An arbiter that is out of order has an empty text for a key.
      const keys = named.filter((key) => key !== '').map((key) => publicKey(key, method))
      return { keys, count: named.length }
    },
    async listUnspent(address) {
      const entries = await call('listunspent', { addresses: [address] })
      // Elastos writes null for an empty list.
      return list(entries ?? [], 'listunspent', UNSPENT_MAX).map(unspentOutput)
    },
    async sendRawTransaction(raw) {
      const txid = await call('sendrawtransaction', { data: bytesToHex(raw) })
      return displayHash(txid, 'sendrawtransaction')
    },
  }
}

async function callNode(
  options: MainChainClientOptions,
  method: string,
  params: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' }
  if (options.user !== undefined) {
    const credentials = `${options.user}:${options.password ?? ''}`
    headers['Authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`
  }
  let body: string
  try {
    const response = await fetch(options.url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ method, params }),
      redirect: 'error',
      signal: AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    })
    body = await readBounded(response)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MainChainUnreachableError(
      `the main node at ${options.url} does not answer ${method}: ${reason}`,
      { cause: error },
    )
  }
  return resultOf(body, method)
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += (chunk as Uint8Array).length
    if (size > RESPONSE_BYTES_MAX) throw new Error('the answer is too long')
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function resultOf(body: string, method: string): unknown {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    throw malformed(method)
  }
  const { result, error } = record(answer, method)
  if (error === null || error === undefined) return result
  const { code, message } = record(error, method)
  throw new MainChainRpcError(wholeNumber(code, method), String(message))
}

function malformed(method: string): MainChainUnreachableError {
  return new MainChainUnreachableError(`the main node's answer to ${method} is not understood`)
}

function record(value: unknown, method: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw malformed(method)
  return value as Readonly<Record<string, unknown>>
}

function list(value: unknown, method: string, maximum: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > maximum) throw malformed(method)
  return value
}

function wholeNumber(value: unknown, method: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw malformed(method)
  return value
}

function displayHash(value: unknown, method: string): DisplayHash {
  const hash = typeof value === 'string' ? parseDisplayHash(value) : undefined
  if (!hash?.ok) throw malformed(method)
  return hash.value
}

function bytes(value: unknown, method: string, maximum: number): Uint8Array {
  const parsed = typeof value === 'string' ? parseHex(value, maximum) : undefined
  if (!parsed?.ok) throw malformed(method)
  return parsed.value
}

function publicKey(value: unknown, method: string): Uint8Array {
  const key = bytes(value, method, P256_PUBLIC_KEY_BYTES)
  if (key.length !== P256_PUBLIC_KEY_BYTES) throw malformed(method)
  return key
}

function unspentOutput(entry: unknown): UnspentOutput {
  const fields = record(entry, 'listunspent')
  const amount = typeof fields['amount'] === 'string' ? parseEla(fields['amount']) : undefined
  if (!amount?.ok || typeof fields['address'] !== 'string') throw malformed('listunspent')
  return {
    txid: displayHash(fields['txid'], 'listunspent'),
    index: wholeNumber(fields['vout'], 'listunspent'),
    sela: amount.value,
    address: fields['address'],
    transactionType: wholeNumber(fields['txtype'] ?? 0, 'listunspent'),
    confirmations: wholeNumber(fields['confirmations'], 'listunspent'),
    outputLock: wholeNumber(fields['outputlock'] ?? 0, 'listunspent'),
  }
}
