import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { ReceiptKind, StakeAction } from '../types/receipts.ts'
import { type Delegation, DelegationKind, NONE } from '../types/records.ts'
import { accountOf } from './accounts.ts'
import { closeEpoch } from './epoch-boundary.ts'
import { applyRotateKeys } from './rotate-keys.ts'
import { type KeyPair, keyOf, UNITS } from './testing/sample-chain.ts'
import { ownerOf, StakeWorld } from './testing/stake-world.ts'
import { codeOf } from './testing/world.ts'

beforeAll(() => installNativeCrypto())

const [alice, bob] = [keyOf('alice'), keyOf('bob')]
const RICH = {
  alice: 100_000n * UNITS,
  bob: 100_000n * UNITS,
  'validator-0-owner': 10_000n * UNITS,
  'validator-1-owner': 10_000n * UNITS,
  'validator-2-owner': 10_000n * UNITS,
  'validator-3-owner': 10_000n * UNITS,
}
const weights = (world: StakeWorld, epoch: number) => world.set(epoch).map(({ weight }) => weight)

function delegationsOf(world: StakeWorld): (Delegation & { index: number })[] {
  return Array.from({ length: world.draft.delegations.count }, (_, index) => {
    const delegation = world.draft.delegations.get(index)
    if (!delegation) throw new Error('the table is dense')
    return { ...delegation, index }
  })
}

/** Units that the validators' pool holds as if services had paid them. */
function payIntoPool(world: StakeWorld, amount: bigint): void {
  const { draft } = world
  const index = draft.accountIndex(alice.address) ?? -1
  const account = draft.accounts.get(index)
  if (!account) throw new Error('alice has an account')
  draft.accounts.set(index, { ...account, balance: account.balance - amount })
  const globals = draft.globals()
  draft.setGlobals({ ...globals, validatorPool: globals.validatorPool + amount })
}

function voteAll(world: StakeWorld, votes = 5): void {
  for (const { validator: index } of world.set(world.epoch)) {
    world.draft.validators.set(index, { ...world.validator(index), participation: votes })
  }
}

describe('weight', () => {
  test('follows stake two epochs later', () => {
    const world = new StakeWorld({ balances: RICH })
    expect(codeOf(world.bond(ownerOf(1), 1, 30n * UNITS))).toBe('ok')
    expect(codeOf(world.delegate(alice, 2, 20n * UNITS + 1n))).toBe('ok')
    expect(weights(world, 2)).toEqual([100, 100, 100, 100])
    world.nextEpoch()
    expect(weights(world, 2)).toEqual([100, 100, 100, 100])
    expect(weights(world, 3)).toEqual([100, 130, 120, 100])
    expect(world.validator(1).power).toBe(130)
    expect(accountOf(world.draft, ownerOf(1).address)?.bond).toBe(130n * UNITS)
    world.audit()
  })

  test('grows by half of what stays at most; the rest waits', () => {
    const world = new StakeWorld({ balances: RICH })
    expect(codeOf(world.delegate(alice, 0, 10_000n * UNITS))).toBe('ok')
    world.nextEpoch()
    expect(weights(world, 3)).toEqual([300, 100, 100, 100])
    world.nextEpoch()
    expect(weights(world, 4)).toEqual([600, 100, 100, 100])
    for (let i = 0; i < 10; i++) world.nextEpoch()
    expect(weights(world, world.epoch + 1)).toEqual([10_100, 100, 100, 100])
  })

  test('leaves by a third at most in an epoch; who is too many waits', () => {
    const world = new StakeWorld({ balances: RICH })
    expect(codeOf(world.unbond(ownerOf(0), 0, 100n * UNITS))).toBe('ok')
    // 100 of 400 leave; 33 more may.
    expect(codeOf(world.unbond(ownerOf(1), 1, 40n * UNITS))).toBe('SET_CHANGE_LIMIT')
    expect(codeOf(world.unbond(ownerOf(1), 1, 33n * UNITS))).toBe('ok')
    expect(codeOf(world.unbond(ownerOf(2), 2, 1n * UNITS))).toBe('SET_CHANGE_LIMIT')
    world.nextEpoch()
    expect(world.set(2)).toHaveLength(4)
    expect(world.set(3).map(({ validator }) => validator)).toEqual([1, 2, 3])
    expect(weights(world, 3)).toEqual([67, 100, 100])
    expect(codeOf(world.unbond(ownerOf(2), 2, 80n * UNITS))).toBe('ok')
    world.audit()
  })

  test('below the least bond a validator is out with all its delegated stake', () => {
    const world = new StakeWorld({
      balances: RICH,
      params: { validatorBondMin: 100n * UNITS },
    })
    world.delegate(alice, 3, 100n * UNITS)
    world.nextEpoch()
    expect(weights(world, 3)).toEqual([100, 100, 100, 200])
    // One unit less takes 200 of 500 away at once.
    expect(codeOf(world.unbond(ownerOf(3), 3, 1n))).toBe('SET_CHANGE_LIMIT')
    expect(codeOf(world.unbond(ownerOf(0), 0, 1n))).toBe('ok')
    world.nextEpoch()
    expect(world.set(4).map(({ validator }) => validator)).toEqual([1, 2, 3])
  })
})

