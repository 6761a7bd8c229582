import { fault, ok, type Result } from '../bytes/result.ts'
import type { AccountQueue } from './account-queue.ts'
import { REPLACEMENT_BLOCKS, REPLACEMENT_PERCENT, REPLACEMENTS_MAX } from './pool-limits.ts'
import type { PoolView } from './pool-view.ts'
import { feeAtCap, type Waiting } from './waiting.ts'

/** What a block would gain from it, per byte; below 0 where it cannot stand in the next one. */
export function worthOf({ transaction, isTried }: Waiting, { baseFee }: PoolView): bigint {
  const { maxBaseFee, tip } = transaction.body
  if (!isTried) return -2n
  return maxBaseFee < baseFee ? -1n : tip
}

/** Those of an account that can stand in the block after the view's, without a gap. */
export function payableRun(queue: AccountQueue, view: PoolView): Waiting[] {
  const [first] = queue.entries
  const run = first ? queue.ready(view.nonceOf(first.address)) : []
  const end = run.findIndex(({ transaction }) => {
    const { maxBaseFee, validUntil } = transaction.body
    return maxBaseFee < view.baseFee || validUntil <= view.height
  })
  return end < 0 ? run : run.slice(0, end)
}

/** Better terms by a tenth, and not so often that the pool works for nothing. */
export function replacing(
  old: Waiting,
  waiting: Waiting,
  height: number,
): Result<{ waiting: Waiting; replaced: Waiting }> {
  const [was, is] = [old.transaction.body, waiting.transaction.body]
  const isBetter = (before: bigint, after: bigint) =>
    after > before && after * 100n >= before * REPLACEMENT_PERCENT
  if (!isBetter(was.maxBaseFee, is.maxBaseFee) || !isBetter(was.tip, is.tip)) {
    return fault(
      'NONCE_TAKEN',
      `a transaction with this nonce waits: replace it with ${REPLACEMENT_PERCENT} % of its ` +
        'maxBaseFee and tip, or use the next nonce',
      { maxBaseFee: was.maxBaseFee, tip: was.tip },
    )
  }
  const recent = old.replacedAt.filter((at) => at > height - REPLACEMENT_BLOCKS)
  if (recent.length >= REPLACEMENTS_MAX) {
    return fault('REPLACED_TOO_OFTEN', `at most ${REPLACEMENTS_MAX} times in a few blocks`)
  }
  return ok({ waiting: { ...waiting, replacedAt: [...recent, height] }, replaced: old })
}

/** The balance covers all that waits at its worst, this one, and a like fee for missing nonces. */
export function checkFunds(
  waiting: Waiting,
  replaced: Waiting | undefined,
  queue: AccountQueue,
  view: PoolView,
): Result<undefined> {
  const { body } = waiting.transaction
  const balance = view.balanceOf(waiting.address)
  const missing = queue.missing(view.nonceOf(waiting.address), body.nonce)
  const gaps = BigInt(missing) * feeAtCap(body, waiting.bytes)
  const needed = queue.cost - (replaced?.cost ?? 0n) + waiting.cost + gaps
  if (balance >= needed) return ok()
  return fault(
    'INSUFFICIENT_FUNDS',
    `the account holds ${balance} units where ${needed} are needed for all that wait`,
    { balance, needed },
  )
}
