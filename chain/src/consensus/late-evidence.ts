import {
  type Certificate,
  type Statement,
  type Vote,
  VoteKind,
} from '../types/consensus-objects.ts'
import type { ContradictingVotes } from './fork-proof.ts'
import type { ConsensusEffect } from './machine-interface.ts'
import { type MachineState, VIEWS_AHEAD_MAX } from './machine-state.ts'
import { type EpochSets, validatorsOf } from './past-epoch.ts'
import {
  type IsSigned,
  type PastVotes,
  takeCertificate,
  takeLate,
  takeRound,
} from './past-votes.ts'

/** What a vote about a view that is final is judged by. */
export interface LateContext extends EpochSets {
  readonly pastVotes: PastVotes
}

/** Who sent a late vote. */
export interface LateSender {
  /** Asked before a signature is checked. */
  mayCheck(): boolean
  /** A signature was false: no honest peer sends such a vote. */
  onForged(): void
}

/**
 * Evidence from single votes whose view is final here, of this epoch or of one that is kept
 * (consensus 1.8). Views that are still open are the machine's.
 */
export function judgeLate(
  context: LateContext,
  votes: readonly Vote[],
  sender: LateSender,
): ConsensusEffect[] {
  const effects: ConsensusEffect[] = []
  const isSigned = isSignedIn(context)
  for (const vote of votes) {
    if (!isPast(context, vote.statement) || !sender.mayCheck()) continue
    const found = takeLate(context.pastVotes, vote, isSigned)
    if (found === 'forged') sender.onForged()
    if (typeof found === 'string') continue
    if (showsDoppelganger(context.machine, vote)) effects.push({ type: 'doppelganger', vote })
    effects.push({ type: 'evidence', ...found })
  }
  return effects
}

/** Remembers the votes of what a step of the machine made final, and gives what they prove. */
export function rememberStep(
  context: LateContext,
  effects: readonly ConsensusEffect[],
): ConsensusEffect[] {
  const { machine, pastVotes } = context
  const { epoch } = machine.config.setup
  const pairs = machine.closed.flatMap((round) => takeRound(pastVotes, epoch, round))
  const certificates = effects.flatMap(finalCertificatesOf)
  return [...asEvidence(pairs), ...rememberCertificates(context, certificates)]
}

/** Remembers certificates of blocks that are final here. */
export function rememberCertificates(
  context: LateContext,
  certificates: readonly Certificate[],
): ConsensusEffect[] {
  const isSigned = isSignedIn(context)
  const pairs = certificates.flatMap((each) => takeCertificate(context.pastVotes, each, isSigned))
  return asEvidence(pairs)
}

function finalCertificatesOf(effect: ConsensusEffect): readonly Certificate[] {
  if (effect.type === 'commit') {
    const { blocks, reproposals } = effect
    return [...blocks, ...reproposals].flatMap(({ justification: { parent, skips } }) => [
      ...parent,
      ...skips,
    ])
  }
  if (effect.type !== 'persist' || effect.record.type !== 'certificate') return []
  const { certificate } = effect.record
  return certificate.statement.kind === VoteKind.finalize ? [certificate] : []
}

/** The epoch's last block is certified and voted for in views above the one that made it final. */
function isPast({ machine, past }: LateContext, { epoch, view }: Statement): boolean {
  if (epoch === machine.config.setup.epoch) return view <= machine.finalView
  const over = past.get(epoch)
  return over !== undefined && view <= over.closing.statement.view + VIEWS_AHEAD_MAX
}

function isSignedIn(context: LateContext): IsSigned {
  return ({ statement, validator, signature }) => {
    const member = validatorsOf(context, statement.epoch)[validator]
    if (!member) return false
    return context.machine.config.crypto.verify(statement, member.publicKey, signature)
  }
}

/** As of an open view: where the lease lets us sign, nobody else has signed with our key. */
function showsDoppelganger(machine: MachineState, { statement, validator }: Vote): boolean {
  const { setup, self, signAbove } = machine.config
  const { epoch, view } = statement
  if (machine.sawDoppelganger || validator !== self) return false
  if (epoch !== setup.epoch || view <= signAbove) return false
  machine.sawDoppelganger = true
  return true
}

function asEvidence(pairs: readonly ContradictingVotes[]): ConsensusEffect[] {
  return pairs.map((pair) => ({ type: 'evidence', ...pair }))
}
