import { cp, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { publicKeyOf } from '../bytes/signature.ts'
import { signersOf, votesOf } from '../consensus/certificate.ts'
import { epochOf } from '../consensus/epoch-relay.ts'
import { GENESIS_MS } from '../consensus/testing/machine-bench.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { type Vote, VoteKind } from '../types/consensus-objects.ts'
import type { ConsensusDriver, ConsensusDriverOptions } from './consensus-driver.ts'
import { ConsensusKey } from './consensus-key.ts'
import { DirectoryInUseError } from './directory-lock.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'
import { SignerHistoryError } from './signer-lease.ts'
import {
  CHAIN_ID,
  DEADLINE,
  hostOf,
  paramsOf,
  secretKeys,
  startDriver,
} from './testing/driver-world.ts'
import { MemoryHost } from './testing/memory-host.ts'
import { MemoryNetwork } from './testing/memory-transport.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

const EPOCH_BLOCKS = 12
const params = paramsOf(EPOCH_BLOCKS)

const newHost = (name: string) => new MemoryHost(...hostOf(name, EPOCH_BLOCKS))

interface Member {
  readonly name: string
  readonly key: ConsensusKey
  readonly host: MemoryHost
  driver: ConsensusDriver | undefined
}

let folder = ''
let network = new MemoryNetwork()
let members: Member[] = []
/** Every vote that left a node, by validator: what others have seen of it. */
let sent: Vote[] = []

beforeAll(() => installNativeCrypto())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-driver-'))
  network = new MemoryNetwork()
  sent = []
  network.filter = (_, __, message) => {
    sent.push(...votesOfSender(message))
    return true
  }
  members = secretKeys.map((secretKey, i) => ({
    name: `node ${i}`,
    key: new ConsensusKey(secretKey),
    host: newHost(`node ${i}`),
    driver: undefined,
  }))
})
afterEach(async () => {
  await Promise.all(members.map(stop))
  await rm(folder, { recursive: true, force: true })
})

function votesOfSender(message: Uint8Array): Vote[] {
  const wire = decodeMessage(message)
  if (!wire.ok || wire.value.type !== 'consensus') return []
  const { message: said } = wire.value
  if (said.type === 'vote') return [said.vote]
  if (said.type === 'proposal') return [said.proposal.leaderVote]
  return said.type === 'bundle' ? [...said.bundle.votes] : []
}

async function start(
  member: Member,
  newValidator = true,
  more: Partial<ConsensusDriverOptions> = {},
): Promise<ConsensusDriver> {
  const place = { ...member, network, folder, epochBlocks: EPOCH_BLOCKS }
  member.driver = await startDriver(place, newValidator, more)
  return member.driver
}

async function stop(member: Member): Promise<void> {
  network.leave(member.name)
  await member.driver?.stop()
  member.driver = undefined
}

const reaches = (height: number, of = members) =>
  vi.waitFor(() => {
    for (const { host } of of) expect(host.height).toBeGreaterThanOrEqual(height)
  }, DEADLINE)

function expectOneChain(): void {
  const lowest = Math.min(...members.map(({ host }) => host.height))
  const chains = members.map(({ host }) => host.chain.slice(0, lowest).map(({ hash }) => hash))
  for (const chain of chains) expect(chain).toEqual(chains[0])
  for (const { host } of members) expect([host.halts, host.evidence]).toEqual([[], []])
}

/** I4 on the wire: no two votes of a validator contradict, over all its restarts. */
function expectNoContradiction(): void {
  const said = new Map<string, string>()
  for (const { statement, validator } of sent) {
    const { kind, epoch, view } = statement
    const place = `${validator}/${epoch}/${view}`
    const hash = bytesToHex(statement.hash)
    if (kind === VoteKind.nullify) expect(said.has(`${place}/final`)).toBe(false)
    const key = kind === VoteKind.finalize ? `${place}/final` : `${place}/${kind}`
    expect(said.get(key) ?? hash).toBe(hash)
    said.set(key, hash)
  }
}

