import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { type BlockTerms, CertifiedChain } from '../audit/testing/certified-chain.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { ChainStore } from '../manager/chain-store.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { openChain } from '../node/open-chain.ts'
import { LevelStore } from '../store/level-store.ts'
import { BlockType, blockHash } from '../types/block.ts'
import { type Certificate, VoteKind } from '../types/consensus-objects.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { BlockSync } from './block-sync.ts'
import { REST_MS, RestingPeers } from './resting-peers.ts'
import {
  type SyncAnswer,
  SyncAnswerType,
  type SyncBlock,
  SyncRequestKind,
  SyncRequestType,
} from './sync-messages.ts'
import { hopContext, managerOf, managerOn, peersOf, serverOf } from './testing/served-chain.ts'

const { notarize, nullify } = VoteKind
/** Views are given up before this block's. */
const SKIPPED_BEFORE = 4
/** Only the certificate of the block above covers it. */
const UNCERTIFIED = 6
const EPOCH_END = 10
const TERMS: Readonly<Record<number, BlockTerms>> = {
  [SKIPPED_BEFORE]: { skips: 2 },
  [UNCERTIFIED]: { certified: false },
  [EPOCH_END]: { finalLater: 2 },
}
const HEIGHT = 12

type Answer = (request: Uint8Array) => Promise<Uint8Array>
type Lie = (blocks: SyncBlock[], answer: SyncAnswer) => void

let chain: CertifiedChain
let ahead: ChainManager

beforeAll(async () => {
  await installNativeCrypto()
  chain = new CertifiedChain()
  while (chain.height < HEIGHT) chain.append([], TERMS[chain.height + 1])
  ahead = await managerOf(chain)
}, 60_000)

const truth: Answer = (request) => serverOf(ahead).answer(request)

/** What an honest peer answers, changed on the way. */
function lying(lie: Lie): Answer {
  return async (request) => {
    const answer = SyncAnswerType.deserialize(await truth(request))
    if (answer.blocks.length > 0) lie(answer.blocks, answer)
    return SyncAnswerType.serialize(answer)
  }
}

async function newcomer(
  answers: Parameters<typeof peersOf>[0],
  store?: ChainStore,
  nowMs: () => number = () => 0,
) {
  const kept = store ?? (await LevelStore.inMemory())
  const manager = await managerOn(kept)
  const { crypto } = hopContext()
  const faults: [string, string][] = []
  const sync = new BlockSync({
    manager,
    peers: peersOf(answers),
    crypto,
    exclusively: (run) => run(),
    nowMs,
    onBadPeer: (peer, { code }) => faults.push([peer, code]),
  })
  return { manager, sync, store: kept, faults }
}

async function blocksOf(store: ChainStore) {
  const tip = (await store.tipHeight()) ?? 0
  return Promise.all(Array.from({ length: tip + 1 }, (_, height) => store.block(height)))
}

const at = (blocks: SyncBlock[], height: number) => blocks[height - 1] as SyncBlock

/** Of the same signers and statement, with a signature that nobody made. */
function falsified(certificate: Certificate): Certificate {
  const signatures = certificate.signatures.map((signature) => Uint8Array.from(signature))
  const [first] = signatures
  if (first) first[40] = (first[40] as number) ^ 1
  return { ...certificate, signatures }
}

/** Why the epoch's last block could be proposed again two views later. */
function links(): SyncBlock['reproposals'] {
  const { header } = (chain.records[EPOCH_END] as (typeof chain.records)[number]).block
  const { epoch, view } = header
  const parent = chain.certify(notarize, epoch, view, blockHash(header))
  const skip = chain.certify(nullify, epoch, view + 1, ZERO_HASH)
  return [{ view: view + 2, justification: { parent: [parent], skips: [skip] } }]
}

