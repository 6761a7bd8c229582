import type { Logger } from 'pino'
import type { FinalizedBlock } from '../manager/chain-manager.ts'
import { DepositFailure, PegPauseCause } from '../types/records.ts'
import { DepositOutcome, ReceiptKind } from '../types/receipts.ts'

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
