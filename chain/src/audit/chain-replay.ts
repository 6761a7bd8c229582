import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { signersOf } from '../consensus/certificate.ts'
import { checkpointHeight, isCheckpointHeight } from '../params/network-params.ts'
import { checkHeaderRoots, executeBlock } from '../rules/execute-block.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import { auditSupply } from '../rules/supply.ts'
import { validatorSetOf } from '../rules/validator-set.ts'
import { draftOf, type Ledger, merge } from '../state/ledger.ts'
import type { Receipt } from '../types/receipts.ts'
import { PayloadKind, type Transaction } from '../types/transactions.ts'
import { CertifiedHistory } from './certified-history.ts'
import { encodeRecord, type ExportRecord } from './export-format.ts'
import { ReceiptTally } from './receipt-tally.ts'
import { OpeningsTally } from './unchecked-openings.ts'

/** What was counted while everything was recomputed. */
export interface ReplayTotals {
  /** With genesis. */
  readonly blocks: number
  readonly transactions: number
  readonly receipts: number
  /** Finality certificates. */
  readonly certificates: number
  /** Validators' signatures in certificates of all kinds. */
  readonly signatures: number
  /** Main-chain headers with their AuxPow. */
  readonly mainHeaders: number
  /** Epochs that are over. */
  readonly epochs: number
  /** Beacons that main-chain work fixed. */
  readonly beacons: number
  readonly anchors: number
  readonly forfeits: number
  /** Units. */
  readonly minted: bigint
  readonly burnedService: bigint
}

/**
 * The chain computed again, block after block, by the production rules: a block is taken only if
 * it is final by the validators' own signatures and its header states what executing it gives.
 * Nothing but the genesis file is believed, and of a block whose openings are gone, that they were
 * true; `openings` lists those. The genesis given is used up.
 */
export class ChainReplay {
  readonly ledger: Ledger
  readonly #genesis: Genesis
  readonly #history: CertifiedHistory
  readonly #tally = new ReceiptTally()
  /** What could be checked of proofs and fills, and what could not. */
  readonly openings = new OpeningsTally()
  #blocks = 0
  #transactions = 0
  #mainHeaders = 0
  #epochs = 0

  constructor(genesis: Genesis) {
    const { chainId, params, block, hash, ledger } = genesis
    this.ledger = ledger
    this.#genesis = genesis
    this.#history = new CertifiedHistory({ chainId, params, header: block.header, hash })
  }

  /** Height that the next block must have. */
  get nextHeight(): number {
    return this.#blocks
  }

  /** Hash of the newest block, hex. */
  get headHash(): string {
    return this.#history.head.hash
  }

  /** Epoch of the newest block; all before it are over. */
  get epoch(): number {
    return this.#history.head.header.epoch
  }

  get totals(): ReplayTotals {
    const { certificates, signatures } = this.#history
    const { receipts, anchors, forfeits } = this.#tally
    const { minted, burnedService } = this.ledger.globals()
    return {
      blocks: this.#blocks,
      transactions: this.#transactions,
      receipts,
      certificates,
      signatures,
      mainHeaders: this.#mainHeaders,
      epochs: this.#epochs,
      beacons: this.#beacons(),
      anchors,
      forfeits,
      minted,
      burnedService,
    }
  }

  /** Takes the next block; gives the receipts that it leaves. After a fault nothing more fits. */
  apply(record: ExportRecord): Result<readonly Receipt[]> {
    if (this.#blocks === 0) return this.#takeGenesis(record)
    const validators = validatorSetOf(this.ledger, record.block.header.epoch)
    if (!validators) return fault('BLOCK_EPOCH', 'the set of the epoch is not fixed yet')
    const extended = this.#history.extend(record, validators)
    if (!extended.ok) return extended
    const receipts = this.#execute(record)
    if (!receipts.ok) return receipts
    const { header, body } = record.block
    this.#blocks++
    this.#transactions += body.transactions.length
    for (const transaction of body.transactions) this.#mainHeaders += mainHeadersIn(transaction)
    this.#tally.add(receipts.value)
    this.openings.add(record)
    if (!isCheckpointHeight(this.#genesis.params, header.height)) return receipts
    this.#epochs++
    const closed = this.#tally.closeEpoch(this.ledger, header.epoch)
    return closed.ok ? receipts : closed
  }

  /** After the last block: it is proven, every unit is there, no epoch minted too much. */
  finish(): Result<undefined> {
    const { unprovenFrom } = this.#history
    if (unprovenFrom !== undefined) {
      return fault('END_UNCERTIFIED', `no certificate proves the blocks from ${unprovenFrom} on`, {
        from: unprovenFrom,
      })
    }
    const forgotten = this.#checkForgotten()
    if (!forgotten.ok) return forgotten
    const supply = auditSupply(this.ledger)
    return supply.ok ? this.#tally.checkMint(this.ledger) : supply
  }

  /** Openings may go behind a FINAL anchor (PROTOCOL 11): whoever hides newer ones hides a lie. */
  #checkForgotten(): Result<undefined> {
    const { lastUnchecked } = this.openings
    const { lastFinalEpoch } = this.ledger.globals()
    const most = checkpointHeight(this.#genesis.params, lastFinalEpoch)
    if (lastUnchecked === undefined || lastUnchecked <= most) return ok()
    return fault(
      'PRUNED_TOO_SOON',
      'openings are said to be gone that no FINAL anchor covers yet',
      {
        height: lastUnchecked,
        finalTo: most,
      },
    )
  }

  /** Block 0 must be, byte for byte, what the genesis file gives. */
  #takeGenesis(record: ExportRecord): Result<readonly Receipt[]> {
    const { block } = this.#genesis
    const justification = { parent: [], skips: [] }
    const own = encodeRecord({ block, justification, certificate: undefined })
    if (!bytesEqual(encodeRecord(record), own)) {
      return fault('GENESIS_OTHER', 'block 0 is not the one that the trusted genesis file gives')
    }
    this.#blocks = 1
    return ok([])
  }

  #execute(record: ExportRecord): Result<readonly Receipt[]> {
    const { block, pruned, justification } = record
    const { header, body } = block
    const { height, epoch, timeMs, proposer, parentHash } = header
    const [parent] = justification.parent
    const participants = parent ? signersOf(parent) : []
    const draft = draftOf(this.ledger)
    const place = { height, epoch, timeMs, proposer, parentHash, participants }
    const outcome = executeBlock(draft, body.transactions, place, {
      believesOpenings: pruned !== undefined,
    })
    if (!outcome.ok) return outcome
    const same = checkHeaderRoots(header, outcome.value.roots)
    if (!same.ok) return same
    merge(draft)
    return ok(outcome.value.receipts)
  }

  #beacons(): number {
    let beacons = 0
    for (let epoch = 0; epoch < this.ledger.epochs.count; epoch++) {
      if (this.ledger.epochs.get(epoch)?.beaconHeight) beacons++
    }
    return beacons
  }
}

function mainHeadersIn({ body: { payload } }: Transaction): number {
  return payload.selector === PayloadKind.mainHeaders ? payload.value.headers.length : 0
}
