import { assert } from '../bytes/assert.ts'
import { BASIS_POINTS, type NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Peg } from '../types/records.ts'

/**
 * Units that the main chain holds for this one and that may still leave: deposited - withdrawn,
 * less what a reorganisation left without backing (PROTOCOL 7). Tokens of genesis and mint are
 * not in it, so they can never drain what depositors sent.
 */
export function pegReserve({
  deposited,
  withdrawn,
  unbacked,
}: Readonly<Pick<Peg, 'deposited' | 'withdrawn' | 'unbacked'>>): bigint {
  const reserve = deposited - withdrawn - unbacked
  return reserve < 0n ? 0n : reserve
}

/**
 * The peg as it stands in an epoch: with the first look on a new day the reserve of that moment
 * becomes the measure of the day's cap, so that nothing which comes in later raises it.
 */
export function pegOfDay(draft: LedgerDraft, epoch: number): Readonly<Peg> {
  return pegAtEpoch(draft.params, draft.peg(), epoch)
}

/** The same for a peg read from elsewhere. */
export function pegAtEpoch(
  params: NetworkParams,
  peg: Readonly<Peg>,
  epoch: number,
): Readonly<Peg> {
  const day = Math.floor(epoch / params.pegDayEpochs)
  if (day === peg.day) return peg
  return { ...peg, day, dayReserve: pegReserve(peg), dayWithdrawn: 0n }
}

/** Units that may still be withdrawn on the day that `peg` stands on. */
export function dailyAllowance(params: NetworkParams, peg: Readonly<Peg>): bigint {
  const share = (peg.dayReserve * BigInt(params.pegDailyShare)) / BASIS_POINTS
  const cap = share > params.pegDailyFloorUnits ? share : params.pegDailyFloorUnits
  return cap > peg.dayWithdrawn ? cap - peg.dayWithdrawn : 0n
}

/** Books movements; the totals never contradict each other. */
export function bookPeg(draft: LedgerDraft, peg: Peg): void {
  assert(peg.withdrawn <= peg.deposited, 'more was withdrawn than ever deposited')
  assert(peg.unbacked <= peg.deposited, 'more lost its backing than was deposited')
  draft.setPeg(peg)
}
