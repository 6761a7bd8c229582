import type { Actor } from '../../../chain/src/rules/testing/world.ts'
import { challengeOf } from '../../../chain/src/rules/touch-node.ts'
import { timeAmount } from '../../../chain/src/rules/settlement.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider, type ProviderPlan } from './provider.ts'
import { type Agent, type Scene, SLOT_PRICE } from './scene.ts'

/** How many beacons of an epoch it may have drawn again at most. */
const DRAWS_MAX = 32

/**
 * A provider that drops data and mines on the main chain: where the beacon draws what it dropped
 * it withholds the block that fixes it, so that another is drawn. A withheld block is a block
 * reward lost: reckoned as a quarter of what the node has at stake in the challenge, the least
 * that PROTOCOL's bound on the size of a node allows.
 */
class Miner implements Agent {
  readonly name = MEASURED
  readonly #provider: Provider
  /** Its part of the main chain's work, percent. */
  readonly #share: number

  constructor(plan: ProviderPlan, share: number) {
    this.#provider = new Provider(MEASURED, plan)
    this.#share = share
  }

  accounts(): Actor[] {
    return this.#provider.accounts()
  }

  setup(scene: Scene): void {
    this.#provider.setup(scene)
  }

  drawBeacon(scene: Scene, again: () => void): void {
    for (let draws = 0; draws < DRAWS_MAX && this.#isCaught(scene); draws++) {
      const isOwn = (scene.epoch * 37 + draws * 61 + scene.setting.seed * 13) % 100 < this.#share
      if (!isOwn) return
      scene.book(this.name, this.#atStake(scene) / 4n)
      again()
    }
  }

  /** Whether the challenge that opens now draws a slot that it dropped. */
  #isCaught({ world, epoch }: Scene): boolean {
    const [node] = this.#provider.nodes
    if (!node || world.draft.nodeIndex(node.address) === undefined) return false
    const challenge = challengeOf(world.draft, world.nodeIndex(node), epoch)
    return challenge?.epoch === epoch && world.buildProve(node) === undefined
  }

  /** Pay of the interval and what the node holds. */
  #atStake({ world, epoch, setting }: Scene): bigint {
    const node = world.node(this.#provider.nodes[0] as Actor)
    const pay = timeAmount(SLOT_PRICE, 1, epoch - node.A) * BigInt(setting.slots)
    return pay + node.held
  }

  perEpoch(scene: Scene): void {
    this.#provider.perEpoch(scene)
  }
}

function miner(name: string, part: number, share: number): Attack {
  const drop = (slots: number) => Math.max(1, Math.round(slots * part))
  const whose = share === 100 ? 'every block' : `${share} % of the blocks`
  return {
    name,
    summary: `drops ${Math.round(part * 100)} %, mines ${whose}, withholds those that draw it`,
    cheat: () => new Miner({ drop }, share),
  }
}

/** Grinding of beacons by whoever makes main-chain blocks. */
export const beaconAttacks: readonly Attack[] = [
  miner('withhold beacons, drop 2 %', 0.02, 25),
  miner('withhold beacons, drop 10 %', 0.1, 25),
  miner('re-roll beacons, drop 2 %', 0.02, 100),
  miner('re-roll beacons, drop 10 %', 0.1, 100),
  miner('re-roll beacons, drop 50 %', 0.5, 100),
]
