import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { publicKeyOf, sign } from '../bytes/signature.ts'
import { decodeBlock } from '../elastos/block.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { toDisplayHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { advanceContext, checkHeader, ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { memoAnchorDigest, parseMemoAnchor, verifyMemoAnchor } from '../elastos/memo-anchor.ts'
import { verifyTransactionInclusion } from '../elastos/merkle.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import {
  type BuiltInMainChain,
  type BuiltInMainChainOptions,
  startBuiltInMainChain,
} from '../main-chain/built-in-main-chain.ts'
import { MainBlockRefusedError } from './followed-block.ts'
import { MainForkTooDeepError } from './follow-errors.ts'
import { type FollowerOptions, MainChainFollower } from './follower.ts'
import { createMainChainClient, type MainChainClient } from './main-chain-client.ts'
import { AnchorRefusedError, MemoAnchorer } from '../anchor/memo-anchorer.ts'

const elaSecret = new Uint8Array(32).fill(21)
const validatorSecret = new Uint8Array(32).fill(22)
const sideGenesisHash = new Uint8Array(32).fill(23)
const elaAddress = formatElaAddress(standardProgramHash(p256PublicKey(elaSecret)))
const otherAddress = formatElaAddress(
  standardProgramHash(p256PublicKey(new Uint8Array(32).fill(24))),
)
const ELA = 100_000_000n
const folders: string[] = []
const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

function optionsFor(dataDir: string, sela = ELA): BuiltInMainChainOptions {
  return {
    dataDir,
    genesis: { allocations: [{ address: elaAddress, sela }], timestamp: 1_700_000_000 },
    minerAddress: otherAddress,
    blockIntervalMs: 0,
    rpc: { port: 0 },
  }
}

async function startChain(
  sela = ELA,
): Promise<{ chain: BuiltInMainChain; client: MainChainClient }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'follow-'))
  folders.push(dataDir)
  const chain = await startBuiltInMainChain(optionsFor(dataDir, sela))
  running.push(chain)
  return { chain, client: createMainChainClient({ url: chain.rpcUrl }) }
}

function follow(
  chain: BuiltInMainChain,
  client: MainChainClient,
  changes: Partial<FollowerOptions> = {},
): MainChainFollower {
  const follower = new MainChainFollower({
    client,
    params: ELASTOS_REG_NET,
    start: chain.genesisContext(),
    sideGenesisHash,
    pollMs: 5,
    ...changes,
  })
  running.push(follower)
  return follower
}

function signedAnchor(epoch: number) {
  const commitment = {
    sideGenesisHash,
    epoch,
    checkpointHash: new Uint8Array(32).fill(epoch),
    validatorIndex: 1,
  }
  const signature = sign(memoAnchorDigest(commitment, sideGenesisHash), validatorSecret)
  return { ...commitment, signature }
}

async function mine(chain: BuiltInMainChain, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) await chain.mine()
}

