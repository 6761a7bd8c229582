/** A source's branch leaves a confirmed block and has no Confirm of its own. */
export class MainConfirmMissingError extends Error {
  override name = 'MainConfirmMissingError'
}

/** A source answers, but so slowly that its turn ended. */
export class MainSourceSlowError extends Error {
  override name = 'MainSourceSlowError'
}

/** The reorganisation reaches below everything that we hold. */
export class MainForkTooDeepError extends Error {
  override name = 'MainForkTooDeepError'
}