describe('delegation', () => {
  test('faults', () => {
    const world = new StakeWorld({ balances: RICH })
    expect(codeOf(world.delegate(alice, 9, UNITS))).toBe('VALIDATOR_UNKNOWN')
    expect(codeOf(world.delegate(alice, 0, UNITS - 1n))).toBe('STAKE_TOO_SMALL')
    expect(codeOf(world.delegate(alice, 0, 1_000_000n * UNITS))).toBe('INSUFFICIENT_FUNDS')
    expect(codeOf(world.bond(alice, 0, UNITS))).toBe('VALIDATOR_OTHER')
    expect(codeOf(world.bond(ownerOf(0), 0, 0n))).toBe('AMOUNT_ZERO')
    expect(codeOf(world.unbond(ownerOf(0), 0, 0n))).toBe('AMOUNT_ZERO')
    expect(codeOf(world.unbond(ownerOf(0), 0, 101n * UNITS))).toBe('INSUFFICIENT_STAKE')
    expect(codeOf(world.delegate(alice, 0, UNITS))).toBe('ok')
    const own = world.newestRecord()
    expect(codeOf(world.delegate(bob, 0, UNITS, own))).toBe('DELEGATION_OTHER')
    expect(codeOf(world.unbond(bob, 0, 1n, own))).toBe('DELEGATION_OTHER')
    expect(codeOf(world.unbond(alice, 1, 1n, own))).toBe('DELEGATION_OTHER')
    expect(codeOf(world.unbond(alice, 0, 2n * UNITS, own))).toBe('INSUFFICIENT_STAKE')
    expect(codeOf(world.unbond(alice, 0, 0n, own))).toBe('AMOUNT_ZERO')
    expect(codeOf(world.release(own))).toBe('STAKE_UNKNOWN')
    expect(codeOf(world.release(99))).toBe('STAKE_UNKNOWN')
  })

  test('a freed record is used again with the next generation', () => {
    const world = new StakeWorld({ balances: RICH, params: { unbondingAnchors: 1 } })
    world.delegate(alice, 0, 3n * UNITS)
    const first = world.newestRecord()
    world.unbond(alice, 0, 3n * UNITS, first)
    // The exit stands where the delegation stood.
    expect(world.newestRecord()).toBe(first)
    for (let i = 0; i < 4; i++) world.nextEpoch()
    world.makeFinal(3)
    expect(codeOf(world.release(first))).toBe('ok')
    expect(world.balance(alice)).toBe(RICH.alice)
    world.delegate(bob, 1, 2n * UNITS)
    expect(world.newestRecord()).toBe(first)
    expect(world.draft.delegations.get(first)).toMatchObject({ generation: 2, validator: 1 })
    world.audit()
  })
})

