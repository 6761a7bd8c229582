/** A broken invariant of our own code. Never raised by anything a peer can send. */
export class InvariantError extends Error {
  override name = 'InvariantError'
}

/**
 * States what must hold. Always on, in production too: a halted node is a nuisance, a wrong
 * one is a loss. Never assert what a peer can influence; return a fault instead.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}
