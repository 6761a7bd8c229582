import { beforeAll, expect, test } from 'vitest'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { checkForfeit, explainEviction, explainForfeit } from '../rules/explain-forfeit.ts'
import { SampleChain } from '../rules/testing/sample-chain.ts'
import { ReceiptKind, type Receipt } from '../types/receipts.ts'
import { NONE } from '../types/records.ts'
import { fillSlot, openContract, peer } from './testing/storage-work.ts'

beforeAll(async () => {
  await installNativeCrypto()
})

/** A main header that fixes the running epoch's beacon comes with the second block of it. */
function fixBeacon(chain: SampleChain, raws: Map<number, Uint8Array>): void {
  const late = Math.ceil(chain.ledger.globals().timeMs / 1000) + 2
  const mined = [late, late + 1, late + 2].map((time) => chain.main.mine(time))
  raws.set(chain.height + 1, mined[1] as Uint8Array)
  chain.block([chain.mainHeaders(mined)])
}

test('every forfeit and the eviction replay from the headers of both chains', () => {
  const chain = new SampleChain()
  const raws = new Map<number, Uint8Array>()
  const receipts: Receipt[] = []
  const run = (...args: Parameters<SampleChain['block']>) => {
    receipts.push(...chain.block(...args).receipts)
  }
  chain.runTo(1)
  fixBeacon(chain, raws)
  run([openContract(chain)])
  run([fillSlot(chain)])
  for (let epoch = 2; epoch <= 9; epoch++) {
    chain.runToEpoch(epoch)
    fixBeacon(chain, raws)
  }
  const entries = chain.ledger.inventory(0)
  run([chain.byNode(peer, { selector: 10, value: { node: peer.address } })])
  const forfeits = receipts.flatMap(({ body }) =>
    body.selector === ReceiptKind.forfeit ? [body.value] : [],
  )
  expect(forfeits.map(({ epoch, toEpoch, strikes }) => [epoch, toEpoch, strikes])).toEqual([
    [2, 4, 1],
    [4, 6, 2],
    [6, 8, 3],
  ])
  const leaves = 4
  for (const forfeit of forfeits) {
    const raw = raws.get(forfeit.beaconHeight)
    const header = decodeHeaderWithAuxPow(raw as Uint8Array)
    if (!header.ok) throw new Error('a mined header decodes')
    const explained = explainForfeit(chain.params, forfeit, {
      entries,
      leavesOf: () => leaves,
    })
    expect(explained.draw).toBeLessThan(explained.rate)
    expect(explained.openings).toHaveLength(8)
    for (const { position, drawn } of explained.openings) {
      expect(position).toBeLessThan(forfeit.inventorySum)
      expect(drawn).toMatchObject({ rail: 0, generation: 0, entry: 0 })
      expect(drawn?.leaf).toBeLessThan(leaves)
    }
    expect(explained.lastBlock).toBe((forfeit.epoch + 1) * chain.params.epochBlocks)
    const headers = {
      chainId: chain.chainId,
      checkpointHash: chain.hashes[explained.checkpointHeight] as Uint8Array,
      bitcoinHash: header.value.bitcoinParentHash,
      beaconHeight: forfeit.beaconHeight,
    }
    const code = (changes: object, other = {}) => {
      const checked = checkForfeit(
        chain.params,
        { ...forfeit, ...changes },
        { ...headers, ...other },
      )
      return checked.ok ? 'ok' : checked.fault.code
    }
    expect(code({})).toBe('ok')
    expect(code({ epoch: forfeit.epoch + 1 })).toBe('FORFEIT_BEACON')
    expect(code({}, { bitcoinHash: new Uint8Array(32) })).toBe('FORFEIT_BEACON')
    expect(code({}, { beaconHeight: 1 })).toBe('FORFEIT_BEACON')
    expect(code({ rate: 0n })).toBe('FORFEIT_NOT_DRAWN')
    expect(code({ inventorySum: 0n })).toBe('FORFEIT_NOT_DRAWN')
    expect(code({ toEpoch: forfeit.toEpoch + 1 })).toBe('FORFEIT_INTERVAL')
    expect(code({ fromEpoch: forfeit.epoch + 1 })).toBe('FORFEIT_INTERVAL')
  }
  const eviction = receipts.find(({ body }) => body.selector === ReceiptKind.eviction)?.body
  if (eviction?.selector !== ReceiptKind.eviction) throw new Error('the peer was evicted')
  expect(eviction.value.rail).toBe(NONE)
  const explained = explainEviction(chain.params, eviction.value, forfeits)
  expect(explained).toEqual({ ok: true, value: forfeits })
  const short = explainEviction(chain.params, eviction.value, forfeits.slice(1))
  expect(short.ok || short.fault.code).toBe('EVICTION_STRIKES')
  const mixed = [forfeits[0], forfeits[0], forfeits[2]] as typeof forfeits
  expect(explainEviction(chain.params, eviction.value, mixed).ok).toBe(false)
})
