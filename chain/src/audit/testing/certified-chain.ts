import { assert } from '../../bytes/assert.ts'
import { bytesToHex, type Hex } from '../../bytes/hex.ts'
import { signingDigest, sign } from '../../bytes/signature.ts'
import { assembleCertificate, signersOf } from '../../consensus/certificate.ts'
import { leaderSchedule } from '../../consensus/leader-schedule.ts'
import { asInternalHash } from '../../elastos/hash-orientation.ts'
import { merkleRoot } from '../../elastos/merkle.ts'
import { decodeTransaction } from '../../elastos/transaction.ts'
import { createConsensusCrypto } from '../../driver/consensus-crypto.ts'
import { buildOn } from '../../manager/block-execution.ts'
import { checkpointHeight, epochOfHeight } from '../../params/network-params.ts'
import { buildGenesis, type Genesis } from '../../rules/genesis-state.ts'
import {
  keyOf,
  memoTransaction,
  SampleChain,
  type SampleOptions,
  UNITS,
} from '../../rules/testing/sample-chain.ts'
import { validatorSetOf } from '../../rules/validator-set.ts'
import { merge } from '../../state/ledger.ts'
import { blockHash } from '../../types/block.ts'
import {
  type Certificate,
  type Header,
  type Justification,
  JustificationType,
  type Statement,
  VoteKind,
} from '../../types/consensus-objects.ts'
import { type Transaction, VoucherType } from '../../types/transactions.ts'
import { ZERO_HASH } from '../../types/primitives.ts'
import type { BlockSource } from '../audited-node.ts'
import type { ExportRecord } from '../export-format.ts'
import { encodeServed } from './served-block.ts'
import { fillSlot, openContract, proveSlot, redeemSlot } from './storage-work.ts'

const VALIDATORS = 4
/** A quorum of four equal validators. */
const SIGNERS = [0, 1, 3]

export interface BlockTerms {
  /** Without a certificate of its own the next block's covers it. */
  readonly certified?: boolean
  /** Views given up before this block's. */
  readonly skips?: number
  /** Views later that the epoch's last block became final. */
  readonly finalLater?: number
}

/** A chain with all its certificates, signed by validators whose keys the test holds. */
export class CertifiedChain {
  readonly sample: SampleChain
  /** Genesis first. */
  readonly records: ExportRecord[]
  #leaders: readonly number[] = []
  #start: Hex

  constructor(options: SampleOptions = { nodes: ['relay'] }) {
    this.sample = new SampleChain(options)
    const { block, hash } = this.sample.genesis
    this.records = [{ block, justification: { parent: [], skips: [] }, certificate: undefined }]
    this.#start = bytesToHex(hash)
  }

  get tip(): ExportRecord {
    return this.records.at(-1) as ExportRecord
  }

  get height(): number {
    return this.records.length - 1
  }

  certify(kind: VoteKind, epoch: number, view: number, hash: Uint8Array): Certificate {
    const statement: Statement = { kind, epoch, view, hash }
    const votes = SIGNERS.map((validator) => {
      const { secretKey } = keyOf(`validator-${validator}`)
      const signature = createConsensusCrypto(this.sample.chainId, secretKey).sign(statement)
      return [validator, { statement, validator, signature }] as const
    })
    return assembleCertificate(statement, new Map(votes), VALIDATORS)
  }

  /** Builds the next block by the production rules; every transaction must fit. */
  append(transactions: readonly Transaction[] = [], terms: BlockTerms = {}): ExportRecord {
    const { sample } = this
    const { fields, justification } = this.#place(terms.skips ?? 0)
    const [parent] = justification.parent
    const built = buildOn(sample.ledger, {
      chainId: sample.chainId,
      participants: parent ? signersOf(parent) : [],
      isVerified: () => false,
      fields,
      parentHash: bytesToHex(fields.parentHash),
      system: transactions,
      waiting: [],
    })
    assert(built.transactions.length === transactions.length, 'a transaction did not fit')
    merge(built.draft)
    const block = { header: built.header, body: { transactions: [...built.transactions] } }
    const certificate =
      terms.certified === false ? undefined : this.#finalise(built.header, terms.finalLater ?? 0)
    const record = { block, justification, certificate }
    this.records.push(record)
    return record
  }

  /** Empty blocks up to and with a height. */
  runTo(height: number): void {
    while (this.height < height) this.append()
  }

