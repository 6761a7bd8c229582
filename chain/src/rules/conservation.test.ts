import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { buildSumTree } from '../bytes/sum-tree.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import { challengeClass } from './challenge.ts'
import { circulatingSupply } from './supply.ts'
import { vacancyOf } from './slot-vacancy.ts'
import { isStorageRail, railBytes } from './rail-terms.ts'
import { actor, codeOf, payoutOf, TEST_PRICE, World } from './testing/world.ts'

const payers = [actor('payer'), actor('rich payer')]
const delegate = actor('delegate')
/** Nodes that refill slots and then never answer. */
const spares = [actor('spare 1'), actor('spare 2'), actor('spare 3')]
const nodes = [actor('node a'), actor('node b'), actor('node c')]

beforeAll(async () => {
  await installNativeCrypto()
})

/** Kinds of moves, the common ones several times. */
const KINDS = (
  'open open fill fill fill fill refill refill claim repair repair relay redeem redeem redeem ' +
  'close close close closeContract ' +
  'leave lose topUp clear clear prove prove prove prove touch evict evict'
).split(' ')

const move = fc.record({
  kind: fc.constantFrom(...KINDS),
  payer: fc.nat(1),
  node: fc.nat(2),
  pick: fc.nat(),
  size: fc.integer({ min: 1, max: 9 }),
})
type Move = typeof move extends fc.Arbitrary<infer M> ? M : never
const plan = fc.array(
  fc.record({
    hasBeacon: fc.integer({ min: 0, max: 9 }),
    /** Which of the nodes are at home and answer at the end of the epoch. */
    awake: fc.integer({ min: 0, max: 15 }),
    moves: fc.array(move, { minLength: 2, maxLength: 9 }),
  }),
  { minLength: 14, maxLength: 30 },
)

/** An open slot of a contract that goes on, if there is one. */
function openSlot(world: World, pick: number): [number, number] | undefined {
  const { contracts } = world.draft
  for (let i = 0; i < contracts.count; i++) {
    const index = (i + pick) % contracts.count
    const contract = world.contract(index)
    if (!contract.live || contract.askEpoch !== NONE || !contract.active) continue
    const slot = contract.rails.findIndex((_, s) => vacancyOf(world.draft, contract, s))
    if (slot >= 0) return [index, slot]
  }
  return undefined
}

/** A stored rail of the contract with its node. */
function servingRail(world: World, [contract, open]: [number, number]) {
  const { rails } = world.contract(contract)
  for (const [slot, { rail }] of rails.entries()) {
    if (rail === NONE || slot === open) continue
    const record = world.draft.nodes.get(world.rail(rail).node)
    const node = [...nodes, ...spares].find((one) => record && bytesEqual(one.key, record.nodeKey))
    if (node) return { node, rail }
  }
  return undefined
}

function ownerOf(world: World, contract: number) {
  const { payer } = world.contract(contract)
  return payers.find((one) => bytesEqual(one.address, payer)) as (typeof payers)[0]
}

