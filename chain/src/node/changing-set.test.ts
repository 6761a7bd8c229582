import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { ChainReplay } from '../audit/chain-replay.ts'
import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { sign } from '../bytes/signature.ts'
import { signersOf } from '../consensus/certificate.ts'
import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import { ConsensusDriver } from '../driver/consensus-driver.ts'
import { encodeMessage } from '../driver/message-codec.ts'
import { MemoryNetwork } from '../driver/testing/memory-transport.ts'
import { ConsensusKey } from '../driver/consensus-key.ts'
import { ChainManager } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { buildGenesis } from '../rules/genesis-state.ts'
import { possessionDigest } from '../rules/register.ts'
import { auditSupply } from '../rules/supply.ts'
import { keyOf, SampleChain, UNITS } from '../rules/testing/sample-chain.ts'
import { signedStatement } from '../rules/testing/stake-world.ts'
import { setMembers } from '../rules/validator-set.ts'
import { LevelStore } from '../store/level-store.ts'
import { BlockSync } from '../sync/block-sync.ts'
import { peersOf, serverOf } from '../sync/testing/served-chain.ts'
import { type Block, BlockType } from '../types/block.ts'
import { CertificateType, JustificationType, VoteKind } from '../types/consensus-objects.ts'
import { NONE } from '../types/records.ts'
import { PayloadKind, type Payload, type Transaction } from '../types/transactions.ts'
import { isSetSuccessor } from '../types/validator-set.ts'
import { EvidenceKeeper } from './evidence-keeper.ts'
import { openChain } from './open-chain.ts'
import { unsigned } from './system-lane.ts'
import { VoteKeeper } from './vote-keeper.ts'

/** Long enough for slow machines; every wait ends as soon as it is met. */
const DEADLINE = { timeout: 100_000, interval: 20 }
const EPOCH_BLOCKS = 6
const params = {
  epochBlocks: EPOCH_BLOCKS,
  blockIntervalMs: 30,
  skipTimeoutMs: 1500,
  rebroadcastMs: 400,
  validatorBondMin: 50n * UNITS,
}
const balances = { 'validator-0-owner': 10n * UNITS, joiner: 1000n * UNITS }

interface Member {
  readonly name: string
  readonly manager: ChainManager
  readonly driver: ConsensusDriver
  readonly keeper: EvidenceKeeper
}

let folder = ''
let network = new MemoryNetwork()
let members: Member[] = []
let waiting: Transaction[] = []
let sample: SampleChain

beforeAll(() => installNativeCrypto())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-set-'))
  network = new MemoryNetwork()
  sample = new SampleChain({ params, balances })
  waiting = []
  members = []
  for (const name of ['validator-0', 'validator-1', 'validator-2', 'validator-3', 'fifth']) {
    members.push(await start(name))
  }
})
afterEach(async () => {
  for (const { name, driver } of members) {
    network.leave(name)
    await driver.stop()
  }
  await rm(folder, { recursive: true, force: true })
})

function freshGenesis() {
  const genesis = buildGenesis(sample.document)
  assert(genesis.ok, 'the document is a genesis')
  return genesis.value
}

async function start(name: string): Promise<Member> {
  const genesis = freshGenesis()
  const { params: all, chainId } = genesis
  const store = await LevelStore.inMemory()
  const logger = pino({ level: 'silent' })
  const opened = await openChain(store, genesis)
  const keeper = new EvidenceKeeper(opened.ledger)
  const votes = new VoteKeeper(opened.ledger)
  const manager = new ChainManager({
    params: all,
    chainId,
    ...opened,
    store,
    inputs: {
      systemLane: (parent) => {
        const late = votes.forBlockOn(parent)
        const lateVotes = { selector: PayloadKind.lateVotes, value: { votes: late } } as const
        return [
          ...keeper
            .forBlockOn(parent)
            .map((value) => unsigned(parent, { selector: PayloadKind.evidence, value })),
          ...(late.length > 0 ? [unsigned(parent, lateVotes)] : []),
        ]
      },
      waiting: () => waiting,
      isVerified: () => false,
      objection: () => undefined,
    },
    logger,
    onBehind: () => undefined,
    onVote: (vote) => votes.add(vote),
    onEvidence: (first, second) => {
      const evidence = keeper.evidenceOf(first, second)
      if (evidence.ok) keeper.keep(evidence.value)
    },
    onHalt: ({ code, message }) => expect.unreachable(`${name}: ${code} ${message}`),
  })
  const driver = await ConsensusDriver.start({
    host: manager,
    transport: network.join(name),
    params: all,
    chainId,
    directory: join(folder, name),
    validator: { key: new ConsensusKey(keyOf(name).secretKey), newValidator: true },
    reserveBytes: 4096,
    logger,
  })
  return { name, manager, driver, keeper }
}

