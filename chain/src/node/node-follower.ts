import type { Logger } from 'pino'
import { assert } from '../bytes/assert.ts'
import type { ConfirmPolicy } from '../follower/confirm-check.ts'
import { type FollowerOptions, MainChainFollower } from '../follower/follower.ts'
import type { MainNode } from '../follower/main-node.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import { headerContext, mainHeaderAt } from '../rules/main-chain.ts'
import { anchoredCheckpoints } from './anchored-checkpoints.ts'
import { openMainNodes } from './main-nodes.ts'

export interface NodeFollowerOptions {
  readonly genesis: Genesis
  readonly mainChainUrl: string
  readonly mainChainOtherUrls?: readonly string[] | undefined
  readonly mainConfirms?: ConfirmPolicy | undefined
  readonly logger: Logger
}

/** Headers below the recorded tip from which a node follows: forks and anchors there are seen. */
const FOLLOW_BELOW_TIP = 256
/** With Confirms: where the main chain went over to proof of work must be seen, days later too. */
const CONFIRMS_BELOW_TIP = 1536

/** All anchors that are deep enough, read from a little below the ledger's recorded main tip. */
export async function deepAnchors(options: NodeFollowerOptions, ledger: ChainManager['ledger']) {
  const { follower } = createNodeFollower(options, ledger)
  try {
    return await anchoredCheckpoints(follower, options.genesis.params.anchorConfirmedMainBlocks)
  } finally {
    await follower.stop()
  }
}

export function confirmOptions(options: NodeFollowerOptions): Partial<FollowerOptions> {
  const { mainConfirms, genesis, logger } = options
  if (!mainConfirms) return {}
  return {
    // Less than what makes it a header that its proposer must have known.
    confirms: { ...mainConfirms, settleMs: genesis.params.skipTimeoutMs / 2 },
    onConfirms: (status) => {
      if (status.waiting > 0) {
        logger.error(status, 'ALARM: main headers wait for the Confirm of the main chain')
      } else if (status.mode === 'pow') {
        logger.warn(status, 'the main chain runs on proof of work: headers count without Confirms')
      } else logger.info(status, 'main headers are confirmed again')
    },
  }
}

/** Follows the main chain from a little below the tip that the ledger has on record. */
export function createNodeFollower(
  options: NodeFollowerOptions,
  ledger: ChainManager['ledger'],
  more: Partial<FollowerOptions> = {},
): { readonly follower: MainChainFollower; readonly mainNodes: readonly MainNode[] } {
  const { mainChainUrl, mainChainOtherUrls = [], genesis, logger } = options
  const { mainTipHeight, mainBaseHeight } = ledger.globals()
  const below = more.confirms ? CONFIRMS_BELOW_TIP : FOLLOW_BELOW_TIP
  const from = Math.max(mainBaseHeight, mainTipHeight - below)
  const record = mainHeaderAt(ledger, from)
  assert(record, 'the ledger keeps its recent main headers')
  const start = headerContext(ledger, record)
  const addresses = [mainChainUrl, ...mainChainOtherUrls]
  const mainNodes = openMainNodes(addresses, genesis.params.mainChain, start.previous)
  const [first, ...others] = mainNodes
  assert(first, 'one main node at least is configured')
  const follower = new MainChainFollower({
    client: first.client,
    others,
    params: genesis.params.mainChain,
    start,
    sideGenesisHash: genesis.chainId,
    pollMs: Math.min(1000, Math.max(50, genesis.params.mainBlockMs / 4)),
    onProblem: (error) => logger.warn({ reason: String(error) }, 'main chain not followed'),
    onContradiction: ({ name, height }, sharedHeight) =>
      logger.error(
        { name, height, sharedHeight },
        'ALARM: a main node stands on another branch than the one with the most work',
      ),
    ...more,
  })
  return { follower, mainNodes }
}
