import { assert } from '../../../chain/src/bytes/assert.ts'
import { auditSupply, circulatingSupply } from '../../../chain/src/rules/supply.ts'
import { Provider, type ProviderPlan } from './provider.ts'
import { Scene, type Setting } from './scene.ts'

/** A kind of provider and its part of all nodes, in percent. */
interface Kind {
  readonly name: string
  readonly percent: number
  readonly plan: ProviderPlan
}

const KINDS: readonly Kind[] = [
  { name: 'honest', percent: 84, plan: {} },
  { name: 'drops one slot in four', percent: 8, plan: { drop: (slots) => slots >> 2 } },
  { name: 'drops everything', percent: 4, plan: { drop: (slots) => slots } },
  { name: 'sleeps', percent: 4, plan: { sleeps: true } },
]

/** What became of a kind, per node, units. */
export interface KindResult {
  readonly name: string
  readonly nodes: number
  readonly evicted: number
  readonly least: bigint
  readonly mean: bigint
  readonly most: bigint
}

/** Totals of the network after so many epochs, units. */
export interface NetworkPoint {
  readonly epoch: number
  readonly paid: bigint
  readonly burnedService: bigint
  readonly burnedFees: bigint
  readonly burnedForfeit: bigint
  readonly minted: bigint
  readonly supply: bigint
}

export interface MarketResult {
  readonly nodes: number
  readonly epochs: number
  readonly kinds: readonly KindResult[]
  readonly points: readonly NetworkPoint[]
  readonly proofs: number
}

const POINT_EPOCHS = 24

/** Many providers of several kinds in one world: incomes, burns, mints, and that all adds up. */
export function runMarket(setting: Setting, nodes: number): MarketResult {
  const providers = KINDS.flatMap(({ percent, plan, name }) => {
    const count = Math.max(1, Math.round((nodes * percent) / 100))
    return Array.from({ length: count }, (_, i) => ({
      kind: name,
      agent: new Provider(`${name} ${i}`, plan),
    }))
  })
  const points: NetworkPoint[] = []
  const watcher = {
    name: 'watcher',
    accounts: () => [],
    setup: () => undefined,
    perEpoch(scene: Scene) {
      if (scene.epoch % POINT_EPOCHS === 0) points.push(pointOf(scene))
    },
  }
  const scene = new Scene(setting, [...providers.map(({ agent }) => agent), watcher])
  // Months of many nodes leave millions of receipts; accounts and counters say all that is asked.
  scene.world.receiptKinds = new Set()
  scene.run()
  points.push(pointOf(scene))
  const kinds = KINDS.map(({ name }) => {
    const own = providers.filter(({ kind }) => kind === name).map(({ agent }) => agent)
    return { name, ...spread(own.map((agent) => scene.profit(agent))), ...evictions(scene, own) }
  })
  const { epochs } = scene.world.draft
  let proofs = 0
  for (let e = 0; e < epochs.count; e++) proofs += epochs.get(e)?.proofs ?? 0
  return { nodes: providers.length, epochs: scene.epoch, kinds, points, proofs }
}

function evictions({ world }: Scene, own: readonly Provider[]) {
  const nodes = own.flatMap(({ nodes }) => nodes)
  return { nodes: own.length, evicted: nodes.filter((node) => world.node(node).evicted).length }
}

function spread(profits: readonly bigint[]) {
  const sorted = profits.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const sum = sorted.reduce((total, profit) => total + profit, 0n)
  return {
    least: sorted[0] ?? 0n,
    mean: sum / BigInt(Math.max(1, sorted.length)),
    most: sorted.at(-1) ?? 0n,
  }
}

/** Recounts every unit: the identity of the supply, and minted <= rho x burned per epoch. */
function pointOf({ world, epoch }: Scene): NetworkPoint {
  const audited = auditSupply(world.draft)
  assert(audited.ok, audited.ok ? '' : audited.fault.message)
  const globals = world.draft.globals()
  let paid = 0n
  for (let e = 0; e < world.draft.epochs.count; e++) paid += world.draft.epochs.get(e)?.fees ?? 0n
  return {
    epoch,
    paid,
    burnedService: globals.burnedService,
    burnedFees: globals.burnedBaseFee,
    burnedForfeit: globals.burnedForfeit,
    minted: globals.minted,
    supply: circulatingSupply(globals, world.draft.peg()),
  }
}
