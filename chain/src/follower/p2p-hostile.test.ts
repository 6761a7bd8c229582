import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { decodeBlock, encodeBlock } from '../elastos/block.ts'
import { FrameAssembler } from '../elastos/frame-assembler.ts'
import { asInternalHash, fromDisplayHash } from '../elastos/hash-orientation.ts'
import { ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import { decodeMerkleBlock, encodeMerkleBlock } from '../elastos/merkle-block.ts'
import {
  decodeMessage,
  encodeFrame,
  encodeMessage,
  InventoryKind,
  MainNetMagic,
  type P2pMessage,
} from '../elastos/p2p-message.ts'
import type { BuiltInMainChain } from '../main-chain/built-in-main-chain.ts'
import { MainChainFollower } from './follower.ts'
import { MainChainUnreachableError } from './main-chain-client.ts'
import { P2pViolationError } from './p2p-link.ts'
import { P2pBannedError, P2pMainNode, type P2pMainNodeOptions } from './p2p-main-node.ts'
import { Cleanups, mineBlocks, startTestMainChain } from '../main-chain/testing/test-main-chain.ts'

const magic = MainNetMagic.regression
const cleanups = new Cleanups()
afterEach(() => cleanups.run())

const startChain = (blocks: number) => startTestMainChain(cleanups, { blocks, p2p: { port: 0 } })

function peerAt(
  chain: BuiltInMainChain,
  port: number,
  changes: Partial<P2pMainNodeOptions> = {},
): P2pMainNode {
  const start = chain.genesisContext().previous
  const peer = new P2pMainNode({ host: '127.0.0.1', port, magic, start, ...changes })
  cleanups.add(() => peer.close())
  return peer
}

function follow(chain: BuiltInMainChain, peers: readonly P2pMainNode[]): MainChainFollower {
  const [client, ...rest] = peers as [P2pMainNode, ...P2pMainNode[]]
  const follower = new MainChainFollower({
    client,
    others: rest.map((each, i) => ({ name: `other ${i}`, client: each })),
    params: ELASTOS_REG_NET,
    start: chain.genesisContext(),
    sideGenesisHash: new Uint8Array(32).fill(9),
  })
  cleanups.add(() => follower.stop())
  return follower
}

/** A listener that does with each connection what it likes. */
async function listen(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.add(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, server }
}

const frame = (message: P2pMessage) => encodeFrame(encodeMessage(message), magic)

type Change = (message: P2pMessage) => readonly (P2pMessage | Uint8Array)[]

/** Stands between: what the honest node says goes through `change`. */
async function liarBefore(
  chain: BuiltInMainChain,
  change: Change,
  onAsked: (message: P2pMessage) => void = () => undefined,
): Promise<number> {
  const { port } = await listen((socket) => {
    const honest = connect({ host: '127.0.0.1', port: chain.p2pPort as number })
    honest.on('error', () => undefined)
    const assembler = new FrameAssembler(magic)
    const questions = new FrameAssembler(magic)
    socket.on('data', (bytes: Uint8Array) => {
      honest.write(bytes)
      const frames = questions.push(bytes)
      for (const each of frames.ok ? frames.value : []) {
        const message = decodeMessage(each)
        if (message.ok) onAsked(message.value)
      }
    })
    socket.on('close', () => honest.destroy())
    honest.on('data', (bytes: Uint8Array) => {
      const frames = assembler.push(bytes)
      for (const each of frames.ok ? frames.value : []) {
        const message = decodeMessage(each)
        for (const out of message.ok ? change(message.value) : []) {
          socket.write(out instanceof Uint8Array ? out : frame(out))
        }
      }
    })
  })
  return port
}

const SHORT = { requestMs: 200, connectMs: 200, frameMs: 200 }

describe('handshake', () => {
  test('another network, no version, ourselves, silence: no session', async () => {
    const chain = await startChain(1)
    const port = chain.p2pPort as number
    const wrong = peerAt(chain, port, { magic: MainNetMagic.main, ...SHORT })
    // Each side sees the other's magic; whoever is first hangs up.
    await expect(wrong.getBlockCount()).rejects.toThrow()
    const { port: noVersion } = await listen((s) => s.write(frame({ command: 'verack' })))
    await expect(peerAt(chain, noVersion).getBlockCount()).rejects.toThrow(/version comes before/)
    const { port: mirror } = await listen((s) => s.pipe(s))
    await expect(peerAt(chain, mirror).getBlockCount()).rejects.toThrow(/leads to ourselves/)
    const { port: silent } = await listen(() => undefined)
    const unanswered = peerAt(chain, silent, SHORT).getBlockCount()
    await expect(unanswered).rejects.toThrow(MainChainUnreachableError)
    const { port: foreign } = await listen((s) => {
      s.write(encodeFrame(encodeMessage({ command: 'verack' }), MainNetMagic.main))
    })
    await expect(peerAt(chain, foreign).getBlockCount()).rejects.toThrow(P2pViolationError)
  })

  test('bytes that trickle in do not hold a connection', async () => {
    const chain = await startChain(1)
    const { port } = await listen((socket) => {
      const whole = frame({ command: 'ping', height: 1n })
      let at = 0
      const timer = setInterval(() => socket.write(whole.subarray(at, ++at)), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const peer = peerAt(chain, port, { frameMs: 100, connectMs: 30_000 })
    await expect(peer.getBlockCount()).rejects.toThrow(/too slowly/)
  })

  test('an oversized frame ends the connection before its bytes come', async () => {
    const chain = await startChain(1)
    const { port } = await listen((socket) => {
      const head = frame({ command: 'tx', payload: new Uint8Array(0) })
      new DataView(head.buffer).setUint32(16, 0x7fff_ffff, true)
      socket.write(head)
    })
    const peer = peerAt(chain, port)
    await expect(peer.getBlockCount()).rejects.toMatchObject({ code: 'MAIN_FIELD_TOO_LONG' })
    await expect(peer.getBlockCount()).rejects.toThrow(P2pBannedError)
  })
})

describe('a peer that lies', () => {
  /** Follows through the liar and an honest peer; the honest one must win, the liar be named. */
  async function judged(chain: BuiltInMainChain, change: Change, height: number, requestMs = 300) {
    const liar = peerAt(chain, await liarBefore(chain, change), { requestMs })
    const follower = follow(chain, [liar, peerAt(chain, chain.p2pPort as number)])
    await follower.poll()
    expect(follower.tip).toMatchObject({ height, hash: chain.ledger.tip.hash })
    const [first, second] = follower.status().sources
    expect(second?.problem).toBeUndefined()
    return { problem: first?.problem, liar }
  }

  test('a merkleblock of another block', async () => {
    const chain = await startChain(5)
    let other: P2pMessage | undefined
    const { problem, liar } = await judged(
      chain,
      (message) => {
        if (message.command !== 'merkleblock') return [message]
        other ??= message
        return [other]
      },
      5,
    )
    expect(problem).toMatch(/another block than asked for/)
    await expect(liar.getBlockCount()).rejects.toThrow(P2pBannedError)
  })

  test('a tree that belongs to another header', async () => {
    const chain = await startChain(5)
    let tree: ReturnType<typeof parsed>['tree'] | undefined
    const parsed = (payload: Uint8Array) => {
      const block = decodeMerkleBlock(payload)
      if (!block.ok) throw new Error(block.fault.message)
      return block.value
    }
    const { problem } = await judged(
      chain,
      (message) => {
        if (message.command !== 'merkleblock') return [message]
        const block = parsed(message.payload)
        const mixed = { header: block.header, tree: tree ?? block.tree }
        tree ??= block.tree
        return [{ command: 'merkleblock', payload: encodeMerkleBlock(mixed) }]
      },
      5,
    )
    expect(problem).toMatch(/of another block than the header/)
  })

  test('a matched transaction that never comes, or another in its place', async () => {
    const chain = await startChain(5)
    const missing = await judged(chain, (m) => (m.command === 'tx' ? [] : [m]), 5)
    expect(missing.problem).toMatch(/does not give a block through the filter within/)
    let first: P2pMessage | undefined
    const swapped = await judged(
      chain,
      (message) => {
        if (message.command !== 'tx') return [message]
        first ??= message
        return [first]
      },
      5,
    )
    expect(swapped.problem).toMatch(/not of the block/)
  })

  test('a transaction with bytes that nobody can read, so that what it is stays hidden', async () => {
    const chain = await startChain(3)
    const { problem, liar } = await judged(
      chain,
      (message) => {
        if (message.command !== 'tx') return [message]
        return [{ command: 'tx', payload: Uint8Array.of(...message.payload, 0) }]
      },
      3,
    )
    expect(problem).toMatch(/hides a transaction/)
    await expect(liar.getBlockCount()).rejects.toThrow(P2pBannedError)
  })

  test('headers without work', async () => {
    const chain = await startChain(4)
    const node = chain.ledger.at(2)
    const raw = node && decodeBlock(await chain.readBlock(node))
    if (!raw?.ok) expect.fail('no block')
    const { header, auxPow, transactions } = raw.value
    // Its own AuxPow proves another header: the branch costs nothing to make.
    const forged = { ...header, nonce: header.nonce ^ 1 }
    const bytes = encodeBlock(
      forged,
      auxPow,
      transactions.map((each) => each.raw),
    )
    const decoded = decodeBlock(bytes)
    if (!decoded.ok) expect.fail(decoded.fault.message)
    const { hash } = decoded.value
    const honest = asInternalHash(raw.value.hash)
    const { problem, liar } = await judged(
      chain,
      (message) => {
        if (message.command === 'inv') {
          const items = message.items.map((item) =>
            Buffer.compare(item.hash, honest) === 0 ? { ...item, hash } : item,
          )
          return [{ command: 'inv', items }]
        }
        if (message.command !== 'notfound') return [message]
        const tree = { transactionCount: 1, hashes: [header.merkleRoot], flags: Uint8Array.of(1) }
        const payload = encodeMerkleBlock({ header: decoded.value, tree })
        const txs = transactions.map((each) => ({ command: 'tx' as const, payload: each.raw }))
        return [{ command: 'merkleblock', payload }, ...txs]
      },
      4,
    )
    expect(problem).toMatch(/does not commit to this block/)
    await expect(liar.getBlockCount()).rejects.toThrow(P2pBannedError)
  })

  test('hashes without end are bounded', async () => {
    const chain = await startChain(3)
    let made = 0
    const change: Change = (message) => {
      if (message.command === 'pong') return [{ command: 'pong', height: 0xffff_ffffn }]
      if (message.command !== 'inv') return [message]
      const more = Array.from({ length: 500 }, () => {
        const hash = asInternalHash(new Uint8Array(32))
        new DataView(hash.buffer).setUint32(0, ++made)
        return { kind: InventoryKind.block, hash }
      })
      return [{ command: 'inv', items: [...message.items, ...more].slice(0, 500) }]
    }
    // Its dozens of answers are one question: the bound is to end it, not a busy machine's clock.
    const { problem } = await judged(chain, change, 3, 30_000)
    expect(problem).toMatch(/without an end/)
    expect(made).toBeLessThanOrEqual(24 * 500)
  })
})

describe('a node that shows less', () => {
  test('without filters it is sent none, and asked for whole blocks', async () => {
    const chain = await startChain(4)
    const asked: string[] = []
    const port = await liarBefore(
      chain,
      (message) => (message.command === 'version' ? [{ ...message, services: 1n }] : [message]),
      (message) => void asked.push(message.command),
    )
    const follower = follow(chain, [peerAt(chain, port)])
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 4, hash: chain.ledger.tip.hash })
    expect(asked).toContain('getdata')
    expect(asked).not.toContain('txfilter')
  })

  test('what a filter left out is fetched whole', async () => {
    const chain = await startChain(4)
    const whole: string[] = []
    const port = await liarBefore(chain, (message) => {
      if (message.command === 'tx') return []
      if (message.command === 'block') whole.push(message.command)
      if (message.command !== 'merkleblock') return [message]
      const block = decodeMerkleBlock(message.payload)
      if (!block.ok) throw new Error(block.fault.message)
      const { header } = block.value
      const tree = {
        transactionCount: block.value.tree.transactionCount,
        hashes: [header.header.merkleRoot],
        flags: Uint8Array.of(0),
      }
      return [{ command: 'merkleblock', payload: encodeMerkleBlock({ header, tree }) }]
    })
    const follower = follow(chain, [peerAt(chain, port)])
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 4, hash: chain.ledger.tip.hash })
    expect(whole).toHaveLength(4)
  })
})

