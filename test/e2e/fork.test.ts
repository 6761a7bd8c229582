import { randomBytes } from 'node:crypto'
import { readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bytesToHex, fromHex, publicKeyOf } from '@ioex/chain/bytes'
import { assembleCertificate } from '@ioex/chain/consensus'
import { encodeMessage, FORK_FILE, parseForkRecord, SETTLED_FILE } from '@ioex/chain/driver'
import { FullNodeNetwork } from '@ioex/chain/net'
import { validatorSetOf } from '@ioex/chain/rules'
import { type Certificate, CertificateType } from '@ioex/chain/types'
import { createRpcClient } from '@ioex/rpc/client'
import { createConsensusCrypto } from '../../chain/src/driver/consensus-crypto.ts'
import { genesisPath, logPath } from '../../cli/src/devnet/devnet-files.ts'
import { PassphraseSource } from '../../cli/src/keys/passphrase.ts'
import { readGenesis } from '../../cli/src/nodes/genesis-of.ts'
import { readKey } from '../../cli/src/nodes/key-file.ts'
import { keyPath } from '../../cli/src/operate/node-keys.ts'
import { TestNetwork, until, untilHeight } from './network-harness.ts'

const DEADLINE_MS = 150_000

let network: TestNetwork
beforeAll(async () => {
  network = await TestNetwork.create({ validators: 4, bootstraps: 0, peers: 0 })
})
afterAll(() => network.destroy())

const folderOf = (name: string) => join(network.options.data, name)
const consensusFile = (name: string, file: string) => join(folderOf(name), 'consensus', file)
const nodes = () => network.running.nodesOf('validator')
function client() {
  const [url] = network.running.rpcUrls()
  if (url === undefined) throw new Error('a full node answers')
  return createRpcClient({ url })
}

/** The newest block that is certified by itself. */
async function newestFinality(): Promise<Certificate> {
  const { height } = await client().call('chain_getCertifiedHeaders', { from: 1, to: 1 })
  const range = { from: Math.max(1, height - 3), to: height }
  const { headers } = await client().call('chain_getCertifiedHeaders', range)
  const [newest] = headers.flatMap(({ certificate }) => certificate ?? []).slice(-1)
  if (newest === undefined) throw new Error('no certified block')
  return CertificateType.deserialize(fromHex(newest))
}

/** Three of four validators sign that another block of the same view is final. */
async function rivalOf({ statement }: Certificate): Promise<Certificate> {
  const { chainId, ledger } = await readGenesis(genesisPath(network.options.data))
  const set = (validatorSetOf(ledger, 1) ?? []).map(({ publicKey }) => bytesToHex(publicKey))
  const passphrase = new PassphraseSource({ file: undefined, prompt: undefined })
  const rival = { ...statement, hash: new Uint8Array(32).fill(7) }
  const signed = nodes()
    .slice(0, 3)
    .map(async ({ name }) => {
      const secret = await readKey(keyPath(folderOf(name), 'consensus'), 'consensus', passphrase)
      const validator = set.indexOf(bytesToHex(publicKeyOf(secret)))
      const signature = createConsensusCrypto(chainId, secret).sign(rival)
      return [validator, { statement: rival, validator, signature }] as const
    })
  return assembleCertificate(rival, new Map(await Promise.all(signed)), set.length)
}

/** Somebody who is no validator tells one of them. */
async function tellFirst(certificate: Certificate): Promise<void> {
  const { chainId } = await readGenesis(genesisPath(network.options.data))
  const [first] = nodes()
  const stranger = await FullNodeNetwork.start({
    nodeKey: Uint8Array.from(randomBytes(32)),
    chainId,
    listen: [],
    peers: (first?.info.addresses ?? []) as string[],
    logger: pino({ level: 'silent' }),
  })
  try {
    await until('a connection', () => Promise.resolve(stranger.peers().length > 0))
    const message = { type: 'certificate', certificate } as const
    const wire = encodeMessage({ type: 'consensus', message, body: new Uint8Array(0) })
    await until(
      'the validators to stop',
      () => {
        stranger.broadcastConsensus(wire)
        return Promise.resolve(nodes().every(({ state }) => state === 'failed'))
      },
      DEADLINE_MS,
    )
  } finally {
    await stranger.stop()
  }
}

test('two final blocks stop all validators, who name the guilty, and go on when told so', async () => {
  const [first] = nodes()
  if (!first) throw new Error('four validators')
  await untilHeight(first, 4)
  const rival = await rivalOf(await newestFinality())
  await tellFirst(rival)
  const guilty = new Set<string>()
  for (const node of nodes()) {
    const record = parseForkRecord(await readFile(consensusFile(node.name, FORK_FILE), 'utf8'))
    expect(record?.theirs.statement).toEqual(rival.statement)
    expect(record?.guilty.length).toBeGreaterThanOrEqual(2)
    const log = await readFile(logPath(network.options.data, node.name), 'utf8')
    for (const key of record?.guilty ?? []) {
      guilty.add(key)
      expect(log).toContain(`${key}: validator `)
    }
    // Kept for a block, whatever becomes of the process.
    expect((await stat(join(folderOf(node.name), 'evidence'))).size).toBeGreaterThan(0)
    await expect(node.start()).rejects.toThrow(SETTLED_FILE)
  }
  for (const { name } of nodes()) {
    await rename(consensusFile(name, FORK_FILE), consensusFile(name, SETTLED_FILE))
  }
  await Promise.all(nodes().map((node) => node.start()))
  const { height } = await untilHeight(first, 1)
  await untilHeight(first, height + 2, DEADLINE_MS)
  const jailed = await until('the guilty in jail', async () => {
    const { validators } = await client().call('chain_getValidators', {})
    const found = validators.filter((each) => each.jailed)
    return found.length >= 2 && found
  })
  expect(jailed.length).toBeLessThanOrEqual(guilty.size)
})