const heights = () => members.map(({ manager }) => manager.final.header.height)
const reaches = (height: number) =>
  vi.waitFor(() => expect(Math.min(...heights())).toBeGreaterThanOrEqual(height), DEADLINE)
const members0 = () => members[0] as Member
/** Names of an epoch's set, as the ledger of the first node has it. */
function setOf(epoch: number): string[] {
  const set = setMembers(members0().manager.ledger, epoch) ?? []
  return set.map(({ publicKey }) => {
    const found = members.find(
      ({ name }) => bytesToHex(keyOf(name).publicKey) === bytesToHex(publicKey),
    )
    return found?.name ?? 'stranger'
  })
}

function registerFifth(): Payload {
  const [owner, key, node] = [keyOf('joiner'), keyOf('fifth'), keyOf('fifth-node')]
  const prove = (each: typeof key) =>
    sign(possessionDigest(sample.chainId, owner.address, each.publicKey), each.secretKey)
  const value = {
    nodeKey: node.publicKey,
    nodeProof: prove(node),
    consensusKey: key.publicKey,
    consensusProof: prove(key),
    payout: owner.address,
    roles: 4,
    replaces: NONE,
  }
  return { selector: PayloadKind.register, value }
}

/** A node that starts now takes the whole chain, each part under the set of its epoch. */
async function expectNewcomerFollows(source: ChainManager): Promise<void> {
  const newcomer = await start('newcomer')
  members.push(newcomer)
  const { manager } = newcomer
  const sync = new BlockSync({
    manager,
    peers: peersOf({ source: (request) => serverOf(source).answer(request) }),
    crypto: createConsensusCrypto(sample.chainId, undefined),
    exclusively: (run) => newcomer.driver.advanceTo(run),
  })
  const { height } = source.final.header
  await vi.waitFor(async () => {
    await sync.catchUp()
    expect(manager.final.header.height).toBeGreaterThanOrEqual(height)
  }, DEADLINE)
  expect((await manager.finalAt(height))?.hash).toBe((await source.finalAt(height))?.hash)
}

/** An auditor computes it all again: leaders, justifications, certificates, blocks. */
async function expectAuditPasses({ store, final }: ChainManager): Promise<void> {
  const replay = new ChainReplay(freshGenesis())
  for (let height = 0; height <= final.header.height; height++) {
    const stored = await store.block(height)
    assert(stored, 'final blocks are stored')
    const block = BlockType.deserialize(stored.block) as Block
    const justification = JustificationType.deserialize(stored.justification)
    const certificate = stored.certificate && CertificateType.deserialize(stored.certificate)
    const applied = replay.apply({ block, justification, certificate })
    expect(applied.ok ? 'ok' : `${height}: ${applied.fault.message}`).toBe('ok')
  }
  expect(replay.finish().ok).toBe(true)
}

async function expectOneChain(): Promise<void> {
  const lowest = Math.min(...heights())
  for (const { manager } of members) {
    const block = await manager.finalAt(lowest)
    const same = await members0().manager.finalAt(lowest)
    expect(block?.hash).toBe(same?.hash)
  }
}

