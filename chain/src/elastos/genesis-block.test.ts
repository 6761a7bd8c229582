import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { decodeBlock } from './block.ts'
import { parseElaAddress } from './ela-address.ts'
import { buildGenesisBlock, ELA_ASSET_ID } from './genesis-block.ts'
import { genesisContext } from './header-rules.ts'

interface Genesis {
  readonly net: string
  readonly block_raw: string
  readonly foundation: string
}

const file = new URL('../../../test/vectors/elastos/main-blocks.json', import.meta.url)
const { genesis } = JSON.parse(readFileSync(file, 'utf8')) as { genesis: readonly Genesis[] }

describe('genesis block', () => {
  test.each(genesis)("Elastos' own: $net", ({ block_raw, foundation }) => {
    const programHash = parseElaAddress(foundation)
    if (!programHash.ok) expect.fail(programHash.fault.message)
    const raw = buildGenesisBlock({
      allocations: [{ programHash: programHash.value, sela: 33_000_000n * 100_000_000n }],
      timestamp: 1_513_936_800,
      bits: 0x1d03ffff,
      nonce: 2_083_236_893,
    })
    expect(bytesToHex(raw)).toBe(block_raw)
    const block = decodeBlock(raw)
    if (!block.ok) expect.fail(block.fault.message)
    expect(block.value.transactions[1]?.id).toEqual(ELA_ASSET_ID)
    expect(genesisContext(block.value)).toEqual({
      previous: { hash: block.value.hash, height: 0, time: 1_513_936_800, bits: 0x1d03ffff },
      lastTimes: [1_513_936_800],
      windowFirstTime: 1_513_936_800,
    })
  })
})
