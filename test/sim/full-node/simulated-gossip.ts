import { SALT_BYTES } from '../../../chain/src/net/short-ids.ts'
import { TransactionRelay } from '../../../chain/src/net/transaction-relay.ts'
import type { Random } from '../random.ts'
import type { FullInstance } from './full-instance.ts'
import type { FullWorld } from './full-world.ts'

/** Slower than production's, so that histories are not made of ticks. */
const TICK_MS = 400
const PULL_TIMEOUT_MS = 3000

/** Production's relay of a node, with the simulated network between it and the others'. */
export class SimulatedGossip {
  readonly relay: TransactionRelay
  readonly #world: FullWorld
  readonly #node: FullInstance

  constructor(
    world: FullWorld,
    node: FullInstance,
    random: Random,
    judge: ConstructorParameters<typeof TransactionRelay>[0]['judge'],
  ) {
    this.#world = world
    this.#node = node
    this.relay = new TransactionRelay({
      salt: random.bytes(SALT_BYTES),
      ask: (peer, request) => this.#ask(peer, request),
      judge,
      onFault: (peer) => world.disconnected(node, peer),
      nowMs: () => world.heap.now,
    })
  }

  /** Meets the relays that run now, as two nodes that connect do. */
  start(isCurrent: () => boolean): void {
    for (const other of this.#world.others(this.#node)) {
      const { gossip } = other
      if (!gossip) continue
      gossip.relay.disconnect(this.#node.name)
      gossip.meet(this.#node, this)
      this.meet(other, gossip)
    }
    this.#tick(isCurrent)
  }

  meet(other: FullInstance, gossip: SimulatedGossip): void {
    const send = (message: Uint8Array) => {
      this.#world.carry(this.#node, other, () => gossip.relay.announced(this.#node.name, message))
      return Promise.resolve()
    }
    this.relay.connect(other.name, { salt: gossip.relay.salt, send })
  }

  #tick(isCurrent: () => boolean): void {
    const { heap } = this.#world
    heap.schedule(heap.now + TICK_MS, () => {
      if (!isCurrent()) return
      this.#world.run(this.#node, () => this.relay.tick())
      this.#tick(isCurrent)
    })
  }

  /** Who is no node, or is gone, does not answer. */
  #ask(name: string, request: Uint8Array): Promise<Uint8Array> {
    const world = this.#world
    const node = this.#node
    return new Promise((resolve, reject) => {
      const other = world.instanceOf(name)
      if (other) {
        world.carry(node, other, () => {
          const answer = other.gossip?.relay.serve(node.name, request)
          if (answer) world.carry(other, node, () => resolve(answer))
        })
      }
      world.heap.schedule(world.heap.now + PULL_TIMEOUT_MS, () =>
        world.run(node, () => reject(new Error('no answer'))),
      )
    })
  }
}
