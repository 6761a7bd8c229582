import { describe, expect, test } from 'vitest'
import type { DisplayHash } from '../elastos/hash-orientation.ts'
import {
  type MainChainClient,
  MainChainRpcError,
  MainChainUnreachableError,
  type UnspentOutput,
} from '../follower/main-chain-client.ts'
import type { MainNode } from '../follower/main-node.ts'
import { sharedMainWallet } from './main-wallet.ts'

const id = 'aa'.repeat(32) as DisplayHash
const away = () => Promise.reject(new MainChainUnreachableError('away'))
const refuses = () => Promise.reject(new MainChainRpcError(45010, 'double spend'))

/** A node over JSON-RPC that owns `sela`, or over P2P where that is undefined. */
function node(
  name: string,
  send: () => Promise<DisplayHash>,
  sela: bigint | undefined,
  sent: string[] = [],
): MainNode {
  const sender = {
    sendRawTransaction: () => {
      sent.push(name)
      return send()
    },
    getRawTransaction: () => (send === away ? away() : Promise.resolve(new Uint8Array([1]))),
  }
  const unspent = [{ sela }] as unknown as UnspentOutput[]
  const rpc = {
    ...sender,
    getBlockCount: () => (send === away ? away() : Promise.resolve(7)),
    listUnspent: () => (send === away ? away() : Promise.resolve(unspent)),
  } as unknown as MainChainClient
  return { name, client: rpc, sender, rpc: sela === undefined ? undefined : rpc }
}

const takes = () => Promise.resolve(id)

describe('paying through several main nodes', () => {
  test('all are sent to, one that takes it is enough, whichever it is', async () => {
    for (const good of [0, 1, 2]) {
      const sent: string[] = []
      const nodes = [away, refuses, away].map((send, i) =>
        node(`${i}`, i === good ? takes : send, 1n, sent),
      )
      expect(await sharedMainWallet(nodes).sendRawTransaction(new Uint8Array(1))).toBe(id)
      expect(sent).toEqual(['0', '1', '2'])
    }
  })

  test('a P2P node alone sends; what is owned it cannot tell', async () => {
    const wallet = sharedMainWallet([node('p2p', takes, undefined)])
    expect(await wallet.sendRawTransaction(new Uint8Array(1))).toBe(id)
    expect(await wallet.getRawTransaction(id)).toEqual(new Uint8Array([1]))
    await expect(wallet.listUnspent('E')).rejects.toThrow(/over JSON-RPC/)
  })

  test('what this node saw arrive counts where no node tells', async () => {
    const seen = {
      getBlockCount: () => Promise.resolve(5),
      listUnspent: () => Promise.resolve([{ sela: 3n }] as unknown as UnspentOutput[]),
    }
    const owned = async (...nodes: MainNode[]) =>
      (await sharedMainWallet(nodes, seen).listUnspent('E')).map(({ sela }) => sela)
    expect(await owned(node('p2p', takes, undefined))).toEqual([3n])
    expect(await owned(node('gone', away, 1n))).toEqual([3n])
    expect(await owned(node('rpc', takes, 1n))).toEqual([1n])
    expect(await sharedMainWallet([node('gone', away, 1n)], seen).getBlockCount()).toBe(5)
  })

  test('a refusal says more than silence', async () => {
    const wallet = sharedMainWallet([node('a', away, 1n), node('b', refuses, 2n)])
    await expect(wallet.sendRawTransaction(new Uint8Array(1))).rejects.toThrow('double spend')
    const nobody = sharedMainWallet([node('a', away, 1n), node('b', away, 2n)])
    await expect(nobody.sendRawTransaction(new Uint8Array(1))).rejects.toThrow('away')
  })

  test('who is away is passed over; after a refusal another tells what is owned', async () => {
    const wallet = sharedMainWallet([
      node('gone', away, 9n),
      node('first', refuses, 1n),
      node('second', refuses, 2n),
    ])
    const owned = async () => (await wallet.listUnspent('E')).map(({ sela }) => sela)
    expect(await wallet.getBlockCount()).toBe(7)
    expect(await owned()).toEqual([1n])
    const seen: bigint[] = []
    for (let i = 0; i < 3; i++) {
      await expect(wallet.sendRawTransaction(new Uint8Array(1))).rejects.toThrow()
      seen.push(...(await owned()))
    }
    expect(seen).toEqual([1n, 2n, 1n])
  })
})
