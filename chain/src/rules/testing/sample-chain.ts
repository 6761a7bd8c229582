import { presets } from '../../../../genesis/src/presets/presets.ts'
import { assert } from '../../bytes/assert.ts'
import { sha256 } from '../../bytes/hash.ts'
import { utf8ToBytes } from '../../bytes/hex.ts'
import type { Result } from '../../bytes/result.ts'
import { addressOf, publicKeyOf, sign } from '../../bytes/signature.ts'
import { asInternalHash, type InternalHash } from '../../elastos/hash-orientation.ts'
import {
  decodeHeaderWithAuxPow,
  encodeHeaderWithAuxPow,
  headerHash,
} from '../../elastos/main-header.ts'
import { mineAuxPow } from '../../elastos/merge-mining.ts'
import { memoAnchorAttribute, memoAnchorDigest } from '../../elastos/memo-anchor.ts'
import { encodeTransaction as encodeMainTransaction } from '../../elastos/transaction.ts'
import { epochOfHeight, type NetworkParams } from '../../params/network-params.ts'
import { draftOf, type Ledger, merge } from '../../state/ledger.ts'
import { blockHash } from '../../types/block.ts'
import type { Header } from '../../types/consensus-objects.ts'
import type { GenesisDocument } from '../../types/genesis-document.ts'
import { ZERO_KEY, ZERO_SIGNATURE } from '../../types/primitives.ts'
import { signTransaction } from '../../types/transaction-codec.ts'
import type { Payload, Transaction, TransactionBody } from '../../types/transactions.ts'
import { nonceOf } from '../accounts.ts'
import {
  applyTransaction,
  beginBlock,
  type BlockInput,
  type BlockOutcome,
  executeBlock,
} from '../execute-block.ts'
import { buildGenesis, type Genesis, genesisDocument } from '../genesis-state.ts'

export interface KeyPair {
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
  readonly address: Uint8Array
}

/** A key pair that follows from its name. */
export function keyOf(name: string): KeyPair {
  const secretKey = sha256(utf8ToBytes(name))
  const publicKey = publicKeyOf(secretKey)
  return { secretKey, publicKey, address: addressOf(publicKey) }
}

const MAIN_BITS = 0x207fffff
const ZERO = asInternalHash(new Uint8Array(32))

interface SampleHeader {
  readonly raw: Uint8Array
  readonly hash: InternalHash
  readonly height: number
  readonly time: number
  readonly bits: number
}

/** Mines real, valid headers of the lowest difficulty, one after the other or on a fork. */
export class SampleMainChain {
  readonly headers: SampleHeader[]

  constructor(headers: readonly SampleHeader[]) {
    this.headers = [...headers]
  }

  static start(height: number, time: number, bits = MAIN_BITS): SampleMainChain {
    return new SampleMainChain([mined({ height, previous: ZERO, time, merkleRoot: ZERO, bits })])
  }

  get tip(): SampleHeader {
    const tip = this.headers.at(-1)
    assert(tip !== undefined, 'a main chain has a first header')
    return tip
  }

  /** Adds a header; gives its raw bytes with AuxPow. */
  mine(time: number, merkleRoot: Uint8Array = ZERO, bits = this.tip.bits): Uint8Array {
    const { hash, height } = this.tip
    const root = asInternalHash(merkleRoot)
    const header = mined({ height: height + 1, previous: hash, time, merkleRoot: root, bits })
    this.headers.push(header)
    return header.raw
  }

  /** A chain that shares the headers up to a height. */
  fork(height: number): SampleMainChain {
    return new SampleMainChain(this.headers.filter((header) => header.height <= height))
  }
}

function mined(fields: HeaderFields & { readonly bits: number }): SampleHeader {
  const raw = mineMainHeader(fields)
  const decoded = decodeHeaderWithAuxPow(raw)
  assert(decoded.ok, 'a mined header decodes')
  const { height, time, bits } = fields
  return { raw, hash: decoded.value.hash, height, time, bits }
}

