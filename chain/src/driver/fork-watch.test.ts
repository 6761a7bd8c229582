import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { publicKeyOf } from '../bytes/signature.ts'
import { assembleCertificate } from '../consensus/certificate.ts'
import { guiltyVotes } from '../consensus/fork-proof.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { Certificate } from '../types/consensus-objects.ts'
import { contradicts } from '../types/contradiction.ts'
import type { HaltReason } from './block-host.ts'
import { createConsensusCrypto } from './consensus-crypto.ts'
import type { ConsensusDriver } from './consensus-driver.ts'
import { ConsensusKey } from './consensus-key.ts'
import { FORK_FILE, ForkProofError, parseForkRecord, SETTLED_FILE } from './fork-record.ts'
import { ForkWatch } from './fork-watch.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'
import { CHAIN_ID, DEADLINE, hostOf, secretKeys, startDriver } from './testing/driver-world.ts'
import { MemoryHost } from './testing/memory-host.ts'
import { MemoryNetwork } from './testing/memory-transport.ts'

const EPOCH_BLOCKS = 1000
const publicKeys = secretKeys.map((key) => bytesToHex(publicKeyOf(key)))
const FOLLOWER = 'follower'

/** Records what leaves it, in order. */
class WatchedHost extends MemoryHost {
  readonly events: string[] = []

  override onEvidence(...pair: Parameters<MemoryHost['onEvidence']>): void {
    this.events.push('evidence')
    super.onEvidence(...pair)
  }

  override onHalt(reason: HaltReason): void {
    this.events.push('halt')
    super.onHalt(reason)
  }
}

interface Member {
  readonly name: string
  readonly directory: string
  readonly secretKey: Uint8Array | undefined
  readonly host: WatchedHost
  driver: ConsensusDriver | undefined
}

let folder = ''
let network = new MemoryNetwork()
let members: Member[] = []
const names = ['node 0', 'node 1', 'node 2', 'node 3', FOLLOWER]

beforeAll(() => installNativeCrypto())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-fork-'))
  network = new MemoryNetwork()
  members = names.map((name, i) => ({
    name,
    directory: join(folder, name),
    secretKey: secretKeys[i],
    host: new WatchedHost(...hostOf(name, EPOCH_BLOCKS)),
    driver: undefined,
  }))
})
afterEach(async () => {
  await Promise.all(members.map(stop))
  await rm(folder, { recursive: true, force: true })
})

async function start(member: Member, newValidator = true): Promise<ConsensusDriver> {
  const key = member.secretKey && new ConsensusKey(member.secretKey)
  const place = { ...member, network, folder, epochBlocks: EPOCH_BLOCKS, key }
  member.driver = await startDriver(place, newValidator)
  return member.driver
}

async function stop(member: Member): Promise<void> {
  network.leave(member.name)
  await member.driver?.stop()
  member.driver = undefined
}

const startAll = async (newValidator = true) => {
  for (const member of members) await start(member, newValidator)
}
const reaches = (height: number, of = members) =>
  vi.waitFor(() => {
    for (const { host } of of) expect(host.height).toBeGreaterThanOrEqual(height)
  }, DEADLINE)
const haltsOf = (of: readonly Member[]) =>
  vi.waitFor(() => {
    for (const { host } of of) expect(host.halts).toHaveLength(1)
  }, DEADLINE)
const memberAt = (index: number): Member => {
  const member = members[index]
  assert(member, 'a member of this network')
  return member
}
const proofPath = ({ directory }: Member) => join(directory, FORK_FILE)

/** Three of four sign that another block of that view is final. */
function rivalOf({ statement }: Certificate, byte = 7): Certificate {
  const rival = { ...statement, hash: new Uint8Array(32).fill(byte) }
  const votes = [0, 1, 2].map((validator) => {
    const signature = createConsensusCrypto(CHAIN_ID, secretKeys[validator]).sign(rival)
    return [validator, { statement: rival, validator, signature }] as const
  })
  return assembleCertificate(rival, new Map(votes), 4)
}

function tell({ name }: Member, certificate: Certificate): void {
  const message = { type: 'certificate', certificate } as const
  const wire = encodeMessage({ type: 'consensus', message, body: new Uint8Array(0) })
  network.deliver('nobody', name, wire)
}

/** The finality of the newest block that is certified by itself, of all that a member holds. */
function finalityOf({ host }: Member): Certificate {
  const [newest] = host.chain.flatMap(({ certificate }) => certificate ?? []).slice(-1)
  assert(newest, 'blocks are final')
  return newest
}

