import type { Hex } from '../../chain/src/bytes/hex.ts'
import { assembleCertificate } from '../../chain/src/consensus/certificate.ts'
import type {
  ConsensusMessage,
  JustifiedBlock,
} from '../../chain/src/consensus/machine-interface.ts'
import { leaderOf, type MachineState } from '../../chain/src/consensus/machine-state.ts'
import {
  type Certificate,
  type Statement,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { ZERO_HASH } from '../../chain/src/types/primitives.ts'
import { signWith, simulatedKey } from './cheap-crypto.ts'
import { FalseProposals } from './false-proposals.ts'
import type { Instance } from './instance.ts'
import { setOf } from './scenario.ts'
import type { World } from './world.ts'

const TICK_MS = 250
/** Views and messages of a flood: more than a node may keep of them. */
const FLOOD_VIEWS = 60
const FLOOD_WAITING = 100
const SKIPS_KEPT = 64
const FAR_AHEAD_EVERY_MS = 3_000

const LIES = [
  'votes',
  'votes',
  'votes',
  'proposals',
  'proposals',
  'certificate',
  'bundle',
  'tampering',
  'nullify of a block',
  'flood',
] as const

/**
 * A validator that runs honest code for its knowledge of the network and, beside it, says
 * whatever its key can sign: contradicting votes to random subsets, proposals that are false in
 * one way each, in and out of turn, forged certificates, other justifications for honest
 * proposals, floods of votes for far views; and answers who asks for blocks with others.
 */
export class Liar {
  readonly #world: World
  readonly #instance: Instance
  readonly #blocks = new Map<Hex, JustifiedBlock>()
  /** Certificates of skipped views, to be shown for other ones. */
  readonly #skips: Certificate[] = []
  /** The same of blocks. */
  readonly #certified: Certificate[] = []
  /** Last view, as epoch and view, that it saw begin. */
  #seen = ''

  constructor(world: World, instance: Instance) {
    this.#world = world
    this.#instance = instance
    // Else its honest half proposes too, and everybody skips an equivocating leader at once.
    instance.proposesHonestly = world.random.chance(0.2)
    instance.afterStep = () => this.#noticeView()
    instance.falseBlock = (hash) => this.#answer(hash)
    this.#tick()
    if (world.scenario.farAhead) this.#tickFarAhead()
  }

  #tick(): void {
    const { heap, random } = this.#world
    const { machine } = this.#instance
    // One that left the set still talks, in a place that is not its own.
    if (machine) this.#lie(machine, random.pick(LIES))
    heap.schedule(heap.now + random.between(TICK_MS / 2, TICK_MS * 2), () => this.#tick())
  }

  /** To everybody: what a leader signs must not stay in memory for views that nobody has proven. */
  #tickFarAhead(): void {
    const { heap } = this.#world
    const { machine } = this.#instance
    const proposals = machine ? this.#proposals(machine).farAhead() : []
    for (const proposal of proposals) this.#tellSome({ type: 'proposal', proposal })
    heap.schedule(heap.now + FAR_AHEAD_EVERY_MS, () => this.#tickFarAhead())
  }

  #lie(machine: MachineState, lie: (typeof LIES)[number]): void {
    const { random } = this.#world
    if (lie === 'votes') this.#lieInVotes(machine)
    else if (lie === 'proposals') this.#propose(machine, machine.view + random.between(0, 1))
    else if (lie === 'certificate') this.#forge(machine, false)
    else if (lie === 'bundle') this.#forge(machine, true)
    else if (lie === 'tampering') this.#tamper(machine)
    else if (lie === 'nullify of a block') {
      const vote = this.#sign(VoteKind.nullify, machine.view, random.bytes(32))
      this.#tellSome({ type: 'vote', vote })
    } else if (random.chance(0.2)) this.#flood(machine)
  }

  /** A leader's lie has to come before its view is given up. */
  #noticeView(): void {
    const { machine } = this.#instance
    if (!machine) return
    const view = `${machine.config.setup.epoch}/${machine.view}`
    if (view === this.#seen) return
    this.#seen = view
    const skipped = machine.rounds.get(machine.view - 1)?.nullified
    if (skipped && this.#skips.push(skipped) > SKIPS_KEPT) this.#skips.shift()
    const certified = machine.rounds.get(machine.view - 1)?.notarized ?? machine.finalCertificate
    if (certified && this.#certified.push(certified) > SKIPS_KEPT) this.#certified.shift()
    if (this.#leads(machine, machine.view)) this.#propose(machine, machine.view)
  }

  #leads(machine: MachineState, view: number): boolean {
    return leaderOf(machine, view) === machine.config.self
  }

  /** Own place in the set, or any. */
  get #index(): number {
    return this.#instance.machine?.config.self ?? this.#instance.validator
  }

  #epoch(): number {
    return this.#instance.machine?.config.setup.epoch ?? 1
  }

  /** Near the current one; mostly not one in which a lie of its own is still to be heard. */
  #viewNear(machine: MachineState): number {
    const { random } = this.#world
    const view = Math.max(1, machine.view + random.between(-2, 2))
    return this.#leads(machine, view) && random.chance(0.7) ? Math.max(1, view - 1) : view
  }

  /** Tells each peer with some odds; sometimes everybody. */
  #tellSome(message: ConsensusMessage): void {
    const { instances, random } = this.#world
    const odds = random.pick([0.5, 0.8, 1])
    for (const peer of instances) {
      if (peer !== this.#instance && random.chance(odds)) this.#tell(peer, message)
    }
  }

  #tell(peer: Instance, message: ConsensusMessage): void {
    this.#world.judge.heard(message)
    this.#world.deliver(this.#instance, peer, message)
  }

  #sign(kind: VoteKind, view: number, hash: Uint8Array, epoch = this.#epoch()): Vote {
    const { validator } = this.#instance
    const key = simulatedKey(validator)
    const statement: Statement = { kind, epoch, view, hash }
    return { statement, validator: this.#index, signature: signWith(key, statement) }
  }

  #someHash(view: number): Uint8Array {
    const { random } = this.#world
    const round = this.#instance.machine?.rounds.get(view)
    const known = [...(round?.notarize ?? []), ...(round?.finalize ?? [])]
    return known.length > 0 && random.chance(0.8) ? random.pick(known).hash : random.bytes(32)
  }

  #lieInVotes(machine: MachineState): void {
    const view = this.#viewNear(machine)
    for (const kind of [VoteKind.notarize, VoteKind.nullify, VoteKind.finalize]) {
      const hash = kind === VoteKind.nullify ? ZERO_HASH : this.#someHash(view)
      this.#tellSome({ type: 'vote', vote: this.#sign(kind, view, hash) })
    }
  }

  #proposals(machine: MachineState): FalseProposals {
    const pen = {
      random: this.#world.random,
      rare: this.#world.rare,
      index: this.#index,
      skips: this.#skips,
      certified: this.#certified,
      nowMs: this.#instance.nowMs,
      sign: (kind: VoteKind, view: number, hash: Uint8Array) => this.#sign(kind, view, hash),
      forge: (kind: VoteKind, view: number, hash: Uint8Array) => this.#forged(kind, view, hash),
    }
    return new FalseProposals(machine, pen, this.#blocks)
  }

  #propose(machine: MachineState, view: number): void {
    for (const proposal of this.#proposals(machine).forView(view)) {
      this.#tellSome({ type: 'proposal', proposal })
    }
  }

  /** Repeats what a leader proposed, with another justification than it committed to. */
  #tamper(machine: MachineState): void {
    const [said] = machine.rounds.get(machine.view)?.proposals ?? []
    if (!said) return
    const { header, justification, leaderVote } = said
    const original = { header, justification, leaderVote }
    this.#tellSome({ type: 'proposal', proposal: this.#proposals(machine).tampered(original) })
  }

  /** To one peer: votes far ahead, or of the next epoch. */
  #flood(machine: MachineState): void {
    const { random, instances } = this.#world
    const peer = random.pick(instances.filter((each) => each !== this.#instance))
    if (random.chance(0.5)) {
      const from = machine.view + random.pick([33, 40, 1_000_000])
      for (let i = 0; i < FLOOD_VIEWS; i++) {
        const vote = this.#sign(VoteKind.nullify, from + i, ZERO_HASH)
        this.#tell(peer, { type: 'vote', vote })
      }
      return
    }
    for (let i = 1; i <= FLOOD_WAITING; i++) {
      const vote = this.#sign(VoteKind.nullify, i, ZERO_HASH, this.#epoch() + 1)
      this.#tell(peer, { type: 'vote', vote })
    }
  }

  /** A block that was asked for: sometimes; sometimes another, or one with other reasons. */
  #answer(hash: Hex): JustifiedBlock | undefined {
    const { random } = this.#world
    const own = this.#blocks.get(hash)
    if (own) return own
    const held = this.#instance.heldBlock(hash)
    const answer = random.pick(['true', 'nothing', 'other', 'reasons'] as const)
    if (answer === 'nothing' || !held) return undefined
    if (answer === 'other') return this.#instance.disk.chain.at(-1) ?? held
    if (answer === 'true') return held
    const { parent, skips } = held.justification
    return { ...held, justification: { parent, skips: [...skips, ...parent] } }
  }

  /** A certificate of its own signature alone, repeated for everybody or standing alone. */
  #forged(kind: VoteKind, view: number, hash: Uint8Array): Certificate {
    const validators = setOf(this.#world.scenario, this.#epoch())
    const { random } = this.#world
    const vote = this.#sign(kind, view, hash)
    const shape = random.pick(['for all', 'alone', 'repeated'] as const)
    if (shape === 'for all') {
      const votes = new Map(validators.map((_, index) => [index, vote]))
      return assembleCertificate(vote.statement, votes, validators.length)
    }
    const own = new Map([[vote.validator % validators.length, vote]])
    const alone = assembleCertificate(vote.statement, own, validators.length)
    if (shape === 'alone') return alone
    const repeated = Array.from({ length: validators.length }, () => vote.signature)
    return { ...alone, signatures: repeated }
  }

  #forge(machine: MachineState, inBundle: boolean): void {
    const view = this.#viewNear(machine)
    const kind = this.#world.random.pick([1, 2, 3] as const)
    const hash = kind === VoteKind.nullify ? ZERO_HASH : this.#someHash(view)
    const certificate = this.#forged(kind, view, hash)
    if (!inBundle) return this.#tellSome({ type: 'certificate', certificate })
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