interface HeaderFields {
  readonly height: number
  readonly previous: InternalHash
  readonly time: number
  readonly merkleRoot: InternalHash
  readonly bits?: number
}

export function mineMainHeader(fields: HeaderFields): Uint8Array {
  const { height, previous, time, merkleRoot, bits = MAIN_BITS } = fields
  const header = { version: 0, previous, merkleRoot, timestamp: time, bits, nonce: 0, height }
  const auxPow = mineAuxPow({
    auxBlockHash: headerHash(header),
    bits,
    timestamp: time,
    parentPrevious: ZERO,
    extraNonce: new Uint8Array(0),
  })
  assert(auxPow !== undefined, 'the lowest difficulty is met at once')
  return encodeHeaderWithAuxPow(header, auxPow)
}

/** A main-chain transaction whose memo anchors a checkpoint. */
export function memoTransaction(
  chainId: Uint8Array,
  commitment: { epoch: number; checkpointHash: Uint8Array; validatorIndex: number },
  secretKey: Uint8Array,
): Uint8Array {
  const memo = { sideGenesisHash: chainId, ...commitment }
  const signature = sign(memoAnchorDigest(memo, chainId), secretKey)
  return encodeMainTransaction({
    version: 0,
    type: 2,
    payloadVersion: 0,
    payload: { kind: 'transfer' },
    attributes: [memoAnchorAttribute({ ...memo, signature })],
    inputs: [],
    outputs: [],
    lockTime: 0,
    programs: [],
  })
}

export const UNITS = 100_000_000n
export const GENESIS_TIME_MS = 1_700_000_000_000
export const MAIN_CHECKPOINT_HEIGHT = 100

export interface SampleOptions {
  readonly params?: Partial<NetworkParams>
  readonly balances?: Readonly<Record<string, bigint>>
  /** Names of node keys that are bootstrap nodes from genesis on. */
  readonly nodes?: readonly string[]
  readonly mainBits?: number
  /** Raw header of another main chain to stand on than the sample's own. */
  readonly mainCheckpoint?: Uint8Array
}

const VALIDATORS = ['validator-0', 'validator-1', 'validator-2', 'validator-3']

/** A chain of real blocks without consensus: production rules over production state. */
export class SampleChain {
  readonly params: NetworkParams
  readonly document: GenesisDocument
  readonly genesis: Genesis
  readonly ledger: Ledger
  readonly main: SampleMainChain
  /** Hashes of all blocks, genesis first. */
  readonly hashes: Uint8Array[]
  header: Header

  constructor(options: SampleOptions = {}) {
    this.params = { ...presets.ci, ...options.params }
    const checkpointTime = GENESIS_TIME_MS / 1000 - 10
    this.main = SampleMainChain.start(MAIN_CHECKPOINT_HEIGHT, checkpointTime, options.mainBits)
    const balances = options.balances ?? { alice: 1_000n * UNITS, bob: 1_000n * UNITS }
    this.document = genesisDocument({
      params: this.params,
      timeMs: GENESIS_TIME_MS,
      allocations: Object.entries(balances).map(([name, amount]) => ({
        address: keyOf(name).address,
        amount,
      })),
      validators: VALIDATORS.map((name) => ({
        owner: keyOf(`${name}-owner`).address,
        payout: keyOf(`${name}-payout`).address,
        consensusKey: keyOf(name).publicKey,
        mainKey: ZERO_KEY,
        power: 100,
        bond: 100n * UNITS,
      })),
      nodes: (options.nodes ?? []).map((name) => ({
        owner: keyOf(`${name}-owner`).address,
        nodeKey: keyOf(name).publicKey,
        payout: keyOf(`${name}-payout`).address,
        roles: 2,
      })),
      mainCheckpoint: options.mainCheckpoint ?? this.main.tip.raw,
    })
    const built = buildGenesis(this.document)
    assert(built.ok, `genesis: ${built.ok ? '' : built.fault.message}`)
    this.genesis = built.value
    this.ledger = this.genesis.ledger
    this.header = this.genesis.block.header
    this.hashes = [this.genesis.hash]
  }

