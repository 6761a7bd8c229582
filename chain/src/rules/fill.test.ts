import { beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { utf8ToBytes } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import type { Fill } from '../types/transactions.ts'
import { activationFills, applyFill, assignableBytes } from './fill.ts'
import { slotReserve, timeAmount } from './settlement.ts'
import { richWorld } from './testing/rich-world.ts'
import { actor, codeOf, TEST_PRICE, World } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')
const GIB = 2 ** 30

beforeAll(async () => {
  await installNativeCrypto()
})

function tryFill(world: World, fill: Fill, sender = node) {
  return world.execute(sender, (draft, context) => applyFill(draft, fill, context))
}

describe('fill', () => {
  test('moves the slot’s locks into the rail, refunds what the cap kept, burns the fee', () => {
    const world = richWorld({ baseFeePerByte: 1n })
    const terms = { price: TEST_PRICE, unitPrice: 5n, lockUnits: 777n, leaves: 8, term: 20, n: 3 }
    const contract = world.open(payer, terms)
    const before = world.balance(payer)
    const { burnedBaseFee } = world.draft.globals()
    const rail = world.fill(payer, node, [contract, 1], {
      price: TEST_PRICE / 2n,
      unitPrice: 3n,
      leaves: 4,
    })
    const lockTime = timeAmount(TEST_PRICE / 2n, 4, 20)
    expect(world.rail(rail)).toMatchObject({
      lockTime,
      lockUnits: 777n,
      unitPrice: 3n,
      leaves: 4,
      fillEpoch: 1,
      end: 22,
      slot: 1,
      entry: 0,
    })
    const record = world.draft.contracts.get(contract)
    const reserve = slotReserve(record as never)
    expect(world.balance(payer) - before).toBe(reserve - lockTime - 777n)
    expect(record).toMatchObject({ unfilledLock: 2n * reserve, filled: 1, leaves: 4 })
    const fee = BigInt(world.params.fillBytes)
    expect(record?.prepaidFees).toBe(2n * fee)
    expect(world.draft.globals().burnedBaseFee - burnedBaseFee).toBe(fee)
    expect(world.receiptsOf('creation').map(({ kind }) => kind)).toEqual([1, 0, 2])
    world.audit()
  })

  test('activates a contract at k + ceil((n - k) / 2) fills', () => {
    expect(activationFills({ k: 4, n: 12 })).toBe(8)
    expect(activationFills({ k: 2, n: 5 })).toBe(4)
    expect(activationFills({ k: 1, n: 1 })).toBe(1)
    const world = richWorld()
    const contract = world.open(payer, { k: 2, n: 5 })
    const active = [0, 1, 2, 3, 4].map((slot) => {
      world.fill(payer, node, [contract, slot])
      return world.draft.contracts.get(contract)?.active
    })
    expect(active).toEqual([false, false, false, true, true])
  })

  test('refuses every grant that is not the payer’s word for this node, slot and size', () => {
    const world = richWorld({ minimumChargeEpochs: 2 })
    const contract = world.open(payer, { n: 2, leaves: 8, unitPrice: 5n })
    world.fill(payer, node, [contract, 0], { leaves: 8 })
    const build = (terms = {}, slot = 1) =>
      world.buildFill(payer, node, [contract, slot], { leaves: 8, ...terms }).fill
    const good = build()
    const grant = (fields: Partial<Fill['grant']>): Fill => ({
      ...good,
      grant: { ...good.grant, ...fields },
    })
    const flipped = Uint8Array.from(good.grantSignature)
    flipped[5] = (flipped[5] as number) ^ 1
    const short = { ...good, openings: good.openings.slice(1) }
    const [first, ...rest] = good.openings as [Fill['openings'][0], ...Fill['openings']]
    const damaged = { ...first, leaf: new Uint8Array(256) }
    const cases: [string, Fill][] = [
      ['CONTRACT_UNKNOWN', grant({ contract: 9 })],
      ['CONTRACT_UNKNOWN', grant({ salt: new Uint8Array(32) })],
      ['GRANT_OTHER_NODE', grant({ node: payer.address })],
      ['SLOT_UNKNOWN', grant({ slot: 2 })],
      ['SLOT_TAKEN', build({}, 0)],
      ['SLOT_SIZE', build({ leaves: 9 })],
      ['SLOT_SIZE', grant({ leaves: 0 })],
      ['SLOT_UNEQUAL', build({ leaves: 4 })],
      ['PRICE_ABOVE_CAP', build({ price: TEST_PRICE + 1n })],
      ['PRICE_ABOVE_CAP', build({ unitPrice: 6n })],
      ['SLOT_DUST', build({ price: 1n })],
      ['OPENINGS_COUNT', short],
      ['OPENING_LEAF', { ...good, openings: [damaged, ...rest] }],
      ['OPENING_LEAF', grant({ root: sha256(utf8ToBytes('other')) })],
      ['GRANT_PAYER', { ...good, payerKey: node.key }],
      ['GRANT_SIGNATURE', { ...good, grantSignature: flipped }],
      ['GRANT_SIGNATURE', grant({ price: 999_999_999n })],
    ]
    for (const [code, fill] of cases) expect(codeOf(tryFill(world, fill))).toBe(code)
    expect(codeOf(tryFill(world, good))).toBe('ok')
    expect(codeOf(tryFill(world, good))).toBe('SLOT_TAKEN')
    world.audit()
  })

  test('openings are from the newest beacon or the one it replaced, never from none', () => {
    const world = new World()
    world.fund(payer, 10n ** 17n)
    const contract = world.open(payer, { n: 4, leaves: 200 })
    const none = world.buildFill(payer, node, [contract, 0], {}).fill
    const eight = { ...none, openings: Array(8).fill({ leaf: new Uint8Array(256), path: [] }) }
    expect(codeOf(tryFill(world, eight))).toBe('BEACON_MISSING')
    world.fixBeacon()
    const first = world.buildFill(payer, node, [contract, 0], {}).fill
    const old = world.buildFill(payer, node, [contract, 1], {}).fill
    world.nextEpoch()
    expect(codeOf(tryFill(world, first))).toBe('ok')
    world.fixBeacon()
    world.step()
    expect(codeOf(tryFill(world, old))).toBe('OPENING_LEAF')
    const fresh = world.buildFill(payer, node, [contract, 1], {}).fill
    world.step()
    expect(codeOf(tryFill(world, fresh))).toBe('CONTRACT_CLOSING')
  })

  test('the first fill of a node brings its identity, signed by its owner', () => {
    const world = richWorld()
    const contract = world.open(payer, { n: 3 })
    const { fill } = world.buildFill(payer, node, [contract, 0], {})
    const [identity] = fill.identity as [Fill['identity'][0]]
    expect(codeOf(tryFill(world, { ...fill, identity: [] }))).toBe('IDENTITY_MISSING')
    const stolen = { ...identity, payout: payer.address }
    expect(codeOf(tryFill(world, { ...fill, identity: [stolen] }))).toBe('IDENTITY_SIGNATURE')
    expect(codeOf(tryFill(world, fill))).toBe('ok')
    expect(world.node(node)).toMatchObject({
      owner: actor('node owner').address,
      payout: actor('node payout').address,
      roles: 1,
      seen: 1,
      challenge: NONE,
    })
    // Two first fills may be under way at once: the later one's identity is not looked at.
    const second = world.buildFill(payer, node, [contract, 1], {}).fill
    expect(codeOf(tryFill(world, { ...second, identity: [stolen] }))).toBe('ok')
    expect(world.node(node).payout).toEqual(actor('node payout').address)
  })

  test('assignable bytes grow with held pay above the free allowance', () => {
    const { params } = richWorld()
    const held = (units: bigint) => ({ ...({} as never as { held: bigint }), held: units }) as never
    const free = BigInt(params.freeAllowanceBytes)
    expect(assignableBytes(params, held(0n), 0n)).toBe(free)
    const needPerGib = 3n * params.repairFloorPrice
    expect(assignableBytes(params, held(needPerGib), 0n)).toBe(free + BigInt(GIB))
    expect(assignableBytes(params, held(needPerGib), 2n * params.repairFloorPrice)).toBe(
      free + BigInt(GIB / 2),
    )
    const world = richWorld({ freeAllowanceBytes: 2048, repairFloorPrice: 1n << 40n })
    const contract = world.open(payer, { n: 2, leaves: 8 })
    world.fill(payer, node, [contract, 0], { leaves: 8 })
    const { fill } = world.buildFill(payer, node, [contract, 1], { leaves: 8 })
    expect(codeOf(tryFill(world, fill))).toBe('BYTES_NOT_ASSIGNABLE')
    expect(codeOf(world.leave(node, 0, true))).toBe('ok')
    expect(codeOf(tryFill(world, fill))).toBe('ok')
  })

  test('an evicted node takes no slots', () => {
    const world = richWorld()
    world.rent(payer, node)
    while (codeOf(world.evict(node)) !== 'ok') world.step()
    const contract = world.open(payer)
    const { fill } = world.buildFill(payer, node, [contract, 0], {})
    expect(codeOf(tryFill(world, fill))).toBe('NODE_EVICTED')
  })
})
