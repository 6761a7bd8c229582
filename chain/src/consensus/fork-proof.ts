import type { Hex } from '../bytes/hex.ts'
import type { Certificate, Justification, Vote } from '../types/consensus-objects.ts'
import { contradicts } from '../types/contradiction.ts'
import { isValidCertificate, votesOf } from './certificate.ts'
import type { EpochValidator, VoteVerifier } from './machine-interface.ts'

/** A step of a certified chain: a view in which a block was proposed, and why it could be. */
export interface ChainLink {
  readonly view: number
  readonly hash: Hex
  readonly justification: Justification
}

export interface ContradictingVotes {
  readonly first: Vote
  readonly second: Vote
}

/**
 * The certificate in the chain of `higher` that contradicts `lower` (the theorem of
 * docs/protocol/consensus.md, 1.8). Both are finality certificates of one epoch whose blocks lie
 * on different chains. In the same view it is `higher` itself. Else some link of the higher chain
 * leads over the lower view: it stands on another block certified in that view, or it jumps and
 * carries that view's nullify certificate. Undefined where the links do not reach down so far.
 */
export function contradictionTo(
  lower: Certificate,
  higher: Certificate,
  links: readonly ChainLink[],
): Certificate | undefined {
  const { epoch, view } = lower.statement
  if (higher.statement.view === view) return higher
  for (const { view: above, justification } of links) {
    const [parent] = justification.parent
    // An epoch's first block stands at view 0, on a certificate of the epoch before.
    const parentView = parent?.statement.epoch === epoch ? parent.statement.view : 0
    if (above <= view || parentView > view) continue
    if (parentView === view) return parent
    return justification.skips.find((skip) => skip.statement.view === view)
  }
  return undefined
}

/**
 * Who made two finality certificates of one epoch that contradict each other, as far as the links
 * show it: those of the chain of the later view. Certificates of links are checked here, since
 * not all were when their blocks were fetched.
 */
export function forkPairs(
  one: Certificate,
  other: Certificate,
  links: readonly ChainLink[],
  judges: { readonly validators: readonly EpochValidator[]; readonly crypto: VoteVerifier },
): ContradictingVotes[] {
  const [lower, higher] = one.statement.view <= other.statement.view ? [one, other] : [other, one]
  const against = contradictionTo(lower, higher, links)
  const isProven = against && isValidCertificate(against, judges.validators, judges.crypto)
  return isProven ? guiltyVotes(lower, against) : []
}

/**
 * The pairs of votes (E1-E4) of all who signed both of two contradicting certificates: validators
 * of weight 2q - W at least, more than a third. No honest one is among them.
 */
export function guiltyVotes(one: Certificate, other: Certificate): ContradictingVotes[] {
  const firsts = new Map(votesOf(one).map((vote) => [vote.validator, vote]))
  return votesOf(other).flatMap((second) => {
    const first = firsts.get(second.validator)
    return first && contradicts(first.statement, second.statement) ? [{ first, second }] : []
  })
}