  get chainId(): Uint8Array {
    return this.genesis.chainId
  }

  get height(): number {
    return this.ledger.globals().height
  }

  get epoch(): number {
    return epochOfHeight(this.params, this.height)
  }

  /** Where the next block stands. */
  next(changes: Partial<BlockInput> = {}): BlockInput {
    const height = this.height + 1
    return {
      height,
      epoch: epochOfHeight(this.params, height),
      timeMs: this.ledger.globals().timeMs + this.params.blockIntervalMs,
      proposer: height % VALIDATORS.length,
      participants: height === 1 ? [] : [0, 1, 2],
      parentHash: this.hashes.at(-1) as Uint8Array,
      ...changes,
    }
  }

  /** Executes and commits a block; a transaction that faults is a failure of the test. */
  block(transactions: readonly Transaction[] = [], changes: Partial<BlockInput> = {}) {
    const draft = draftOf(this.ledger)
    const block = this.next(changes)
    const executed = executeBlock(draft, transactions, block)
    assert(executed.ok, executed.ok ? '' : `${executed.fault.code}: ${executed.fault.message}`)
    merge(draft)
    this.#seal(block, executed.value)
    return executed.value
  }

  #seal(block: BlockInput, { roots }: BlockOutcome): void {
    const { height, epoch, timeMs, parentHash, proposer } = block
    const place = { height, epoch, timeMs, parentHash, proposer, view: height }
    this.header = { ...this.header, ...roots, ...place, parentView: height - 1 }
    this.hashes.push(blockHash(this.header))
  }

  /** Empty blocks up to and with this height. */
  runTo(height: number): void {
    while (this.height < height) this.block()
  }

  /** Up to the first block of an epoch. */
  runToEpoch(epoch: number): void {
    this.runTo((epoch - 1) * this.params.epochBlocks + 1)
  }

  /** What one transaction would give in the next block: 'ok' or the fault's code. */
  outcome(transaction: Transaction, changes: Partial<BlockInput> = {}): string {
    const result = this.attempt(transaction, changes)
    return result.ok ? 'ok' : result.fault.code
  }

  attempt(transaction: Transaction, changes: Partial<BlockInput> = {}): Result<undefined> {
    const begun = beginBlock(draftOf(this.ledger), this.next(changes))
    assert(begun.ok, 'the block itself can stand')
    return applyTransaction(begun.value, transaction)
  }

  /** A transaction of an account, with its next nonce unless told otherwise. */
  byOwner(key: KeyPair, payload: Payload, changes: Partial<TransactionBody> = {}): Transaction {
    const body: TransactionBody = {
      sender: key.publicKey,
      nonce: nonceOf(this.ledger, key.address),
      validUntil: this.height + 100,
      maxBaseFee: 10n,
      tip: 0n,
      payload,
      ...changes,
    }
    return signTransaction(body, this.chainId, key.secretKey)
  }

  /** A transaction without an account: of a node key, or free. */
  byNode(key: KeyPair, payload: Payload, changes: Partial<TransactionBody> = {}): Transaction {
    return this.byOwner(key, payload, { nonce: 0, ...changes })
  }

  bySystem(payload: Payload, changes: Partial<TransactionBody> = {}): Transaction {
    const body: TransactionBody = {
      sender: ZERO_KEY,
      nonce: 0,
      validUntil: this.height + 100,
      maxBaseFee: 0n,
      tip: 0n,
      payload,
      ...changes,
    }
    return { body, signature: ZERO_SIGNATURE }
  }

  mainHeaders(headers: Uint8Array[]): Transaction {
    return this.bySystem({ selector: 12, value: { headers } })
  }
}
