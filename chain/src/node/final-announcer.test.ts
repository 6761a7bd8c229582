import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { CertifiedChain } from '../audit/testing/certified-chain.ts'
import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { ConsensusKey } from '../driver/consensus-key.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { FinalHeaderHandler } from '../net/final-gossip.ts'
import { keyOf } from '../rules/testing/sample-chain.ts'
import { LevelStore } from '../store/level-store.ts'
import { type FinalHeader, FinalHeaderType } from '../sync/sync-messages.ts'
import { hopContext, managerOf, managerOn } from '../sync/testing/served-chain.ts'
import { VoteKind } from '../types/consensus-objects.ts'
import { blockHash } from '../types/block.ts'
import type { FoundFork } from '../driver/fork-watch.ts'
import { RivalHeaders } from './rival-headers.ts'
import { FinalAnnouncer } from './final-announcer.ts'

const HEIGHT = 5
let chain: CertifiedChain
let managers: { behind: ChainManager; current: ChainManager }
const announcers: FinalAnnouncer[] = []

beforeAll(async () => {
  await installNativeCrypto()
  chain = new CertifiedChain()
  chain.runTo(HEIGHT)
  const behind = await managerOn(await LevelStore.inMemory())
  managers = { behind, current: await managerOf(chain) }
}, 60_000)
beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  for (const announcer of announcers.splice(0)) announcer.stop()
  vi.useRealTimers()
})

function announced(height: number): FinalHeader {
  const record = chain.records[height]
  assert(record?.certificate, 'every block of the chain is certified')
  return { header: record.block.header, certificate: record.certificate }
}

/** The last signature is false: as much work as a certificate can be. */
function forged({ header, certificate }: FinalHeader): FinalHeader {
  const last = Uint8Array.from(certificate.signatures.at(-1) as Uint8Array)
  last[5] = (last[5] as number) ^ 1
  const signatures = [...certificate.signatures.slice(0, -1), last]
  return { header, certificate: { ...certificate, signatures } }
}

function announcerOn(
  manager: ChainManager,
  { isHeld = false, consensusKey }: { isHeld?: boolean; consensusKey?: ConsensusKey } = {},
) {
  let hear: FinalHeaderHandler = () => 'ignore'
  const published: Uint8Array[] = []
  const catchUps: number[] = []
  const forks: FoundFork[] = []
  const clock = { nowMs: 0 }
  let verified = 0
  const { crypto } = hopContext()
  announcers.push(
    new FinalAnnouncer({
      manager,
      network: {
        onFinalHeader: (handler) => {
          hear = handler
        },
        publishFinalHeader: (message) => void published.push(message),
      },
      rivals: new RivalHeaders({
        manager,
        crypto: hopContext().crypto,
        settledEpoch: () => 0,
        onFork: (fork) => void forks.push(fork),
        nowMs: () => 0,
      }),
      crypto: {
        ...crypto,
        verify: (...vote) => {
          verified += 1
          return crypto.verify(...vote)
        },
      },
      nowMs: () => clock.nowMs,
      consensusKey,
      isHeld: () => isHeld,
      catchUp: (height) => void catchUps.push(height),
    }),
  )
  const raw = (bytes: Uint8Array, peer = 'peer') => hear(peer, bytes)
  const tell = (what: FinalHeader, peer = 'peer') => raw(FinalHeaderType.serialize(what), peer)
  return { tell, raw, published, catchUps, forks, clock, verified: () => verified }
}

