import { bytesEqual, bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import type { RelayEffect } from '../../chain/src/consensus/epoch-relay.ts'
import type { ConsensusEvent, Proposal } from '../../chain/src/consensus/machine-interface.ts'
import { leaderOf, type MachineState } from '../../chain/src/consensus/machine-state.ts'
import { votesIn } from '../../chain/src/consensus/votes-in.ts'
import { type Statement, VoteKind } from '../../chain/src/types/consensus-objects.ts'
import { hashHeader, isSignedBy } from './cheap-crypto.ts'
import { Violation } from './violation.ts'

/**
 * What becomes of a block that one node objects to though it keeps every rule (consensus 1.6). As
 * a new one that node does not vote for it. Once a quorum has notarized it the objection is over:
 * where an honest leader proposes it again, the node does not give the view up before its time,
 * unless a third of the weight or the leader did.
 */
export class ObjectionWatch {
  readonly #isHonest: (publicKey: Uint8Array) => boolean
  /** Views in which an honest leader proposed its epoch's last block again, to this node. */
  readonly #again = new Set<string>()
  /** Who is said to have given a view up, truly or not: more than the node can have counted. */
  readonly #skipped = new Map<string, Set<number>>()
  /** Views of the blocks that it refused. */
  readonly #refused = new Map<Hex, number>()

  /** Over all machines of a node: what waits for an epoch is heard in the one before. */
  constructor(isHonest: (publicKey: Uint8Array) => boolean) {
    this.#isHonest = isHonest
  }

  /** Before the event. */
  hear(event: ConsensusEvent, machine: MachineState): void {
    if (event.type === 'blockValidated') {
      const { hash, verdict } = event
      const header = machine.tree.blocks.get(hash)?.header
      if (verdict === 'refused' && header) this.#refused.set(hash, header.view)
      else this.#refused.delete(hash)
    }
    if (event.type !== 'message') return
    const { message } = event
    for (const { statement, validator } of votesIn(message)) {
      if (statement.kind !== VoteKind.nullify) continue
      const skipped = this.#skipped.get(placeOf(statement)) ?? new Set()
      this.#skipped.set(placeOf(statement), skipped.add(validator))
    }
    if (message.type === 'proposal') this.#hearProposal(message.proposal, machine)
  }

  #hearProposal({ header, leaderVote }: Proposal, machine: MachineState): void {
    const { statement, validator, signature } = leaderVote
    const { setup } = machine.config
    const member = setup.validators[validator]
    if (statement.epoch !== setup.epoch || header.view >= statement.view || !member) return
    if (validator !== leaderOf(machine, statement.view) || !this.#isHonest(member.publicKey)) return
    const isTrue =
      statement.kind === VoteKind.notarize &&
      bytesEqual(hashHeader(header), statement.hash) &&
      isSignedBy(member.publicKey, statement, signature)
    if (isTrue) this.#again.add(placeOf(statement))
  }

  /** After the event. */
  check(event: ConsensusEvent, effects: readonly RelayEffect[], machine: MachineState): void {
    const isTimeOver =
      event.type === 'timer' && (event.timer === 'skip' || event.timer === 'standstill')
    for (const effect of effects) {
      if (effect.type !== 'persist' || effect.record.type !== 'vote') continue
      const { statement } = effect.record.vote
      if (statement.kind === VoteKind.nullify && !isTimeOver) this.#checkSkip(statement, machine)
      if (statement.kind === VoteKind.notarize) this.#checkVote(statement)
    }
  }

  #checkSkip(statement: Statement, machine: MachineState): void {
    const place = placeOf(statement)
    const skipped = this.#skipped.get(place) ?? new Set()
    if (!this.#again.has(place) || skipped.has(leaderOf(machine, statement.view))) return
    const { validators } = machine.config.setup
    const total = validators.reduce((sum, { weight }) => sum + weight, 0)
    const gone = [...skipped].reduce((sum, index) => sum + (validators[index]?.weight ?? 0), 0)
    if (3 * gone >= total) return
    throw new Violation(`an objection to what a quorum notarized ends view ${place}`)
  }

  #checkVote(statement: Statement): void {
    if (this.#refused.get(bytesToHex(statement.hash)) !== statement.view) return
    throw new Violation(`a vote of ${placeOf(statement)} for a block that this node refused`)
  }
}

function placeOf({ epoch, view }: Statement): string {
  return `${epoch}/${view}`
}
