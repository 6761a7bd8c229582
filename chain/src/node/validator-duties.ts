import type { Logger } from 'pino'
import { sharedMainWallet } from '../anchor/main-wallet.ts'
import { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import type { AccountOutputs } from '../follower/account-outputs.ts'
import type { MainChainFollower } from '../follower/follower.ts'
import type { MainNode } from '../follower/main-node.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { CheckpointAnchorer } from './checkpoint-anchorer.ts'
import { EvictionSweep, type EvictionSweepOptions } from './eviction-sweep.ts'
import type { ValidatorOptions } from './full-node-options.ts'

/** How memos are paid for on the main chain. */
export interface MainPayment {
  readonly nodes: readonly MainNode[]
  readonly owned: AccountOutputs | undefined
}

export interface ValidatorDutiesOptions {
  readonly keys: Pick<ValidatorOptions, 'consensusKey' | 'mainKey'>
  /** 32-byte secp256k1 secret of the node. */
  readonly nodeKey: Uint8Array
  readonly manager: ChainManager
  readonly follower: MainChainFollower
  readonly payment: MainPayment
  readonly submit: EvictionSweepOptions['submit']
  readonly isSyncing: () => boolean
  readonly logger: Logger
}

/**
 * What a validator does besides consensus, from its start to its stop: it anchors checkpoints and
 * evicts nodes that owe.
 */
export class ValidatorDuties {
  readonly #anchorer: CheckpointAnchorer
  readonly #sweep: EvictionSweep

  constructor(options: ValidatorDutiesOptions) {
    const { keys, nodeKey, manager, follower, payment, submit, isSyncing, logger } = options
    const { consensusKey, mainKey } = keys
    const memos = new MemoAnchorer({
      client: sharedMainWallet(payment.nodes, payment.owned),
      elaSecretKey: mainKey,
      isConfirmed: (id) => follower.hasTransaction(id),
    })
    this.#anchorer = new CheckpointAnchorer({ manager, memos, consensusKey, isSyncing, logger })
    this.#sweep = new EvictionSweep({ manager, consensusKey, nodeKey, submit, isSyncing, logger })
  }

  /** Safe to call twice. */
  stop(): void {
    this.#anchorer.stop()
    this.#sweep.stop()
  }
}
