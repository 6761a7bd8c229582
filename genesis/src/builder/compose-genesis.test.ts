import { addressOf, bytesToHex, publicKeyOf, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { decodeHeaderWithAuxPow } from '@ioex/chain/elastos'
import { UNITS_PER_IOEX } from '@ioex/chain/types'
import { fc, test as law } from '@fast-check/vitest'
import { builtInGenesisBlock } from '@ioex/chain/main-chain'
import { describe, expect, test, vi } from 'vitest'
import { composeGenesis, type GenesisPlan } from './compose-genesis.ts'
import {
  checkGenesisEntry,
  entryFileText,
  readEntryFile,
  type SignedGenesisEntry,
  signGenesisEntry,
} from './genesis-entry.ts'
import { genesisFileText, readGenesisFile } from './genesis-file.ts'

vi.setConfig({ testTimeout: 30_000 })

const secret = (name: string) => sha256(utf8ToBytes(name))
const secretsOf = (name: string) => ({
  owner: secret(`${name} owner`),
  node: secret(`${name} node`),
  consensus: secret(`${name} consensus`),
  mainChain: secret(`${name} main chain`),
})
const bond = 100n * UNITS_PER_IOEX
const validator = (name: string) => signGenesisEntry(secretsOf(name), { network: 'ci', bond })
const bootstrap = (name: string) => {
  const { owner, node } = secretsOf(name)
  return signGenesisEntry({ owner, node }, { network: 'ci', bond: 0n })
}
const block = builtInGenesisBlock({ allocations: [], timestamp: 1_700_000_000 })
const header = decodeHeaderWithAuxPow(block)
if (!header.ok) throw new Error('the checkpoint is well formed')
const address = (name: string) => addressOf(publicKeyOf(secret(name)))
const plan: GenesisPlan = {
  preset: 'ci',
  timeMs: 1_700_000_000_000,
  entries: [validator('a'), validator('b'), validator('c'), bootstrap('d')],
  allocations: [
    { address: address('rich'), amount: 5n },
    { address: address('poor'), amount: 7n },
  ],
  mainCheckpoint: block.slice(0, header.value.length),
}
const codeOf = (change: Partial<GenesisPlan>) => {
  const composed = composeGenesis({ ...plan, ...change })
  return composed.ok ? 'ok' : composed.fault.code
}

describe('a genesis of many operators', () => {
  const text = () => {
    const composed = composeGenesis(plan)
    if (!composed.ok) throw new Error(composed.fault.message)
    return genesisFileText('ci', composed.value.document)
  }
  const expected = text()

  law.prop([fc.shuffledSubarray(plan.entries as SignedGenesisEntry[], { minLength: 4 })], {
    numRuns: 4,
  })('is the same, byte for byte, in whatever order the entries come', (entries) => {
    const allocations = plan.allocations.toReversed()
    const composed = composeGenesis({ ...plan, entries, allocations })
    expect(composed.ok && genesisFileText('ci', composed.value.document)).toBe(expected)
  })

  test('reads back with its validators, supply and power', () => {
    const read = readGenesisFile(expected)
    if (!read.ok) throw new Error(read.fault.message)
    const { ledger } = read.value
    expect(ledger.validators.count).toBe(3)
    expect(ledger.validators.get(0)).toMatchObject({ power: 100, bond })
    expect(ledger.nodes.count).toBe(1)
    expect(ledger.globals().genesisSupply).toBe(12n + 3n * bond)
  })

  test('nobody enters twice and no key serves two', () => {
    const [a, b] = [validator('a'), validator('b')]
    const mixed = (change: object) =>
      signGenesisEntry({ ...secretsOf('x'), ...change }, { network: 'ci', bond })
    const { owner, node, consensus, mainChain } = secretsOf('a')
    expect(codeOf({ entries: [a, b, a] })).toBe('GENESIS_TWINS')
    for (const stolen of [{ owner }, { node }, { consensus }, { mainChain }]) {
      expect(codeOf({ entries: [a, b, mixed(stolen)] })).toBe('GENESIS_TWINS')
    }
    expect(codeOf({ entries: [a, b, mixed({})] })).toBe('ok')
    const twice = { address: address('rich'), amount: 1n }
    expect(codeOf({ allocations: [...plan.allocations, twice] })).toBe('GENESIS_TWINS')
    expect(codeOf({ entries: [bootstrap('d')] })).toBe('GENESIS_VALIDATORS')
  })
})

describe('an entry', () => {
  const refused = (signed: SignedGenesisEntry, network: 'ci' | 'local' = 'ci') => {
    const checked = checkGenesisEntry(signed, network)
    return checked.ok ? 'ok' : checked.fault.code
  }

  test('every key must have signed every field', () => {
    const signed = validator('a')
    expect(refused(signed)).toBe('ok')
    expect(refused(signed, 'local')).toBe('ENTRY_NETWORK')
    const change = (fields: object) => refused({ ...signed, entry: { ...signed.entry, ...fields } })
    expect(change({ bond: bond * 2n })).toBe('ENTRY_SIGNATURE')
    expect(change({ payout: address('thief') })).toBe('ENTRY_SIGNATURE')
    expect(change({ nodeKey: publicKeyOf(secret('thief')) })).toBe('ENTRY_SIGNATURE')
    expect(change({ bond: 0n })).toBe('ENTRY_BOND')
    expect(change({ role: 1 })).toBe('ENTRY_ROLE')
    expect(change({ version: 2 })).toBe('ENTRY_VERSION')
    expect(change({ consensusKey: new Uint8Array(33) })).toBe('ENTRY_KEYS')
    expect(change({ consensusKey: signed.entry.owner })).toBe('ENTRY_KEYS')
    for (const name of ['owner', 'node', 'consensus', 'mainChain'] as const) {
      const foreign = validator('b').signatures
      const signatures = { ...signed.signatures, [name]: foreign[name] }
      expect(refused({ ...signed, signatures })).toBe('ENTRY_SIGNATURE')
      const { [name]: _, ...missing } = signed.signatures
      if (name === 'consensus' || name === 'mainChain') {
        expect(refused({ ...signed, signatures: missing as never })).toBe('ENTRY_SIGNATURE')
      }
    }
  })

  test('its file reads back, and says what was signed', () => {
    for (const signed of [validator('a'), bootstrap('d')]) {
      const read = readEntryFile(entryFileText(signed))
      expect(read.ok && entryFileText(read.value)).toBe(entryFileText(signed))
    }
    const file = JSON.parse(entryFileText(validator('a')))
    const other = JSON.parse(entryFileText(validator('b')))
    const codes = ['owner', 'payout', 'nodeKey', 'consensusKey', 'mainChainAddress'].map((name) => {
      const read = readEntryFile(JSON.stringify({ ...file, [name]: other[name] }))
      return read.ok ? 'ok' : read.fault.code
    })
    expect(new Set(codes)).toEqual(new Set(['ENTRY_MISMATCH']))
    expect(readEntryFile('{}')).toMatchObject({ fault: { code: 'ENTRY_MALFORMED' } })
  })

  const bytes = Buffer.from(entryFileText(validator('a')))
  law.prop([fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })], { numRuns: 100 })(
    'with any byte changed is refused or says the same',
    (at, flip) => {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ flip
      const read = readEntryFile(changed.toString('latin1'))
      // White space between fields may differ; nothing else may.
      if (read.ok) expect(entryFileText(read.value)).toBe(bytes.toString())
      expect(bytesToHex(sha256(changed))).not.toBe(bytesToHex(sha256(bytes)))
    },
  )
})
