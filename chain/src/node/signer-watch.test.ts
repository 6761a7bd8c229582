import { beforeAll, expect, test } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { signersOf } from '../consensus/certificate.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { ChainStore } from '../manager/chain-store.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf } from '../rules/testing/sample-chain.ts'
import { managerOf } from '../sync/testing/served-chain.ts'
import { type Justification, JustificationType, VoteKind } from '../types/consensus-objects.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { votesOnChain } from './signer-watch.ts'

const HEIGHT = 4
/** Views of the last block are behind two that were given up. */
let chain: CertifiedChain
let manager: ChainManager

beforeAll(async () => {
  await installNativeCrypto()
  chain = new CertifiedChain()
  chain.runTo(HEIGHT - 1)
  chain.append([], { skips: 2 })
  manager = await managerOf(chain)
}, 60_000)

const consensusKey = { publicKey: keyOf('validator-1').publicKey } as ConsensusKey

/** The same chain, with another justification on disk beside its newest block. */
function storedWith(justification: Justification) {
  const store = {
    block: async (height: number) => {
      const stored = await manager.store.block(height)
      if (!stored || height !== HEIGHT) return stored
      return { ...stored, justification: JustificationType.serialize(justification) }
    },
  } as ChainStore
  const { chainId, final } = manager
  return { chainId, final, store, validators: (epoch?: number) => manager.validators(epoch) }
}

const placesOf = async (of: Parameters<typeof votesOnChain>[0]['manager']) =>
  (await votesOnChain({ manager: of, consensusKey }))
    .map(({ statement: { kind, view } }) => `${kind}@${view}`)
    .sort()

test('what a key signed is read from certificates, parents and skips of the chain', async () => {
  const { finalize, notarize, nullify } = VoteKind
  const own = [1, 2, 3].flatMap((view) => [`${finalize}@${view}`, `${notarize}@${view}`])
  const given = [`${nullify}@4`, `${nullify}@5`, `${finalize}@6`]
  expect(await placesOf(manager)).toEqual([...own, ...given].sort())
})

test('a vote in our name that we never cast silences nobody', async () => {
  const { justification } = chain.tip
  const [skip] = justification.skips
  if (!skip) throw new Error('the last block skips views')
  expect(signersOf(skip)).toContain(1)
  const honest = await placesOf(manager)
  const forged = { ...skip, statement: { ...skip.statement, view: 900, hash: ZERO_HASH } }
  const added = { ...justification, skips: [...justification.skips, forged] }
  expect(await placesOf(storedWith(added))).toEqual(honest)
  const short = { ...forged, signatures: forged.signatures.slice(1) }
  const cut = { ...justification, skips: [...justification.skips, short] }
  expect(await placesOf(storedWith(cut))).toEqual(honest)
})
