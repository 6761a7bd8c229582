import { setTimeout as delay } from 'node:timers/promises'
import type { ChainClient } from './chain-client.ts'

/** Heads that are waited for before a record counts as missing, and the longest wait for each. */
const HEADS = 4
const HEAD_MS = 2_500

/**
 * Reads a record that another node has just seen come into being. The full node asked here may be
 * a block or two behind the one that the other asked, so a missing record is looked for again at
 * the next heads.
 */
export async function onceKnown<T>(
  chain: ChainClient,
  read: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for (let heads = 0; ; heads++) {
    const found = await read()
    if (found !== undefined || heads === HEADS) return found
    await nextHead(chain, HEAD_MS)
  }
}

/** Waits for the next certified head, at most so long and until the signal where they are given. */
export async function nextHead(
  chain: Pick<ChainClient, 'onHead'>,
  mostMs?: number,
  signal?: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const unsubscribe = chain.onHead(() => resolve())
  const stopped = () => resolve()
  if (signal?.aborted) resolve()
  signal?.addEventListener('abort', stopped)
  const late = new AbortController()
  try {
    if (mostMs === undefined) await promise
    else await Promise.race([promise, delay(mostMs, undefined, { signal: late.signal })])
  } finally {
    unsubscribe()
    signal?.removeEventListener('abort', stopped)
    late.abort()
  }
}