describe('certificates beside a block that its header does not commit to', () => {
  const lies: [string, Lie][] = [
    [
      'false signatures under the parent',
      (blocks) => {
        for (const block of blocks) {
          block.justification.parent = block.justification.parent.map(falsified)
        }
      },
    ],
    [
      'skips left out',
      (blocks) => {
        at(blocks, SKIPPED_BEFORE).justification.skips = []
      },
    ],
    [
      'a skip in the name of validators who never gave up the view',
      (blocks) => {
        const { justification } = at(blocks, 3)
        const [parent] = justification.parent
        if (!parent) throw new Error('block 3 has a parent')
        const statement = { ...parent.statement, kind: nullify, view: 9, hash: ZERO_HASH }
        justification.skips = [{ ...parent, statement }]
      },
    ],
    [
      'another certificate of the parent, which its validators did sign',
      (blocks) => {
        at(blocks, 3).justification.parent = [...at(blocks, 2).certificate]
      },
    ],
  ]

  test.each(lies)('%s: nothing of it is taken, and the next peer is asked', async (_, lie) => {
    const store = await LevelStore.inMemory()
    const lied = await newcomer({ liar: lying(lie) }, store)
    expect(await lied.sync.catchUp()).toBe(false)
    expect(lied.manager.final.header.height).toBe(0)
    expect(lied.faults).toEqual([['liar', 'SYNC_JUSTIFICATION']])
    const helped = await newcomer({ liar: lying(lie), honest: truth }, store)
    expect(await helped.sync.catchUp()).toBe(true)
    expect(helped.manager.final.hash).toBe(ahead.final.hash)
    const opened = await openChain(store, chain.sample.genesis)
    expect(opened.head.hash).toBe(ahead.final.hash)
    expect(opened.damaged).toEqual([])
  })
})

describe('what else a peer can put beside a block', () => {
  test('certificates and links of blocks inside a range are not kept', async () => {
    const honest = await newcomer({ honest: truth })
    await honest.sync.catchUp()
    const lie: Lie = (blocks) => {
      const [foreign] = at(blocks, 2).certificate
      if (!foreign) throw new Error('block 2 is certified')
      // Answers from above genesis stop at the epoch's end, and the next begins there.
      for (const block of blocks.slice(0, -1)) {
        if (BlockType.deserialize(block.block).header.height === EPOCH_END) continue
        block.certificate = [falsified(foreign)]
        block.reproposals = links()
      }
    }
    const lied = await newcomer({ liar: lying(lie) })
    await lied.sync.catchUp()
    expect(lied.faults).toEqual([])
    expect(lied.manager.final.hash).toBe(ahead.final.hash)
    expect(await blocksOf(lied.store)).toEqual(await blocksOf(honest.store))
  })

  test('re-proposals come with the certificates of their views, or not at all', async () => {
    const told =
      (change: (links: SyncBlock['reproposals']) => void): Lie =>
      (blocks) => {
        const block = blocks.at(EPOCH_END - HEIGHT - 1)
        if (!block || blocks.length < EPOCH_END) return
        block.reproposals = links()
        change(block.reproposals)
      }
    const proven = await newcomer({ peer: lying(told(() => undefined)) })
    await proven.sync.catchUp()
    expect(proven.manager.final.hash).toBe(ahead.final.hash)
    expect((await proven.store.block(EPOCH_END))?.reproposals).not.toHaveLength(0)
    const changes: ((links: SyncBlock['reproposals']) => void)[] = [
      ([link]) => {
        if (link) link.justification.skips = link.justification.skips.map(falsified)
      },
      ([link]) => {
        if (link) link.justification.parent = link.justification.parent.map(falsified)
      },
      ([link]) => {
        if (link) link.justification.skips = []
      },
      ([link]) => {
        if (link) link.view += 1
      },
      (all) => all.push(...links()),
    ]
    for (const change of changes) {
      const lied = await newcomer({ liar: lying(told(change)) })
      expect(await lied.sync.catchUp()).toBe(false)
      expect(lied.faults).toEqual([['liar', 'SYNC_REPROPOSAL']])
    }
  })

  test('a block inside an epoch is never proposed again', async () => {
    const lie: Lie = (blocks) => {
      blocks.splice(3)
      at(blocks, 3).reproposals = links()
    }
    const lied = await newcomer({ liar: lying(lie) })
    expect(await lied.sync.catchUp()).toBe(false)
    expect(lied.faults).toEqual([['liar', 'SYNC_REPROPOSAL']])
  })
})

