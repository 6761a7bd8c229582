import type { Logger } from 'pino'
import type { MainChainFollower } from '../follower/follower.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { isCheckpointHeight } from '../params/network-params.ts'
import { reportAnchorLag, reportMainChain, reportPeg } from './peg-alarm.ts'
import { UnknownAnchors } from './unknown-anchors.ts'

/** Says in the log what an operator must know, with each final block and at each checkpoint. */
export function logFinalBlocks(
  manager: Pick<ChainManager, 'onFinal' | 'ledger' | 'params'>,
  follower: MainChainFollower,
  /** Whether this is the newest height that the node knows to be final. */
  isNewest: (height: number) => boolean,
  logger: Logger,
): void {
  const { ledger, params } = manager
  const unknownAnchors = new UnknownAnchors(ledger, follower, logger)
  manager.onFinal((block) => {
    reportPeg(block, logger)
    const { height } = block.header
    if (isCheckpointHeight(params, height)) {
      reportMainChain(ledger, follower, logger)
      reportAnchorLag(ledger, follower, logger)
      if (isNewest(height)) unknownAnchors.report()
    }
    logger.debug({ height }, 'final')
  })
}