describe('a peer that stalls', () => {
  test('is left for the others, and its late answer is no answer to the next question', async () => {
    const chain = await startChain(6)
    const port = await liarBefore(chain, (m) => (m.command === 'inv' ? [] : [m]))
    const stalling = peerAt(chain, port, { requestMs: 100 })
    const follower = follow(chain, [stalling, peerAt(chain, chain.p2pPort as number)])
    await follower.poll()
    expect(follower.tip.height).toBe(6)
    expect(follower.status().sources[0]?.problem).toMatch(/list of its blocks within 100 ms/)
    await expect(stalling.getBlockCount()).rejects.toThrow(MainChainUnreachableError)
  })

  test('one that is closed in the middle of a question lets go at once', async () => {
    const chain = await startChain(1)
    const { port } = await listen(() => undefined)
    const peer = peerAt(chain, port)
    const asked = peer.getBlockCount()
    peer.close()
    await expect(asked).rejects.toThrow(/closed/)
  })
})

describe('forks', () => {
  test('a peer on another branch with less work holds nobody up; with more it is followed', async () => {
    const [a, b] = [await startChain(9), await startChain(7)]
    const peers = [peerAt(a, a.p2pPort as number), peerAt(a, b.p2pPort as number)]
    const follower = follow(a, peers)
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 9, hash: a.ledger.tip.hash })
    await mineBlocks(b, 4)
    await follower.poll()
    expect(follower.tip).toMatchObject({ height: 11, hash: b.ledger.tip.hash })
  })

  test('a chain without the trusted block is named as such', async () => {
    const [a, b] = [await startChain(5), await startChain(8)]
    const start = a.ledger.contextAfter(a.ledger.at(3) as never).previous
    const peer = peerAt(a, b.p2pPort as number, { start })
    await expect(peer.getBlockCount()).rejects.toThrow(/does not hold the block at height 3/)
    const low = await startChain(1)
    const lagging = peerAt(a, low.p2pPort as number, { start })
    expect(await lagging.getBlockCount()).toBe(2)
  })
})

