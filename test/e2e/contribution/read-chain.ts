import { join } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import { BlockBodyType, type Receipt, ReceiptKind } from '@ioex/chain/types'
import { createRpcClient } from '@ioex/rpc/client'
import { createAuditedNode } from '../../../cli/src/audit/audited-node.ts'
import { allReceipts } from '../../../cli/src/demo/ledger-figures.ts'
import type { ChildNode } from '../../../cli/src/devnet/child-node.ts'
import { ownerAddress } from '../../../cli/src/devnet/create-devnet.ts'
import { readOrCreateKey } from '../../../cli/src/nodes/key-file.ts'
import type { TestNetwork } from '../network-harness.ts'
import { epochOf, type Expected, type Given, HandLedger } from './hand-ledger.ts'
import { addressOfNode, type Cast } from './story.ts'

/** Receipts that the hand calculation gives in full, apart from hashes that it does not draw. */
export const RECKONED = [
  'proof',
  'storage',
  'relay',
  'forfeit',
  'eviction',
  'reward',
  'close',
  'payout',
]
const NOT_DRAWN = ['beacon', 'inventoryRoot']
const kindNames = Object.keys(ReceiptKind)

/** What a chain's blocks led to: by its receipts, and by hand. */
export interface Reckoning {
  readonly actual: readonly Expected[]
  readonly hand: HandLedger
}

/** Reads the whole chain over RPC, and works out by hand what its blocks must have led to. */
export async function reckonChain({ network, chain }: Cast): Promise<Reckoning> {
  const rpc = createRpcClient({ url: network.running.rpcUrls()[0] as string })
  const node = createAuditedNode(rpc, 'cioex')
  const { height: last } = await node.tip()
  const lastEpoch = epochOf(last)
  const blocks: Given['blocks'][number][] = []
  while (blocks.length <= last) {
    for (const { body } of await node.blocks(blocks.length, last)) {
      const { transactions } = BlockBodyType.deserialize(body)
      blocks.push({ height: blocks.length, transactions: transactions as never })
    }
  }
  const receipts = (await allReceipts(rpc)).filter(({ height }) => height <= last)
  const beacons = new Map<number, number>()
  for (let epoch = 1; epoch <= lastEpoch; epoch++) {
    const height = (await chain.epoch(epoch))?.beaconHeight ?? 0
    if (height > 0) beacons.set(epoch, height)
  }
  const relays = network.running.nodesOf('bootstrap').map(async (one) => {
    return [addressOfNode(one), await payoutOf(network, one)] as const
  })
  const hand = new HandLedger({
    blocks,
    beaconHeight: (epoch) => beacons.get(epoch),
    created: (height, transaction) => createdIn(receipts, height, transaction),
    relays: new Map(await Promise.all(relays)),
  })
  const actual = receipts.map(asExpected).filter(({ kind }) => RECKONED.includes(kind))
  return { actual, hand }
}

/** Where a node of the network is paid, hex. */
export async function payoutOf({ options }: TestNetwork, node: ChildNode): Promise<string> {
  const path = join(options.data, node.name, 'keys', 'owner.key')
  return bytesToHex(ownerAddress({ ownerKey: await readOrCreateKey(path) } as never))
}

function createdIn(receipts: readonly Receipt[], height: number, transaction: number) {
  for (const receipt of receipts) {
    if (receipt.height !== height || receipt.transaction !== transaction) continue
    const { body } = receipt
    if (body.selector === ReceiptKind.creation && body.value.kind !== 0) return body.value
  }
  throw new Error(`transaction ${transaction} of block ${height} made nothing`)
}

/** A receipt in the words of the hand calculation: addresses in hex, no drawn hashes. */
function asExpected({ height, transaction, body }: Receipt): Expected {
  const value: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(body.value)) {
    if (NOT_DRAWN.includes(name)) continue
    value[name] = field instanceof Uint8Array ? bytesToHex(field) : field
  }
  const kind = kindNames.find((name) => ReceiptKind[name as ReceiptKind] === body.selector)
  return { height, transaction, kind: kind as Expected['kind'], value }
}