const [a, b, c, d] = [0, 1, 2, 3].map((i) => () => members[i] as Member) as [
  () => Member,
  () => Member,
  () => Member,
  () => Member,
]

describe('four drivers with real signatures', { timeout: 90_000 }, () => {
  test('finalise blocks over epoch boundaries; one stopped in an epoch comes back in a later one', async () => {
    for (const member of members) await start(member)
    await reaches(8)
    await stop(d())
    const { height } = d().host
    await reaches(height + 2 * EPOCH_BLOCKS, [a(), b(), c()])
    expect(d().host.height).toBe(height)

    d().host.onBehindHint = () => {
      void d().driver?.advanceTo(() => d().host.importFrom(a().host))
    }
    await start(d(), false)
    await reaches(a().host.height + 6)
    const back = d().host.height
    await vi.waitFor(() => {
      const recent = a().host.chain.slice(back)
      const voters = recent.flatMap(({ certificate }) =>
        certificate ? signersOf(certificate) : [],
      )
      expect(voters).toContain(3)
    }, DEADLINE)
    expect(a().host.height).toBeGreaterThan(30)
    expect(d().driver?.status()).toMatchObject({ validator: 3, votesAbove: 0 })
    expectOneChain()
    expectNoContradiction()
  })

  test('all stopped at once go on from their logs', async () => {
    for (let round = 1; round <= 3; round++) {
      await Promise.all(members.map((member) => start(member, round === 1)))
      await reaches(6 * round)
      await Promise.all(members.map(stop))
    }
    expectOneChain()
    expectNoContradiction()
  })

  test('three of four go on alone and the fourth needs no sync to catch up within the epoch', async () => {
    for (const member of [a(), b(), c()]) await start(member)
    await reaches(5, [a(), b(), c()])
    await start(d())
    await reaches(9)
    expect(d().host.behind).toEqual([])
    expectOneChain()
  })
})

