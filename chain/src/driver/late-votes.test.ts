import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { assert } from '../bytes/assert.ts'
import { signersOf } from '../consensus/certificate.ts'
import type { ConsensusMessage } from '../consensus/machine-interface.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { blockHash } from '../types/block.ts'
import { type Statement, type Vote, VoteKind } from '../types/consensus-objects.ts'
import { createConsensusCrypto } from './consensus-crypto.ts'
import type { ConsensusDriver } from './consensus-driver.ts'
import { ConsensusKey } from './consensus-key.ts'
import { encodeMessage } from './message-codec.ts'
import { CHAIN_ID, DEADLINE, hostOf, secretKeys, startDriver } from './testing/driver-world.ts'
import { MemoryHost } from './testing/memory-host.ts'
import { MemoryNetwork } from './testing/memory-transport.ts'

const EPOCH_BLOCKS = 1000

let folder = ''
let network = new MemoryNetwork()
let hosts: MemoryHost[] = []
const drivers: ConsensusDriver[] = []

beforeAll(() => installNativeCrypto())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-late-'))
  network = new MemoryNetwork()
  hosts = secretKeys.map((_, i) => new MemoryHost(...hostOf(`node ${i}`, EPOCH_BLOCKS)))
  for (const i of secretKeys.keys()) await start(i, true)
})
afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.stop()))
  await rm(folder, { recursive: true, force: true })
})

async function start(i: number, newValidator: boolean): Promise<void> {
  const place = {
    name: `node ${i}`,
    host: hosts[i] as MemoryHost,
    network,
    folder,
    epochBlocks: EPOCH_BLOCKS,
    key: new ConsensusKey(secretKeys[i] as Uint8Array),
  }
  drivers[i] = await startDriver(place, newValidator)
}

const first = () => hosts[0] as MemoryHost
const reaches = (height: number) =>
  vi.waitFor(() => expect(first().height).toBeGreaterThanOrEqual(height), DEADLINE)

function voteOf(validator: number, statement: Statement): Vote {
  const { sign } = createConsensusCrypto(CHAIN_ID, secretKeys[validator])
  return { statement, validator, signature: sign(statement) }
}

function tell(message: ConsensusMessage): void {
  const wire = encodeMessage({ type: 'consensus', message, body: new Uint8Array(0) })
  network.deliver('nobody', 'node 0', wire)
}

const accused = () => first().evidence.map(({ validator }) => validator)

test('a second proposal for a view that is final proves its leader guilty', async () => {
  await reaches(6)
  const block = first().chain.find(({ header }) => header.proposer !== 0)
  assert(block, 'leaders take turns')
  const { header, justification } = block
  const { epoch, view, proposer } = header
  const other = { ...header, txRoot: new Uint8Array(32).fill(5) }
  const statement = { kind: VoteKind.notarize, epoch, view, hash: blockHash(other) }
  const leaderVote = voteOf(proposer, statement)
  tell({ type: 'proposal', proposal: { header: other, justification, leaderVote } })
  await vi.waitFor(() => expect(accused()).toEqual([proposer, proposer]), DEADLINE)
})

test('after a start the certificates of stored blocks say who voted for what', async () => {
  await reaches(5)
  await drivers[0]?.stop()
  const block = first().chain[2]
  const [certificate] = block?.justification.parent ?? []
  const guilty = certificate && signersOf(certificate).find((signer) => signer !== 0)
  assert(certificate && guilty, 'a block stands on a certificate')
  await start(0, false)
  const { epoch, view } = certificate.statement
  const statement = { kind: VoteKind.notarize, epoch, view, hash: new Uint8Array(32).fill(7) }
  tell({ type: 'vote', vote: voteOf(guilty, statement) })
  await vi.waitFor(() => expect(accused()).toEqual([guilty, guilty]), DEADLINE)
})
