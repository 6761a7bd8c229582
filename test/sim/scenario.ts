import type {
  ConsensusTiming,
  EpochValidator,
} from '../../chain/src/consensus/machine-interface.ts'
import { quorumOf } from '../../chain/src/consensus/quorum.ts'
import { simulatedKey, validatorOf } from './cheap-crypto.ts'
import { Random } from './random.ts'

/** More views than any history has before calm. */
const SPLIT_VIEWS = 100

/** Beside the seed of all else, so that what it drew before stays as it was. */
const CHANGES_SEED = 0x1500_0000

const SLOW_SHARE = 0.04
const SLOW_HOST_SHARE = 0.1
const FORGETFUL_SHARE = 0.3

/** Histories in which nodes object to blocks by themselves, and how often until calm. */
const OBJECTIONS_SEED = 0x0b_0000
const OBJECTING_SHARE = 0.03
const OBJECTIONS = 0.3

/** Everything that a seed decides before the first event. Times in ms of virtual time. */
export interface Scenario {
  /** Everybody who is a validator at some time: one node each. */
  readonly validators: readonly EpochValidator[]
  /** Members and weights of epochs 1, 2, ..., again from the first after the last. */
  readonly sets: readonly (readonly EpochValidator[])[]
  /** Loses its whole disk, but not its signer's lease. */
  readonly wiped?: { readonly validator: number; readonly atMs: number } | undefined
  /** Two instances with one key, each running honest code in its own part of the network. */
  readonly twins: ReadonlySet<number>
  /** Say anything to anybody. */
  readonly liars: ReadonlySet<number>
  readonly epochBlocks: number
  /** From here on the network is fast, whole and lossless, and nobody crashes. */
  readonly calmFromMs: number
  /** Calm, but slower than the first skip timeout: only timeouts that grow bring blocks. */
  readonly slow?: boolean
  /** Builds blocks for so long that their views pass meanwhile: as good as silent when it leads. */
  readonly slowHost?: number | undefined
  /** Its log loses certificates with each crash, never votes: it must be safe all the same. */
  readonly forgetful?: number | undefined
  readonly loss: number
  readonly duplication: number
  readonly delayMaxMs: number
  /** Until calm, how often a node refuses the last block of an epoch though it is valid. */
  readonly objections?: number
  readonly crashRate: number
  readonly clusterCrashAtMs: number | undefined
  readonly partitionMs: number
  readonly clockOffsetsMs: readonly number[]
  readonly timerDrifts: readonly number[]
  /** More weight is faulty than the protocol bears: forks may happen, and must be explained. */
  readonly tooManyFaulty: boolean
  /** Messages go through the wire codec. */
  readonly coded: boolean
  /**
   * Twins: who hears whom of what a node says in view v until calm, as one bit per instance;
   * equal bits are connected. Views beyond the script are whole.
   */
  readonly sidesByView?: readonly number[]
  /** Paces of the machine where they are not the usual ones. */
  readonly timing?: Partial<ConsensusTiming>
  /** Cut off from all others until calm. */
  readonly away?: number
  /** Until calm everybody objects to every block of another. */
  readonly refusing?: boolean
  /** Liars sign headers for views far ahead. */
  readonly farAhead?: boolean
}

export function drawScenario(random: Random, seed: number, tooManyFaulty: boolean): Scenario {
  const count = random.pick([4, 4, 5, 7, 10])
  const weighted = random.chance(0.4)
  const validators = Array.from({ length: count }, (_, index) => ({
    publicKey: simulatedKey(index),
    weight: weighted ? random.between(1, 3) : 1,
  }))
  const { twins, liars } = tooManyFaulty
    ? drawTooMany(random, validators)
    : drawFaulty(random, validators)
  const calmFromMs = random.between(4_000, 20_000)
  // A validator whose clock is wrong by this much cannot vote: it counts as faulty.
  const bearable = faultyWeightMax(validators) >= (validators[0]?.weight ?? 0)
  const skewed = bearable && twins.size + liars.size === 0 && random.chance(0.3)
  const faulty = new Set([...twins, ...liars, ...(skewed ? [0] : [])])
  const changes = new Random(seed + CHANGES_SEED)
  const sets = tooManyFaulty ? [validators] : drawSets(changes, validators, faulty)
  const wiped = tooManyFaulty ? undefined : drawWiped(changes, sets, count, faulty, calmFromMs)
  const slow = !tooManyFaulty && changes.chance(SLOW_SHARE)
  const lost = new Set([...faulty, ...(wiped ? [wiped.validator] : [])])
  const slowHost = tooManyFaulty ? undefined : drawOne(changes, SLOW_HOST_SHARE, sets, lost)
  if (slowHost !== undefined) lost.add(slowHost)
  const forgetful = tooManyFaulty ? undefined : drawOne(changes, FORGETFUL_SHARE, sets, lost)
  return {
    validators,
    sets,
    wiped,
    twins,
    liars,
    epochBlocks: random.pick([2, 3, 5, 8, 40]),
    calmFromMs,
    slow,
    slowHost,
    forgetful,
    loss: random.pick([0, 0.05, 0.15, 0.3]),
    duplication: random.pick([0, 0.05]),
    delayMaxMs: random.pick([50, 300, 1_000, 3_000]),
    crashRate: random.pick([0, 0.001, 0.004]),
    clusterCrashAtMs: random.chance(0.15) ? random.between(500, calmFromMs) : undefined,
    partitionMs: random.pick([0, 500, 2_000, 6_000]),
    clockOffsetsMs: validators.map((_, index) =>
      skewed && index === 0 ? random.pick([-30_000, 30_000]) : random.between(-300, 300),
    ),
    timerDrifts: validators.map(() => 0.9 + random.unit() * 0.2),
    tooManyFaulty,
    ...(tooManyFaulty && random.chance(0.7) ? splitHonest(random, validators.length, twins) : {}),
    coded: seed % 10 === 0,
    ...(tooManyFaulty ? {} : drawObjections(new Random(seed + OBJECTIONS_SEED))),
  }
}

