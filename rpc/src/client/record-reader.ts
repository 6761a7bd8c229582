import type { Type } from '@chainsafe/ssz'
import { decodeCanonical, parseHex } from '@ioex/chain/bytes'
import type { MethodName, ParamsOf, ResultOf } from '../contract/methods.ts'
import type { EndpointPool } from './endpoint-pool.ts'
import type { HeadFollower } from './head-follower.ts'
import { RpcError } from './rpc-error.ts'

/** Blocks that a record's node may lie behind our certified head. */
const STALE_BLOCKS_MAX = 30
/** Distinct questions remembered until the next block. */
const ANSWERS_KEPT = 512

/** Reads records from full nodes: one question per block and record, however many ask it. */
export class RecordReader {
  readonly #pool: EndpointPool
  readonly #follower: HeadFollower
  #answers = new Map<string, Promise<unknown>>()
  #answersHeight = -1

  constructor(pool: EndpointPool, follower: HeadFollower) {
    this.#pool = pool
    this.#follower = follower
  }

  /** The answer as of the newest head; undefined for NOT_FOUND. */
  async read<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
  ): Promise<ResultOf<M> | undefined> {
    const { header } = await this.#follower.head()
    if (header.height !== this.#answersHeight || this.#answers.size >= ANSWERS_KEPT) {
      this.#answers.clear()
      this.#answersHeight = header.height
    }
    const key = `${method} ${JSON.stringify(params)}`
    const known = this.#answers.get(key)
    if (known) return known as Promise<ResultOf<M> | undefined>
    const answer = this.#ask(method, params, header.height)
    this.#answers.set(key, answer)
    // A failure is not an answer: the next asker tries again.
    answer.catch(() => this.#answers.delete(key))
    return answer
  }

  async #ask<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    headHeight: number,
  ): Promise<ResultOf<M> | undefined> {
    const refuseStale = (result: ResultOf<M>) => {
      const { height } = result as { height?: unknown }
      if (typeof height !== 'number' || height >= headHeight - STALE_BLOCKS_MAX) return result
      throw new RpcError('UNAVAILABLE', 'the node lags behind the chain')
    }
    try {
      return await this.#pool.askAndRead(method, params, refuseStale)
    } catch (error) {
      if (error instanceof RpcError && error.reason === 'NOT_FOUND') return undefined
      throw error
    }
  }

  /** Every item of a paged list; refuses more than `itemsMax`. */
  async readAll<M extends 'nodes_list' | 'rails_list' | 'contracts_list', T>(
    method: M,
    params: ParamsOf<M>,
    itemsOf: (page: ResultOf<M>) => readonly T[],
    itemsMax: number,
  ): Promise<T[]> {
    const items: T[] = []
    let cursor: string | null | undefined
    do {
      const page = await this.read(method, { ...params, limit: 200, ...(cursor && { cursor }) })
      if (!page) break
      items.push(...itemsOf(page))
      cursor = page.next
      if (items.length > itemsMax) {
        throw new RpcError('BAD_RESPONSE', `${method} gives more than ${itemsMax} records`)
      }
    } while (cursor !== null && cursor !== undefined)
    return items
  }
}

/** Decodes a record's `ssz`; a node that sends other bytes is at fault. */
export function decodeRecord<T>(type: Type<T>, hex: string, bytesMax: number): T {
  const bytes = parseHex(hex, bytesMax)
  const decoded = bytes.ok ? decodeCanonical(type, bytes.value, bytesMax) : bytes
  if (!decoded.ok) throw new RpcError('BAD_RESPONSE', `a record: ${decoded.fault.message}`)
  return decoded.value
}