/** Certificates carry a quorum of three; what they leave out is counted all the same. */
async function expectEveryVoteCounted(): Promise<void> {
  const { manager } = members0()
  const late: number[] = []
  const stop = manager.onFinal(({ transactions }) => {
    for (const { body } of transactions) {
      if (body.payload.selector !== PayloadKind.lateVotes) continue
      late.push(...body.payload.value.votes.map(({ validator }) => validator))
    }
  })
  await vi.waitFor(() => expect(late.length).toBeGreaterThan(3), DEADLINE)
  stop()
  for (const validator of late) expect(validator).toBeLessThan(4)
}

test('one leaves, a fifth joins, a double signer is thrown out; blocks go on', async () => {
  await reaches(2)
  await expectEveryVoteCounted()
  const leaver = keyOf('validator-0-owner')
  const everything = { validator: 0, delegation: NONE, amount: 100n * UNITS }
  waiting = [
    sample.byOwner(keyOf('joiner'), registerFifth()),
    sample.byOwner(leaver, { selector: PayloadKind.unbond, value: everything }),
  ]
  const { ledger } = members0().manager
  await vi.waitFor(() => expect(ledger.validators.get(0)?.bond).toBe(0n), DEADLINE)
  const asked = ledger.globals().epoch
  await reaches(EPOCH_BLOCKS * (asked + 1) + 3)
  expect(setOf(asked + 1)).toEqual(['validator-0', 'validator-1', 'validator-2', 'validator-3'])
  expect(setOf(asked + 2)).toEqual(['validator-1', 'validator-2', 'validator-3', 'fifth'])
  // The one that left follows, the one that came votes.
  const [gone, , , , fifth] = members
  expect(gone?.driver.status().validator).toBeUndefined()
  await vi.waitFor(() => expect(fifth?.driver.status().validator).toBe(3), DEADLINE)
  await vi.waitFor(async () => {
    const seen = await Promise.all(
      Array.from({ length: 4 }, (_, i) => members0().manager.finalAt(heights()[0]! - i)),
    )
    const voted = seen.flatMap((block) => (block?.certificate ? signersOf(block.certificate) : []))
    expect(voted).toContain(3)
  }, DEADLINE)

  // Somebody sends one node two votes of validator 2 for a view to come.
  const { epoch, view } = members[1]?.driver.status() ?? { epoch: 0, view: 0 }
  for (const byte of [1, 2]) {
    const hash = new Uint8Array(32).fill(byte)
    const statement = { kind: VoteKind.notarize, epoch, view: view + 2, hash }
    const { secretKey } = keyOf('validator-2')
    const signed = signedStatement(sample.chainId, statement, secretKey)
    const vote = { ...signed, validator: setOf(epoch).indexOf('validator-2') }
    const bytes = encodeMessage({
      type: 'consensus',
      message: { type: 'vote', vote },
      body: new Uint8Array(0),
    })
    network.deliver('nobody', 'validator-1', bytes)
  }
  await vi.waitFor(() => expect(ledger.validators.get(2)?.jailed).toBe(true), DEADLINE)
  expect(ledger.validators.get(2)).toMatchObject({ guiltEpoch: epoch })
  expect(ledger.globals().burnedSlash).toBeGreaterThan(0n)
  const jailedIn = ledger.globals().epoch
  await reaches(EPOCH_BLOCKS * (jailedIn + 1) + 3)
  expect(setOf(jailedIn + 2)).not.toContain('validator-2')
  expect(setOf(jailedIn + 2)).toContain('fifth')
  await expectOneChain()
  expect(auditSupply(members[3]?.manager.ledger as never).ok).toBe(true)
  const { manager } = members0()
  for (let height = 1; height <= manager.final.header.height; height++) {
    const [parent, block] = [await manager.finalAt(height - 1), await manager.finalAt(height)]
    assert(parent && block, 'final blocks are stored')
    expect(isSetSuccessor(parent.header, block.header)).toBe(true)
  }
  await expectNewcomerFollows(manager)
  await expectAuditPasses(manager)
}, 240_000)