describe('release', () => {
  test('needs as many FINAL anchors at or after the exit as the network asks, and the time', () => {
    const world = new StakeWorld({ balances: RICH, params: { unbondingEpochs: 3 } })
    world.unbond(ownerOf(0), 0, 50n * UNITS)
    const exit = world.newestRecord()
    expect(world.draft.delegations.get(exit)?.exitEpoch).toBe(3)
    const refused = () => expect(codeOf(world.release(exit))).toBe('STAKE_UNBONDING')
    refused()
    for (let i = 0; i < 7; i++) world.nextEpoch()
    refused()
    world.makeFinal(2)
    refused()
    world.makeFinal(3)
    refused()
    world.makeFinal(6)
    refused()
    world.nextEpoch()
    world.nextEpoch()
    refused()
    world.nextEpoch()
    const before = world.balance(ownerOf(0))
    expect(codeOf(world.release(exit))).toBe('ok')
    expect(world.balance(ownerOf(0)) - before).toBe(50n * UNITS)
    expect(codeOf(world.release(exit))).toBe('STAKE_UNKNOWN')
    world.audit()
  })
})

describe('rewards', () => {
  test('go by weight and votes, then by stake, less the commission', () => {
    const world = new StakeWorld({ balances: RICH })
    world.delegate(alice, 0, 300n * UNITS)
    const own = world.newestRecord()
    const rotate = (commission: number) =>
      world.apply(ownerOf(0), (draft, context) => {
        const { consensusKey, mainKey, payout } = world.validator(0)
        const terms = { consensusKey, mainKey, payout, commission }
        const value = { validator: 0, consensusProof: new Uint8Array(64), ...terms }
        return applyRotateKeys(draft, value, context)
      })
    expect(codeOf(rotate(10_001))).toBe('COMMISSION_RANGE')
    expect(codeOf(rotate(2000))).toBe('ok')
    for (let i = 0; i < 4; i++) world.nextEpoch()
    expect(weights(world, world.epoch)).toEqual([400, 100, 100, 100])
    expect(world.validator(0).commission).toBe(2000)
    payIntoPool(world, 7000n * UNITS)
    voteAll(world)
    const payout = keyOf('validator-0-payout')
    const before = [world.balance(payout), world.balance(alice)] as const
    world.nextEpoch()
    // 4,000 for validator 0: 1,000 on its own 100; 3,000 on 300 delegated, 600 of it commission.
    expect(world.balance(payout) - before[0]).toBe(1600n * UNITS)
    expect(world.validator(0).rewards).toBe(2400n * UNITS)
    expect(codeOf(world.delegate(alice, 0, 0n, own))).toBe('ok')
    expect(world.balance(alice) - before[1]).toBe(2400n * UNITS)
    expect(world.validator(0).rewards).toBe(0n)
    const newest = world.receipts.at(-1)
    expect(newest?.selector).toBe(ReceiptKind.stake)
    expect(newest?.value).toMatchObject({ action: StakeAction.rewards, amount: 2400n * UNITS })
    world.audit()
  })

  test('a commission changes after the next epoch, not in the one that is running', () => {
    const world = new StakeWorld({ balances: RICH })
    const { consensusKey, mainKey, payout } = world.validator(1)
    const terms = { consensusKey, mainKey, payout, commission: 5000 }
    const value = { validator: 1, consensusProof: new Uint8Array(64), ...terms }
    world.apply(ownerOf(1), (draft, context) => applyRotateKeys(draft, value, context))
    const seen: number[] = []
    for (let i = 0; i < 3; i++) {
      seen.push(world.validator(1).commission)
      world.nextEpoch()
    }
    expect(seen).toEqual([0, 0, 5000])
  })

  test('who comes later has no part in what was earned before', () => {
    const world = new StakeWorld({ balances: RICH })
    world.delegate(alice, 0, 100n * UNITS)
    const first = world.newestRecord()
    payIntoPool(world, 400n * UNITS)
    voteAll(world)
    world.nextEpoch()
    world.delegate(bob, 0, 100n * UNITS)
    const second = world.newestRecord()
    const rich = [world.balance(alice), world.balance(bob)] as const
    world.delegate(alice, 0, 0n, first)
    world.delegate(bob, 0, 0n, second)
    expect(world.balance(alice) - rich[0]).toBe(50n * UNITS)
    expect(world.balance(bob)).toBe(rich[1])
    world.audit()
  })
})

