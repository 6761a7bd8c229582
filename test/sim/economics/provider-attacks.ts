import type { World } from '../../../chain/src/rules/testing/world.ts'
import { NONE } from '../../../chain/src/types/records.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider, type ProviderPlan } from './provider.ts'
import { SLOT_PRICE, type Setting } from './scene.ts'

const everything = (slots: number) => slots
const half = (slots: number) => Math.floor(slots / 2)
const share = (part: number) => (slots: number) => Math.max(1, Math.round(slots * part))

type Planned = ProviderPlan | ((setting: Setting) => ProviderPlan)

/** A provider with this plan against one that keeps everything, or against another plan. */
function provider(name: string, summary: string, plan: Planned, honest?: ProviderPlan): Attack {
  const cheat = (setting: Setting) =>
    new Provider(MEASURED, typeof plan === 'function' ? plan(setting) : plan)
  if (!honest) return { name, summary, cheat }
  return { name, summary, cheat, honest: () => new Provider(MEASURED, honest) }
}

/** Filler that its own purse pays for, in multiples of what others pay for honest slots. */
function filler(slots: number, multiple: number, term?: number): ProviderPlan {
  const price = BigInt(Math.round(multiple * 1000)) * (SLOT_PRICE / 1000n)
  return { drop: everything, filler: { count: slots, price, ...(term && { term }) } }
}

/** Epochs between a challenge and the last epoch in which it may be answered. */
const latest = ({ params }: Setting) => (params.proofWindowEpochs ?? 2) - 1

const dropping: readonly Attack[] = [
  provider('drop 2 %', 'keeps all but one slot in fifty', { drop: share(0.02) }),
  provider('drop 10 %', 'keeps nine slots in ten', { drop: share(0.1) }),
  provider('drop 50 %', 'keeps every second slot', { drop: half }),
  provider('drop everything', 'keeps nothing', { drop: everything }),
  provider('drop at half time', 'keeps everything, redeems, then drops it', ({ epochs }) => ({
    drop: everything,
    dropFrom: epochs >> 1,
  })),
]

const answering: readonly Attack[] = [
  provider('answer late', 'keeps everything, answers in the last epoch', (setting) => ({
    delay: latest(setting),
  })),
  provider('answer late, drop 10 %', 'sees the draw, waits, answers if it can', (setting) => ({
    delay: latest(setting),
    drop: share(0.1),
  })),
  provider('loss after the beacon', 'drops half, declares lost what is drawn', {
    drop: half,
    whenDrawn: (scene, node) => declareDropped(scene.world, node),
  }),
  provider('sleeper', 'keeps nothing, wakes for one proof before the last strike', {
    sleeps: true,
  }),
  {
    ...provider('never redeem', 'keeps everything, lets the debt for its proofs grow', {
      redeemEvery: 0,
    }),
    needsProofs: true,
  },
]

const diluting: readonly Attack[] = [
  provider(
    'filler of price 0',
    'drops all, pays itself nothing for ten times the slots',
    ({ slots }) => filler(slots * 10, 0),
  ),
  ...[1, 4, 7, 20].map((multiple) =>
    provider(`filler of ${multiple} x the pay`, 'drops all, hides behind rails of its own', (s) =>
      filler(s.slots, multiple),
    ),
  ),
  provider(
    'filler that comes and goes',
    'drops all behind filler that it closes and buys anew around its challenges',
    ({ params }) => ({
      drop: everything,
      filler: { count: 1, price: SLOT_PRICE * 200n },
      fillerEvery: (params.proofWindowEpochs ?? 2) + 1,
    }),
  ),
  provider('expired filler', 'drops all behind a short rail of a huge price', ({ params }) => ({
    drop: everything,
    filler: { count: 1, price: SLOT_PRICE * 200n, term: params.minimumChargeEpochs ?? 1 },
  })),
]

const offering: readonly Attack[] = [
  provider(
    'lie about capacity',
    'takes twice the slots that its disk holds, keeps the newer half',
    ({ slots }) => ({
      slots: slots * 2,
      drop: half,
    }),
  ),
  provider(
    'lie about capacity, then fill up',
    'takes twice what fits, keeps all for a while, then every second slot',
    ({ slots, epochs }) => ({ slots: slots * 2, drop: half, dropFrom: epochs >> 1 }),
  ),
]

const identities: readonly Attack[] = [
  provider('one owner, ten nodes', 'keeps everything under ten names', { identities: 10 }),
  provider('ten nodes, one empty', 'a name of its own for what it drops', {
    identities: 10,
    emptyNodes: 1,
  }),
  provider('ten nodes, nine empty', 'keeps one name honest', { identities: 10, emptyNodes: 9 }),
]

const money: readonly Attack[] = [
  provider(
    'dodge held pay, never redeeming',
    'keeps half of the time, redeems only once evicted',
    ({ epochs }) => ({ drop: everything, dropFrom: epochs >> 1, redeemEvery: epochs }),
  ),
  provider('dodge held pay, always redeeming', 'redeems every epoch, then drops', (s) => ({
    drop: everything,
    dropFrom: s.epochs >> 1,
    redeemEvery: 1,
  })),
  provider('dust redeems', 'redeems each rail by itself in every epoch', {
    redeemEvery: 1,
    redeemsSingly: true,
  }),
]

function declareDropped(world: World, node: Parameters<World['leave']>[0]): void {
  for (const rail of world.dropped) {
    const { live, lostEpoch } = world.rail(rail)
    if (live && lostEpoch === NONE) world.leave(node, rail, true)
  }
}

/** Cheats of those who store. */
export const providerAttacks: readonly Attack[] = [
  ...dropping,
  ...answering,
  ...diluting,
  ...offering,
  ...identities,
  ...money,
]
