import { isClearedByProof } from '../../../chain/src/rules/clear-weight.ts'
import { type Actor, actor, payoutOf } from '../../../chain/src/rules/testing/world.ts'
import { challengeOf } from '../../../chain/src/rules/touch-node.ts'
import { NONE } from '../../../chain/src/types/records.ts'
import { type Agent, known, type Scene, SLOT_PRICE, UNIT_PRICE } from './scene.ts'

/** How a provider differs from an honest one; everything left out is as an honest one does it. */
export interface ProviderPlan {
  /** Slots of others that it drops, of so many, and from which epoch on. */
  readonly drop?: (slots: number) => number
  readonly dropFrom?: number
  /** Epochs that it lets pass before it answers a challenge. */
  readonly delay?: number
  /** Rails that it pays to itself, whose bytes follow from a seed and cost nothing to keep. */
  readonly filler?: { readonly count: number; readonly price: bigint; readonly term?: number }
  /** Identities that its slots are spread over. */
  readonly identities?: number
  /** Epochs between redeems; 0 = only when everything is closed. */
  readonly redeemEvery?: number
  /** Redeems each rail by itself instead of all in one. */
  readonly redeemsSingly?: boolean
  /** Slots of others that it takes, if not as many as everybody. */
  readonly slots?: number
  /** Looks in every epoch for rails that ended, for one whose payers come and go. */
  readonly clears?: boolean
  readonly tolls?: Agent['tolls']
  /** Epochs after which its filler is closed and bought anew. */
  readonly fillerEvery?: number
  /** Has no disk: fetches everything, for nothing, when one more strike would evict it. */
  readonly sleeps?: boolean
  /** So many of its identities keep nothing of what they hold. */
  readonly emptyNodes?: number
  /** What it does with rails that were dropped and drawn. */
  readonly whenDrawn?: (scene: Scene, node: Actor) => void
}

const HONEST_REDEEM_EPOCHS = 24

export class Provider implements Agent {
  readonly name: string
  readonly #plan: ProviderPlan
  readonly nodes: readonly Actor[]
  readonly #self: Actor
  /** Rails by node, those of others and one's own filler. */
  readonly #stored = new Map<string, number[]>()
  readonly #filler = new Map<string, number[]>()

  constructor(name: string, plan: ProviderPlan = {}) {
    this.name = name
    this.#plan = plan
    const count = plan.identities ?? 1
    this.nodes = Array.from({ length: count }, (_, i) => known(actor(`${name} ${i}`)))
    this.#self = known(actor(`${name} purse`))
  }

  get tolls(): Agent['tolls'] {
    return this.#plan.tolls
  }

