const KIB = 1024
const MIB = KIB * KIB

/** What a pool holds at most. A quarter is kept for kinds without an account, as in blocks. */
export interface PoolLimits {
  readonly accountTransactionsMax: number
  readonly accountBytesMax: number
  readonly freeTransactionsMax: number
  readonly freeBytesMax: number
  /** Waiting transactions of one account. */
  readonly perAccountMax: number
  /** How far behind an account's next nonce one may be held. */
  readonly nonceWindow: number
}

/** 10,000 transactions and 16 MiB in all. */
export const POOL_LIMITS: PoolLimits = {
  accountTransactionsMax: 7500,
  accountBytesMax: 12 * MIB,
  freeTransactionsMax: 2500,
  freeBytesMax: 4 * MIB,
  perAccountMax: 64,
  nonceWindow: 16,
}

/** Percent of the old caps and tips that a replacement must offer at least. */
export const REPLACEMENT_PERCENT = 110n
/** Replacements of one place within so many blocks. */
export const REPLACEMENTS_MAX = 3
export const REPLACEMENT_BLOCKS = 10
/** Transactions that one newcomer may push out, so that a large one costs bounded work. */
export const EVICTIONS_PER_ADMISSION_MAX = 16
/** Signatures checked per second, about a third of a core; more wait outside. */
export const VERIFICATIONS_PER_SECOND = 8000
/** Percent of a block that redeems are given at most, so that claims never crowd out the rest. */
export const REDEEM_BODY_PERCENT = 40

export const PEER_TRANSACTIONS_PER_SECOND = 200
/** A peer whose transactions so often fail their signature within a minute is let go. */
export const PEER_BAD_SIGNATURES_PER_MINUTE = 20
