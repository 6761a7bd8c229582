import { bytesToHex, fault, formatAddress, ok, type Result } from '@ioex/chain/bytes'
import {
  type FinalHeader,
  type ProvenRecord,
  verifyAccount,
  verifyGlobals,
  verifyNode,
  verifyPeg,
  verifyRecordAt,
} from '@ioex/chain/light'
import type { Indexed, RecordPlace, TableName, TableRecords } from '@ioex/chain/state'
import { RECORDS_MAX } from '../contract/chain-methods.ts'
import type { StateProofsJson } from '../contract/json-forms.ts'
import type { ParamsOf, ResultOf } from '../contract/methods.ts'
import type { EndpointPool } from './endpoint-pool.ts'
import type { HeadFollower } from './head-follower.ts'
import { readStateProof } from './proof-reader.ts'
import type { RpcClient } from './rpc-client.ts'
import { isNodeFailure, RpcError } from './rpc-error.ts'

/** Blocks that a record's node may lie behind our certified head. */
const STALE_BLOCKS_MAX = 30
/** Distinct questions remembered until the next block. */
const ANSWERS_KEPT = 2048
const PAGE_ITEMS = 200
/** Pages of one list that a client reads at most, short ones too: 10 million records looked at. */
const PAGES_MAX = 1000
/** Records that they may hold. */
const LIST_RECORDS_MAX = 100_000

/** A place's record, where it stands; undefined for none. `isProven`: also that there is none. */
interface Answer {
  readonly found: Indexed<unknown> | undefined
  readonly isProven: boolean
}
interface Question extends PromiseWithResolvers<Answer> {
  readonly place: RecordPlace
}
export type ListMethod = 'nodes_list' | 'rails_list' | 'contracts_list'

/**
 * Reads records that are proven under certified headers. Questions of the same moment go out as
 * one; what was answered holds until the next block.
 */
export class RecordReader {
  readonly #pool: EndpointPool
  readonly #follower: HeadFollower
  readonly #prefix: string
  #answers = new Map<string, Promise<unknown>>()
  #answersHeight = -1
  #queue: Question[] = []

  constructor(pool: EndpointPool, follower: HeadFollower, addressPrefix: string) {
    this.#pool = pool
    this.#follower = follower
    this.#prefix = addressPrefix
  }

  /** The record at a place as of the newest blocks; undefined where there is none. */
  async at(place: RecordPlace): Promise<Indexed<unknown> | undefined> {
    const key = 'index' in place ? `${place.table} ${place.index}` : addressKey(place)
    const { found } = await this.#once(key, () => this.#ask(place))
    return found
  }

  /** Asks once per block and question, however many ask it. */
  async #once<T>(key: string, ask: () => Promise<T>): Promise<T> {
    await this.#follower.head()
    const { newestHeight } = this.#follower
    if (newestHeight !== this.#answersHeight || this.#answers.size >= ANSWERS_KEPT) {
      this.#answers.clear()
      this.#answersHeight = newestHeight
    }
    const known = this.#answers.get(key)
    if (known) return known as Promise<T>
    const answer = ask()
    this.#answers.set(key, answer)
    // A failure is not an answer: the next asker tries again.
    answer.catch(() => this.#answers.delete(key))
    return answer
  }

  #ask(place: RecordPlace): Promise<Answer> {
    const question = { place, ...Promise.withResolvers<Answer>() }
    this.#queue.push(question)
    if (this.#queue.length === 1) queueMicrotask(() => this.#sendQueue())
    return question.promise
  }

