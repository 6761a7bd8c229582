import { assert, sha256d } from '@ioex/chain/bytes'
import {
  asInternalHash,
  type DecodedHeader,
  decodeHeaderWithAuxPow,
  doubleHash,
  encodeHeader,
  encodeHeaderWithAuxPow,
  foldBranch,
  hashMeetsBits,
} from '@ioex/chain/elastos'
import { applyMainHeaders } from '@ioex/chain/rules'
import { draftOf, stateRoot } from '@ioex/chain/state'
import { ZERO_ADDRESS, ZERO_HASH, ZERO_KEY } from '@ioex/chain/types'
import { GENESIS_TIME_MS, SampleChain } from '../chain/src/rules/testing/sample-chain.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { compareFollowing } from './follow-main-chain.ts'
import { seededBytes } from './seeded.ts'

const HASH_BYTES = 32
const PAIR = new Uint8Array(2 * HASH_BYTES)
const MERKLE_ROOT_OFFSET = 36
const NONCE_OFFSET = 76
/** The coinbase of a Bitcoin block of 2,049 to 4,096 transactions. */
const USUAL_BRANCH = 12

function decoded(bytes: Uint8Array): DecodedHeader {
  const header = decodeHeaderWithAuxPow(bytes)
  assert(header.ok, 'the headers of a benchmark decode')
  return header.value
}

/** The same header, merged-mined as the coinbase of a larger Bitcoin block. */
function inLargeBlock(raw: Uint8Array, steps: number): Uint8Array {
  if (steps === 0) return raw
  const { header, auxPow } = decoded(raw)
  const siblings = seededBytes('siblings of a coinbase', steps * HASH_BYTES)
  const parentBranch = Array.from({ length: steps }, (_, i) =>
    asInternalHash(siblings.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  )
  const parentHeader = Uint8Array.from(auxPow.parentHeader)
  parentHeader.set(
    foldBranch(doubleHash(auxPow.parentCoinbase), parentBranch, 0),
    MERKLE_ROOT_OFFSET,
  )
  const view = new DataView(parentHeader.buffer)
  for (let nonce = 0; !hashMeetsBits(doubleHash(parentHeader), header.bits); nonce++) {
    view.setUint32(NONCE_OFFSET, nonce, true)
  }
  return encodeHeaderWithAuxPow(header, { ...auxPow, parentBranch, parentHeader })
}

/** The double hashes without which no header is checked: its own, its parent's, the branches. */
function hashesOf(headers: readonly DecodedHeader[]): () => void {
  const inputs = headers.flatMap(({ header, auxPow }) => {
    const { parentHeader, parentCoinbase, parentBranch } = auxPow
    return [encodeHeader(header), parentHeader, parentCoinbase, ...parentBranch.map(() => PAIR)]
  })
  return () => {
    for (const input of inputs) sha256d(input)
  }
}

/** Headers of the lowest difficulty through the whole rule, into a draft that is dropped. */
function compare(count: number, branch: number): Comparison {
  const chain = new SampleChain()
  // The first block of an epoch makes its record.
  chain.block()
  const time = GENESIS_TIME_MS / 1000
  const headers = Array.from({ length: count }, (_, i) =>
    inLargeBlock(chain.main.mine(time + i), branch),
  )
  const signer = { sender: ZERO_KEY, senderAddress: ZERO_ADDRESS }
  const context = {
    ...chain.next(),
    ...signer,
    bytes: 0,
    transactionId: () => ZERO_HASH,
    emit: () => {},
  }
  const apply = () => {
    const draft = draftOf(chain.ledger)
    const applied = applyMainHeaders(draft, { headers }, context)
    assert(applied.ok, applied.ok ? '' : applied.fault.message)
    return draft
  }
  const hashes = hashesOf(headers.map(decoded))
  return {
    name: `chain/rules::main-headers/headers=${count}/branch=${branch}`,
    unit: 'headers',
    work: count,
    subject: repeated(apply),
    against: { name: 'their double SHA-256 alone', workload: repeated(hashes) },
    result: stateRoot(apply()),
    facts: { bytesPerHeader: headers[0]?.length ?? 0 },
  }
}

async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  for (const branch of [0, USUAL_BRANCH]) yield compare(sized(scale, 4, 32), branch)
  yield compareFollowing(sized(scale, 4, 1024), decoded, hashesOf)
}

export const mainHeaders: Bench = {
  name: 'main-headers',
  about: 'main-chain headers with their AuxPoW checked, against double SHA-256',
  comparisons,
}
