import { bytesEqual } from '../bytes/hex.ts'
import { type Statement, VoteKind } from './consensus-objects.ts'
import { ZERO_HASH } from './primitives.ts'

/** One of the three statements; nullify names no block. */
export function isWellFormed({ kind, view, hash }: Statement): boolean {
  if (view < 1 || !Number.isSafeInteger(view)) return false
  if (kind === VoteKind.nullify) return bytesEqual(hash, ZERO_HASH)
  return kind === VoteKind.notarize || kind === VoteKind.finalize
}

/**
 * Whether no honest validator signs both statements (consensus 1.8), given that each is well
 * formed: E1 two notarize, E2 nullify and finalize, E3 two finalize, E4 notarize of another block
 * than finalize; same epoch and view. Nullify beside notarize is no contradiction.
 */
export function contradicts(one: Statement, other: Statement): boolean {
  if (one.epoch !== other.epoch || one.view !== other.view) return false
  if (one.kind === VoteKind.nullify) return other.kind === VoteKind.finalize
  if (other.kind === VoteKind.nullify) return one.kind === VoteKind.finalize
  return !bytesEqual(one.hash, other.hash)
}