  #sendQueue(): void {
    const questions = this.#queue
    this.#queue = []
    for (let start = 0; start < questions.length; start += RECORDS_MAX) {
      const some = questions.slice(start, start + RECORDS_MAX)
      this.#answerAll(some).catch((error) => {
        for (const { reject } of some) reject(error)
      })
    }
  }

  async #answerAll(questions: readonly Question[]): Promise<void> {
    const params = this.#paramsOf(questions.map(({ place }) => place))
    const answers = await this.#pool.askAndRead('chain_getRecords', params, (result, client) =>
      this.#readAnswers(questions, result, client),
    )
    questions.forEach((question, i) => {
      const answer = answers[i] as Answer
      if (answer.isProven) question.resolve(answer)
      else this.#confirmNone(question).then(question.resolve, question.reject)
    })
  }

  #paramsOf(places: readonly RecordPlace[]): ParamsOf<'chain_getRecords'> {
    const records = places.map((place) =>
      'index' in place
        ? place
        : { table: place.table, address: formatAddress(place.address, this.#prefix) },
    )
    return { records }
  }

  async #readAnswers(
    questions: readonly Pick<Question, 'place'>[],
    proofs: StateProofsJson,
    client: RpcClient,
  ): Promise<Answer[]> {
    if (proofs.records.length !== questions.length) {
      throw new RpcError('FALSE_PROOF', `${client.url} answers other questions than were asked`)
    }
    const { header } = await this.#fresh(proofs, client)
    return questions.map(({ place }, i) => {
      const json = proofs.records[i]
      if (!json) return { found: undefined, isProven: false }
      const read = readStateProof(json)
      const found = read.ok ? verifyPlace(header.stateRoot, place, read.value) : read
      if (found.ok) return { found: found.value, isProven: true }
      throw new RpcError('FALSE_PROOF', `${client.url}: ${found.fault.message}`)
    })
  }

  /** The certified header of an answer that is not long outdated. */
  async #fresh(proofs: StateProofsJson, client: RpcClient): Promise<FinalHeader> {
    if (proofs.height < this.#follower.newestHeight - STALE_BLOCKS_MAX) {
      throw new RpcError('UNAVAILABLE', 'the node lags behind the chain')
    }
    return this.#follower.trustHeader(proofs, client)
  }

  /** "None" without a proof counts when no other node proves the opposite. */
  async #confirmNone(question: Question): Promise<Answer> {
    const params = this.#paramsOf([question.place])
    for (const other of this.#pool.others()) {
      const answer = await this.#tryOther(other, async () => {
        const result = await other.call('chain_getRecords', params)
        const [own] = await this.#readAnswers([question], result, other)
        return own
      })
      if (answer?.isProven) return answer
    }
    return { found: undefined, isProven: false }
  }

  /**
   * Every record of a list that is proven and admitted. That nothing was left out has no proof,
   * so two nodes are asked and what either proves is taken.
   */
  list<K extends TableName>(
    method: ListMethod,
    params: PageParams,
    table: K,
    admits: (record: TableRecords[K]) => boolean,
  ): Promise<Indexed<TableRecords[K]>[]> {
    return this.#once(`${method} ${JSON.stringify(params)}`, async () => {
      const pages = new ListPages(table, admits, (proofs, client) => this.#fresh(proofs, client))
      const [items] = await Promise.all([
        pages.readAll(params, (page, read) => this.#pool.askAndRead(method, page, read)),
        this.#addOthers(method, params, pages),
      ])
      return [...items].toSorted(([a], [b]) => a - b).map(([index, record]) => ({ index, record }))
    })
  }

  async #addOthers<K extends TableName>(
    method: ListMethod,
    params: PageParams,
    pages: ListPages<K>,
  ): Promise<void> {
    for (const other of this.#pool.others()) {
      const done = await this.#tryOther(other, () =>
        pages.readAll(params, async (page, read) => read(await other.call(method, page), other)),
      )
      if (done) return
    }
  }

  /** Undefined where the failure is that node's. */
  async #tryOther<T>(other: RpcClient, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask()
    } catch (error) {
      if (!isNodeFailure(error)) throw error
      if ((error as RpcError).reason === 'FALSE_PROOF') this.#pool.lied(other)
      return undefined
    }
  }
}

