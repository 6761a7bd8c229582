import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { assert } from '@ioex/chain/bytes'
import {
  advanceContext,
  type DecodedHeader,
  type DisplayHash,
  ELASTOS_REG_NET,
  type HeaderContext,
  mineAuxPow,
  toDisplayHash,
} from '@ioex/chain/elastos'
import { type MainBlockSource, MainChainFollower } from '@ioex/chain/follower'
import { buildBlockTemplate, sealTemplate } from '../chain/src/main-chain/mining-template.ts'
import { SampleMainChain } from '../chain/src/rules/testing/sample-chain.ts'
import type { Comparison } from './comparison.ts'

const T0 = 1_700_000_000
const PROGRAM_HASH_BYTES = 21

/** Blocks in memory in place of a main node, so that the follower alone is measured. */
interface Chain {
  readonly start: HeaderContext
  readonly source: MainBlockSource
  readonly headers: readonly DecodedHeader[]
}

function chainOf(count: number, decode: (raw: Uint8Array) => DecodedHeader): Chain {
  const { tip } = SampleMainChain.start(0, T0)
  const { hash, height, time, bits } = tip
  const start = { previous: { hash, height, time, bits }, lastTimes: [time], windowFirstTime: time }
  const hashes: DisplayHash[] = [toDisplayHash(hash)]
  const blocks = new Map<string, Uint8Array>()
  const headers: DecodedHeader[] = []
  let context: HeaderContext = start
  for (let i = 1; i <= count; i++) {
    const raw = nextBlock(context, T0 + i)
    const header = decode(raw)
    context = advanceContext(context, header, ELASTOS_REG_NET)
    headers.push(header)
    hashes.push(toDisplayHash(header.hash))
    blocks.set(toDisplayHash(header.hash), raw)
  }
  const source: MainBlockSource = {
    getBlockCount: () => Promise.resolve(hashes.length),
    getBlockHash: (at) => Promise.resolve(hashes[at] as DisplayHash),
    // A copy, as from the network.
    getBlockRaw: (each) => Promise.resolve(Uint8Array.from(blocks.get(each) as Uint8Array)),
    getBlockTransactionIds: () => Promise.reject(new Error('not asked for')),
    getRawTransaction: () => Promise.reject(new Error('not asked for')),
  }
  return { start, source, headers }
}

function nextBlock(context: HeaderContext, nowSeconds: number): Uint8Array {
  const template = buildBlockTemplate({
    context,
    params: ELASTOS_REG_NET,
    transactions: [],
    coinbaseValue: 1n,
    payTo: new Uint8Array(PROGRAM_HASH_BYTES),
    nowSeconds,
    coinbaseNonce: new Uint8Array(8),
  })
  const { bits, timestamp } = template.header
  const auxPow = mineAuxPow({
    auxBlockHash: template.hash,
    bits,
    timestamp,
    parentPrevious: context.previous.hash,
    extraNonce: new Uint8Array(0),
  })
  assert(auxPow !== undefined, 'the lowest difficulty is met at once')
  return sealTemplate(template, auxPow)
}

/** Catching up on main blocks: AuxPow, every header rule and the Merkle root of each. */
export async function compareFollowing(
  count: number,
  decode: (raw: Uint8Array) => DecodedHeader,
  hashesOf: (headers: readonly DecodedHeader[]) => () => void,
): Promise<Comparison> {
  const { start, source, headers } = chainOf(count, decode)
  const follow = async () => {
    const follower = new MainChainFollower({
      client: source,
      params: ELASTOS_REG_NET,
      start,
      windowBlocks: count,
      sideGenesisHash: new Uint8Array(32),
    })
    await follower.poll()
    assert(follower.tip.height === count, 'all blocks were taken')
    return follower
  }
  const hashes = hashesOf(headers)
  const { tip } = await follow()
  const held = await heldBy(follow)
  return {
    name: `chain/follower::follow/blocks=${count}`,
    unit: 'blocks',
    work: count,
    subject: () => follow,
    against: { name: 'their double SHA-256 alone', workload: () => hashes },
    result: tip.hash,
    facts: { memoryBytesPerBlock: Math.round(held / count) },
  }
}

async function heldBy(follow: () => Promise<MainChainFollower>): Promise<number> {
  // What earlier measurements left behind is collected late.
  await new Promise((resolve) => setImmediate(resolve))
  bytesHeld()
  const before = bytesHeld()
  const follower = await follow()
  const held = bytesHeld() - before
  // Alive until here.
  assert(follower.tip.height > 0, 'it has blocks')
  return Math.max(0, held)
}

/** Heap and buffers after a collection. */
function bytesHeld(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
