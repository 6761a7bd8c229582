import type { Logger } from 'pino'
import type { MainChainFollower } from '../follower/follower.ts'
import type { FinalizedBlock } from '../manager/chain-manager.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { DepositFailure, PegPauseCause } from '../types/records.ts'
import { DepositOutcome, ReceiptKind } from '../types/receipts.ts'
import { mainChainWarnings } from './main-chain-warnings.ts'
import { unrecordableFork } from './system-lane.ts'

const FAILURES = Object.keys(DepositFailure)

/** Says in the log what an operator must know of the peg: that it stopped, and why. */
export function reportPeg({ header, receipts }: FinalizedBlock, logger: Logger): void {
  const { height } = header
  for (const { body } of receipts) {
    if (body.selector === ReceiptKind.peg) {
      const { paused, cause, orphaned, unbacked } = body.value
      if (!paused) {
        logger.warn({ height, unbacked: String(unbacked) }, 'the peg goes on, as validators voted')
      } else if (cause === PegPauseCause.reorganisation) {
        logger.error(
          { height, orphaned, unbacked: String(unbacked) },
          'ALARM: a main-chain reorganisation took credited deposits away; the peg is stopped ' +
            'until validators vote to resume it',
        )
      } else {
        logger.error({ height }, 'ALARM: the validators stopped the peg')
      }
    } else if (body.selector === ReceiptKind.deposit) {
      const { deposit, amount, outcome, failure } = body.value
      const facts = { height, deposit, amount: String(amount) }
      if (outcome === DepositOutcome.failed) {
        logger.warn({ ...facts, failure: FAILURES[failure] }, 'a deposit can only be refunded')
      } else {
        logger.info(facts, 'deposit credited')
      }
    }
  }
}

/**
 * At every checkpoint: what is wrong with the main nodes, and whether the main chain left the
 * recorded one too deep to follow it.
 */
export function reportMainChain(
  ledger: LedgerDraft,
  follower: MainChainFollower,
  logger: Logger,
): void {
  const { mainBlockMs } = ledger.params
  for (const warning of mainChainWarnings(follower, mainBlockMs, Date.now())) {
    logger.error(`ALARM: ${warning}`)
  }
  const depth = unrecordableFork(ledger, follower)
  if (depth === undefined) return
  logger.error(
    { depth, mainTipHeight: ledger.globals().mainTipHeight },
    'ALARM: the main chain left what is on record deeper than FINAL; no header is recorded, and ' +
      'no checkpoint finds votes, until people decide which main chain counts',
  )
}

/** Ended epochs without an anchor from which the operator is told. */
const LAG_ALARM_EPOCHS = 3

/**
 * At every checkpoint: how many ended epochs before it have no anchor. Hours of proof of work on
 * the main chain look like this where only Arbiters anchor, and so do empty accounts, and a main
 * node that gives no blocks; what this node knows of the cause is said with it.
 */
export function reportAnchorLag(
  ledger: LedgerDraft,
  follower: MainChainFollower,
  logger: Logger,
): void {
  const { epoch, lastAnchoredEpoch, mainTipHeight } = ledger.globals()
  const lag = epoch - 1 - lastAnchoredEpoch
  if (lag <= LAG_ALARM_EPOCHS) return
  const { tip, nodeHeight, problem, confirms } = follower.status()
  logger.error(
    { lag, lastAnchoredEpoch, mainTipHeight, followed: tip.height, nodeHeight, problem, confirms },
    'ALARM: checkpoints find no way to the main chain',
  )
}
