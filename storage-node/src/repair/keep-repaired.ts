import type { ChainClient } from '../node/chain-client.ts'
import { nextHead } from '../node/chain-lag.ts'

export interface Watch {
  readonly chain: Pick<ChainClient, 'head' | 'onHead'>
  /** Looks at every contract and repairs what is due. */
  repair(): Promise<void>
  /** Called with what stopped a run; the next epoch tries again. */
  onFailure(error: unknown): void
  readonly signal: AbortSignal
}

/**
 * Looks once every epoch whether repair is due, until the signal: losses are declared, and nodes
 * evicted, at an epoch's pace. A run that fails is tried again in the next epoch.
 */
export async function keepRepaired({ chain, repair, onFailure, signal }: Watch): Promise<void> {
  let seen: number | undefined
  while (!signal.aborted) {
    try {
      const { epoch } = await chain.head()
      if (epoch !== seen) await repair()
      seen = epoch
    } catch (error) {
      if (!signal.aborted) onFailure(error)
    }
    await nextHead(chain, HEAD_MS, signal)
  }
}

/** A chain that stands still is looked at again after this. */
const HEAD_MS = 60_000