function perform(world: World, { kind, payer: p, node: n, pick, size }: Move): string {
  const payer = payers[p] as (typeof payers)[0]
  const node = nodes[n] as (typeof nodes)[0]
  const { rails, contracts } = world.draft
  const rail = rails.count === 0 ? 0 : rails.count - 1 - (pick % Math.min(6, rails.count))
  // Mostly among the newest, which are the ones that live.
  const contract =
    contracts.count === 0 ? 0 : contracts.count - 1 - (pick % Math.min(4, contracts.count))
  const isKnown = world.draft.nodeIndex(node.address) !== undefined
  try {
    switch (kind) {
      case 'open': {
        const price = pick % 4 === 0 ? 0n : TEST_PRICE * BigInt(size) + BigInt(pick % 1000)
        const unitPrice = BigInt(pick % 7) << 32n
        const terms = { k: 1, n: 1 + (size % 4), price, unitPrice, term: 3 + (pick % 20) }
        const repair = { pot: 5555n, delegate, delegateFee: BigInt(pick % 3), policy: pick % 2 }
        return codeOf(world.tryOpen(payer, { ...terms, ...repair, lockUnits: BigInt(pick % 9999) }))
      }
      case 'fill':
        if (contracts.count === 0) return 'none'
        world.fill(payer, node, [contract, pick % 4])
        return 'ok'
      case 'refill': {
        // The first open slot there is, granted by payer or delegate.
        const open = openSlot(world, pick)
        if (!open) return 'none'
        const who = size % 2 ? delegate : ownerOf(world, open[0])
        const identity = size % 3 ? node : (spares[pick % spares.length] as (typeof spares)[0])
        const filled = world.fill(who, identity, open)
        return world.rail(filled).live ? 'ok' : 'none'
      }
      case 'claim': {
        const open = openSlot(world, pick)
        return open ? codeOf(world.claimSlot(node, open)) : 'none'
      }
      case 'repair': {
        const open = openSlot(world, pick)
        if (!open) return 'none'
        const serving = servingRail(world, open)
        if (!serving) return 'none'
        const served = { slot: open[1], rail: serving.rail, kib: 1 + (pick % 5) }
        const voucher = world.repairVoucher(delegate, served)
        return codeOf(world.redeemRepair(serving.node, [voucher]))
      }
      case 'relay':
        if (!isKnown) return 'none'
        world.relay(payer, node, BigInt(1 + (pick % 5000)), BigInt(size) << 20n)
        return 'ok'
      case 'prove':
        return isKnown && world.isChallenged(node) ? codeOf(world.tryProve(node)) : 'none'
      case 'redeem': {
        const own = Array.from({ length: rails.count }, (_, i) => i).filter((i) => {
          const record = world.rail(i)
          return isKnown && record.live && record.node === world.nodeIndex(node)
        })
        const first = own[0]
        const vouchers = first === undefined ? [] : [world.voucher(payer, first, pick % 100_000)]
        return codeOf(world.redeem(node, own, vouchers))
      }
      case 'close':
        return rails.count === 0 ? 'none' : codeOf(world.close(payer, rail))
      case 'closeContract':
        return contracts.count === 0 ? 'none' : codeOf(world.closeContract(payer, contract))
      case 'leave':
      case 'lose':
        if (pick % 3 === 0) return codeOf(world.sayUnpaid(node, rail))
        return codeOf(world.leave(node, rail, kind === 'lose'))
      case 'topUp': {
        const kinds = [0, 1, 2]
        const target = size % 3 === 2 ? contract : rail
        if (rails.count === 0 || contracts.count === 0) return 'none'
        return codeOf(world.topUp(payer, kinds[size % 3] as number, target, BigInt(size)))
      }
      case 'clear':
        return codeOf(world.clearWeight(rail, pick % 2 ? node : undefined))
      case 'touch':
        if (isKnown) world.touch(node)
        return 'ok'
      default:
        return codeOf(world.evict(node))
    }
  } catch (error) {
    // The helpers of the world assert; what they say is the fault of the rule.
    if (/ failed: /.test(String(error))) return 'refused'
    throw error
  }
}

/** What must hold in every state. */
function checkState(world: World): void {
  world.audit()
  const { draft } = world
  const held = new Map<number, bigint>()
  for (let i = 0; i < draft.rails.count; i++) {
    const rail = world.rail(i)
    if (!rail.live) continue
    held.set(rail.node, (held.get(rail.node) ?? 0n) + rail.held - rail.forfeited)
    expect(rail.net + rail.validators + rail.burned).toBeLessThanOrEqual(
      rail.lockTime + rail.lockUnits,
    )
  }
  for (let i = 0; i < draft.contracts.count; i++) {
    const contract = world.contract(i)
    const own = Array.from({ length: draft.rails.count }, (_, r) => world.rail(r)).filter(
      (rail) => rail.live && rail.contract === i,
    )
    const inSlots = contract.rails.filter(({ rail }) => rail !== NONE).length
    expect(contract.live ? inSlots + contract.detached : 0).toBe(own.length)
  }
  const classes = [0, 0, 0]
  for (let i = 0; i < draft.nodes.count; i++) {
    const node = draft.nodes.get(i)
    if (!node) throw new Error('nodes are dense')
    expect(node.held).toBe(held.get(i) ?? 0n)
    const entries = draft.inventory(i)
    const tree = buildSumTree(entries)
    expect(bytesToHex(node.inventoryRoot)).toBe(bytesToHex(tree.root))
    expect([node.inventorySum, node.inventoryCount]).toEqual([tree.sum, tree.count])
    let bytes = 0
    for (const [position, entry] of entries.entries()) {
      const rail = world.rail(entry.rail)
      expect(rail).toMatchObject({ live: true, entry: position, generation: entry.generation })
      if (rail.lostEpoch === NONE) bytes += railBytes(rail)
    }
    expect(node.inventoryBytes).toBe(bytes)
    const storage = Array.from({ length: draft.rails.count }, (_, r) => world.rail(r)).filter(
      (rail) => rail.live && rail.node === i && isStorageRail(rail),
    )
    expect(entries.length).toBe(node.evicted ? 0 : storage.length)
    const cls = challengeClass(world.params, { sum: tree.sum, bytes })
    classes[cls] = (classes[cls] as number) + 1
  }
  const { nodesClass1, nodesClass2 } = draft.globals()
  expect([nodesClass1, nodesClass2]).toEqual(classes.slice(1))
}

