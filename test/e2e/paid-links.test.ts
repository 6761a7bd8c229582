import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { PayloadKind, type SignedVoucher } from '@ioex/chain/types'
import { refusalCode, sendAsNode } from '@ioex/storage-node/node'
import { openRailLedger } from '@ioex/storage-node/transfer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runAudit } from '../../cli/src/audit/run-audit.ts'
import type { ChildNode } from '../../cli/src/devnet/child-node.ts'
import { genesisPath } from '../../cli/src/devnet/devnet-files.ts'
import { readOrCreateKey } from '../../cli/src/nodes/key-file.ts'
import type { Expected, HandLedger } from './contribution/hand-ledger.ts'
import { payoutOf, reckonChain } from './contribution/read-chain.ts'
import {
  addressOfNode,
  type Cast,
  epochNow,
  gatherCast,
  stopStorage,
  untilEpoch,
} from './contribution/story.ts'
import { TestNetwork, until } from './network-harness.ts'

/** Units per epoch of a link beyond the free one; large enough that a redeem is worth its fee. */
const LINK_PRICE = 20_000_000n
const RUN_MS = 600_000
const LINKED_MS = 120_000

interface PeerFigures {
  readonly paidLinks: readonly { readonly relay: string; readonly rail: number }[]
}
interface RelayFigures {
  readonly reservations: { readonly links: number; readonly cutTotal: number }
  readonly redeems: { readonly refused: number }
}

