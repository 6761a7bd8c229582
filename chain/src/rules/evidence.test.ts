import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { type Statement, VoteKind } from '../types/consensus-objects.ts'
import { contradicts } from '../types/contradiction.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type Evidence, EvidenceType } from '../types/transactions.ts'
import { keyOf, UNITS } from './testing/sample-chain.ts'
import { ownerOf, signedStatement, StakeWorld } from './testing/stake-world.ts'
import { codeOf } from './testing/world.ts'

beforeAll(() => installNativeCrypto())

const { notarize, nullify, finalize } = VoteKind
const hash = (byte: number) => new Uint8Array(32).fill(byte)
const statement = (kind: number, byte: number, view = 3, epoch = 1): Statement => ({
  kind,
  epoch,
  view,
  hash: kind === nullify ? ZERO_HASH : hash(byte),
})

function evidenceOf(world: StakeWorld, first: Statement, second: Statement): Evidence {
  const { secretKey } = keyOf('validator-2')
  const { chainId } = world.draft
  return {
    validator: 2,
    first: signedStatement(chainId, first, secretKey),
    second: signedStatement(chainId, second, secretKey),
  }
}

/** Everything that the voting rules (consensus 1.5) let one honest validator sign in one view. */
function honestVotes(view: number, byte: number, epoch: number): Statement[][] {
  const n = statement(notarize, byte, view, epoch)
  const x = statement(nullify, 0, view, epoch)
  const f = statement(finalize, byte, view, epoch)
  return [[], [n], [x], [n, x], [n, f]]
}

