import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { blockFile } from '@ioex/chain/audit'
import { fromHex } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { NONE, UNITS_PER_IOEX } from '@ioex/chain/types'
import { createRpcClient } from '@ioex/rpc/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runAudit } from '../../cli/src/audit/run-audit.ts'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { genesisPath } from '../../cli/src/devnet/devnet-files.ts'
import { LIES } from './contribution/falsehoods.ts'
import { epochOf, type Expected, type HandLedger } from './contribution/hand-ledger.ts'
import { payoutOf as payoutIn, RECKONED, reckonChain } from './contribution/read-chain.ts'
import {
  overclaim,
  poison,
  RELAY_PRICE,
  type StoppedPayer,
  stopSigning,
} from './contribution/relay-cases.ts'
import {
  addressOfNode,
  type Cast,
  closeRails,
  dropSlots,
  gatherCast,
  holdersOfAll,
  type Nap,
  nap,
  putFiles,
  stopStorage,
  untilEarning,
  untilEpoch,
  untilEvicted,
} from './contribution/story.ts'
import { TamperingNode } from './contribution/tampering-node.ts'
import { TestNetwork } from './network-harness.ts'

const EPOCHS = 60
const RUN_MS = 900_000
/** What every node's operator has at genesis. */
const OPERATOR_UNITS = 1_000n * UNITS_PER_IOEX
describe('contribution, and cheating, on a network of processes', () => {
  let network: TestNetwork
  let cast: Cast
  let dropper: ChildNode
  let sleeper: ChildNode
  let relay: ChildNode
  let slept: Nap
  let stopped: StoppedPayer
  let claims: Record<string, string | undefined>
  let poisoned: { sent: unknown; refused: number }
  let dropped: number
  let actual: readonly Expected[]
  let hand: HandLedger

  beforeAll(async () => {
    await installNativeCrypto()
    network = await TestNetwork.create({ validators: 4, bootstraps: 2, peers: 8 })
    cast = await gatherCast(network)
    relay = network.running.node('bootstrap-1')
    await putFiles(cast)
    await untilEarning(cast)
    ;[dropper, sleeper] = await holdersOfAll(cast)
    dropped = await dropSlots(cast, dropper)
    const napping = nap(cast, sleeper)
    const signing = stopSigning(cast, relay)
    ;[slept, stopped] = await Promise.all([napping, signing])
    await relay.ask('redeem')
    claims = await overclaim(cast, relay, stopped)
    poisoned = await poison(cast, relay, stopped)
    await untilEvicted(cast, dropper)
    await closeRails(cast, dropper)
    await untilEpoch(cast, Math.max(EPOCHS, slept.to + 4))
    await stopStorage(cast)
    // Without a quorum the chain stands still while it is read: otherwise validators would soon
    // evict the nodes that are gone.
    const halted = network.running.nodesOf('validator').slice(2)
    await Promise.all(halted.map((node) => node.stop()))
    ;({ actual, hand } = await reckonChain(cast))
  }, RUN_MS)
  afterAll(async () => {
    await cast?.close()
    await network?.destroy()
  })

  const rpcUrl = () => network.running.rpcUrls()[0] as string

  const payoutOf = (node: ChildNode) => payoutIn(network, node)

  const of = (kind: string, node: ChildNode) =>
    actual.filter((one) => one.kind === kind && one.value.node === addressOfNode(node))

  test('receipts, forfeits, evictions and payments are those of the hand calculation', () => {
    expect(hand.expected.length).toBeGreaterThan(8 * EPOCHS)
    expect(new Set(hand.expected.map(({ kind }) => kind))).toEqual(new Set(RECKONED))
    expect(actual).toEqual(hand.expected)
  })

  test('the peer that dropped its data has three strikes, is evicted and loses what was held', () => {
    expect(dropped).toBe(4)
    const strikes = of('forfeit', dropper).map(({ value }) => value.strikes)
    expect(strikes.slice(-3)).toEqual([1, 2, 3])
    const [eviction] = of('eviction', dropper).filter(({ value }) => value.rail === NONE)
    const holds = of('eviction', dropper).filter(({ value }) => value.rail !== NONE)
    expect(holds).toHaveLength(4)
    // A challenge makes it own up to one loss; what it was silent about went with its place.
    const taken = holds.filter(({ height }) => height >= (eviction?.height ?? Infinity))
    expect(taken.length).toBeGreaterThan(0)
    expect(eviction?.value.held).toBe(sumOf(taken, 'held'))
    for (const { value } of holds) {
      const { held, burned, toPots } = value as Record<string, bigint>
      expect(burned).toBeGreaterThan(0n)
      expect((burned as bigint) + (toPots as bigint)).toBe(held)
    }
    const settled = of('close', dropper).filter(({ value }) => !value.asked)
    expect(settled).toHaveLength(4)
    for (const { value } of settled) expect(value.releasedHeld).toBe(0n)
  })

  test('the peer that slept forfeits the epochs of its sleep and is paid again', () => {
    const forfeits = of('forfeit', sleeper)
    expect(forfeits.length).toBeGreaterThan(0)
    expect(of('eviction', sleeper)).toEqual([])
    for (const { value } of forfeits) {
      expect(value.toEpoch).toBeGreaterThan(slept.from)
      expect(value.epoch).toBeLessThanOrEqual(slept.to)
    }
    const lapsed = Math.max(...forfeits.map(({ value }) => Number(value.toEpoch)))
    const later = of('storage', sleeper).filter(({ height, value }) => {
      return epochOf(height) > lapsed && (value.fee as bigint) > 0n
    })
    expect(later.length).toBeGreaterThan(0)
    // Lost for ever: each of its rails counts fewer epochs than have passed.
    for (const { value } of later) expect(value.E).toBeLessThan(value.elapsed as number)
  })

  test('a payer that stops signing is cut after one step; the relay gets what was signed', () => {
    const { signedKib, stepBytes, carriedBytes, cuts, rail } = stopped
    expect(cuts).toBe(1)
    expect(signedKib).toBeGreaterThan(0)
    expect(carriedBytes).toBeLessThanOrEqual(signedKib * 1024 + stepBytes)
    const paid = of('relay', relay).filter(({ value }) => value.rail === rail)
    expect(paid.at(-1)?.value.kib).toBe(signedKib)
    expect(sumOf(paid, 'fee')).toBe((RELAY_PRICE * BigInt(signedKib)) / 2n ** 20n)
  })

  test('a relay that claims more than was signed is refused each time', () => {
    expect(claims).toEqual({
      'a counter raised under the old signature': 'VOUCHER_SIGNATURE',
      'a voucher that the relay signed itself': 'VOUCHER_PAYER',
      'its own signature under the name of the payer': 'VOUCHER_SIGNATURE',
      'the same voucher again': 'PROCEEDS_BELOW_FEE',
    })
    expect(poisoned.sent).toEqual([])
    expect(poisoned.refused).toBeGreaterThan(0)
  })

  test('what arrived at every payout address is what was paid, to the unit', async () => {
    for (const node of [
      ...network.running.nodesOf('peer'),
      ...network.running.nodesOf('bootstrap'),
    ]) {
      const account = await cast.chain.account(fromHex(await payoutOf(node)))
      const received = hand.nodes.get(addressOfNode(node))?.received ?? 0n
      expect(account?.balance, node.name).toBe(OPERATOR_UNITS + received)
    }
  })

  test('what burned and what was minted are the sums by hand', async () => {
    const { burns, minted } = await createRpcClient({ url: rpcUrl() }).call('chain_getSupply', {})
    expect(BigInt(burns.service)).toBe(hand.burnedService)
    expect(BigInt(burns.forfeit)).toBe(hand.burnedHeld)
    expect(BigInt(minted)).toBe(hand.minted)
    expect(2n * hand.minted).toBeLessThanOrEqual(hand.burnedService)
    expect(hand.minted).toBeGreaterThan(0n)
  })

  test('the audit passes, and finds a byte changed in what it exported', async () => {
    const folder = join(network.options.data, 'audit')
    const options = { genesisFile: genesisPath(network.options.data), exportFolder: folder }
    const report = await runAudit({ ...options, rpcUrl: rpcUrl() })
    expect(report.falsehood).toBeUndefined()
    expect(report.epochs).toBeGreaterThanOrEqual(EPOCHS - 1)
    expect(report.forfeits).toBe(actual.filter(({ kind }) => kind === 'forfeit').length)
    const path = join(folder, blockFile(64))
    const bytes = await readFile(path)
    const middle = bytes.length >> 1
    bytes[middle] = (bytes[middle] as number) ^ 1
    await writeFile(path, bytes)
    expect((await runAudit(options)).falsehood).toMatchObject({ file: blockFile(64) })
  })

  test.each(LIES)('the audit finds $name', async ({ tamper, code, asksEpoch }) => {
    const liar = await TamperingNode.start(rpcUrl(), tamper())
    try {
      const genesisFile = genesisPath(network.options.data)
      const epoch = asksEpoch ? slept.from : undefined
      const found = await runAudit({ genesisFile, rpcUrl: liar.url, epoch }).then(
        ({ falsehood }) => falsehood?.code,
        (error: Error & { code?: string }) => error.code ?? error.message,
      )
      expect(found).toBe(code)
    } finally {
      await liar.stop()
    }
  })
})

function sumOf(receipts: readonly Expected[], name: string): bigint {
  return receipts.reduce((sum, { value }) => sum + (value[name] as bigint), 0n)
}
