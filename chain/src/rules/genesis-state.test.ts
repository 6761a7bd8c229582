import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { presets } from '../../../genesis/src/presets/presets.ts'
import { bytesToHex } from '../bytes/hex.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { decodeParams, encodeParams } from '../params/params-codec.ts'
import { stateRoot } from '../state/ledger.ts'
import { blockHash, BlockType } from '../types/block.ts'
import {
  chainIdOf,
  decodeGenesis,
  type GenesisDocument,
  GenesisDocumentType,
} from '../types/genesis-document.ts'
import { accountOf } from './accounts.ts'
import { buildGenesis, type GenesisInput, genesisDocument } from './genesis-state.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleMainChain, UNITS } from './testing/sample-chain.ts'

setHasher(asSha256)

const validator = (name: string) => ({
  owner: keyOf(`${name}-owner`).address,
  payout: keyOf(`${name}-payout`).address,
  consensusKey: keyOf(name).publicKey,
  mainKey: new Uint8Array(33),
  power: 5,
  bond: 5n * UNITS,
})
const node = (name: string) => ({
  owner: keyOf(`${name}-owner`).address,
  nodeKey: keyOf(name).publicKey,
  payout: keyOf(name).address,
  roles: 2,
})
const input: GenesisInput = {
  params: presets.local,
  timeMs: 1_700_000_000_000,
  allocations: [
    { address: keyOf('alice').address, amount: 7n * UNITS },
    { address: keyOf('v0-owner').address, amount: 1n * UNITS },
    { address: keyOf('alice').address, amount: 2n * UNITS },
  ],
  validators: [validator('v0'), validator('v1')],
  nodes: [node('b0'), node('b1')],
  mainCheckpoint: SampleMainChain.start(100, 1_700_000_000).tip.raw,
}

const code = (document: GenesisDocument) => {
  const built = buildGenesis(document)
  return built.ok ? 'ok' : built.fault.code
}

describe('genesis', () => {
  test('is built the same everywhere; its header carries chain id and state root', () => {
    const document = genesisDocument(input)
    const built = buildGenesis(document)
    if (!built.ok) throw new Error(built.fault.message)
    const { ledger, block, chainId, hash, params } = built.value
    expect(chainId).toEqual(chainIdOf(document))
    expect(block.header).toMatchObject({
      chainId,
      height: 0,
      epoch: 0,
      stateRoot: stateRoot(ledger),
    })
    expect(hash).toEqual(blockHash(block.header))
    expect(params).toEqual(presets.local)
    expect(BlockType.deserialize(BlockType.serialize(block))).toEqual(block)
    expect(accountOf(ledger, keyOf('alice').address)?.balance).toBe(9n * UNITS)
    expect(accountOf(ledger, keyOf('v0-owner').address)).toMatchObject({
      balance: 1n * UNITS,
      bond: 5n * UNITS,
    })
    expect(ledger.nodeIndex(keyOf('b1').address)).toBe(1)
    expect(ledger.globals()).toMatchObject({ genesisSupply: 20n * UNITS, mainTipHeight: 100 })
    expect(auditSupply(ledger).ok).toBe(true)
    const again = buildGenesis(document)
    expect(again.ok && bytesToHex(again.value.hash)).toBe(bytesToHex(hash))
  })

  test('survives its bytes', () => {
    const document = genesisDocument(input)
    const decoded = decodeGenesis(GenesisDocumentType.serialize(document))
    expect(decoded.ok && chainIdOf(decoded.value)).toEqual(chainIdOf(document))
    expect(decodeGenesis(new Uint8Array([1, 2, 3])).ok).toBe(false)
  })

  test('every parameter is part of the chain id', () => {
    const id = bytesToHex(chainIdOf(genesisDocument(input)))
    const other = (params: typeof input.params) =>
      bytesToHex(chainIdOf(genesisDocument({ ...input, params })))
    for (const name of Object.keys(presets.local) as Exclude<keyof NetworkParams, 'forks'>[]) {
      const value = presets.local[name]
      const changed =
        typeof value === 'string'
          ? `${value}x`
          : typeof value === 'object'
            ? Array.isArray(value)
              ? value.slice(1)
              : { ...presets.local.mainChain, adjustmentFactor: 9 }
            : typeof value === 'bigint'
              ? value + 1n
              : value + 1
      expect(other({ ...presets.local, [name]: changed }), name).not.toBe(id)
    }
  })

  test('parameters survive their bytes; broken relations are faults', () => {
    for (const params of Object.values(presets)) {
      const decoded = decodeParams(encodeParams(params))
      expect(decoded.ok && decoded.value).toEqual(params)
    }
    const broken = decodeParams(encodeParams({ ...presets.main, phi: 0 }))
    expect(broken.ok ? '' : broken.fault.code).toBe('PARAMS_INVALID')
    expect(decodeParams(new Uint8Array(3)).ok).toBe(false)
    // The name of the network comes first of all that has no fixed length.
    const other = encodeParams(presets.ci)
    const name = new DataView(other.buffer, other.byteOffset).getUint32(0, true)
    other[name] = (other[name] ?? 0) | 0x80
    expect(decodeParams(other)).toMatchObject({ fault: { code: 'PARAMS_INVALID' } })
  })

  test('each fault', () => {
    const made = (changes: Partial<GenesisInput>) => code(genesisDocument({ ...input, ...changes }))
    expect(made({})).toBe('ok')
    expect(code({ ...genesisDocument(input), version: 2 })).toBe('GENESIS_VERSION')
    expect(made({ validators: [] })).toBe('GENESIS_VALIDATORS')
    expect(made({ validators: [{ ...validator('v'), power: 0 }] })).toBe('GENESIS_VALIDATORS')
    expect(made({ validators: [validator('v'), validator('v')] })).toBe('GENESIS_VALIDATORS')
    expect(made({ nodes: [node('n'), node('n')] })).toBe('GENESIS_NODES')
    const amount = (1n << 64n) - 1n
    expect(made({ allocations: [{ address: keyOf('a').address, amount }] })).toBe('GENESIS_SUPPLY')
    const { mainCheckpoint } = input
    const longer = Uint8Array.from([...mainCheckpoint, 1])
    expect(made({ mainCheckpoint: longer })).toBe('GENESIS_CHECKPOINT')
    expect(made({ mainCheckpoint: mainCheckpoint.slice(0, 80) })).toMatch(/^MAIN_/)
    // The main network retargets every 720 headers: a checkpoint must start such a window.
    const bonded = { ...validator('v'), power: 10_000, bond: 10_000n * UNITS }
    const main = { params: presets.main, validators: [bonded] }
    expect(made(main)).toBe('GENESIS_CHECKPOINT')
    expect(made({ validators: [{ ...validator('v'), power: 6 }] })).toBe('GENESIS_VALIDATORS')
    expect(made({ ...main, validators: [validator('v')] })).toBe('GENESIS_VALIDATORS')
    const aligned = SampleMainChain.start(1440, 1_700_000_000).tip.raw
    expect(made({ ...main, mainCheckpoint: aligned })).toBe('ok')
  })
})