type Move = {
  readonly kind: string
  readonly who: number
  readonly validator: number
  readonly amount: bigint
  readonly pick: number
}
const KINDS =
  'bond unbond unbond delegate delegate delegate leave leave collect release release pay slash'
const move: fc.Arbitrary<Move> = fc.record({
  kind: fc.constantFrom(...KINDS.split(' ')),
  who: fc.nat(1),
  validator: fc.nat(3),
  amount: fc.bigInt({ min: 1n, max: 150n * UNITS }),
  pick: fc.nat(),
})
const plan = fc.array(
  fc.record({ moves: fc.array(move, { maxLength: 6 }), anchored: fc.boolean() }),
  { minLength: 6, maxLength: 16 },
)

function perform(world: StakeWorld, { kind, who, validator, amount, pick }: Move): string {
  const person = [alice, bob][who] as KeyPair
  const of = (wanted: number) => {
    const records = delegationsOf(world).filter((each) => each.kind === wanted)
    return records[pick % Math.max(1, records.length)]
  }
  const staked = of(DelegationKind.staked)
  const owner = staked && [alice, bob].find((each) => isOwner(each, staked))
  switch (kind) {
    case 'bond':
      return codeOf(world.bond(ownerOf(validator), validator, amount))
    case 'unbond':
      return codeOf(world.unbond(ownerOf(validator), validator, amount))
    case 'delegate':
      return codeOf(world.delegate(person, validator, amount))
    case 'leave':
      if (!staked || !owner) return 'none'
      return codeOf(
        world.unbond(owner, staked.validator, leaving(world, staked, amount, pick), staked.index),
      )
    case 'collect':
      if (!staked || !owner) return 'none'
      return codeOf(world.delegate(owner, staked.validator, BigInt(pick % 3), staked.index))
    case 'release':
      return codeOf(world.release(of(DelegationKind.unbonding)?.index ?? 0))
    case 'pay':
      payIntoPool(world, amount)
      voteAll(world, 1 + (pick % 9))
      return 'ok'
    default:
      // Rare, or nobody is left.
      if (pick % 5 !== 0) return 'none'
      return codeOf(
        world.accuse(world.doubleVote(validator, Math.max(1, world.epoch - (pick % 4)))),
      )
  }
}

function isOwner({ address }: KeyPair, delegation: Delegation): boolean {
  return bytesToHex(address) === bytesToHex(delegation.owner)
}

/** Sometimes all that the shares are worth. */
function leaving(world: StakeWorld, staked: Delegation, amount: bigint, pick: number): bigint {
  const { delegated, shares } = world.validator(staked.validator)
  const value = (staked.shares * delegated) / shares
  return pick % 2 === 0 || amount > value ? value : amount
}

/** What must hold in every state. */
function checkState(world: StakeWorld): void {
  world.audit()
  const { draft, epoch } = world
  const bonds = new Map<string, bigint>()
  const records = delegationsOf(world)
  for (let index = 0; index < draft.validators.count; index++) {
    const validator = world.validator(index)
    const key = bytesToHex(validator.owner)
    bonds.set(key, (bonds.get(key) ?? 0n) + validator.bond)
    const own = records.filter(({ validator: of }) => of === index)
    const staked = own.filter(({ kind }) => kind === DelegationKind.staked)
    const exits = own.filter(({ kind }) => kind === DelegationKind.unbonding)
    expect(staked.reduce((sum, { shares }) => sum + shares, 0n)).toBe(validator.shares)
    expect(exits.reduce((sum, { amount }) => sum + amount, 0n)).toBe(validator.unbonding)
    const earned = staked.reduce((sum, { shares, rewardIndex }) => {
      return sum + ((shares * (validator.rewardIndex - rewardIndex)) >> 64n)
    }, 0n)
    expect(earned <= validator.rewards).toBe(true)
    if (validator.jailed) continue
    // Whoever votes in this epoch or the next has that much stake that can still be slashed.
    for (const at of [epoch, epoch + 1]) {
      const member = world.set(at).find((each) => each.validator === index)
      const behind = exits
        .filter(({ exitEpoch }) => exitEpoch > at)
        .reduce((sum, { amount }) => sum + amount, validator.bond + validator.delegated)
      expect(BigInt(member?.weight ?? 0) * draft.params.stakeUnit <= behind).toBe(true)
    }
  }
  for (const [owner, bond] of bonds) {
    expect(accountOf(draft, Uint8Array.from(Buffer.from(owner, 'hex')))?.bond).toBe(bond)
  }
}

