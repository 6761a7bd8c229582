import { bytesToHex } from '../../chain/src/bytes/hex.ts'
import { headerOf } from '../../chain/src/consensus/block-tree.ts'
import { assembleCertificate } from '../../chain/src/consensus/certificate.ts'
import type { ConsensusMessage } from '../../chain/src/consensus/machine-interface.ts'
import { leaderOf } from '../../chain/src/consensus/machine-state.ts'
import {
  type Certificate,
  type Justification,
  type Statement,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { ZERO_HASH } from '../../chain/src/types/primitives.ts'
import { hashHeader, hashJustification, signWith, simulatedKey } from './cheap-crypto.ts'
import type { Instance } from './instance.ts'
import { setOf } from './scenario.ts'
import { completeHeader } from './simulated-blocks.ts'
import type { World } from './world.ts'

const TICK_MS = 250

/**
 * A validator that runs honest code for its knowledge of the network and, beside it, says
 * whatever its key can sign: contradicting votes to random subsets, double and invalid
 * proposals, proposals that skip views without certificates, forged certificates.
 */
export class Liar {
  readonly #world: World
  readonly #instance: Instance

  constructor(world: World, instance: Instance) {
    this.#world = world
    this.#instance = instance
    // Else its honest half proposes too, and everybody skips an equivocating leader at once.
    instance.proposesHonestly = world.random.chance(0.3)
    this.#tick()
  }

  #tick(): void {
    const { heap, random } = this.#world
    // One that left the set still talks, in a place that is not its own.
    if (this.#instance.machine) {
      const lie = random.pick(['votes', 'votes', 'proposals', 'certificate', 'bundle'] as const)
      if (lie === 'votes') this.#lieInVotes()
      else if (lie === 'proposals') this.#lieInProposals()
      else if (lie === 'certificate') this.#forge(false)
      else this.#forge(true)
    }
    heap.schedule(heap.now + random.between(TICK_MS / 2, TICK_MS * 2), () => this.#tick())
  }

  /** Own place in the set, or any. */
  get #index(): number {
    return this.#instance.machine?.config.self ?? this.#instance.validator
  }

  #epoch(): number {
    return this.#instance.machine?.config.setup.epoch ?? 1
  }

  #view(): number {
    const view = this.#instance.machine?.view ?? 1
    return Math.max(1, view + this.#world.random.between(-2, 2))
  }

  /** Tells each peer with some odds; sometimes everybody. */
  #tellSome(message: ConsensusMessage): void {
    const { instances, random } = this.#world
    const odds = random.pick([0.5, 0.8, 1])
    for (const peer of instances) {
      if (peer !== this.#instance && random.chance(odds)) {
        this.#world.deliver(this.#instance, peer, message)
      }
    }
  }

  #sign(kind: VoteKind, view: number, hash: Uint8Array): Vote {
    const { validator } = this.#instance
    const key = simulatedKey(validator)
    const statement: Statement = { kind, epoch: this.#epoch(), view, hash }
    return { statement, validator: this.#index, signature: signWith(key, statement) }
  }

  #someHash(view: number): Uint8Array {
    const { random } = this.#world
    const round = this.#instance.machine?.rounds.get(view)
    const known = [...(round?.notarize ?? []), ...(round?.finalize ?? [])]
    return known.length > 0 && random.chance(0.8) ? random.pick(known).hash : random.bytes(32)
  }

  #lieInVotes(): void {
    const view = this.#view()
    for (const kind of [VoteKind.notarize, VoteKind.nullify, VoteKind.finalize]) {
      const hash = kind === VoteKind.nullify ? ZERO_HASH : this.#someHash(view)
      this.#tellSome({ type: 'vote', vote: this.#sign(kind, view, hash) })
    }
  }

  #lieInProposals(): void {
    const { machine } = this.#instance
    if (!machine) return
    const leads = [0, 0, 1, 2].map((ahead) => machine.view + ahead)
    const view = leads.find((each) => leaderOf(machine, each) === this.#index)
    if (view === undefined) return
    const times = this.#world.random.pick([1, 1, 1, 2])
    for (let i = 0; i < times; i++) this.#propose(view)
  }

  /** On any certified block, with or without the certificates that would allow it. */
  #propose(view: number): void {
    const { machine } = this.#instance
    const { random } = this.#world
    if (!machine) return
    const rounds = [...machine.rounds.values()].filter((round) => round.notarized)
    const round = rounds.length > 0 && random.chance(0.5) ? random.pick(rounds) : undefined
    const parent = round?.notarized ?? machine.finalCertificate
    if (!parent || parent.statement.view >= view) return
    const parentView = parent.statement.view
    const skips: Certificate[] = []
    for (let u = parentView + 1; u < view; u++) {
      const nullified = machine.rounds.get(u)?.nullified
      if (nullified) skips.push(nullified)
      else if (random.chance(0.3)) skips.push(this.#forged(VoteKind.nullify, u, ZERO_HASH))
    }
    const justification: Justification = { parent: [parent], skips }
    const txRoot = random.bytes(32)
    const parentHeader = headerOf(machine.tree, bytesToHex(parent.statement.hash))
    const below = parentHeader?.height ?? machine.tree.head.header.height
    const height = below + random.pick([1, 1, 1, 1, 2])
    const header = completeHeader(
      {
        epoch: this.#epoch(),
        view,
        height,
        timeMs: this.#instance.nowMs + random.pick([-60_000, 0, 0, 0, 0, 0, 900, 5_000]),
        parentHash: parent.statement.hash,
        parentView,
        justHash: random.chance(0.9) ? hashJustification(justification) : random.bytes(32),
        proposer: this.#index,
      },
      txRoot,
    )
    const leaderVote = this.#sign(VoteKind.notarize, view, hashHeader(header))
    this.#tellSome({ type: 'proposal', proposal: { header, justification, leaderVote } })
  }

  /** A certificate of its own signature alone, repeated for everybody or standing alone. */
  #forged(kind: VoteKind, view: number, hash: Uint8Array): Certificate {
    const validators = setOf(this.#world.scenario, this.#epoch())
    const vote = this.#sign(kind, view, hash)
    if (this.#world.random.chance(0.5)) {
      const votes = new Map(validators.map((_, index) => [index, vote]))
      return assembleCertificate(vote.statement, votes, validators.length)
    }
    const alone = assembleCertificate(
      vote.statement,
      new Map([[vote.validator % validators.length, vote]]),
      validators.length,
    )
    const repeated = Array.from({ length: validators.length }, () => vote.signature)
    return { ...alone, signatures: repeated }
  }

  #forge(inBundle: boolean): void {
    const { machine } = this.#instance
    const view = this.#view()
    const kind = this.#world.random.pick([1, 2, 3] as const)
    const hash = kind === VoteKind.nullify ? ZERO_HASH : this.#someHash(view)
    const certificate = this.#forged(kind, view, hash)
    if (!inBundle || !machine) return this.#tellSome({ type: 'certificate', certificate })
    const bundle = {
      epoch: this.#epoch(),
      view: view + 5,
      finalView: machine.finalView,
      certificates: [certificate],
      votes: [this.#sign(kind, view, hash)],
    }
    this.#tellSome({ type: 'bundle', bundle })
  }
}
