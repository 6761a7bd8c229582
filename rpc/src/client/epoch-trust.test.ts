import { bytesToHex } from '@ioex/chain/bytes'
import { EpochHandoverType } from '@ioex/chain/light'
import { CertificateType, HeaderType } from '@ioex/chain/types'
import { expect, test } from 'vitest'
import {
  certify,
  chain,
  EPOCH_BLOCKS,
  finalOf,
  genesisOf,
  handover,
  headerAt,
  signer,
} from '../../../chain/src/light/testing/certified-chain.ts'
import { EpochTrust } from './epoch-trust.ts'
import type { HeaderEntry } from './header-chain.ts'
import type { RpcClient } from './rpc-client.ts'

const EPOCHS = 6
const signers = [signer('a'), signer('b'), signer('c'), signer('d')]
const proofs = Array.from({ length: EPOCHS }, (_, i) =>
  bytesToHex(EpochHandoverType.serialize(handover(i + 1, signers))),
)

function trustIn(onTrust: () => void): EpochTrust {
  // No header is young enough to skip from: every epoch is hopped.
  return new EpochTrust({ chain, start: genesisOf(signers), trustingMs: 0, aheadMs: 0, onTrust })
}

/** A certified header of the epoch behind all proofs. */
function tip(): HeaderEntry {
  const height = EPOCHS * EPOCH_BLOCKS + 5
  const header = headerAt(height, signers)
  return {
    height,
    header: bytesToHex(HeaderType.serialize(header)),
    certificate: bytesToHex(CertificateType.serialize(certify(header, signers))),
  }
}

/** A node that has the epoch proofs; `meanwhile` happens before its answer comes. */
function nodeWithProofs(meanwhile: () => void = () => undefined): RpcClient {
  const call = async (_method: string, { from, to }: { from: number; to: number }) => {
    meanwhile()
    return { proofs: proofs.slice(from - 1, to) }
  }
  const callUnchecked = () => Promise.reject(new Error('only epoch proofs are asked for'))
  return { url: 'a node', call: call as never, callUnchecked }
}

test('everything else has turns between the epochs', async () => {
  let turns = 0
  const count = () => {
    turns++
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  const seen: number[] = []
  const trust = trustIn(() => seen.push(turns))
  try {
    await trust.follow([tip()], nodeWithProofs())
  } finally {
    clearImmediate(next)
  }
  expect(trust.epoch).toBe(EPOCHS + 1)
  expect(seen).toHaveLength(EPOCHS)
  // The first message may come in the turn that sent it; no other does.
  expect(new Set(seen).size).toBeGreaterThanOrEqual(EPOCHS - 1)
})

test('an epoch that ends while its proof is on the way is no lie of the node', async () => {
  const trust = trustIn(() => undefined)
  const end = () => trust.advance(finalOf(headerAt(EPOCH_BLOCKS, signers)))
  await trust.follow([tip()], nodeWithProofs(end))
  expect(trust.epoch).toBe(EPOCHS + 1)
})

test('trust never goes back', async () => {
  const seen: number[] = []
  const trust: EpochTrust = trustIn(() => seen.push(trust.epoch))
  await Promise.all([
    trust.follow([tip()], nodeWithProofs()),
    trust.follow([tip()], nodeWithProofs()),
  ])
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(new Set(seen).size).toBe(seen.length)
})
