import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { eventfulChain } from '../audit/testing/certified-chain.ts'
import { bytesToHex } from '../bytes/hex.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { LevelStore } from '../store/level-store.ts'
import { type EpochProof, EpochProofType } from '../types/epoch-proof.ts'
import { BlockSync } from './block-sync.ts'
import { decodeEpochProof, type ProvenEpoch, verifyEpochHop } from './epoch-proofs.ts'
import {
  EpochProofsAnswerType,
  SYNC_ANSWER_BYTES_MAX,
  SyncAnswerType,
  SyncRequestKind,
  syncRequest,
} from './sync-messages.ts'
import {
  hopContext,
  managerOf,
  managerOn,
  peersOf,
  serverOf,
  trustedGenesis,
} from './testing/served-chain.ts'

const EPOCHS = 5
let manager: ChainManager
let proofs: Uint8Array[]

beforeAll(async () => {
  await installNativeCrypto()
  manager = await managerOf(eventfulChain())
  const request = syncRequest(SyncRequestKind.epochProofs, { from: 1, count: 64 })
  const answer = await serverOf(manager).answer(request)
  expect(answer.length).toBeLessThan(SYNC_ANSWER_BYTES_MAX)
  proofs = EpochProofsAnswerType.deserialize(answer).proofs
})

function proofOf(epoch: number): EpochProof {
  return EpochProofType.deserialize(proofs[epoch - 1] as Uint8Array)
}

function trustedAt(epoch: number): ProvenEpoch {
  let trusted = trustedGenesis()
  while (trusted.epoch < epoch) {
    const hop = verifyEpochHop(trusted, proofOf(trusted.epoch + 1), hopContext())
    if (!hop.ok) throw new Error(hop.fault.message)
    trusted = hop.value
  }
  return trusted
}

describe('epoch proofs', () => {
  test('lead from genesis to the newest checkpoint, one certificate each', async () => {
    expect(proofs).toHaveLength(EPOCHS)
    const last = trustedAt(EPOCHS)
    const checkpoint = await manager.finalAt(EPOCHS * manager.params.epochBlocks)
    expect(last.hash).toBe(checkpoint?.hash)
    expect(last.validators).toEqual(manager.validators(EPOCHS + 1))
  })

  test('a proof with any byte changed leads nowhere', () => {
    const trusted = trustedAt(1)
    const bytes = proofs[1] as Uint8Array
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const forged = Uint8Array.from(bytes)
        forged[at] = (forged[at] as number) ^ change
        const proof = decodeEpochProof(forged)
        const hop = proof.ok ? verifyEpochHop(trusted, proof.value, hopContext()) : proof
        expect(hop.ok).toBe(false)
      }),
      { numRuns: 80 },
    )
  })

  test('an epoch is never skipped, nor a proof of another place taken', () => {
    const skipped = verifyEpochHop(trustedAt(1), proofOf(3), hopContext())
    expect(skipped).toMatchObject({ fault: { code: 'EPOCH_OTHER' } })
  })

  test('another validator set than the committed one is refused', () => {
    const proof = proofOf(2)
    const [first, ...rest] = proof.nextValidators
    if (!first) throw new Error('a set')
    const nextValidators = [{ ...first, weight: first.weight + 1 }, ...rest]
    const hop = verifyEpochHop(trustedAt(1), { ...proof, nextValidators }, hopContext())
    expect(hop).toMatchObject({ fault: { code: 'VALIDATORS_OTHER' } })
  })

  test('a header certified by the same set must stand on the trusted checkpoint', () => {
    const trusted = trustedAt(1)
    const other = { ...trusted, header: { ...trusted.header, timeMs: trusted.header.timeMs + 1 } }
    const hop = verifyEpochHop(other, proofOf(2), hopContext())
    expect(hop).toMatchObject({ fault: { code: 'EPOCH_HISTORY' } })
  })

  test('links of a re-proposal lead from the header to the certificate, or are refused', () => {
    const chain = eventfulChain()
    const proof = proofOf(1)
    const { header, certificate } = proof
    // The eventful chain makes its first checkpoint final two views late.
    expect(certificate.statement.view).toBe(header.view + 2)
    const hash = certificate.statement.hash
    const link = (view: number, parentView: number) => ({
      view,
      justification: { parent: [chain.certify(1, 1, parentView, hash)], skips: [] },
    })
    const links = [link(header.view + 1, header.view), link(header.view + 2, header.view + 1)]
    const hopWith = (reproposals: EpochProof['reproposals']) =>
      verifyEpochHop(trustedGenesis(), { ...proof, reproposals }, hopContext())
    expect(hopWith(links).ok).toBe(true)
    expect(hopWith(links.slice(1)).ok).toBe(true)
    for (const wrong of [links.slice(0, 1), [...links].reverse(), [link(header.view + 2, 1)]]) {
      expect(hopWith(wrong)).toMatchObject({ fault: { code: 'EPOCH_REPROPOSAL' } })
    }
  })
})

describe('block sync', () => {
  const exclusively = (run: () => Promise<void>) => run()

  async function follower(answers: Parameters<typeof peersOf>[0]) {
    const fresh = await managerOn(await LevelStore.inMemory())
    const { crypto } = hopContext()
    return {
      fresh,
      sync: new BlockSync({ manager: fresh, peers: peersOf(answers), crypto, exclusively }),
    }
  }

  test('downloads over epoch ends and serves the same proofs again', async () => {
    const server = serverOf(manager)
    const { fresh, sync } = await follower({ a: (request) => server.answer(request) })
    expect(await sync.catchUp()).toBe(true)
    expect(fresh.final.hash).toBe(manager.final.hash)
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
      const proof = await fresh.store.epochProof(epoch)
      expect(bytesToHex(proof ?? new Uint8Array(0))).toBe(
        bytesToHex(proofs[epoch - 1] as Uint8Array),
      )
    }
  })

  test('an answer whose links do not fit is left, the next peer is asked', async () => {
    const server = serverOf(manager)
    const lie = async (request: Uint8Array) => {
      const answer = SyncAnswerType.deserialize(await server.answer(request))
      const link = { view: 9, justification: { parent: [], skips: [] } }
      for (const block of answer.blocks) block.reproposals.push(link)
      return SyncAnswerType.serialize(answer)
    }
    const alone = await follower({ liar: lie })
    expect(await alone.sync.catchUp()).toBe(false)
    const { fresh, sync } = await follower({
      liar: lie,
      honest: (request) => server.answer(request),
    })
    expect(await sync.catchUp()).toBe(true)
    expect(fresh.final.hash).toBe(manager.final.hash)
  })
})