/** Where epochs are short, so that many end while messages are lost. */
function drawObjections(random: Random) {
  if (!random.chance(OBJECTING_SHARE)) return {}
  return { objections: OBJECTIONS, epochBlocks: random.pick([2, 3]) }
}

/** The set of an epoch; epochs count from 1. */
export function setOf({ sets }: Scenario, epoch: number): readonly EpochValidator[] {
  return sets[(epoch - 1) % sets.length] as readonly EpochValidator[]
}

/** A few sets of different members and weights, each of which bears its faulty members. */
function drawSets(
  random: Random,
  all: readonly EpochValidator[],
  faulty: ReadonlySet<number>,
): (readonly EpochValidator[])[] {
  if (random.chance(0.6)) return [all]
  const sets = [all]
  for (let tries = random.between(3, 12); tries > 0; tries--) {
    const members = all.flatMap((each) =>
      random.chance(0.75) ? [{ ...each, weight: random.between(1, 3) }] : [],
    )
    if (members.length >= 3 && canBear(members, faulty)) sets.push(members)
  }
  return sets
}

/** Until its lease is over it cannot vote: it counts as faulty in every set. */
function drawWiped(
  random: Random,
  sets: readonly (readonly EpochValidator[])[],
  validators: number,
  faulty: ReadonlySet<number>,
  calmFromMs: number,
) {
  if (random.chance(0.6)) return undefined
  const validator = random.between(0, validators - 1)
  const lost = new Set([...faulty, validator])
  if (faulty.has(validator) || !sets.every((set) => canBear(set, lost))) return undefined
  return { validator, atMs: random.between(1_000, calmFromMs) }
}

/** One more that counts as faulty in every set, with these odds and where there is room for it. */
function drawOne(
  random: Random,
  share: number,
  sets: readonly (readonly EpochValidator[])[],
  faulty: ReadonlySet<number>,
): number | undefined {
  if (!random.chance(share)) return undefined
  const validator = random.between(0, (sets[0]?.length ?? 1) - 1)
  const all = new Set([...faulty, validator])
  return sets.every((set) => canBear(set, all)) ? validator : undefined
}

function canBear(set: readonly EpochValidator[], faulty: ReadonlySet<number>): boolean {
  const weight = set
    .filter(({ publicKey }) => faulty.has(validatorOf(publicKey)))
    .reduce((sum, each) => sum + each.weight, 0)
  return weight <= faultyWeightMax(set)
}

/** f by weight: what is left over must be a quorum. */
function faultyWeightMax(validators: readonly EpochValidator[]): number {
  const { total, quorum } = quorumOf(validators)
  return total - quorum
}

function drawFaulty(random: Random, validators: readonly EpochValidator[]) {
  const twins = new Set<number>()
  const liars = new Set<number>()
  if (random.chance(0.25)) return { twins, liars }
  let room = faultyWeightMax(validators)
  for (let i = 0; i < validators.length; i++) {
    const index = random.between(0, validators.length - 1)
    const weight = validators[index]?.weight ?? 0
    if (weight > room || twins.has(index) || liars.has(index)) continue
    room -= weight
    if (random.chance(0.7)) twins.add(index)
    else liars.add(index)
  }
  return { twins, liars }
}

/** Twins of a weight above f, but one honest validator at least on either side of a fork. */
function drawTooMany(random: Random, validators: readonly EpochValidator[]) {
  const twins = new Set<number>()
  const most = faultyWeightMax(validators)
  let weight = 0
  while (weight <= most && twins.size < validators.length - 2) {
    const index = random.between(0, validators.length - 1)
    if (twins.has(index)) continue
    twins.add(index)
    weight += validators[index]?.weight ?? 0
  }
  return { twins, liars: new Set<number>() }
}

/** One split until calm: of each pair of twins one on either side, honest ones anywhere. */
function splitHonest(random: Random, validators: number, twins: ReadonlySet<number>) {
  let sides = 0
  let instance = 0
  for (let validator = 0; validator < validators; validator++) {
    sides |= (twins.has(validator) ? 0 : random.between(0, 1)) << instance++
    if (twins.has(validator)) sides |= 1 << instance++
  }
  return {
    sidesByView: Array.from({ length: SPLIT_VIEWS }, () => sides),
    partitionMs: 0,
    calmFromMs: random.between(10_000, 25_000),
    clusterCrashAtMs: undefined,
    loss: 0,
    delayMaxMs: 300,
  }
}