  #place(skips: number) {
    const { sample } = this
    const { header: parent } = this.tip.block
    const parentHash = blockHash(parent)
    const height = parent.height + 1
    const epoch = epochOfHeight(sample.params, height)
    const isFirst = height === checkpointHeight(sample.params, epoch - 1) + 1
    if (isFirst) {
      this.#start = bytesToHex(parentHash)
      const set = validatorSetOf(sample.ledger, epoch)
      assert(set, 'the set of the next epoch is fixed')
      this.#leaders = leaderSchedule(set, this.#start, epoch)
    }
    const parentView = isFirst ? 0 : parent.view
    const view = parentView + 1 + skips
    const justification: Justification = {
      parent: this.#parentCertificate(isFirst, parent, parentHash),
      skips: Array.from({ length: skips }, (_, i) =>
        this.certify(VoteKind.nullify, epoch, parentView + 1 + i, ZERO_HASH),
      ),
    }
    const justHash = JustificationType.hashTreeRoot(justification)
    const proposer = this.#leaders[view % this.#leaders.length] as number
    const timeMs = parent.timeMs + sample.params.blockIntervalMs
    const fields = { epoch, view, height, timeMs, parentHash, parentView, justHash, proposer }
    return { fields, justification }
  }

  #parentCertificate(isFirst: boolean, parent: Header, hash: Uint8Array): Certificate[] {
    if (parent.height === 0) return []
    if (!isFirst) return [this.certify(VoteKind.notarize, parent.epoch, parent.view, hash)]
    assert(this.tip.certificate, 'an epoch ends certified')
    return [this.tip.certificate]
  }

  #finalise(header: Header, later: number): Certificate {
    return this.certify(VoteKind.finalize, header.epoch, header.view + later, blockHash(header))
  }

  /**
   * The last block as dishonest validators would sign it: with other transactions or header
   * fields, its links and certificates in order.
   */
  forgeTip(change: {
    readonly header?: Partial<Header>
    readonly transactions?: readonly Transaction[]
  }): ExportRecord {
    const { block, justification } = this.tip
    const transactions = [...(change.transactions ?? block.body.transactions)]
    const header = { ...block.header, ...change.header }
    const certificate = this.#finalise(header, 0)
    return { block: { header, body: { transactions } }, justification, certificate }
  }

  /** What a node serves of it. */
  source(records: readonly ExportRecord[] = this.records, perAnswer = 7): BlockSource {
    const { chainId } = this.sample
    return {
      tip: () => Promise.resolve({ chainId: bytesToHex(chainId), height: records.length - 1 }),
      blocks: (from, to) =>
        Promise.resolve(records.slice(from, Math.min(to + 1, from + perAnswer)).map(encodeServed)),
    }
  }
}

const { document } = new SampleChain({ nodes: ['relay'] })

/** A second, unused genesis of the same network. */
export function sameGenesis(): Genesis {
  const built = buildGenesis(document)
  assert(built.ok, 'the document built a chain before')
  return built.value
}

/** The relay's node key. */
export const relay = keyOf('relay')
const alice = keyOf('alice')
const bob = keyOf('bob')
const KIB_PER_GIB = 2 ** 20

/** Last height of the eventful chain. */
export const EVENTFUL_HEIGHT = 55
/** Index of the peer's storage rail in it. */
const STORAGE_RAIL = 1

/**
 * Five epochs and a bit with everything that an audit counts: transfers; a relay rail with
 * redeems, burns and subsidies; a storage contract that is filled, proven, paid and missed once;
 * main headers that fix beacons, an anchor; given-up views, blocks that only a later certificate
 * covers, an epoch's end that was final late.
 */
export function eventfulChain(): CertifiedChain {
  const chain = new CertifiedChain()
  const { sample } = chain
  const pay = (amount: bigint) =>
    sample.byOwner(alice, { selector: 0, value: { to: bob.address, amount } })
  const beacon = () => sample.mainHeaders(mineHeaders(sample, 2))
  chain.append([pay(5n * UNITS)])
  chain.append([openRelay(sample)])
  chain.append([sample.mainHeaders(mineHeaders(sample, 3)), openContract(sample)])
  chain.append([fillSlot(sample), redeem(chain, KIB_PER_GIB)], { skips: 2 })
  chain.append([], { certified: false })
  chain.append([pay(1n)], { certified: false })
  chain.runTo(9)
  const checkpoint = chain.append([], { finalLater: 2 })
  chain.append([beacon()])
  chain.append([proveSlot(sample), redeem(chain, 2 * KIB_PER_GIB)])
  chain.append(anchorOf(sample, checkpoint))
  chain.runTo(20)
  chain.append([beacon()], { skips: 1 })
  chain.append([proveSlot(sample), redeem(chain, 3 * KIB_PER_GIB), pay(7n)])
  chain.runTo(30)
  // Nobody answers the challenge that this beacon opens: it lapses with epoch 5.
  chain.append([beacon()])
  chain.runTo(51)
  chain.append([redeemSlot(sample, STORAGE_RAIL)])
  chain.runTo(EVENTFUL_HEIGHT)
  return chain
}

function openRelay(sample: SampleChain): Transaction {
  const prices = { unitPrice: 10n * UNITS, reservationPrice: 0n }
  const value = { node: relay.address, lockUnits: 50n * UNITS, ...prices }
  return sample.byOwner(alice, { selector: 3, value })
}

export function mineHeaders({ main }: SampleChain, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => main.mine(main.tip.time + 30))
}

function redeem({ sample }: CertifiedChain, kib: number): Transaction {
  const voucher = { rail: 0, generation: 0, kib, reservations: 0 }
  const digest = signingDigest('voucher', sample.chainId, VoucherType.hashTreeRoot(voucher))
  const signature = sign(digest, alice.secretKey)
  const vouchers = [{ voucher, payerKey: alice.publicKey, signature }]
  return sample.byNode(relay, { selector: 6, value: { rails: [0], vouchers, least: 0n } })
}

/** The header of a main block that carries the memo, and the anchor that shows it. */
export function anchorOf(sample: SampleChain, { block }: ExportRecord): Transaction[] {
  const checkpointHash = blockHash(block.header)
  const { epoch } = block.header
  const { secretKey } = keyOf('validator-0')
  const commitment = { epoch, checkpointHash, validatorIndex: 0 }
  const transaction = memoTransaction(sample.chainId, commitment, secretKey)
  const decoded = decodeTransaction(transaction)
  assert(decoded.ok, 'we built this transaction')
  const root = merkleRoot([asInternalHash(decoded.value.id)])
  const header = sample.main.mine(sample.main.tip.time + 30, root)
  const mainHeight = sample.main.tip.height
  const value = { epoch, checkpointHash, transaction, branch: [], branchIndex: 0, mainHeight }
  return [sample.mainHeaders([header]), sample.bySystem({ selector: 13, value })]
}