describe('contradictions', () => {
  test('no two votes of an honest validator contradict, whatever it saw', () => {
    const view = fc.record({ blocks: fc.integer({ min: 1, max: 3 }), choice: fc.nat(4) })
    fc.assert(
      fc.property(fc.array(view, { minLength: 1, maxLength: 6 }), fc.nat(1), (views, shift) => {
        const votes = views.flatMap(({ blocks, choice }, i) => [
          ...(honestVotes(1 + i, blocks, 1)[choice] ?? []),
          // The same views in another epoch, with other blocks.
          ...(honestVotes(1 + i, blocks + 1, 2)[(choice + shift) % 5] ?? []),
        ])
        for (const a of votes) for (const b of votes) expect(contradicts(a, b)).toBe(false)
      }),
    )
  })

  test.each([
    ['E1', statement(notarize, 1), statement(notarize, 2)],
    ['E2', statement(nullify, 0), statement(finalize, 1)],
    ['E3', statement(finalize, 1), statement(finalize, 2)],
    ['E4', statement(notarize, 2), statement(finalize, 1)],
  ])('%s is evidence, in either order; it jails and burns', (_, first, second) => {
    for (const [one, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const world = new StakeWorld()
      const evidence = evidenceOf(world, one, other)
      expect(codeOf(world.accuse(evidence))).toBe('ok')
      expect(world.validator(2)).toMatchObject({ jailed: true, guiltEpoch: 1 })
      expect(codeOf(world.accuse(evidence))).toBe('EVIDENCE_KNOWN')
      // Another pair of the same validator changes nothing either.
      expect(codeOf(world.accuse(world.doubleVote(2, 1, 9)))).toBe('EVIDENCE_KNOWN')
      world.audit()
    }
  })
})

describe('evidence', () => {
  test('with any byte changed is refused', () => {
    const world = new StakeWorld()
    const good = evidenceOf(world, statement(notarize, 1), statement(finalize, 2))
    const bytes = EvidenceType.serialize(good)
    const root = EvidenceType.hashTreeRoot(good)
    for (let at = 0; at < bytes.length; at++) {
      const forged = Uint8Array.from(bytes)
      forged[at] = (forged[at] as number) ^ (1 + (at % 255))
      const evidence = EvidenceType.deserialize(forged)
      expect(EvidenceType.hashTreeRoot(evidence)).not.toEqual(root)
      expect(codeOf(world.accuse(evidence)), `byte ${at}`).toMatch(/^EVIDENCE_/)
    }
    expect(world.validator(2).jailed).toBe(false)
  })

  test('of a stranger, of another view or epoch, or of honest votes is refused', () => {
    const world = new StakeWorld()
    const honest = evidenceOf(world, statement(notarize, 1), statement(nullify, 0))
    expect(codeOf(world.accuse(honest))).toBe('EVIDENCE_CONSISTENT')
    const views = evidenceOf(world, statement(notarize, 1), statement(notarize, 2, 4))
    expect(codeOf(world.accuse(views))).toBe('EVIDENCE_CONSISTENT')
    const zeroEpoch = evidenceOf(world, statement(1, 1, 3, 0), statement(1, 2, 3, 0))
    expect(codeOf(world.accuse(zeroEpoch))).toBe('EVIDENCE_VALIDATOR')
    const future = evidenceOf(world, statement(1, 1, 3, 9), statement(1, 2, 3, 9))
    expect(codeOf(world.accuse(future))).toBe('EVIDENCE_VALIDATOR')
    const other = { ...world.doubleVote(2), validator: 1 }
    expect(codeOf(world.accuse(other))).toBe('EVIDENCE_SIGNATURE')
    expect(codeOf(world.accuse({ ...other, validator: 7 }))).toBe('EVIDENCE_VALIDATOR')
  })

  test('of an old epoch counts until stake asked back in it has left unbonding', () => {
    const world = new StakeWorld()
    const evidence = world.doubleVote(2, 1)
    while (world.epoch < 6) world.nextEpoch()
    world.makeFinal(3)
    // One anchor of the exit (epoch 3) is not two.
    expect(codeOf(world.accuse(evidence))).toBe('ok')
    const late = new StakeWorld()
    while (late.epoch < 6) late.nextEpoch()
    late.makeFinal(3)
    late.makeFinal(5)
    expect(codeOf(late.accuse(evidence))).toBe('EVIDENCE_OLD')
    expect(codeOf(late.accuse(late.doubleVote(2, 2)))).toBe('ok')
  })
})

describe('slashing', () => {
  test('a small validator loses 5 %, and its delegators the same part', () => {
    // A whale's stake makes the share of one validator small.
    const world = new StakeWorld({ balances: { alice: 100_000n * UNITS, bob: 1_000n * UNITS } })
    const [alice, bob] = [keyOf('alice'), keyOf('bob')]
    expect(codeOf(world.delegate(bob, 2, 50n * UNITS))).toBe('ok')
    const delegation = world.newestRecord()
    expect(codeOf(world.delegate(alice, 0, 90_000n * UNITS))).toBe('ok')
    // Weight grows by half of what stays, epoch after epoch.
    while (world.set(world.epoch).reduce((sum, { weight }) => sum + weight, 0) < 20_000) {
      world.nextEpoch()
    }
    expect(codeOf(world.accuse(world.doubleVote(2)))).toBe('ok')
    expect(world.validator(2)).toMatchObject({ penalty: 50_000, bond: 95n * UNITS })
    expect(world.validator(2).delegated).toBe((95n * 50n * UNITS) / 100n)
    const { burnedSlash } = world.draft.globals()
    expect(burnedSlash).toBe((5n * 150n * UNITS) / 100n)
    const receipt = world.receipts.findLast(({ selector }) => selector === ReceiptKind.slash)
    expect(receipt?.value).toMatchObject({ validator: 2, penaltyBefore: 0, penalty: 50_000 })
    expect(codeOf(world.delegate(bob, 2, UNITS))).toBe('VALIDATOR_JAILED')
    expect(codeOf(world.unbond(bob, 2, 48n * UNITS, delegation))).toBe('INSUFFICIENT_STAKE')
    expect(codeOf(world.unbond(bob, 2, (95n * 50n * UNITS) / 100n, delegation))).toBe('ok')
    world.audit()
  })

  test('guilt adds up: a third of the weight loses everything, the first ones too', () => {
    const world = new StakeWorld()
    expect(codeOf(world.accuse(world.doubleVote(0)))).toBe('ok')
    // One of four: three times a quarter.
    expect(world.validator(0).penalty).toBe(750_000)
    expect(world.validator(0).bond).toBe(25n * UNITS)
    world.nextEpoch()
    expect(codeOf(world.accuse(world.doubleVote(1)))).toBe('ok')
    for (const index of [0, 1]) {
      expect(world.validator(index)).toMatchObject({ penalty: 1_000_000, bond: 0n, jailed: true })
    }
    expect(world.draft.globals().burnedSlash).toBe(200n * UNITS)
    world.audit()
  })

  test('deeds farther apart than the window do not add up', () => {
    const world = new StakeWorld({ params: { slashWindowEpochs: 2, unbondingEpochs: 100 } })
    expect(codeOf(world.accuse(world.doubleVote(0)))).toBe('ok')
    world.nextEpoch()
    world.nextEpoch()
    world.nextEpoch()
    expect(codeOf(world.accuse(world.doubleVote(1)))).toBe('ok')
    expect(world.validator(0).penalty).toBe(750_000)
    expect(world.validator(1).penalty).toBeLessThanOrEqual(1_000_000)
    expect(world.validator(0).bond).toBe(25n * UNITS)
  })

  test('the guilty are out of the next set that is fixed, whatever their weight', () => {
    const world = new StakeWorld()
    world.accuse(world.doubleVote(0))
    world.accuse(world.doubleVote(3))
    const members = (epoch: number) => world.set(epoch).map(({ validator }) => validator)
    world.nextEpoch()
    expect(members(2)).toEqual([0, 1, 2, 3])
    expect(members(3)).toEqual([1, 2])
  })

  test('a jailed validator is out even with the stake that its slash left it', () => {
    const world = new StakeWorld()
    expect(codeOf(world.accuse(world.doubleVote(1)))).toBe('ok')
    world.nextEpoch()
    expect(world.validator(1)).toMatchObject({ bond: 25n * UNITS, power: 0 })
    expect(world.set(3).map(({ validator }) => validator)).toEqual([0, 2, 3])
  })

  test('who leaves a slashed pool in many steps takes nothing from those who stay', () => {
    const world = new StakeWorld()
    const [alice, bob] = [keyOf('alice'), keyOf('bob')]
    world.delegate(alice, 1, 33n * UNITS + 5n)
    const leaver = world.newestRecord()
    world.delegate(bob, 1, 10n * UNITS + 1n)
    const stayer = world.newestRecord()
    while (world.epoch < 4) world.nextEpoch()
    world.accuse(world.doubleVote(1))
    const worth = () => {
      const { delegated, shares } = world.validator(1)
      return ((world.draft.delegations.get(stayer)?.shares ?? 0n) * delegated) / shares
    }
    const before = worth()
    expect(before).toBeGreaterThan(0n)
    for (let i = 0; i < 600; i++) expect(codeOf(world.unbond(alice, 1, 1n, leaver))).toBe('ok')
    expect(worth()).toBeGreaterThanOrEqual(before)
    world.audit()
  })

  test('stake on its way out pays at release, if it still had weight at the deed', () => {
    const world = new StakeWorld()
    const bob = keyOf('bob')
    world.delegate(bob, 1, 60n * UNITS)
    const delegation = world.newestRecord()
    while (world.epoch < 4) world.nextEpoch()
    const before = world.balance(bob)
    expect(codeOf(world.unbond(bob, 1, 20n * UNITS, delegation))).toBe('ok')
    const early = world.newestRecord()
    world.nextEpoch()
    world.nextEpoch()
    expect(codeOf(world.unbond(bob, 1, 20n * UNITS, delegation))).toBe('ok')
    const late = world.newestRecord()
    // In epoch 6 the first 20 had no weight any more, the others did.
    expect(codeOf(world.accuse(world.doubleVote(1, 6)))).toBe('ok')
    while (world.epoch < 12) world.nextEpoch()
    for (const epoch of [8, 9]) world.makeFinal(epoch)
    expect([world.release(early), world.release(late)].map(codeOf)).toEqual(['ok', 'ok'])
    const { penalty } = world.validator(1)
    expect(penalty).toBeGreaterThan(500_000)
    const kept = (20n * UNITS * BigInt(1_000_000 - penalty)) / 1_000_000n
    expect(world.balance(bob) - before).toBe(20n * UNITS + kept)
    expect(world.validator(1).unbonding).toBe(0n)
    world.audit()
  })

  test('older guilt found later reaches stake that had escaped the newer one', () => {
    const world = new StakeWorld()
    const bob = keyOf('bob')
    world.delegate(bob, 1, 40n * UNITS)
    const delegation = world.newestRecord()
    while (world.epoch < 4) world.nextEpoch()
    world.unbond(bob, 1, 40n * UNITS, delegation)
    const exit = world.newestRecord()
    while (world.epoch < 6) world.nextEpoch()
    expect(codeOf(world.accuse(world.doubleVote(1, 6)))).toBe('ok')
    const { burnedSlash } = world.draft.globals()
    expect(codeOf(world.accuse(world.doubleVote(1, 5)))).toBe('ok')
    expect(codeOf(world.accuse(world.doubleVote(1, 6)))).toBe('EVIDENCE_KNOWN')
    while (world.epoch < 10) world.nextEpoch()
    for (const epoch of [6, 7]) world.makeFinal(epoch)
    expect(codeOf(world.release(exit))).toBe('ok')
    expect(world.draft.globals().burnedSlash).toBeGreaterThan(burnedSlash)
    world.audit()
  })

  test("a slash takes from the owner's bonded account, not from its balance", () => {
    const world = new StakeWorld()
    const owner = ownerOf(0)
    const bonded = () => world.draft.accounts.get(world.draft.accountIndex(owner.address) ?? -1)
    expect(bonded()?.bond).toBe(100n * UNITS)
    world.accuse(world.doubleVote(0))
    expect(bonded()).toMatchObject({ bond: 25n * UNITS, balance: 0n })
  })

  test('the digest is of the chain: votes of another network accuse nobody', () => {
    const world = new StakeWorld()
    const { secretKey } = keyOf('validator-0')
    const vote = (byte: number) =>
      signedStatement(new Uint8Array(32).fill(9), statement(notarize, byte), secretKey)
    const evidence = { validator: 0, first: vote(1), second: vote(2) }
    expect(codeOf(world.accuse(evidence))).toBe('EVIDENCE_SIGNATURE')
  })
})