describe('a paid link on a network of processes', () => {
  let network: TestNetwork
  let cast: Cast
  let peer: ChildNode
  let relay: ChildNode
  let rail: number
  let first: number
  let last: number
  let cutAfter: number
  let claims: string[]
  let counted: number
  let voucher: SignedVoucher
  let actual: readonly Expected[]
  let hand: HandLedger

  beforeAll(async () => {
    await installNativeCrypto()
    network = await TestNetwork.create({ validators: 4, bootstraps: 2, peers: 2 })
    cast = await gatherCast(network)
    peer = network.running.node('peer-1')
    for (const one of ['bootstrap-1', 'bootstrap-2']) {
      await changed(one, ({ relay }) => Object.assign(relay, { reservationPrice: `${LINK_PRICE}` }))
    }
    relay = network.running.node('bootstrap-2')
    const [home] = network.running.node('bootstrap-1').info.multiaddrs as string[]
    await changed('peer-1', (config) => {
      // The free link is with the one that it is told of; the other it finds in the directory.
      Object.assign(config, { peers: [home] })
      Object.assign(config.storage, { paidLinks: 1, linkPriceMax: `${LINK_PRICE}` })
    })
    await until('the paid link', relinked, LINKED_MS)
    first = await epochNow(cast)
    rail = (await figures()).paidLinks[0]?.rail as number
    await untilEpoch(cast, first + 4)
    // In the middle of an epoch that is counted: the relay goes on from what is on its disk.
    await relay.stop()
    await relay.start()
    await until('the link after the relay was away', relinked, LINKED_MS)
    await untilEpoch(cast, (await epochNow(cast)) + 2)
    await sleepUntilCut()
    await until('the link after the peer slept', relinked, LINKED_MS)
    await peer.stop()
    await peer.start()
    await until('the link after the peer was away', relinked, LINKED_MS)
    await untilEpoch(cast, (await epochNow(cast)) + 3)
    await peer.stop()
    last = await epochNow(cast)
    await relay.ask('redeem')
    await overclaim()
    await stopStorage(cast)
    counted = await countedUnits()
    ;({ actual, hand } = await reckonChain(cast))
  }, RUN_MS)
  afterAll(async () => {
    await cast?.close()
    await network?.destroy()
  })

  /** Starts a node again with another config. */
  async function changed(
    name: string,
    change: (config: { relay: object; storage: object }) => void,
  ): Promise<void> {
    const node = network.running.node(name)
    await node.stop()
    const path = join(network.options.data, name, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as { relay: object; storage: object }
    change(config)
    await writeFile(path, JSON.stringify(config))
    await node.start()
  }

  const figures = async () => (await peer.ask('status')) as PeerFigures
  const relayFigures = async () => (await relay.ask('status')) as RelayFigures

  /** The relay keeps the link, and the peer knows of it. */
  async function relinked(): Promise<boolean> {
    const { paidLinks } = await figures()
    return paidLinks.length === 1 && (await relayFigures()).reservations.links === 1
  }

  /** The peer's process stands still, so it signs nothing, until its link is cut. */
  async function sleepUntilCut(): Promise<void> {
    const before = await relayFigures()
    const since = await epochNow(cast)
    const { pid } = peer
    if (pid === undefined) throw new Error('the peer is not running')
    process.kill(pid, 'SIGSTOP')
    try {
      const isCut = async () => {
        const { reservations } = await relayFigures()
        return reservations.cutTotal > before.reservations.cutTotal
      }
      await until('the link to be cut', isCut, 60_000)
      cutAfter = (await epochNow(cast)) - since
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  }

  /** What the relay can get for more than was signed: sent as it is, and put into its own store. */
  async function overclaim(): Promise<void> {
    const folder = join(network.options.data, relay.name)
    await relay.stop()
    const ledger = await openRailLedger(join(folder, 'vouchers'))
    const all = await ledger.vouchers()
    // The same rail all the time: an index that is used again has another generation.
    expect(all).toHaveLength(1)
    voucher = all[0] as SignedVoucher
    const more = { ...voucher.voucher, reservations: voucher.voucher.reservations + 1000 }
    const forged = { ...voucher, voucher: more }
    await ledger.put(more, { usedBytes: 0, newest: [forged] })
    await ledger.close()
    const nodeKey = await readOrCreateKey(join(folder, 'keys', 'node.key'))
    claims = []
    for (const claim of [forged, voucher]) {
      const value = { rails: [rail], vouchers: [claim], least: 0n }
      const payload = { selector: PayloadKind.redeem, value } as const
      const answer = await sendAsNode(cast.chain, nodeKey, payload).then(
        () => 'taken',
        (error: unknown) => refusalCode(error) ?? String(error),
      )
      claims.push(answer)
    }
    await relay.start()
    await relay.ask('redeem')
  }

  /** What the peer wrote down of the rail. */
  async function countedUnits(): Promise<number> {
    const text = await readFile(join(network.options.data, 'peer-1', 'paid-links.json'), 'utf8')
    const { rails } = JSON.parse(text) as { rails: { rail: number; units: number }[] }
    return rails.find((one) => one.rail === rail)?.units ?? 0
  }

  const paidFor = () => actual.filter(({ kind, value }) => kind === 'relay' && value.rail === rail)

  test('every receipt is the one that the hand calculation gives', () => {
    expect(paidFor().length).toBeGreaterThan(0)
    expect(actual).toEqual(hand.expected)
  })

  test('the relay was paid for the epochs that the peer counted, and for no more', () => {
    const receipts = paidFor()
    const units = voucher.voucher.reservations
    expect(Math.abs(units - counted)).toBeLessThanOrEqual(1)
    expect(units).toBeGreaterThan(8)
    // Less the epochs in which it was cut.
    expect(units).toBeLessThanOrEqual(last - first + 2 - (cutAfter - 2))
    expect(receipts.at(-1)?.value).toMatchObject({ reservations: units, kib: 0 })
    const fee = receipts.reduce((sum, { value }) => sum + (value.fee as bigint), 0n)
    expect(fee).toBe(LINK_PRICE * BigInt(units))
  })

  test('a peer that signs no more loses its link', () => {
    // Ten seconds of the pause are five epochs of this preset.
    expect(cutAfter).toBeGreaterThanOrEqual(4)
  })

  test('a relay that claims more than was signed gets nothing for it', () => {
    expect(claims).toEqual(['VOUCHER_SIGNATURE', 'PROCEEDS_BELOW_FEE'])
    const units = paidFor().map(({ value }) => value.reservations as number)
    expect(Math.max(...units)).toBe(voucher.voucher.reservations)
  })

  test('what the relay’s owner has is what was paid, to the unit', async () => {
    const payout = await payoutOf(network, relay)
    const account = await cast.chain.account(fromHex(payout))
    const received = hand.nodes.get(addressOfNode(relay))?.received ?? 0n
    expect(received).toBeGreaterThan(0n)
    expect(account?.balance, bytesToHex(fromHex(payout))).toBe(100_000_000_000n + received)
  })

  test('the audit recomputes it', async () => {
    const genesisFile = genesisPath(network.options.data)
    const exportFolder = join(network.options.data, 'audit')
    const rpcUrl = network.running.rpcUrls()[0] as string
    expect((await runAudit({ genesisFile, exportFolder, rpcUrl })).falsehood).toBeUndefined()
  })
})