async function recordOf(member: Member) {
  const record = parseForkRecord(await readFile(proofPath(member), 'utf8'))
  assert(record, 'the file is whole')
  return record
}

const heardCertificate = (wire: Uint8Array, certificate: Certificate) => {
  const decoded = decodeMessage(wire)
  if (!decoded.ok || decoded.value.type !== 'consensus') return false
  const { message } = decoded.value
  if (message.type !== 'certificate') return false
  return bytesEqual(message.certificate.statement.hash, certificate.statement.hash)
}

describe('a fork, shown by real signatures', { timeout: 90_000 }, () => {
  test('stops every node, validators and followers, and each names the guilty', async () => {
    await startAll()
    await reaches(3)
    const ours = finalityOf(memberAt(3))
    const rival = rivalOf(ours)
    // One is told; it tells the others.
    tell(memberAt(3), rival)
    await haltsOf(members)
    for (const member of members) {
      const { host } = member
      const [halt] = host.halts
      expect(halt?.code).toBe('FORK_PROOF')
      const record = await recordOf(member)
      expect(bytesEqual(record.theirs.statement.hash, rival.statement.hash)).toBe(true)
      const accused = host.evidence.filter((_, i) => i % 2 === 0)
      const guilty = accused.map(({ validator }) => publicKeys[validator])
      // Those of {0, 1, 2} who are in another quorum of four, too: more than a third.
      expect(guilty.length).toBeGreaterThanOrEqual(2)
      expect(guilty).not.toContain(publicKeys[3])
      expect(record.guilty).toEqual(guilty)
      expect(halt?.guilty).toEqual(guilty)
      for (const key of guilty) expect(halt?.message).toContain(key)
      // Each accusation is a pair that contradicts itself, and all left before the halt.
      expect(host.events).toEqual([...guilty.map(() => 'evidence'), 'halt'])
      for (let i = 0; i < host.evidence.length; i += 2) {
        const [first, second] = [host.evidence[i], host.evidence[i + 1]]
        expect(first && second && contradicts(first.statement, second.statement)).toBe(true)
        expect(first?.validator).toBe(second?.validator)
      }
    }
    const heights = members.map(({ host }) => host.height)
    // No vote leaves any more: what was final stays as it is.
    for (const { driver } of members) await driver?.stop()
    expect(members.map(({ host }) => host.height)).toEqual(heights)
  })

  test('is on disk before the first certificate leaves and before the node stops', async () => {
    await startAll()
    await reaches(3)
    const teller = memberAt(3)
    const rival = rivalOf(finalityOf(teller))
    const seen: { event: string; onDisk: boolean }[] = []
    const see = (event: string) => seen.push({ event, onDisk: existsSync(proofPath(teller)) })
    network.filter = (from, _, message) => {
      if (from === teller.name && heardCertificate(message, rival)) see('told')
      return true
    }
    const { host } = teller
    host.onHalt = (reason) => {
      see('halt')
      host.halts.push(reason)
    }
    host.onEvidence = () => void see('evidence')
    tell(teller, rival)
    await haltsOf([teller])
    expect(seen.filter(({ onDisk }) => !onDisk).map(({ event }) => event)).toEqual(
      seen.flatMap(({ event }) => (event === 'evidence' ? [event] : [])),
    )
    expect(seen.filter(({ event }) => event === 'told')).toHaveLength(members.length - 1)
    expect(seen.at(-1)).toEqual({ event: 'halt', onDisk: true })
  })

  test('no start while the file lies there, whole or damaged', async () => {
    await startAll()
    await reaches(2)
    tell(memberAt(0), rivalOf(finalityOf(memberAt(0))))
    await haltsOf(members)
    for (const member of members) {
      await stop(member)
      const { guilty } = await recordOf(member)
      const refused = start(member, false)
      await expect(refused).rejects.toThrow(ForkProofError)
      for (const key of guilty) await expect(refused).rejects.toThrow(key)
      await expect(refused).rejects.toThrow(SETTLED_FILE)
    }
    const [one] = members
    assert(one, 'there are members')
    const text = await readFile(proofPath(one), 'utf8')
    const at = text.indexOf('"guilty"') + 20
    const flipped = text[at] === '0' ? '1' : '0'
    for (const damaged of [
      text.slice(0, 100),
      '',
      text.slice(0, at) + flipped + text.slice(at + 1),
    ]) {
      await writeFile(proofPath(one), damaged)
      await expect(start(one, false)).rejects.toThrow(/fork-proof.json is damaged/)
    }
  })

  test('a crash while it is written leaves no file; the fork is taken up when heard again', async () => {
    await startAll()
    await reaches(2)
    const told = memberAt(3)
    await stop(told)
    await writeFile(`${proofPath(told)}.new`, '{ "version": 1, "chain')
    await start(told, false)
    const { height } = told.host
    await reaches(height + 1)
    const rival = rivalOf(finalityOf(told))
    tell(told, rival)
    await haltsOf([told])
    expect((await recordOf(told)).theirs.statement).toEqual(rival.statement)
  })

  test('where it cannot be written the node stops all the same, and says so', async () => {
    await startAll()
    await reaches(2)
    const told = memberAt(3)
    await mkdir(`${proofPath(told)}.new`)
    tell(told, rivalOf(finalityOf(told)))
    await haltsOf([told])
    expect(told.host.halts[0]?.code).toBe('FORK_PROOF')
    expect(told.host.halts[0]?.message).toMatch(/COULD NOT BE WRITTEN DOWN/)
    expect(told.host.halts[0]?.guilty?.length).toBeGreaterThanOrEqual(2)
  })

  test('once decided, the network goes on and the same certificates stop nobody again', async () => {
    await startAll()
    await reaches(4)
    const ours = finalityOf(memberAt(3))
    const rival = rivalOf(ours)
    tell(memberAt(3), rival)
    await haltsOf(members)
    for (const member of members) {
      await stop(member)
      await rename(proofPath(member), join(member.directory, SETTLED_FILE))
      member.host.halts.length = 0
    }
    await startAll(false)
    const before = Math.max(...members.map(({ host }) => host.height))
    await reaches(before + 2)
    for (const member of members) {
      tell(member, rival)
      // Another block of the chain that was given up.
      tell(member, rivalOf(ours, 8))
      tell(member, rivalOf(finalityOf(member), 8))
    }
    await reaches(before + 5)
    expect(members.flatMap(({ host }) => host.halts)).toEqual([])
  })

  test('found outside of consensus it stops the node in the same way', async () => {
    await startAll()
    await reaches(2)
    const told = memberAt(4)
    const ours = finalityOf(told)
    const theirs = rivalOf(ours)
    const pairs = guiltyVotes(ours, theirs)
    const guilty = pairs.map(({ first }) =>
      publicKeyOf(secretKeys[first.validator] ?? ours.signers),
    )
    told.driver?.stopForFork({ reason: 'two blocks of one height', ours, theirs, guilty }, pairs)
    // Heard twice before the first one is written: one record, one halt.
    told.driver?.stopForFork({ reason: 'again', ours, theirs, guilty: [] }, [])
    await haltsOf(members)
    expect(told.host.events).toEqual([...pairs.map(() => 'evidence'), 'halt'])
    expect(await recordOf(told)).toMatchObject({
      reason: 'two blocks of one height',
      guilty: guilty.map(bytesToHex),
    })
  })

  test('the side given up is the one that is not on the chain, also in the log', async () => {
    for (const member of members.slice(0, 4)) await start(member)
    await reaches(2, members.slice(0, 4))
    const { host, directory } = memberAt(0)
    const mine = finalityOf(memberAt(0))
    const other = rivalOf(mine)
    const fork = { version: 1, chainId: '', epoch: 1, reason: '', guilty: [] } as const
    const logger = pino({ level: 'silent' })
    const options = { host, directory, logger, chainId: CHAIN_ID, transport: network.join('x') }
    const heard = (certificate: Certificate) => ({ type: 'certificate', certificate }) as const
    await Promise.all(members.map(stop))
    for (const [ours, theirs] of [
      [mine, other],
      [other, mine],
    ] as const) {
      const settled = { ...fork, ours, theirs }
      const watch = new ForkWatch(options, { settled, reserve: undefined })
      await watch.begin()
      expect([watch.isGivenUp(heard(mine)), watch.isGivenUp(heard(other))]).toEqual([false, true])
      expect(watch.withoutGivenUp([heard(mine), heard(other)])).toEqual([heard(mine)])
      expect(watch.settledEpoch).toBe(1)
    }
    // A node that begins anew does not know yet: it drops neither.
    const unknown = { ...fork, ours: other, theirs: rivalOf(mine, 8) }
    const watch = new ForkWatch(options, { settled: unknown, reserve: undefined })
    await watch.begin()
    expect(watch.withoutGivenUp([heard(other), heard(mine)])).toHaveLength(2)
  })
})