describe('final headers by gossip', () => {
  test('a proven one ahead is passed on once and fetched, if nothing else brings it', () => {
    const { tell, catchUps } = announcerOn(managers.behind)
    expect(tell(announced(HEIGHT))).toBe('accept')
    expect(tell(announced(HEIGHT))).toBe('ignore')
    expect(catchUps).toEqual([])
    expect(tell(announced(HEIGHT - 1))).toBe('accept')
    vi.advanceTimersByTime(2 * managers.behind.params.blockIntervalMs)
    expect(catchUps).toEqual([HEIGHT])
  })

  test('a validator passes it on; consensus brings it the block', () => {
    const consensusKey = new ConsensusKey(keyOf('validator-2').secretKey)
    const { tell, catchUps } = announcerOn(managers.behind, { consensusKey })
    expect(tell(announced(HEIGHT))).toBe('accept')
    vi.runAllTimers()
    expect(catchUps).toEqual([])
  })

  test('another quorum for the same block is no news', () => {
    const { tell } = announcerOn(managers.behind)
    const { header, certificate } = announced(3)
    expect(tell({ header, certificate })).toBe('accept')
    const { epoch, view } = certificate.statement
    const again = chain.certify(VoteKind.finalize, epoch, view, blockHash(header))
    expect(tell({ header, certificate: again })).toBe('ignore')
  })

  test('false ones are held against the peer', () => {
    const { tell, raw, clock } = announcerOn(managers.behind)
    const { header, certificate } = announced(3)
    expect(raw(new Uint8Array(10))).toBe('reject')
    const message = FinalHeaderType.serialize({ header, certificate })
    for (let at = 0; at < message.length; at++) {
      const flipped = Uint8Array.from(message)
      flipped[at] = (flipped[at] as number) ^ 1
      clock.nowMs += 1000
      expect(raw(flipped, `peer ${at}`), `byte ${at}`).not.toBe('accept')
    }
    expect(tell({ header: { ...header, epoch: 2 }, certificate })).toBe('reject')
    expect(tell({ header: announced(4).header, certificate })).toBe('reject')
    expect(tell({ header, certificate }, 'another peer')).toBe('accept')
  })

  test('one false certificate, and its sender is not heard for a minute', () => {
    const { tell, clock, verified } = announcerOn(managers.behind)
    const all = forged(announced(3)).certificate.signatures.length
    expect(tell(forged(announced(3)))).toBe('reject')
    for (let i = 0; i < 1000; i++) expect(tell(forged(announced(3)))).toBe('ignore')
    expect(verified()).toBe(all)
    clock.nowMs += 60_000
    expect(tell(forged(announced(3)))).toBe('reject')
    expect(verified()).toBe(2 * all)
  })

  test('strangers under ever new names cost sixteen certificates a second; who proved one is heard', () => {
    const { tell, clock, verified } = announcerOn(managers.behind)
    expect(tell(announced(2), 'honest')).toBe('accept')
    const before = verified()
    const all = forged(announced(3)).certificate.signatures.length
    for (let i = 0; i < 1000; i++) tell(forged(announced(3)), `stranger ${i}`)
    // The honest one took the first of sixteen.
    expect(verified() - before).toBe(15 * all)
    expect(tell(announced(3), 'a newcomer')).toBe('ignore')
    expect(tell(announced(3), 'honest')).toBe('accept')
    clock.nowMs += 1000
    expect(tell(announced(4), 'a newcomer')).toBe('accept')
  })

  test('old ones, epochs far ahead, and all before fork choice has spoken: not passed on', () => {
    expect(announcerOn(managers.current).tell(announced(2))).toBe('ignore')
    expect(announcerOn(managers.behind, { isHeld: true }).tell(announced(2))).toBe('ignore')
    const { header, certificate } = announced(2)
    const height = 9 * managers.behind.params.epochBlocks + 1
    const far = { header: { ...header, height, epoch: 10 }, certificate }
    expect(announcerOn(managers.behind).tell(far)).toBe('ignore')
  })

  test('the proposer announces its block, others do not', async () => {
    vi.useRealTimers()
    const hashOf = (bytes: Uint8Array) =>
      bytesToHex(blockHash(FinalHeaderType.deserialize(bytes).header))
    for (let validator = 0; validator < 4; validator++) {
      const consensusKey = new ConsensusKey(keyOf(`validator-${validator}`).secretKey)
      let said: Uint8Array[] | undefined
      await managerOf(chain, (manager) => {
        said ??= announcerOn(manager, { consensusKey }).published
        return Promise.resolve()
      })
      // It listens from the second block on.
      const own = chain.records.slice(2).filter(({ block }) => block.header.proposer === validator)
      expect(said?.map(hashOf)).toEqual(own.map(({ block }) => bytesToHex(blockHash(block.header))))
    }
  })
})