  /** A slot that somebody else's grant gave it. */
  take(node: Actor, rail: number): void {
    push(this.#stored, node, rail)
  }

  accounts(): Actor[] {
    return [this.#self, ...this.nodes.map(payoutOf)]
  }

  setup(scene: Scene): void {
    const { world, setting } = scene
    const payer = known(actor('customer'))
    scene.fund(payer)
    const term = setting.epochs + 100
    for (let i = 0; i < (this.#plan.slots ?? setting.slots); i++) {
      const node = this.nodes[i % this.nodes.length] as Actor
      const rail = world.rent(payer, node, terms({ price: SLOT_PRICE, term }))
      push(this.#stored, node, rail)
    }
    if (this.#plan.filler) scene.fund(this.#self)
    this.#buyFiller(scene)
  }

  #buyFiller({ world, setting }: Scene): void {
    const { filler } = this.#plan
    if (!filler) return
    const term = setting.epochs + 100
    for (let i = 0; i < filler.count; i++) {
      const node = this.nodes[i % this.nodes.length] as Actor
      const { price } = filler
      const rail = world.rent(this.#self, node, terms({ price, term: filler.term ?? term }))
      push(this.#filler, node, rail)
    }
  }

  /** Gives its fillers up and pays itself for new ones. */
  #turnFiller(scene: Scene): void {
    const { world } = scene
    for (const rail of [...this.#filler.values()].flat()) {
      if (world.rail(rail).live) world.close(this.#self, rail)
    }
    this.#buyFiller(scene)
  }

  perEpoch(scene: Scene): void {
    const { dropFrom = 1, fillerEvery = 0 } = this.#plan
    if (fillerEvery > 0 && !scene.isClosing && scene.epoch % fillerEvery === 0) {
      for (const node of this.nodes) scene.world.touch(node)
      if (!this.nodes.some((node) => scene.world.node(node).evicted)) this.#turnFiller(scene)
    }
    if (scene.epoch >= dropFrom) this.#dropData(scene)
    for (const node of this.nodes) {
      if (scene.world.draft.nodeIndex(node.address) === undefined) continue
      const isOut = scene.world.node(node).evicted
      if (!isOut) this.#keep(scene, node)
      if (!isOut) this.#answer(scene, node)
      this.#redeem(scene, node)
    }
  }

  #dropData(scene: Scene): void {
    const rails = this.nodes.flatMap((node) => this.#rails(this.#stored, node))
    const count = this.#plan.drop?.(rails.length) ?? 0
    for (const rail of rails.slice(0, count)) scene.world.dropped.add(rail)
    for (const node of this.nodes.slice(0, this.#plan.emptyNodes ?? 0)) {
      for (const rail of this.#rails(this.#stored, node)) scene.world.dropped.add(rail)
    }
  }

  #rails(of: Map<string, number[]>, node: Actor): readonly number[] {
    return of.get(node.name) ?? []
  }

  /** Pays for the disk of this epoch: bytes are kept as long as a challenge may draw them. */
  #keep(scene: Scene, node: Actor): void {
    if (this.#plan.sleeps) return
    const { world } = scene
    const index = world.nodeIndex(node)
    for (const rail of this.#rails(this.#stored, node)) {
      const { live, node: holder, clearedEpoch, lostEpoch } = world.rail(rail)
      const isHeld = live && holder === index && clearedEpoch === NONE && lostEpoch === NONE
      if (isHeld && !world.dropped.has(rail)) scene.bookStorage(this.name, rail)
    }
  }

  #answer(scene: Scene, node: Actor): void {
    const { world } = scene
    const challenge = challengeOf(world.draft, world.nodeIndex(node), scene.epoch)
    // Once closing is asked for, waiting would only prolong how long the bytes must be kept.
    const delay = scene.isClosing ? 0 : (this.#plan.delay ?? 0)
    if (!challenge || scene.epoch < challenge.epoch + delay) return
    if (scene.starved.prove.has(node.name)) return
    const { strikes } = world.node(node)
    if (this.#plan.sleeps && strikes + 1 < world.params.strikesToEvict) return
    const answered = world.tryProve(node, this.#over(scene, node, challenge.epoch))
    if (!answered) this.#plan.whenDrawn?.(scene, node)
  }

  /** Rails that ended or were closed, whose weight an honest node clears with its proof. */
  #over(scene: Scene, node: Actor, challenge: number): number[] {
    if (!scene.isClosing && !this.#plan.clears) return []
    const { world } = scene
    world.touch(node)
    const record = world.node(node)
    const rails = world.draft.inventory(world.nodeIndex(node)).map(({ rail }) => rail)
    return rails.filter((rail) =>
      isClearedByProof(world.draft, record, world.rail(rail), challenge, scene.epoch),
    )
  }

  #redeem(scene: Scene, node: Actor): void {
    const { redeemEvery = HONEST_REDEEM_EPOCHS, redeemsSingly } = this.#plan
    if (redeemEvery === 0 || scene.epoch % redeemEvery !== 0) return
    if (scene.starved.redeem.has(node.name)) return
    const { world } = scene
    const rails = [...this.#rails(this.#stored, node), ...this.#rails(this.#filler, node)]
    const index = world.nodeIndex(node)
    const live = rails
      .filter((rail) => world.rail(rail).live)
      .filter((rail) => world.rail(rail).node === index)
    if (redeemsSingly) for (const rail of live) world.redeem(node, [rail])
    else for (let i = 0; i < live.length; i += 256) world.redeem(node, live.slice(i, i + 256))
  }
}

/** Terms of a slot that holds back as much as all slots here. */
export function terms(rail: { readonly price: bigint; readonly term: number }) {
  return { ...rail, leaves: 1, unitPrice: UNIT_PRICE }
}

function push(to: Map<string, number[]>, { name }: Actor, rail: number): void {
  const rails = to.get(name) ?? []
  if (!rails.includes(rail)) to.set(name, [...rails, rail])
}
