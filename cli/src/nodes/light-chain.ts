import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { TrustedEpoch } from '@ioex/chain/light'
import type { Genesis } from '@ioex/chain/rules'
import {
  LightChainClient,
  RpcError,
  trustFromJson,
  trustInGenesis,
  trustToJson,
} from '@ioex/rpc/client'
import writeFileAtomic from 'write-file-atomic'

export interface LightChainOptions {
  readonly genesis: Genesis
  /** Where the newest trusted epoch is kept between starts. */
  readonly trustFile: string
  /**
   * The caller's error for a transaction that the chain does not take. Whoever pays or stores gives
   * ChainRefusal, by whose code the storage room decides what to try again.
   */
  readonly refusal: (code: string, message: string) => Error
}

/**
 * The chain as thin nodes and commands see it: over at least two full nodes, certified, records
 * by proof. Without a deadline it waits for their first certified head as long as it takes. A node
 * of one's own needs no second witness.
 */
export async function openLightChain(
  { genesis, trustFile, refusal }: LightChainOptions,
  rpcUrls: readonly string[],
  onAlarm: (message: string) => void,
  deadlineMs?: number,
  asksOwnNode = false,
): Promise<LightChainClient> {
  const trust = new TrustKeeper(trustFile)
  const client = new LightChainClient({
    endpoints: rpcUrls,
    params: genesis.params,
    start: await trust.read(genesis),
    onTrust: (trusted) => trust.keep(trusted),
    allowSingleEndpoint: asksOwnNode,
    refusal,
    onAlarm: (alarm) => onAlarm(`two certified histories exist: ${JSON.stringify(alarm)}`),
  })
  if (deadlineMs === undefined) {
    await client.start()
    return client
  }
  const timer = setTimeout(() => void client.close(), deadlineMs)
  try {
    await client.start()
  } catch {
    throw new RpcError(
      'BAD_RESPONSE',
      'no full node proves a final block of this genesis: does genesis.json belong to this network?',
    )
  } finally {
    clearTimeout(timer)
  }
  return client
}

/** For those who only read. */
export function rpcRefusal(code: string, message: string): Error {
  return new RpcError(code, message)
}

/** Spares the way from genesis at each start; a file that is missing or damaged costs only time. */
class TrustKeeper {
  readonly #path: string
  #newest: TrustedEpoch | undefined
  #writing = false

  constructor(path: string) {
    this.#path = path
  }

  async read(genesis: Genesis): Promise<TrustedEpoch> {
    try {
      const saved = trustFromJson(JSON.parse(await readFile(this.#path, 'utf8')), genesis.chainId)
      if (saved) return saved
    } catch {
      // First start, or a file that nobody can read.
    }
    return trustInGenesis(genesis)
  }

  keep(trusted: TrustedEpoch): void {
    this.#newest = trusted
    if (this.#writing) return
    this.#writing = true
    void this.#write().finally(() => {
      this.#writing = false
    })
  }

  async #write(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true }).catch(() => undefined)
    while (this.#newest) {
      const text = JSON.stringify(trustToJson(this.#newest))
      this.#newest = undefined
      // It only saves time: a full or read-only disk must not stop a wallet.
      await writeFileAtomic(this.#path, text, { fsync: false }).catch(() => undefined)
    }
  }
}
