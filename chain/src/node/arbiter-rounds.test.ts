import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Cleanups, elaAddressOf } from '../main-chain/testing/test-main-chain.ts'
import { formatAddress } from '../bytes/address.ts'
import { utf8ToBytes } from '../bytes/hex.ts'
import { crossChainProgramHash, formatElaAddress } from '../elastos/ela-address.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { balanceOf } from '../rules/accounts.ts'
import { AnchorCarrier } from '../rules/anchor.ts'
import { auditSupply } from '../rules/supply.ts'
import { keyOf, UNITS } from '../rules/testing/sample-chain.ts'
import type { Receipt } from '../types/receipts.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { PayloadKind } from '../types/transactions.ts'
import { deposit, startArbiters, startTwoChains } from './testing/two-chains.ts'

setHasher(asSha256)
// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const ELA = 100_000_000n
const FEE = 10_000n
const secretKey = new Uint8Array(32).fill(31)
const payer = elaAddressOf(secretKey)
const home = elaAddressOf(new Uint8Array(32).fill(32))
const cleanups = new Cleanups()
afterEach(() => cleanups.run())

/** A built-in main chain, a side chain without consensus, and all arbiters between them. */
async function startWorld(powChain: boolean) {
  const world = await startTwoChains({
    allocations: [{ address: payer, sela: 100n * ELA }],
    // Deposits as on the main network.
    params: { epochBlocks: 3, depositConfirmations: 6, anchorFinalMainBlocks: 10 },
  })
  cleanups.add(() => world.stop())
  const { main, chain } = world
  const { arbiter, stop } = await startArbiters(world, powChain)
  cleanups.add(stop)
  const receipts: Receipt[] = []
  /** One main block, one epoch of the side chain, one look of the arbiters. */
  const round = async () => {
    await main.mine()
    for (let i = 0; i < chain.params.epochBlocks; i++) {
      receipts.push(...(await world.sideBlock()).receipts)
    }
    expect(auditSupply(chain.ledger)).toMatchObject({ ok: true })
    await arbiter.poll()
  }
  const rounds = async (count: number) => {
    for (let i = 0; i < count; i++) await round()
  }
  return { ...world, arbiter, receipts, rounds }
}

type World = Awaited<ReturnType<typeof startWorld>>

const held = async ({ client }: World, address: string) =>
  (await client.listUnspent(address)).reduce((sum, { sela }) => sum + sela, 0n)

describe('arbiters between the two chains', () => {
  test('anchor checkpoints round after round, also after hours of proof of work', async () => {
    const world = await startWorld(true)
    const { chain, main, receipts, rounds } = world
    await rounds(6)
    const anchored = chain.ledger.globals().lastAnchoredEpoch
    expect(anchored).toBeGreaterThan(0)
    const carriers = receipts.flatMap(({ body }) =>
      body.selector === ReceiptKind.anchor ? [body.value.carrier] : [],
    )
    expect(carriers.length).toBeGreaterThan(1)
    expect(new Set(carriers)).toEqual(new Set([AnchorCarrier.sideChainPow]))
    await main.setPowMode(true)
    await rounds(8)
    const stalled = chain.ledger.globals().lastAnchoredEpoch
    expect(stalled).toBeLessThan(anchored + 4)
    await main.setPowMode(false)
    await rounds(8)
    expect(chain.ledger.globals().lastAnchoredEpoch).toBeGreaterThan(stalled + 8)
  })

  test.each([true, false])(
    'a deposit comes over, a withdrawal is paid, reserve and X address agree (PowChain %s)',
    async (powChain) => {
      const world = await startWorld(powChain)
      const { chain, rounds } = world
      const carol = keyOf('carol')
      const text = formatAddress(carol.address, chain.params.addressPrefix)
      await deposit(world, secretKey, { target: text, amount: 20n * ELA })
      await rounds(5)
      expect(balanceOf(chain.ledger, carol.address)).toBe(0n)
      await rounds(1)
      expect(balanceOf(chain.ledger, carol.address)).toBe(20n * UNITS)
      const value = { to: utf8ToBytes(home), output: 5n * UNITS, amount: 5n * UNITS - FEE }
      chain.block([chain.byOwner(carol, { selector: PayloadKind.withdraw, value })])
      const sideAddress = formatElaAddress(crossChainProgramHash(asInternalHash(chain.chainId)))
      expect(await held(world, home)).toBe(0n)
      await rounds(14)
      expect(await held(world, home)).toBe(value.amount)
      // What left the X address is what was burned here; the deposit's own fee stays there.
      expect(await held(world, sideAddress)).toBe(20n * ELA + FEE - value.output)
      await rounds(3)
      expect(await held(world, home)).toBe(value.amount)
    },
  )

  test('a deposit that cannot be credited is refunded, once', async () => {
    const world = await startWorld(false)
    const { chain, rounds } = world
    await deposit(world, secretKey, { target: 'no address of this chain', amount: 20n * ELA })
    const before = await held(world, payer)
    await rounds(chain.params.depositConfirmations + 10)
    const returned = 20n * ELA + FEE - 100n
    // The change came back with the deposit's own block.
    expect(await held(world, payer)).toBe(100n * ELA - 20n * ELA - FEE - 100n + returned)
    expect(before).toBe(100n * ELA)
    await rounds(2)
    expect(await held(world, payer)).toBe(100n * ELA - 200n)
  })
})
