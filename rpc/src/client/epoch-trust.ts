import {
  assert,
  bytesEqual,
  bytesToHex,
  decodeCanonical,
  parseHex,
  type Result,
} from '@ioex/chain/bytes'
import {
  type CertifiedTarget,
  type ChainRules,
  EpochHandoverType,
  type FinalHeader,
  type FinalityRules,
  HANDOVER_BYTES_MAX,
  hopEpoch,
  rulesOf,
  skipEpochs,
  trustCheckpoint,
  type TrustedEpoch,
} from '@ioex/chain/light'
import { type Genesis, validatorSetOf } from '@ioex/chain/rules'
import {
  blockHash,
  type Header,
  HeaderType,
  type ValidatorSet,
  ValidatorSetType,
} from '@ioex/chain/types'
import { EPOCH_PROOFS_MAX } from '../contract/chain-methods.ts'
import { decodeCertificate, decodeHeader } from './certified-head.ts'
import type { HeaderEntry } from './header-chain.ts'
import { nextTurn } from './next-turn.ts'
import type { RpcClient } from './rpc-client.ts'
import { RpcError } from './rpc-error.ts'

const SET_BYTES_MAX = 8192
/** Epochs whose sets are remembered, for headers that come late. */
const EPOCHS_KEPT = 64
/** Fewer epochs than this are hopped one by one: as cheap, and no question of age. */
const SKIP_EPOCHS_MIN = 4

export interface EpochTrustOptions {
  readonly chain: ChainRules
  readonly start: TrustedEpoch
  /** Age up to which a header may be skipped from, and how far ahead of our clock one may be. */
  readonly trustingMs: number
  readonly aheadMs: number
  /** A newer epoch is trusted: worth keeping for the next start. */
  readonly onTrust?: ((trusted: TrustedEpoch) => void) | undefined
}

/** Knows who decides which epoch, from what it trusted at first on. */
export class EpochTrust {
  readonly #options: EpochTrustOptions
  #trusted: TrustedEpoch
  #rules = new Map<number, FinalityRules>()
  #work: Promise<void> = Promise.resolve()

  constructor(options: EpochTrustOptions) {
    this.#options = options
    this.#trusted = options.start
    this.#remember()
  }

  /** Newest epoch whose set is known. */
  get epoch(): number {
    return this.#trusted.epoch
  }

  /** What judges headers of an epoch; undefined where its set is not known (any more). */
  readonly rulesOf = (epoch: number): FinalityRules | undefined => this.#rules.get(epoch)