/** At most a third of the weight is other than before, but for those jailed. */
function checkChange(world: StakeWorld): void {
  const [before, after] = [world.set(world.epoch), world.set(world.epoch + 1)]
  const jailed = before.some(({ validator }) => world.validator(validator).jailed)
  if (jailed) return
  const total = (set: typeof before) => set.reduce((sum, { weight }) => sum + weight, 0)
  const stays = before.reduce((sum, { validator, weight }) => {
    return sum + Math.min(weight, after.find((each) => each.validator === validator)?.weight ?? 0)
  }, 0)
  expect(3 * stays).toBeGreaterThanOrEqual(2 * total(before))
  expect(3 * stays).toBeGreaterThanOrEqual(2 * total(after))
}

describe('whatever happens', () => {
  test('every unit is somewhere, nobody votes without stake, sets change by a third', () => {
    const met = new Map<string, number>()
    fc.assert(
      fc.property(plan, (epochs) => {
        const world = new StakeWorld({ balances: RICH, params: { unbondingAnchors: 1 } })
        for (const { moves, anchored } of epochs) {
          for (const step of moves) {
            const free = delegationsOf(world).filter(
              ({ kind }) => kind === DelegationKind.unbonding,
            )
            const key = `${step.kind} ${perform(world, step)}`
            met.set(key, (met.get(key) ?? 0) + 1)
            if (key === 'release ok') checkReleased(world, free)
          }
          world.nextEpoch()
          if (anchored && world.epoch > 2) world.makeFinal(world.epoch - 1)
          checkState(world)
          checkChange(world)
        }
      }),
      { numRuns: 120 },
    )
    const kinds = ['bond', 'unbond', 'delegate', 'leave', 'collect', 'release', 'pay', 'slash']
    for (const kind of kinds) expect(met.get(`${kind} ok`) ?? 0, kind).toBeGreaterThan(0)
    expect(met.get('unbond SET_CHANGE_LIMIT') ?? 0).toBeGreaterThan(0)
    expect(met.get('release STAKE_UNBONDING') ?? 0).toBeGreaterThan(0)
  }, 120_000)
})

/** Invariant A: what was just released had a FINAL anchor of its exit. */
function checkReleased(world: StakeWorld, before: ReturnType<typeof delegationsOf>): void {
  const gone = before.filter(({ index }) => {
    return world.draft.delegations.get(index)?.kind !== DelegationKind.unbonding
  })
  expect(gone).toHaveLength(1)
  const { lastFinalEpoch } = world.draft.globals()
  for (const { exitEpoch } of gone) expect(lastFinalEpoch).toBeGreaterThanOrEqual(exitEpoch)
}

test('closing an epoch costs the same whatever the number of delegators', () => {
  const world = new StakeWorld({ balances: RICH })
  for (let i = 0; i < 50; i++) world.delegate(alice, 0, UNITS)
  payIntoPool(world, 1000n * UNITS)
  voteAll(world)
  const reads: number[] = []
  const { delegations } = world.draft
  const get = delegations.get.bind(delegations)
  delegations.get = (index) => {
    reads.push(index)
    return get(index)
  }
  closeEpoch(world.draft, world.epoch)
  expect(reads).toEqual([])
  expect(NONE).toBeGreaterThan(50)
})