describe('a driver and the world', { timeout: 90_000 }, () => {
  test('an honest header with another body changes nothing', async () => {
    const tampered: string[] = []
    network.filter = (from, to, message) => {
      const wire = decodeMessage(message)
      if (to !== d().name || !wire.ok || wire.value.type !== 'consensus') return true
      if (wire.value.message.type !== 'proposal') return true
      tampered.push(from)
      const other = encodeMessage({ ...wire.value, body: new Uint8Array(9) })
      if (tampered.length < 20) network.deliver('nobody', d().name, other)
      return true
    }
    network.filter = onlyOnce(network.filter)
    const { host } = d()
    const isBodyOf = host.isBodyOf.bind(host)
    let falseBodies = 0
    host.isBodyOf = (header, body) => {
      const isBody = isBodyOf(header, body)
      if (!isBody) falseBodies += 1
      return isBody
    }
    for (const member of members) await start(member)
    await reaches(10)
    expect(tampered.length).toBeGreaterThan(2)
    // Who sent one is not believed again in that epoch.
    expect(falseBodies).toBeLessThanOrEqual(Math.ceil(a().host.height / EPOCH_BLOCKS))
    expectOneChain()
  })

  test('who sends a vote that its validator did not sign is not heard for a while', async () => {
    const { host } = a()
    let forged = 0
    host.onVote = ({ signature }) => {
      const isForged = signature.every((byte) => byte === 0)
      if (isForged) forged += 1
      return !isForged
    }
    for (const member of members) await start(member)
    await reaches(3)
    const startMs = performance.now()
    for (let view = 1; view <= 400; view++) {
      const statement = { kind: VoteKind.notarize, epoch: 1, view, hash: CHAIN_ID }
      const vote = { statement, validator: 2, signature: new Uint8Array(64) }
      const message = { type: 'vote', vote } as const
      const wire = encodeMessage({ type: 'consensus', message, body: new Uint8Array(0) })
      network.deliver('nobody', a().name, wire)
    }
    await reaches(a().host.height + 3)
    const pauses = (performance.now() - startMs) / (params.rebroadcastMs / 2)
    expect(forged).toBeGreaterThan(0)
    expect(forged).toBeLessThanOrEqual(1 + Math.ceil(pauses))
    expectOneChain()
  })

  test('garbage, and messages about everything, do not stop it', async () => {
    for (const member of members) await start(member)
    for (let i = 0; i < 300; i++) {
      const bytes = Uint8Array.from({ length: i }, (_, j) => (i * 31 + j * 17) & 255)
      network.deliver('nobody', a().name, Uint8Array.of(i % 8, ...bytes))
    }
    await reaches(5)
    expectOneChain()
  })

  test('a second process with the same key makes the first one stop', async () => {
    for (const member of members) await start(member)
    await reaches(3)
    const twin = { ...a(), name: 'twin', host: newHost('twin') }
    await twin.host.importFrom(b().host)
    members.push(twin)
    await start(twin)
    await vi.waitFor(() => {
      const halts = [...a().host.halts, ...twin.host.halts].map(({ code }) => code)
      expect(halts).toContain('DOPPELGANGER')
    }, DEADLINE)
    members.pop()
    await stop(twin)
  })

  test('a write that fails stops the driver with its reason', async () => {
    for (const member of members) await start(member)
    await reaches(3)
    d().host.diskError = new Error('input/output error')
    await vi.waitFor(() => expect(d().host.halts).toHaveLength(1), DEADLINE)
    expect(d().host.halts[0]).toMatchObject({ code: 'DRIVER_FAILED', cause: d().host.diskError })
    await reaches(8, [a(), b(), c()])
  })

  test('a full disk stops it with its own reason, and the room kept back is free', async () => {
    for (const member of members) await start(member)
    await reaches(3)
    const reserve = join(folder, d().name, 'reserve')
    expect((await stat(reserve)).size).toBe(4096)
    const cause = Object.assign(new Error('write failed'), { code: 'ENOSPC' })
    d().host.diskError = new Error('the batch was not written', { cause })
    await vi.waitFor(() => expect(d().host.halts).toMatchObject([{ code: 'DISK_FULL' }]), DEADLINE)
    await expect(stat(reserve)).rejects.toThrow(/ENOENT/)
    await reaches(8, [a(), b(), c()])
    await stop(d())
    d().host.diskError = undefined
    d().host.halts.length = 0
    // After the disk was freed it starts as it stopped, and the room is kept back again.
    await start(d(), false)
    expect((await stat(reserve)).size).toBe(4096)
    await reaches(a().host.height + 1)
    expectOneChain()
    expectNoContradiction()
  })

  test('its directory belongs to one driver at a time', async () => {
    await start(a())
    const twin = { ...a(), host: b().host }
    await expect(start(twin, false)).rejects.toThrow(DirectoryInUseError)
    await stop(a())
    await start(a(), false)
  })

  test('listens for another signer of its key before it signs, and finds it', async () => {
    for (const member of members) await start(member)
    await reaches(3)
    const twin = { ...a(), name: 'twin', host: newHost('twin') }
    await twin.host.importFrom(b().host)
    const before = sent.length
    const signed = () =>
      sent.slice(before).filter(({ validator, signature }) => validator === 0 && signature)
    network.filter = (from, __, message) => {
      if (from === 'twin') sent.push(...votesOfSender(message))
      return true
    }
    const driver = await start(twin, true, { watchMs: 20_000 })
    expect(driver.status().votesAbove).toBeUndefined()
    await vi.waitFor(
      () => expect(twin.host.halts).toMatchObject([{ code: 'DOPPELGANGER' }]),
      DEADLINE,
    )
    expect(signed()).toEqual([])
    await stop(twin)
    await reaches(a().host.height + 2)
    expectOneChain()
  })

  test('its own old votes, sent again by others, are no other signer', async () => {
    for (const member of members) await start(member)
    await reaches(3)
    await stop(d())
    const old = sent.filter(({ validator }) => validator === 3)
    const driver = await start(d(), false, { watchMs: 300 })
    expect(driver.status().votesAbove).toBeUndefined()
    for (const vote of old) {
      const message = { type: 'vote', vote } as const
      const wire = encodeMessage({ type: 'consensus', message, body: new Uint8Array(0) })
      network.deliver('nobody', d().name, wire)
    }
    await vi.waitFor(() => expect(driver.status().votesAbove).toBe(0), DEADLINE)
    await stop(c())
    await reaches(Math.max(...members.map(({ host }) => host.height)) + 2, [a(), b(), d()])
    expect(d().host.halts).toEqual([])
    expectNoContradiction()
  })

  test('put back from a backup it waits for the epoch after the next, and says why', async () => {
    for (const member of members) await start(member)
    await reaches(2)
    await stop(d())
    const [kept, live] = [join(folder, 'kept'), join(folder, d().name)]
    await cp(live, kept, { recursive: true })
    const height = d().host.height
    await start(d(), false)
    await reaches(height + 4)
    // A quorum is full without it: on a busy machine its votes may enter no certificate for long.
    await vi.waitFor(() => {
      const signers = a()
        .host.chain.slice(height + 3)
        .map(({ certificate }) => certificate)
      expect(signers.flatMap((each) => (each ? signersOf(each) : []))).toContain(3)
    }, DEADLINE)
    // Two left of four: what it signed last may be in no block.
    await stop(c())
    await stop(d())
    await rm(live, { recursive: true })
    await rename(kept, live)
    d().host.chain.splice(height)
    const warnings: string[] = []
    const logger = pino({ level: 'error' }, { write: (line: string) => warnings.push(line) })
    const lookAround = async () => {
      await d().driver?.advanceTo(() => d().host.importFrom(a().host))
      return d()
        .host.chain.flatMap(({ certificate, justification: { parent, skips } }) =>
          [...(certificate ? [certificate] : []), ...parent, ...skips].flatMap(votesOf),
        )
        .filter(({ validator }) => validator === 3)
    }
    const driver = await start(d(), false, { watchMs: 300, lookAround, logger })
    await vi.waitFor(() => expect(warnings.join('')).toContain('a backup was put back'), DEADLINE)
    const { epoch } = driver.status()
    expect(driver.status().votesAbove).toBeUndefined()
    await start(c(), false)
    await vi.waitFor(() => expect(driver.status().epoch).toBe(epoch + 1), DEADLINE)
    expect(driver.status().votesAbove).toBeUndefined()
    await vi.waitFor(() => expect(driver.status().epoch).toBe(epoch + 2), DEADLINE)
    expect(driver.status().votesAbove).toBe(0)
    await stop(c())
    await reaches(a().host.height + 2, [a(), b(), d()])
    expectNoContradiction()
  })

  test('what comes in the moment the last work ends is done, too', async () => {
    // No timer and no message ever comes to the rescue.
    const silent = { now: () => GENESIS_MS, setTimer: () => () => {} }
    const driver = await start(members[0] as Member, true, { clock: silent })
    let done = 0
    for (let turns = 0; turns < 12; turns++) {
      await driver.advanceTo(() => Promise.resolve())
      for (let i = 0; i < turns; i++) await Promise.resolve()
      await driver.advanceTo(async () => {
        done += 1
      })
    }
    expect(done).toBe(12)
  })

  test('one that just joined signs nothing until its head is near the clock', async () => {
    for (const member of members.slice(0, 3)) await start(member)
    await reaches(3, [a(), b(), c()])
    const driver = await start(d(), true, { tipAgeMaxMs: 60_000 })
    // Its head is genesis, of long ago.
    expect(driver.status().votesAbove).toBeUndefined()
    const { epoch } = driver.status()
    await vi.waitFor(() => expect(driver.status().votesAbove).toBe(0), DEADLINE)
    expect(driver.status().epoch).toBeGreaterThan(epoch)
    expectOneChain()
  })

  test('without its history a validator refuses to start', async () => {
    await expect(start(a(), false)).rejects.toThrow(SignerHistoryError)
  })

  test('with a damaged log it follows, and votes again from the next epoch on', async () => {
    for (const member of members) await start(member)
    await reaches(2)
    await stop(d())
    const log = join(folder, d().name, 'wal')
    const [name] = (await readdir(log)).filter((each) => each.endsWith('.wal'))
    const path = join(log, name as string)
    const bytes = await readFile(path)
    bytes[100] = (bytes[100] as number) ^ 1
    await writeFile(path, bytes)
    const driver = await start(d(), false)
    const { epoch, votesAbove } = driver.status()
    expect(votesAbove).toBeUndefined()
    const before = sent.length
    await vi.waitFor(() => expect(driver.status().epoch).toBeGreaterThan(epoch), DEADLINE)
    const silent = sent.slice(before).filter(({ validator }) => validator === 3)
    expect(silent.filter(({ statement }) => statement.epoch === epoch)).toEqual([])
    expect(driver.status().votesAbove).toBe(0)
    await reaches(d().host.height + 2)
    expectOneChain()
  })

  test('a chain set back behind its log is no reason to sign again', async () => {
    for (const member of members) await start(member)
    await reaches(4)
    await stop(d())
    // What a long run does by itself: the segment is rewritten without what is committed.
    const { log } = await WriteAheadLog.open(join(folder, d().name, 'wal'), CHAIN_ID, nothing)
    const { certificate } = await d().host.head()
    const { epoch, view } = certificate?.statement ?? { epoch: 0, view: 0 }
    const payload = new Uint8Array(1024 * 1024)
    for (let i = 0; i < 5; i++) await log.append({ kind: 3, epoch, view, payload })
    await log.prune(epoch, view)
    await log.close()
    d().host.chain.length = 0
    const driver = await start(d(), false)
    expect(driver.status().votesAbove ?? 64).toBeGreaterThanOrEqual(64)
    await reaches(6)
    expectOneChain()
    expectNoContradiction()
  })

  test('a chain set back behind the end of an epoch is none either', async () => {
    const proposal = () =>
      sent.find(({ statement: { kind, epoch } }) => kind === VoteKind.notarize && epoch === 2)
    network.filter = (_, __, message) => {
      sent.push(...votesOfSender(message))
      const wire = decodeMessage(message)
      if (!wire.ok || wire.value.type !== 'consensus') return true
      const { message: said } = wire.value
      // Epoch 1 ends everywhere; nobody hears a proposal of the next one, or anything after it.
      return epochOf(said) < 2 || (said.type !== 'proposal' && proposal() === undefined)
    }
    for (const member of members) await start(member)
    await vi.waitFor(() => expect(proposal()).toBeDefined(), DEADLINE)
    const leader = members[proposal()?.validator ?? 0] as Member
    await stop(leader)
    const before = sent.length
    const again = { ...leader, host: newHost(leader.name) }
    members[members.indexOf(leader)] = again
    await start(again, false)
    const isAgain = ({ validator, statement }: Vote) =>
      members[validator] === again && statement.epoch === 2
    await vi.waitFor(() => expect(sent.slice(before).some(isAgain)).toBe(true), DEADLINE)
    expect(again.host.height).toBe(EPOCH_BLOCKS)
    expectNoContradiction()
  })

  test('an import that brings nothing leaves consensus going', async () => {
    for (const member of members) await start(member)
    await reaches(2)
    await d().driver?.advanceTo(() => Promise.resolve())
    await reaches(6)
    expectOneChain()
  })

  test('a disk that is full at an import stops the node, which would try for ever', async () => {
    for (const member of members) await start(member)
    await reaches(2)
    const failure = Object.assign(new Error('no room for the batch'), { code: 'ENOSPC' })
    await expect(d().driver?.advanceTo(() => Promise.reject(failure))).rejects.toBe(failure)
    expect(d().host.halts).toMatchObject([{ code: 'DISK_FULL' }])
    await reaches(6, [a(), b(), c()])
    d().host.halts.length = 0
    expectOneChain()
  })
})