  /** A header became final: a checkpoint that keeps its set opens the next epoch for nothing. */
  advance(final: FinalHeader): void {
    const { header } = final
    if (header.epoch !== this.#trusted.epoch) return
    if (header.height > this.#trusted.newest.header.height) {
      this.#trusted = { ...this.#trusted, newest: final }
    }
    const { epochBlocks } = this.#options.chain
    const isEnd = header.height === header.epoch * epochBlocks
    if (!isEnd || !bytesEqual(header.nextValidatorsHash, header.validatorsHash)) return
    const next = trustCheckpoint(final, this.#trusted.validators)
    if (next.ok) this.#trust(next.value)
  }

  /**
   * Learns the sets up to the epoch of the newest certified header among the entries, from them
   * or from the node that gave them. Throws FALSE_PROOF where that node cannot show them.
   */
  async follow(entries: readonly HeaderEntry[], client: RpcClient): Promise<void> {
    const newest = entries.findLast(({ certificate }) => certificate !== null)
    if (!newest) return
    const target = decodeEntry(newest)
    if (!target || target.header.epoch <= this.#trusted.epoch) return
    this.#hopWithin(entries)
    if (target.header.epoch <= this.#trusted.epoch) return
    const before = this.#work
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#work = promise
    await before
    try {
      await this.#reach(target, client)
    } finally {
      resolve()
    }
  }

  /** Checkpoints among the entries that are certified themselves. */
  #hopWithin(entries: readonly HeaderEntry[]): void {
    const { chain } = this.#options
    for (const entry of entries) {
      if (entry.certificate === null) continue
      if (entry.height !== this.#trusted.epoch * chain.epochBlocks) continue
      const end = decodeEntry(entry)
      const hopped = end && hopEpoch(this.#trusted, { ...end, nextValidators: [] }, chain)
      if (!hopped?.ok) return
      this.#trust(hopped.value)
    }
  }

  async #reach(target: CertifiedHeader, client: RpcClient): Promise<void> {
    const { epoch } = target.header
    const isFar = epoch - this.#trusted.epoch >= SKIP_EPOCHS_MIN
    if (isFar && (await this.#skip(target, client))) return nextTurn()
    while (this.#trusted.epoch < epoch) {
      const from = this.#trusted.epoch
      const to = Math.min(epoch - 1, from + EPOCH_PROOFS_MAX - 1)
      const { proofs } = await client.call('chain_getEpochProofs', { from, to })
      for (const proof of proofs) {
        this.#hop(proof, client)
        await nextTurn()
      }
      if (this.#trusted.epoch === from) throw falseProof(client, `does not prove epoch ${from}`)
    }
  }

  #hop(hex: string, client: RpcClient): void {
    const bytes = parseHex(hex, HANDOVER_BYTES_MAX)
    const proof = bytes.ok
      ? decodeCanonical(EpochHandoverType, bytes.value, HANDOVER_BYTES_MAX)
      : bytes
    // The newest headers, followed meanwhile, may have led us past it.
    if (proof.ok && proof.value.header.epoch < this.#trusted.epoch) return
    const hopped = proof.ok ? hopEpoch(this.#trusted, proof.value, this.#options.chain) : proof
    if (!hopped.ok) throw falseProof(client, hopped.fault.message)
    this.#trust(hopped.value)
  }

  /** One step over many epochs, where age and overlap allow it. */
  async #skip(target: CertifiedHeader, client: RpcClient): Promise<boolean> {
    const { chain, trustingMs, aheadMs } = this.#options
    const nowMs = Date.now()
    const trusted = this.#trusted
    if (nowMs - trusted.newest.header.timeMs > trustingMs) return false
    const validators = await this.#setOf(target.header, client)
    if (!validators) return false
    const skip = { nowMs, trustingMs, aheadMs, overlap: 'two-thirds' } as const
    const skipped = skipEpochs(trusted, { ...target, validators }, chain, skip)
    if (skipped.ok) this.#trust(skipped.value)
    return skipped.ok
  }

  async #setOf(header: Header, client: RpcClient): Promise<ValidatorSet | undefined> {
    const { validators, validatorsHash } = this.#trusted
    if (bytesEqual(header.validatorsHash, validatorsHash)) return validators
    const { epoch } = header
    const { proof } = await client.call('chain_getValidators', { epoch, prove: true })
    const set = readSet(proof?.set ?? '')
    return set.ok ? set.value : undefined
  }

  #trust(trusted: TrustedEpoch): void {
    if (trusted.epoch <= this.#trusted.epoch) return
    this.#trusted = trusted
    this.#remember()
    this.#options.onTrust?.(trusted)
  }

  #remember(): void {
    this.#rules.set(this.#trusted.epoch, rulesOf(this.#trusted, this.#options.chain))
    const [oldest] = this.#rules.keys()
    if (this.#rules.size > EPOCHS_KEPT && oldest !== undefined) this.#rules.delete(oldest)
  }
}

type CertifiedHeader = Pick<CertifiedTarget, 'header' | 'certificate'>

function decodeEntry({ header, certificate }: HeaderEntry): CertifiedHeader | undefined {
  const decoded = decodeHeader(header)
  const signed = certificate === null ? undefined : decodeCertificate(certificate)
  if (!decoded.ok || !signed?.ok) return undefined
  return { header: decoded.value, certificate: signed.value }
}

function readSet(hex: string): Result<ValidatorSet> {
  const bytes = parseHex(hex, SET_BYTES_MAX)
  return bytes.ok ? decodeCanonical(ValidatorSetType, bytes.value, SET_BYTES_MAX) : bytes
}

function falseProof(client: RpcClient, what: string): RpcError {
  return new RpcError('FALSE_PROOF', `${client.url} ${what}`)
}

/** What is believed before any node is asked: genesis closes epoch 0. */
export function trustInGenesis({ block, hash, ledger }: Genesis): TrustedEpoch {
  const newest = { header: block.header, hash }
  const trusted = trustCheckpoint(newest, validatorSetOf(ledger, 1) ?? [])
  assert(trusted.ok, 'genesis names its own validators')
  return trusted.value
}

/** Trust as text, to be kept between starts. Whoever can change it decides what is believed. */
export function trustToJson({ epoch, validators, newest }: TrustedEpoch) {
  return {
    epoch,
    header: bytesToHex(HeaderType.serialize(newest.header)),
    validators: bytesToHex(ValidatorSetType.serialize([...validators])),
  }
}

/** Undefined for anything that is not the text of trust in a header of this chain. */
export function trustFromJson(json: unknown, chainId: Uint8Array): TrustedEpoch | undefined {
  const { epoch, header, validators } = (json ?? {}) as Record<string, unknown>
  if (typeof header !== 'string' || typeof validators !== 'string') return undefined
  const decoded = decodeHeader(header)
  const set = readSet(validators)
  if (!decoded.ok || !set.ok || !bytesEqual(decoded.value.chainId, chainId)) return undefined
  const newest = { header: decoded.value, hash: blockHash(decoded.value) }
  const next = trustCheckpoint(newest, set.value)
  if (next.ok && next.value.epoch === epoch) return next.value
  const { validatorsHash } = newest.header
  const isOwn = bytesEqual(ValidatorSetType.hashTreeRoot(set.value), validatorsHash)
  if (epoch !== newest.header.epoch || !isOwn || set.value.length === 0) return undefined
  return { epoch, validators: set.value, validatorsHash, newest }
}
