import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import type { ConsensusDriver } from '../driver/consensus-driver.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { CatchUp } from './catch-up.ts'
import { FinalAnnouncer } from './final-announcer.ts'
import { RivalHeaders } from './rival-headers.ts'

export interface FinalHeadersOptions {
  readonly manager: ChainManager
  readonly network: FullNodeNetwork
  readonly driver: Pick<ConsensusDriver, 'settledEpoch' | 'stopForFork'>
  readonly catchUp: Pick<CatchUp, 'isHeld' | 'hint'>
  /** Of a validator: it announces the blocks that it proposed. */
  readonly consensusKey: ConsensusKey | undefined
}

/** What peers say is final: passed on, caught up with, or shown to contradict this chain. */
export class FinalHeaders {
  readonly #rivals: RivalHeaders
  readonly #announcer: FinalAnnouncer

  private constructor(rivals: RivalHeaders, announcer: FinalAnnouncer) {
    this.#rivals = rivals
    this.#announcer = announcer
  }

  static async begin(options: FinalHeadersOptions): Promise<FinalHeaders> {
    const { manager, network, driver, catchUp, consensusKey } = options
    const crypto = createConsensusCrypto(manager.chainId, undefined)
    const rivals = new RivalHeaders({
      manager,
      crypto,
      settledEpoch: () => driver.settledEpoch,
      onFork: (fork, pairs) => driver.stopForFork(fork, pairs),
      nowMs: () => performance.now(),
    })
    await rivals.begin()
    const announcer = new FinalAnnouncer({
      manager,
      rivals,
      network,
      crypto,
      nowMs: () => performance.now(),
      consensusKey,
      isHeld: () => catchUp.isHeld,
      catchUp: (height) => catchUp.hint(height),
    })
    return new FinalHeaders(rivals, announcer)
  }

  /** Safe to call twice. */
  stop(): void {
    this.#announcer.stop()
    this.#rivals.stop()
  }
}