/** Conditions of any of the lists; each takes its own. */
type PageParams = ParamsOf<'nodes_list'> | ParamsOf<'rails_list'> | ParamsOf<'contracts_list'>
type PageResult = ResultOf<ListMethod>

/** Collects a list's proven records page by page, from any number of nodes. */
class ListPages<K extends TableName> {
  readonly #table: K
  readonly #admits: (record: TableRecords[K]) => boolean
  readonly #trust: (proofs: StateProofsJson, client: RpcClient) => Promise<FinalHeader>
  readonly #items = new Map<number, TableRecords[K]>()
  readonly #heights = new Map<number, number>()

  constructor(
    table: K,
    admits: (record: TableRecords[K]) => boolean,
    trust: (proofs: StateProofsJson, client: RpcClient) => Promise<FinalHeader>,
  ) {
    this.#table = table
    this.#admits = admits
    this.#trust = trust
  }

  async readAll(
    params: PageParams,
    ask: (
      params: PageParams,
      read: (page: PageResult, client: RpcClient) => Promise<string | null>,
    ) => Promise<string | null>,
  ): Promise<ReadonlyMap<number, TableRecords[K]>> {
    let cursor: string | null = null
    for (let pagesLeft = PAGES_MAX - 1; ; pagesLeft--) {
      const asked: string | null = cursor
      const page: PageParams = {
        ...params,
        limit: PAGE_ITEMS,
        prove: true,
        ...(asked !== null && { cursor: asked }),
      }
      cursor = await ask(page, async (result, client) => {
        const next = await this.#take(result, client)
        const isEndless = pagesLeft === 0 || this.#heights.size > LIST_RECORDS_MAX
        if (next === null || (next !== asked && !isEndless)) return next
        throw new RpcError('BAD_RESPONSE', `the pages of ${client.url} do not end`)
      })
      if (cursor === null) return this.#items
    }
  }

  async #take({ proof, next }: PageResult, client: RpcClient): Promise<string | null> {
    if (!proof) throw new RpcError('FALSE_PROOF', `${client.url} gives records without proofs`)
    const { header } = await this.#trust(proof, client)
    for (const json of proof.records) {
      const read = json ? readStateProof(json) : fault('PROOF_SHAPE', 'a record is not proven')
      const found = read.ok
        ? verifyRecordAt(header.stateRoot, this.#table, read.value.proof.index, read.value)
        : read
      if (!found.ok) throw new RpcError('FALSE_PROOF', `${client.url}: ${found.fault.message}`)
      if (json && found.value) this.#add(json.index, found.value, header.height)
    }
    return next
  }

  /** Of two states of a record the later one counts. */
  #add(index: number, record: TableRecords[K], height: number): void {
    if ((this.#heights.get(index) ?? -1) > height) return
    this.#heights.set(index, height)
    if (this.#admits(record)) this.#items.set(index, record)
    else this.#items.delete(index)
  }
}

function addressKey({ table, address }: { table: string; address: Uint8Array }): string {
  return `${table} of ${bytesToHex(address)}`
}

function verifyPlace(
  stateRoot: Uint8Array,
  place: RecordPlace,
  proven: ProvenRecord,
): Result<Indexed<unknown> | undefined> {
  const { index } = proven.proof
  if ('address' in place) {
    if (place.table === 'nodes') return verifyNode(stateRoot, place.address, proven)
    return placed(index, verifyAccount(stateRoot, place.address, proven))
  }
  if (place.table === 'globals') return placed(index, verifyGlobals(stateRoot, proven))
  if (place.table === 'peg') return placed(index, verifyPeg(stateRoot, proven))
  return placed(index, verifyRecordAt(stateRoot, place.table, place.index, proven))
}

function placed(index: number, found: Result<unknown>) {
  if (!found.ok) return found
  return ok(found.value === undefined ? undefined : { index, record: found.value })
}