describe('a consensus key that its owner replaced', () => {
  const nextSecret = new Uint8Array(32).fill(77)
  const CHANGE_EPOCH = 3
  let taken: number

  /** The fourth member with a key to follow, and the set that names it from an epoch on. */
  function rotated(next: () => Promise<Uint8Array | undefined>): Member {
    const before = secretKeys.map((key) => ({ publicKey: publicKeyOf(key), weight: 1 }))
    const after = before.with(3, { publicKey: publicKeyOf(nextSecret), weight: 1 })
    for (const { host } of members) host.laterSets.set(CHANGE_EPOCH, after)
    const member = members[3] as Member
    const succession = { next, taken: () => Promise.resolve(void (taken += 1)) }
    return { ...member, key: new ConsensusKey(secretKeys[3] as Uint8Array, succession) }
  }

  const votesOfLast = (epoch: number) =>
    sent.filter(({ validator, statement }) => validator === 3 && statement.epoch === epoch)

  beforeEach(() => {
    taken = 0
  })

  test('passes over at the first epoch whose set names the next one, and votes on', async () => {
    members[3] = rotated(() => Promise.resolve(nextSecret))
    for (const member of members) await start(member)
    await reaches(CHANGE_EPOCH * EPOCH_BLOCKS)
    expect(taken).toBe(1)
    expect(members[3].key.publicKey).toEqual(publicKeyOf(nextSecret))
    expect(votesOfLast(CHANGE_EPOCH - 1).length).toBeGreaterThan(0)
    expect(votesOfLast(CHANGE_EPOCH).length).toBeGreaterThan(0)
    expectOneChain()
    expectNoContradiction()
    const text = await readFile(join(folder, 'node 3', 'signer-lease.json'), 'utf8')
    expect(JSON.parse(text)).toMatchObject({ publicKey: bytesToHex(publicKeyOf(nextSecret)) })
  })

  test('without its next key the validator only follows', async () => {
    members[3] = rotated(() => Promise.resolve(undefined))
    for (const member of members) await start(member)
    await reaches(CHANGE_EPOCH * EPOCH_BLOCKS)
    expect(members[3].driver?.status().validator).toBeUndefined()
    expect(votesOfLast(CHANGE_EPOCH)).toEqual([])
    expectOneChain()
  })

  test('a crash after the lease passed over, before the key file did, loses nothing', async () => {
    const crash = new Error('the power went')
    members[3] = rotated(() => Promise.resolve(nextSecret))
    const broken = { next: () => Promise.resolve(nextSecret), taken: () => Promise.reject(crash) }
    const first = { ...members[3], key: new ConsensusKey(secretKeys[3] as Uint8Array, broken) }
    for (const member of [...members.slice(0, 3), first]) await start(member)
    await vi.waitFor(() => expect(first.host.halts).toHaveLength(1), DEADLINE)
    await stop(first)
    first.host.halts.length = 0
    await start(members[3], false)
    expect(taken).toBe(1)
    await vi.waitFor(() => expect(votesOfLast(4).length).toBeGreaterThan(0), DEADLINE)
    expectOneChain()
    expectNoContradiction()
  })
})

const nothing = () => Promise.resolve()

/** Keeps a filter that sends messages itself from filtering those. */
function onlyOnce(filter: MemoryNetwork['filter']): MemoryNetwork['filter'] {
  return (from, to, message) => from === 'nobody' || filter(from, to, message)
}