describe('the listener', () => {
  /** A raw client: sends, and gives what came until the connection ended or `until` says so. */
  async function talk(
    chain: BuiltInMainChain,
    out: readonly (P2pMessage | Uint8Array)[],
    until: (message: P2pMessage) => boolean = () => false,
  ): Promise<P2pMessage[]> {
    const socket = connect({ host: '127.0.0.1', port: chain.p2pPort as number })
    socket.on('error', () => undefined)
    const assembler = new FrameAssembler(magic)
    const heard: P2pMessage[] = []
    const ended = new Promise<void>((resolve) => {
      socket.on('close', () => resolve())
      socket.on('data', (bytes: Uint8Array) => {
        const frames = assembler.push(bytes)
        for (const each of frames.ok ? frames.value : []) {
          const message = decodeMessage(each)
          if (!message.ok) throw new Error(message.fault.message)
          heard.push(message.value)
          if (until(message.value)) resolve()
        }
      })
    })
    for (const each of out) socket.write(each instanceof Uint8Array ? each : frame(each))
    await ended
    socket.destroy()
    return heard
  }

  const version: P2pMessage = {
    command: 'version',
    version: 20_000,
    services: 0n,
    timestamp: 0,
    port: 22338,
    nonce: 1n,
    height: 0n,
    relay: false,
    nodeName: undefined,
  }
  const hello: readonly P2pMessage[] = [version, { command: 'verack' }]
  const commands = (messages: readonly P2pMessage[]) => messages.map(({ command }) => command)

  test('hangs up on who breaks the protocol', async () => {
    const chain = await startChain(1)
    const ping: P2pMessage = { command: 'ping', height: 0n }
    expect(commands(await talk(chain, [ping]))).toEqual(['reject'])
    expect(commands(await talk(chain, [...hello, version]))).toEqual([
      'version',
      'verack',
      'reject',
    ])
    const twice = await talk(chain, [...hello, { command: 'verack' }])
    expect(commands(twice)).toEqual(['version', 'verack'])
    const foreign = encodeFrame(encodeMessage(version), MainNetMagic.main)
    expect(await talk(chain, [foreign])).toEqual([])
    const upgrade = await talk(chain, [
      ...hello,
      { command: 'txfilter', filterKind: 4, data: new Uint8Array(0) },
    ])
    expect(commands(upgrade)).toEqual(['version', 'verack'])
    const torn = frame(ping)
    torn[20] = (torn[20] as number) ^ 1
    expect(commands(await talk(chain, [...hello, torn]))).not.toContain('pong')
  })

  test('answers like a node: silence without a filter, notfound, whole blocks, height', async () => {
    const chain = await startChain(3)
    const hash = chain.ledger.tip.hash
    const item = (kind: number, of = hash) => ({
      command: 'getdata' as const,
      items: [{ kind, hash: of }],
    })
    const heard = await talk(
      chain,
      [
        ...hello,
        item(InventoryKind.filteredBlock),
        item(InventoryKind.block),
        item(InventoryKind.transaction),
        item(InventoryKind.block, fromDisplayHash('ab'.repeat(32) as never)),
        { command: 'getblocks', locator: [hash], stop: asInternalHash(new Uint8Array(32)) },
        { command: 'ping', height: 0n },
      ],
      ({ command }) => command === 'pong',
    )
    const expected = ['version', 'verack', 'block', 'notfound', 'notfound', 'pong']
    expect(commands(heard)).toEqual(expected)
    expect(heard.at(-1)).toMatchObject({ height: 3n })
  })

  test('stops at once, also where a peer has not read what it asked for', async () => {
    const chain = await startChain(2)
    const socket = connect({ host: '127.0.0.1', port: chain.p2pPort as number })
    cleanups.add(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    const item = { kind: InventoryKind.block, hash: chain.ledger.tip.hash }
    const items = Array.from({ length: 50_000 }, () => item)
    for (const each of [...hello, { command: 'getdata' as const, items }]) socket.write(frame(each))
    await once(socket, 'readable')
    await chain.stop()
    await expect(chain.mine()).rejects.toThrow('stopped')
  })

  test('tells its peers of a new block at once', async () => {
    const chain = await startChain(1)
    const heard = talk(chain, hello, ({ command }) => command === 'inv')
    // Whenever the handshake is over, the next block is announced.
    const mining = setInterval(() => void chain.mine(), 30)
    const last = (await heard).at(-1)
    clearInterval(mining)
    expect(last).toMatchObject({ command: 'inv', items: [{ kind: InventoryKind.block }] })
  })
})
