import { formatEla, parseEla } from '../elastos/ela-amount.ts'
import {
  type InternalHash,
  readDisplayHash,
  readInternalHash,
  toDisplayHash,
  toInternalHex,
} from '../elastos/hash-orientation.ts'
import type { ArbiterWithdrawal } from './arbiter-chain.ts'

const TIMEOUT_MS = 15_000
const ANSWER_CHARACTERS_MAX = 4 * 1024 * 1024

/** The side node answered with an error object. */
export class SideNodeError extends Error {
  override name = 'SideNodeError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export interface SideNodeOptions {
  readonly url: string
  readonly user?: string
  readonly password?: string
}

/** What createauxblock gave. */
export interface SideTemplate {
  readonly genesisHash: InternalHash
  readonly hash: InternalHash
  readonly height: number
}

/** Calls a side node as an Arbiter does: no id, numbers as text, always Basic authorization. */
export class SideNodeClient {
  readonly #options: SideNodeOptions

  constructor(options: SideNodeOptions) {
    this.#options = options
  }

  async bestHeight(): Promise<number> {
    return wholeNumber(await this.call('getblockcount', null)) - 1
  }

  /** Undefined when there is nothing to anchor. */
  async createAuxBlock(payTo: string): Promise<SideTemplate | undefined> {
    try {
      const fields = record(await this.call('createauxblock', { paytoaddress: payTo }))
      return {
        genesisHash: internal(fields['genesishash']),
        hash: internal(fields['hash']),
        height: wholeNumber(fields['height']),
      }
    } catch (error) {
      if (error instanceof SideNodeError) return undefined
      throw error
    }
  }

  async submitSideAuxBlock(hash: InternalHash, proofHex: string): Promise<void> {
    const params = { blockhash: toInternalHex(hash), sideauxpow: proofHex }
    await this.call('submitsideauxblock', params)
  }

  async withdrawalsAt(height: number): Promise<ArbiterWithdrawal[]> {
    const params = { height: String(height) }
    const found = await this.call('getwithdrawtransactionsbyheight', params)
    return Array.isArray(found) ? found.map(withdrawal) : []
  }

  /** The check before an arbiter signs: the same amounts and address. */
  async isStillDue({ id, address, amount, output }: ArbiterWithdrawal): Promise<boolean> {
    try {
      const found = withdrawal(
        await this.call('getwithdrawtransaction', { txid: toDisplayHash(id) }),
      )
      const same = formatEla(found.amount) === formatEla(amount) && found.output === output
      return same && found.address === address
    } catch (error) {
      if (error instanceof SideNodeError) return false
      throw error
    }
  }

  async failedDepositsAt(height: number): Promise<InternalHash[]> {
    const found = await this.call('getfaileddeposittransactions', { height })
    return Array.isArray(found) ? found.map(internal) : []
  }

  async call(method: string, params: object | null): Promise<unknown> {
    const { url, user = '', password = '' } = this.#options
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      },
      body: JSON.stringify({ method, params }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await response.text()
    if (text.length > ANSWER_CHARACTERS_MAX) throw malformed()
    const answer = record(JSON.parse(text))
    if (answer['error'] === null || answer['error'] === undefined) return answer['result']
    const { code, message } = record(answer['error'])
    throw new SideNodeError(wholeNumber(code), String(message))
  }
}

function withdrawal(entry: unknown): ArbiterWithdrawal {
  const fields = record(entry)
  const assets = fields['crosschainassets']
  const asset = record(Array.isArray(assets) ? assets[0] : undefined)
  const id = readDisplayHash(String(fields['txid']))
  const output = parseEla(String(asset['outputamount']))
  const amount = parseEla(String(asset['crosschainamount']))
  if (!id.ok || !output.ok || !amount.ok) throw malformed()
  return {
    id: id.value,
    address: String(asset['crosschainaddress']),
    output: output.value,
    amount: amount.value,
  }
}

function malformed(): Error {
  return new Error('the side node’s answer is not understood')
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw malformed()
  return value as Readonly<Record<string, unknown>>
}

function wholeNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw malformed()
}

function internal(value: unknown): InternalHash {
  const hash = readInternalHash(String(value))
  if (!hash.ok) throw malformed()
  return hash.value
}
