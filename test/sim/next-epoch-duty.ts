import { bytesEqual, bytesToHex } from '../../chain/src/bytes/hex.ts'
import { epochOf } from '../../chain/src/consensus/epoch-relay.ts'
import type { ConsensusMessage, Proposal } from '../../chain/src/consensus/machine-interface.ts'
import type { MachineState } from '../../chain/src/consensus/machine-state.ts'
import { type Vote, VoteKind } from '../../chain/src/types/consensus-objects.ts'
import { hashHeader, hashJustification, isSignedBy } from './cheap-crypto.ts'
import { Violation } from './violation.ts'

/** What waits in all, and of one peer: there the oldest gives way (consensus 1.6). */
const WAITING_MAX = 256
const WAITING_PER_PEER_MAX = 64
/** Proposals with more skips do not wait. */
const SKIPS_MAX = 8
/** Every view that a fresh machine counts votes of, whatever it stands in. */
const VIEWS_AHEAD = 32

/** Who keeps every rule. */
type IsHonest = (publicKey: Uint8Array) => boolean

/**
 * What reached a node for the next epoch while its own one ran is taken in when that epoch begins
 * (consensus 1.6): its votes are counted, and the blocks that honest leaders proposed are known.
 */
export class NextEpochDuty {
  readonly #byPeer = new Map<string, ConsensusMessage[]>()

  /** Before a machine that runs takes the message in. */
  hear(from: string, message: ConsensusMessage, epoch: number): void {
    if (epochOf(message) !== epoch + 1 || message.type === 'bundle') return
    if (message.type === 'proposal' && message.proposal.justification.skips.length > SKIPS_MAX)
      return
    const ofPeer = this.#byPeer.get(from) ?? []
    ofPeer.push(message)
    if (ofPeer.length > WAITING_PER_PEER_MAX) ofPeer.shift()
    this.#byPeer.set(from, ofPeer)
  }

  /** When the machine of the next epoch has begun. Nothing is demanded of one that has stopped. */
  check(machine: MachineState, isHonest: IsHonest): void {
    const waiting = [...this.#byPeer.values()].flat()
    // Where there is no room for all, others than the oldest of a peer may be gone.
    if (waiting.length > WAITING_MAX || machine.halted || machine.finished) return
    for (const message of waiting) {
      if (message.type === 'vote') expectCounted(message.vote, machine)
      if (message.type === 'proposal') expectKnown(message.proposal, machine, isHonest)
    }
  }
}

function expectCounted({ statement, validator, signature }: Vote, machine: MachineState): void {
  const { kind, epoch, view, hash } = statement
  if (view > VIEWS_AHEAD || isCounted(machine, kind, view, validator)) return
  if (kind !== VoteKind.notarize && kind !== VoteKind.nullify && kind !== VoteKind.finalize) return
  if (kind === VoteKind.nullify && hash.some((byte) => byte !== 0)) return
  const member = machine.config.setup.validators[validator]
  if (!member || !isSignedBy(member.publicKey, statement, signature)) return
  throw new Violation(`a vote of ${epoch}/${view} that came before its epoch is lost`)
}

function expectKnown(proposal: Proposal, machine: MachineState, isHonest: IsHonest): void {
  const { header, justification, leaderVote } = proposal
  const { statement, validator, signature } = leaderVote
  const { epoch, view, hash } = statement
  if (header.view !== view || view > VIEWS_AHEAD || view <= machine.finalView) return
  const { tree } = machine
  const isKnown = tree.blocks.has(bytesToHex(hash))
  if (isKnown && isCounted(machine, statement.kind, view, validator)) return
  const member = machine.config.setup.validators[validator]
  if (!member || !isHonest(member.publicKey)) return
  if (!isSignedBy(member.publicKey, statement, signature)) return
  if (!bytesEqual(hashHeader(header), hash)) return
  if (!bytesEqual(hashJustification(justification), header.justHash)) return
  throw new Violation(`a proposal of ${epoch}/${view} that came before its epoch is lost`)
}

/** Of one validator a node counts two votes of a kind at most: any stands for all. */
function isCounted(machine: MachineState, kind: number, view: number, validator: number): boolean {
  if (view <= machine.finalView) return true
  const cast = machine.rounds.get(view)?.cast.get(validator) ?? []
  return cast.some(({ statement }) => statement.kind === kind)
}
