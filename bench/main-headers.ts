import { readFileSync } from 'node:fs'
import { assert, concatBytes, fromHex, sha256d } from '@ioex/chain/bytes'
import {
  checkAuxPow,
  type DecodedHeader,
  decodeHeaderWithAuxPow,
  encodeHeader,
  hashMeetsBits,
} from '@ioex/chain/elastos'
import { applyMainHeaders } from '@ioex/chain/rules'
import { draftOf, stateRoot } from '@ioex/chain/state'
import { ZERO_ADDRESS, ZERO_KEY } from '@ioex/chain/types'
import { GENESIS_TIME_MS, SampleChain } from '../chain/src/rules/testing/sample-chain.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'

const PAIR = new Uint8Array(64)
const VECTORS = new URL('../test/vectors/elastos/main-blocks.json', import.meta.url)

function decoded(bytes: Uint8Array): DecodedHeader {
  const header = decodeHeaderWithAuxPow(bytes)
  assert(header.ok, 'the headers of a benchmark decode')
  return header.value
}

/** The double hashes without which no header is checked: its own, its parent's, the branches. */
function hashesOf(headers: readonly DecodedHeader[]): () => void {
  const inputs = headers.flatMap(({ header, auxPow }) => {
    const { parentHeader, parentCoinbase, parentBranch, auxBranch } = auxPow
    const steps = parentBranch.length + auxBranch.length
    return [encodeHeader(header), parentHeader, parentCoinbase, ...Array(steps).fill(PAIR)]
  }) as Uint8Array[]
  return () => {
    for (const input of inputs) sha256d(input)
  }
}

/** Headers of the lowest difficulty through the whole rule, into a draft that is dropped. */
function ruleApplied(count: number): Comparison {
  const chain = new SampleChain()
  // The first block of an epoch makes its record.
  chain.block()
  const time = GENESIS_TIME_MS / 1000
  const headers = Array.from({ length: count }, (_, i) => chain.main.mine(time + i))
  const signer = { sender: ZERO_KEY, senderAddress: ZERO_ADDRESS }
  const context = { ...chain.next(), ...signer, bytes: 0, emit: () => {} }
  const apply = () => {
    const draft = draftOf(chain.ledger)
    const applied = applyMainHeaders(draft, { headers }, context)
    assert(applied.ok, applied.ok ? '' : applied.fault.message)
    return draft
  }
  const hashes = hashesOf(headers.map(decoded))
  return {
    name: `chain/rules::main-headers/headers=${count}`,
    unit: 'headers',
    work: count,
    subject: repeated(apply),
    against: { name: 'their double SHA-256 alone', workload: repeated(hashes) },
    result: stateRoot(apply()),
  }
}

/** Real headers with the branches of real Bitcoin blocks: decoding, work, AuxPoW. */
function realHeaders(times: number): Comparison {
  const { blocks } = JSON.parse(readFileSync(VECTORS, 'utf8')) as { blocks: { raw: string }[] }
  const raw = blocks.map((block) => fromHex(block.raw)).filter((bytes) => isMined(decoded(bytes)))
  const headers = Array.from({ length: times }, () => raw).flat()
  const steps = raw
    .map((bytes) => decoded(bytes).auxPow)
    .reduce((sum, { parentBranch, auxBranch }) => sum + parentBranch.length + auxBranch.length, 0)
  return {
    name: `chain/elastos::check-header/real=${raw.length}`,
    unit: 'headers',
    work: headers.length,
    subject: repeated(() =>
      assert(
        headers.every((bytes) => isMined(decoded(bytes))),
        'mined',
      ),
    ),
    against: {
      name: 'their double SHA-256 alone',
      workload: repeated(hashesOf(headers.map(decoded))),
    },
    result: concatBytes(...raw.map((bytes) => decoded(bytes).hash)),
    facts: { branchSteps: Number((steps / raw.length).toFixed(2)) },
  }
}

function isMined({ hash, header, bitcoinParentHash, auxPow }: DecodedHeader): boolean {
  return checkAuxPow(auxPow, hash).ok && hashMeetsBits(bitcoinParentHash, header.bits)
}

function* comparisons(scale: Scale): Generator<Comparison> {
  yield ruleApplied(sized(scale, 4, 32))
  yield realHeaders(sized(scale, 1, 16))
}

export const mainHeaders: Bench = {
  name: 'main-headers',
  about: 'main-chain headers with their AuxPoW checked, against double SHA-256',
  comparisons,
}
