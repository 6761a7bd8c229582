import type { MainChainFollower } from '../../../chain/src/follower/follower.ts'
import type { MemoAnchorSighting } from '../../../chain/src/follower/followed-block.ts'
import { assert } from '../../../chain/src/bytes/assert.ts'
import { bytesToHex, type Hex } from '../../../chain/src/bytes/hex.ts'
import type { Result } from '../../../chain/src/bytes/result.ts'
import { asInternalHash, type InternalHash } from '../../../chain/src/elastos/hash-orientation.ts'
import { findMemoAnchor } from '../../../chain/src/elastos/memo-anchor.ts'
import { decodeTransaction } from '../../../chain/src/elastos/transaction.ts'
import { memoTransaction, mineMainHeader } from '../../../chain/src/rules/testing/sample-chain.ts'
import { decodeHeaderWithAuxPow } from '../../../chain/src/elastos/main-header.ts'

const NO_TRANSACTION = asInternalHash(new Uint8Array(32))

/** What a validator writes to the main chain. */
export interface AnchorMemo {
  readonly epoch: number
  readonly checkpointHash: Uint8Array
  readonly validatorIndex: number
  readonly secretKey: Uint8Array
}

/** A main block with at most one transaction: its Merkle root is that transaction's id. */
interface MainBlock {
  readonly height: number
  readonly hash: InternalHash
  /** The hash as hex. */
  readonly name: Hex
  readonly time: number
  readonly raw: Uint8Array
  readonly memo: AnchorMemo | undefined
  readonly sighting: MemoAnchorSighting | undefined
}

type Chain = readonly MainBlock[]

/** The main chain of a history: real headers with work, memos, and reorganisations. */
export class SimulatedMainChain {
  readonly #chainId: Uint8Array
  #best: Chain
  /** Memos that stand in no block of the best chain. */
  #waiting: AnchorMemo[] = []

  constructor(chainId: Uint8Array, checkpoint: Uint8Array) {
    this.#chainId = chainId
    const { hash, header } = sure(decodeHeaderWithAuxPow(checkpoint))
    const { height, timestamp: time } = header
    const name = bytesToHex(hash)
    const none = { memo: undefined, sighting: undefined }
    this.#best = [{ height, hash, name, time, raw: checkpoint, ...none }]
  }

  get best(): Chain {
    return this.#best
  }

  write(memo: AnchorMemo): void {
    this.#waiting.push(memo)
  }

  mine(): void {
    const parent = this.#best.at(-1)
    assert(parent, 'a main chain has a first header')
    this.#best = [...this.#best, this.#mined(parent, this.#waiting.shift())]
  }

  /** Another branch, one block longer, takes the place of so many newest blocks. */
  reorganise(depth: number): void {
    const kept = this.#best.slice(0, Math.max(1, this.#best.length - depth))
    const left = this.#best.slice(kept.length)
    this.#best = kept
    this.#waiting.unshift(...left.flatMap(({ memo }) => memo ?? []))
    // An empty block first: the same memo in the same place would be the same block.
    const parent = kept.at(-1)
    assert(parent, 'the first header stays')
    this.#best = [...kept, this.#mined(parent, undefined, 3)]
    for (let i = 0; i < left.length; i++) this.mine()
  }

  #mined(parent: MainBlock, memo: AnchorMemo | undefined, seconds = 2): MainBlock {
    const transaction = memo && memoTransaction(this.#chainId, memo, memo.secretKey)
    const decoded = transaction && sure(decodeTransaction(transaction))
    const merkleRoot = decoded?.id ?? NO_TRANSACTION
    const height = parent.height + 1
    const time = parent.time + seconds
    const raw = mineMainHeader({ height, previous: parent.hash, time, merkleRoot })
    const { hash } = sure(decodeHeaderWithAuxPow(raw))
    const found = decoded && sure(findMemoAnchor(decoded))
    const place = { branch: [], index: 0, height, headerHash: hash }
    const sighting =
      transaction && found
        ? { id: found.id, raw: transaction, anchor: found.anchor, ...place }
        : undefined
    return { height, hash, name: bytesToHex(hash), time, raw, memo, sighting }
  }
}

/** Of what we made ourselves. */
function sure<T>(result: Result<T>): T {
  assert(result.ok, result.ok ? '' : result.fault.message)
  return result.value
}

/** What a node's own main node shows it: a best chain that comes late. */
export class MainView {
  readonly #nowMs: () => number
  #chain: Chain
  /** Since when a block is in the chain, and heights of all blocks ever seen, by hash. */
  #since = new Map<Hex, number>()
  readonly #parents = new Map<Hex, { readonly height: number; readonly parent: Hex }>()

  constructor(chain: Chain, nowMs: () => number) {
    this.#nowMs = nowMs
    this.#chain = []
    this.see(chain)
  }

  see(chain: Chain): void {
    if (chain.length < this.#chain.length) return
    const since = new Map<Hex, number>()
    let parent = ''
    for (const { name, height } of chain) {
      since.set(name, this.#since.get(name) ?? this.#nowMs())
      this.#parents.set(name, { height, parent })
      parent = name
    }
    this.#chain = chain
    this.#since = since
  }

  /** The parts of a follower that production reads for blocks. */
  follower(): MainChainFollower {
    const tip = () => this.#chain.at(-1)
    return {
      get tip() {
        return tip()
      },
      status: () => ({ tip: tip() }),
      poll: () => Promise.resolve(),
      release: () => undefined,
      confirmedHeight: Number.POSITIVE_INFINITY,
      blockAt: (height: number) => {
        const block = this.#at(height)
        return block && { rawHeader: block.raw }
      },
      headersAfter: (tip: MainTip, limit: number) => this.#headersAfter(tip, limit),
      anchors: () => this.#chain.flatMap(({ sighting }) => sighting ?? []),
      powAnchors: () => [],
      deposits: () => [],
      contradicts: ({ height, hash }: MainTip) => {
        const own = this.#at(height)
        return own !== undefined && own.name !== bytesToHex(hash)
      },
      heightKnownFor: (ms: number) => this.#heightKnownFor(ms),
    } as unknown as MainChainFollower
  }

  /** Above the newest block that both share; none where our own chain is not the longer one. */
  #headersAfter(tip: MainTip, limit: number): Uint8Array[] {
    const own = this.#chain.at(-1)
    if (!own || own.height <= tip.height) return []
    for (let name = bytesToHex(tip.hash); ; ) {
      const known = this.#parents.get(name)
      if (!known) return []
      const at = this.#at(known.height)
      if (at?.name === name) {
        return this.#chain
          .slice(this.#chain.indexOf(at) + 1)
          .slice(0, limit)
          .map(({ raw }) => raw)
      }
      name = known.parent
    }
  }

  #heightKnownFor(ms: number): number {
    const before = this.#nowMs() - ms
    const known = this.#chain.findLast(({ name }) => {
      return (this.#since.get(name) ?? Number.POSITIVE_INFINITY) <= before
    })
    return known?.height ?? this.#chain[0]?.height ?? 0
  }

  #at(height: number): MainBlock | undefined {
    return this.#chain[height - (this.#chain[0]?.height ?? 0)]
  }
}

interface MainTip {
  readonly height: number
  readonly hash: InternalHash
}