describe('follower', () => {
  test('hands out the headers from any tip, valid by the pure rules alone', async () => {
    const { chain, client } = await startChain()
    const follower = follow(chain, client)
    await mine(chain, 25)
    await follower.poll()
    expect(follower.tip.height).toBe(25)
    let context = chain.genesisContext()
    const headers = follower.headersAfter({ height: 0, hash: chain.genesisHash })
    expect(headers).toHaveLength(25)
    for (const raw of headers) {
      const decoded = decodeHeaderWithAuxPow(raw)
      if (!decoded.ok) expect.fail(decoded.fault.message)
      expect(decoded.value.length).toBe(raw.length)
      expect(checkHeader(decoded.value, context, ELASTOS_REG_NET)).toMatchObject({ ok: true })
      context = advanceContext(context, decoded.value, ELASTOS_REG_NET)
    }
    expect(context.previous.hash).toEqual(chain.ledger.tip.hash)
    const middle = chain.ledger.at(20)
    if (!middle) expect.fail('no block')
    expect(follower.headersAfter({ height: 20, hash: middle.hash })).toEqual(headers.slice(20))
    expect(follower.headersAfter({ height: 20, hash: middle.hash }, 2)).toHaveLength(2)
    expect(follower.headersAfter({ height: 20, hash: chain.genesisHash })).toEqual([])
    expect(follower.headersAfter(follower.tip)).toEqual([])
    expect(follower.contradicts({ height: 20, hash: chain.genesisHash })).toBe(true)
    expect(follower.contradicts({ height: 20, hash: middle.hash })).toBe(false)
    expect(follower.contradicts({ height: 99, hash: middle.hash })).toBe(false)
  })

  test('is led over a reorganisation, whoever stands on the old branch too', async () => {
    const { chain, client } = await startChain()
    let changes = 0
    const follower = follow(chain, client, { onChange: () => changes++ })
    await mine(chain, 10)
    await follower.poll()
    const oldTip = follower.tip
    await chain.reorganise(3)
    await follower.poll()
    expect(changes).toBe(2)
    expect(follower.tip).toMatchObject({ height: 11, hash: chain.ledger.tip.hash })
    expect(follower.contradicts(oldTip)).toBe(true)
    const rest = follower.headersAfter(oldTip)
    expect(rest).toHaveLength(4)
    const first = decodeHeaderWithAuxPow(rest[0] as Uint8Array)
    expect(first.ok && first.value.header.previous).toEqual(chain.ledger.at(7)?.hash)
    await chain.reorganise(1)
    await follower.poll()
    expect(follower.headersAfter(oldTip)).toHaveLength(5)
  })

  test('keeps its memory bounded and waits for its consumers', async () => {
    const { chain, client } = await startChain()
    const follower = follow(chain, client, { windowBlocks: 8 })
    await mine(chain, 20)
    await follower.poll()
    expect(follower.tip.height).toBe(8)
    expect(follower.status()).toMatchObject({ nodeHeight: 20, problem: undefined })
    follower.release(5)
    await follower.poll()
    expect(follower.tip.height).toBe(13)
    follower.release(999)
    await follower.poll()
    expect(follower.tip.height).toBe(20)
  })

  test('old blocks that are forgotten while a fork is read move nothing', async () => {
    const { chain, client } = await startChain()
    let atBlock = () => {}
    const getBlockRaw: MainChainClient['getBlockRaw'] = (hash) => {
      atBlock()
      return client.getBlockRaw(hash)
    }
    const follower = follow(chain, { ...client, getBlockRaw })
    await mine(chain, 1030)
    await follower.poll()
    await chain.reorganise(2)
    // A side block becomes final meanwhile, and with it most of what is held here.
    atBlock = () => follower.release(1028)
    await follower.poll()
    expect(follower.floor.height).toBe(4)
    for (let height = 1026; height <= 1031; height++) {
      expect(follower.blockAt(height)?.header.hash).toEqual(chain.ledger.at(height)?.hash)
    }
  })

  test('a fork below what it holds is said, not guessed', async () => {
    const { chain, client } = await startChain()
    await mine(chain, 5)
    const start = chain.ledger.contextAfter(chain.ledger.tip)
    await chain.reorganise(2)
    const follower = follow(chain, client, { start })
    await expect(follower.poll()).rejects.toBeInstanceOf(MainForkTooDeepError)
    expect(follower.status().problem).toMatch(/forks below/)
  })

  test('a node that lies is not believed', async () => {
    const { chain, client } = await startChain()
    await mine(chain, 3)
    // The Merkle root in the header; the lock time of the coinbase.
    for (const at of [40, -2]) {
      const lying: MainChainClient = {
        ...client,
        async getBlockRaw(hash) {
          const raw = await client.getBlockRaw(hash)
          const place = at < 0 ? raw.length + at : at
          raw[place] = (raw[place] as number) ^ 1
          return raw
        },
      }
      const follower = follow(chain, lying)
      await expect(follower.poll()).rejects.toBeInstanceOf(MainBlockRefusedError)
      expect(follower.tip.height).toBe(0)
    }
    const other = await client.getBlockRaw(await client.getBlockHash(2))
    const follower = follow(chain, { ...client, getBlockRaw: async () => other })
    await expect(follower.poll()).rejects.toMatchObject({ code: 'MAIN_BLOCK_ROOT' })
  })

  test('goes on over a block with transactions of a type it cannot decode', async () => {
    const { chain, client } = await startChain()
    const anchorer = new MemoAnchorer({ client, elaSecretKey: elaSecret, isConfirmed: () => false })
    await anchorer.submit(signedAnchor(1))
    await mine(chain, 1)
    const blind: MainChainClient = {
      ...client,
      async getBlockRaw(hash) {
        const raw = await client.getBlockRaw(hash)
        const header = decodeHeaderWithAuxPow(raw)
        // Type 0x25 in the place of the coinbase: the rest of the block is unreadable.
        if (header.ok) raw[header.value.length + 4] = 0x09
        if (header.ok) raw[header.value.length + 5] = 0x25
        return raw
      },
    }
    const follower = follow(chain, blind)
    await follower.poll()
    expect(follower.anchors()).toMatchObject([{ anchor: { epoch: 1 }, height: 1 }])
  })

  test('polls by itself, survives a node that goes away, and stops', async () => {
    const { chain, client } = await startChain()
    const problems: unknown[] = []
    const follower = follow(chain, client, { onProblem: (error) => problems.push(error) })
    follower.start()
    await mine(chain, 3)
    await expect.poll(() => follower.tip.height, { timeout: 10_000 }).toBe(3)
    await chain.stop()
    await expect.poll(() => problems.length, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(follower.status().problem).toMatch(/does not answer/)
    await follower.stop()
  })
})

describe('memo anchors', () => {
  test('sent, mined, found, and proven by the pure code alone', async () => {
    const { chain, client } = await startChain()
    const follower = follow(chain, client)
    const anchorer = new MemoAnchorer({
      client,
      elaSecretKey: elaSecret,
      isConfirmed: (id) => follower.hasTransaction(id),
    })
    expect(anchorer.address).toBe(elaAddress)
    const id = await anchorer.submit(signedAnchor(7))
    expect(await follower.findTransaction(id)).toBeUndefined()
    await mine(chain, 3)
    await follower.poll()
    const [sighting] = follower.anchors()
    if (!sighting) expect.fail('the anchor was not seen')
    expect(sighting).toMatchObject({ height: 1, anchor: { epoch: 7, validatorIndex: 1 } })
    expect(await follower.findTransaction(id)).toMatchObject({ height: 1, raw: sighting.raw })

    // From here on only what a rule has: raw transaction, branch, index and a raw header.
    const [rawHeader] = follower.headersAfter({ height: 0, hash: chain.genesisHash })
    const header = decodeHeaderWithAuxPow(rawHeader as Uint8Array)
    if (!header.ok) expect.fail(header.fault.message)
    const found = parseMemoAnchor(sighting.raw)
    if (!found.ok) expect.fail(found.fault.message)
    const { merkleRoot } = header.value.header
    const included = verifyTransactionInclusion(
      found.value.id,
      sighting.branch,
      sighting.index,
      merkleRoot,
    )
    expect(included.ok).toBe(true)
    const validatorKey = publicKeyOf(validatorSecret)
    expect(verifyMemoAnchor(found.value.anchor, sideGenesisHash, validatorKey).ok).toBe(true)
    await anchorer.refresh()
    expect(anchorer.waiting()).toEqual([])
  })

  test('several anchors never spend one output twice', async () => {
    const { chain, client } = await startChain()
    const follower = follow(chain, client)
    const isConfirmed = (id: Parameters<typeof follower.hasTransaction>[0]) =>
      follower.hasTransaction(id)
    const anchorer = new MemoAnchorer({ client, elaSecretKey: elaSecret, isConfirmed })
    await anchorer.submit(signedAnchor(1))
    // The only output is taken until the first is mined: refused in words, not sent in vain.
    await expect(anchorer.submit(signedAnchor(2))).rejects.toBeInstanceOf(AnchorRefusedError)
    for (let epoch = 2; epoch <= 5; epoch++) {
      await chain.mine()
      await follower.poll()
      await anchorer.submit(signedAnchor(epoch))
    }
    await chain.mine()
    await follower.poll()
    expect(follower.anchors().map(({ anchor }) => anchor.epoch)).toEqual([1, 2, 3, 4, 5])
    const [left] = await client.listUnspent(elaAddress)
    expect(left?.sela).toBe(ELA - 5n * 10_000n)
  })

  test('an empty account is told where to send money', async () => {
    const { client } = await startChain(10_000n)
    const anchorer = new MemoAnchorer({ client, elaSecretKey: elaSecret, isConfirmed: () => false })
    await expect(anchorer.submit(signedAnchor(1))).rejects.toThrow(elaAddress)
  })

  test('an anchor that got lost is sent again, on other outputs if its own are gone', async () => {
    const { chain, client } = await startChain()
    const follower = follow(chain, client)
    let dropped = 0
    const forgetful: MainChainClient = {
      ...client,
      async sendRawTransaction(raw) {
        if (dropped++ > 0) return client.sendRawTransaction(raw)
        return (await client.getBlockHash(0)) as Awaited<
          ReturnType<MainChainClient['sendRawTransaction']>
        >
      },
    }
    const anchorer = new MemoAnchorer({
      client: forgetful,
      elaSecretKey: elaSecret,
      resubmitAfterBlocks: 2,
      isConfirmed: (id) => follower.hasTransaction(id),
    })
    const lostId = await anchorer.submit(signedAnchor(1))
    await mine(chain, 1)
    await anchorer.refresh()
    expect(dropped).toBe(1)
    // Meanwhile the same account spends the output elsewhere.
    const rival = new MemoAnchorer({ client, elaSecretKey: elaSecret, isConfirmed: () => false })
    await rival.submit({ ...signedAnchor(9), sideGenesisHash: new Uint8Array(32) })
    await mine(chain, 1)
    await anchorer.refresh()
    const [again] = anchorer.waiting()
    expect(again?.anchor.epoch).toBe(1)
    expect(again && toInternalHex(again.id)).not.toBe(toInternalHex(lostId))
    await mine(chain, 1)
    await follower.poll()
    expect(follower.anchors().map(({ anchor }) => anchor.epoch)).toEqual([1])
    await anchorer.refresh()
    expect(anchorer.waiting()).toEqual([])
  })

  test('a transaction thrown out by a reorganisation comes back', async () => {
    const { chain, client } = await startChain()
    const follower = follow(chain, client)
    const anchorer = new MemoAnchorer({
      client,
      elaSecretKey: elaSecret,
      isConfirmed: (id) => follower.hasTransaction(id),
    })
    const id = await anchorer.submit(signedAnchor(3))
    await mine(chain, 1)
    await follower.poll()
    expect(follower.hasTransaction(id)).toBe(true)
    await chain.reorganise(1)
    await follower.poll()
    expect(follower.hasTransaction(id)).toBe(false)
    expect(follower.anchors()).toEqual([])
    await mine(chain, 1)
    await follower.poll()
    expect(follower.anchors()).toMatchObject([{ anchor: { epoch: 3 }, height: 3 }])
  })
})

describe('a killed main chain', () => {
  test('kill -9 loses no block that was served', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'killed-'))
    folders.push(dataDir)
    const module = new URL('../main-chain/built-in-main-chain.ts', import.meta.url).href
    const options = {
      ...optionsFor(dataDir),
      genesis: { allocations: [], timestamp: 1_700_000_000 },
      blockIntervalMs: 2,
    }
    const script = `import { startBuiltInMainChain } from ${JSON.stringify(module)}
      const chain = await startBuiltInMainChain(${JSON.stringify(options)})
      console.log(chain.rpcUrl)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    const url = await new Promise<string>((resolve) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8').trim()))
    })
    const client = createMainChainClient({ url })
    await expect.poll(() => client.getBlockCount(), { timeout: 20_000 }).toBeGreaterThan(30)
    const height = (await client.getBlockCount()) - 1
    const hash = await client.getBlockHash(height)
    const raw = await client.getBlockRaw(hash)
    child.kill('SIGKILL')
    await exited
    const chain = await startBuiltInMainChain({ ...options, blockIntervalMs: 0 })
    running.push(chain)
    const node = chain.ledger.at(height)
    expect(node && toDisplayHash(node.hash)).toBe(hash)
    const decoded = decodeBlock(raw)
    expect(decoded.ok && decoded.value.hash).toEqual(node?.hash)
    await chain.mine()
  })
})