describe('conservation', () => {
  test('whatever happens, every unit is somewhere and every index is right', () => {
    const met = new Map<string, number>()
    fc.assert(
      fc.property(plan, (epochs) => {
        const world = new World({ baseFeePerByte: 1n, class1Bytes: 2048, strikesToEvict: 2 })
        for (const payer of payers) world.fund(payer, 10n ** 15n)
        world.fixBeacon()
        for (const node of nodes) {
          world.rent(payers[0] as (typeof payers)[0], node, { term: 12, unitPrice: 1n << 34n })
        }
        const repair = { pot: 90_000n, delegate, delegateFee: 30n, unitPrice: 1n << 34n }
        const shared = world.open(payers[1] as (typeof payers)[0], { n: 3, term: 40, ...repair })
        for (const [slot, node] of nodes.entries()) {
          world.fill(payers[1] as (typeof payers)[0], node, [shared, slot])
        }
        for (const { hasBeacon, awake, moves } of epochs) {
          world.nextEpoch()
          if (hasBeacon > 0) world.fixBeacon()
          for (const step of moves) {
            world.height += 1
            const key = `${step.kind} ${perform(world, step)}`
            met.set(key, (met.get(key) ?? 0) + 1)
          }
          for (const n of nodes.keys()) {
            if ((awake >> n) & 1)
              perform(world, { kind: 'prove', payer: 0, node: n, pick: 0, size: 1 })
          }
          checkState(world)
        }
        const { draft } = world
        const minted = draft.globals().minted
        expect(2n * minted).toBeLessThanOrEqual(draft.globals().burnedService)
        expect(circulatingSupply(draft.globals(), draft.peg())).toBeGreaterThan(0n)
      }),
      { numRuns: 50 },
    )
    const kinds = ['open', 'fill', 'relay', 'prove', 'redeem', 'close', 'leave', 'lose', 'topUp']
    for (const kind of [...kinds, 'refill', 'repair', 'closeContract', 'clear', 'evict']) {
      expect(met.get(`${kind} ok`) ?? 0, kind).toBeGreaterThan(0)
    }
  }, 120_000)

  test('a coalition that pays itself loses phi (1 - rho) of its fees at least', () => {
    const self = payers[0] as (typeof payers)[0]
    const node = nodes[0] as (typeof nodes)[0]
    for (const size of [1n, 7n, 1000n, 123_457n]) {
      const world = new World()
      world.fund(self, 10n ** 17n)
      world.fixBeacon()
      const rail = world.rent(self, node, { price: TEST_PRICE * size, term: 10 })
      for (let i = 0; i < 12; i++) {
        world.step()
        if (!world.isChallenged(node)) continue
        const isOver = world.node(node).A >= world.rail(rail).end
        world.prove(node, isOver && world.rail(rail).clearedEpoch === NONE ? [rail] : [])
        if (i % 3 === 0) world.redeem(node, [rail])
      }
      world.close(self, rail)
      world.step()
      world.step()
      expect(codeOf(world.close(self, rail))).toBe('ok')
      world.step()
      world.touch(node)
      const fees = world.rail(rail).paidTime
      expect(fees).toBeGreaterThan(0n)
      const wealth = world.balance(self) + world.balance(payoutOf(node))
      const loss = 10n ** 17n - wealth
      // phi (1 - rho) + nu = 10 % of 50 % + 5 %.
      expect(loss * 100n).toBeGreaterThanOrEqual(fees * 10n - 100n)
      expect(loss).toBeGreaterThan(0n)
      world.audit()
    }
  })
})