test('whichever bit of an answer is changed, what reaches the disk is the true chain', async () => {
  const kept = await blocksOf(ahead.store)
  const flips = fc.record({ mille: fc.nat(999), bit: fc.nat(7) })
  const whole = await newcomer({ honest: truth })
  await whole.sync.catchUp()
  expect(await blocksOf(whole.store)).toHaveLength(HEIGHT + 1)
  await fc.assert(
    fc.asyncProperty(flips, async ({ mille, bit }) => {
      const flipped: Answer = async (asked) => {
        const bytes = Uint8Array.from(await truth(asked))
        const place = Math.floor((mille * bytes.length) / 1000)
        bytes[place] = (bytes[place] as number) ^ (1 << bit)
        return bytes
      }
      const { sync, store } = await newcomer({ liar: flipped })
      await sync.catchUp()
      for (const [height, stored] of (await blocksOf(store)).entries()) {
        const { block, justification, certificate } = kept[height] ?? {}
        expect(stored).toMatchObject({ block, justification })
        if (stored?.certificate) expect(stored.certificate).toEqual(certificate)
        expect(stored?.reproposals).toHaveLength(0)
      }
    }),
    { numRuns: 30 },
  )
})

describe('a peer that gives what no honest one gives', () => {
  const falsehoods: [string, Lie][] = [
    ['SYNC_UNLINKED', (blocks) => blocks.splice(0, 1)],
    [
      'SYNC_CERTIFICATE',
      (blocks) => {
        for (const block of blocks) block.certificate = block.certificate.map(falsified)
      },
    ],
    ['SYNC_UNCERTIFIED', (blocks) => blocks.splice(UNCERTIFIED)],
    [
      'SYNC_JUSTIFICATION',
      (blocks) => {
        at(blocks, 1).justification = at(blocks, 2).justification
      },
    ],
  ]

  test.each(falsehoods)('%s: is named, and left alone for a minute', async (code, lie) => {
    let nowMs = 5
    let asked = 0
    const liar: Answer = (request) => {
      asked += 1
      return lying(lie)(request)
    }
    const { sync, faults, manager } = await newcomer({ liar }, undefined, () => nowMs)
    await sync.catchUp()
    // Its place and one range.
    expect(asked).toBe(2)
    expect(faults).toEqual([['liar', code]])
    nowMs += REST_MS - 1
    await sync.catchUp()
    expect(asked).toBe(2)
    nowMs += 1
    await sync.catchUp()
    expect(asked).toBe(4)
    expect(manager.final.header.height).toBe(0)
  })

  test('bytes that are no answer at all', async () => {
    const nonsense: Answer = async (request) =>
      SyncRequestType.deserialize(request).kind === SyncRequestKind.range
        ? Uint8Array.of(1, 2, 3)
        : truth(request)
    const { sync, faults, manager } = await newcomer({ nonsense, honest: truth })
    await sync.catchUp()
    expect(faults).toHaveLength(1)
    expect(faults[0]?.[0]).toBe('nonsense')
    expect(manager.final.hash).toBe(ahead.final.hash)
  })

  test('however many names liars take, few are remembered', () => {
    const resting = new RestingPeers(() => 0)
    for (let i = 0; i < 300; i++) resting.rest(`${i}`)
    expect(resting.isResting('299')).toBe(true)
    expect(resting.isResting('44')).toBe(true)
    expect(resting.isResting('43')).toBe(false)
  })
})
