import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { formatElaAddress } from '../elastos/ela-address.ts'
import { asInternalHash, type InternalHash } from '../elastos/hash-orientation.ts'
import { checkSideAuxPow, type SideAuxPow } from '../elastos/side-aux-pow.ts'
import { checkpointHeight } from '../params/network-params.ts'
import { mainHeaderAt } from '../rules/main-chain.ts'
import {
  depositOf,
  failedDepositsOfEpoch,
  isCredited,
  isPayable,
  withdrawalOf,
  withdrawalsOfEpoch,
} from '../rules/peg-view.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { WithdrawalRecord } from '../types/records.ts'
import type { SubmittedAnchors } from '../anchor/submitted-anchors.ts'
import type {
  ArbiterBlock,
  ArbiterChain,
  ArbiterWithdrawal,
  AuxTemplate,
  DepositStatus,
  SubmitOutcome,
} from './arbiter-chain.ts'

/** Epochs below the best in which a checkpoint is looked for by its hash. */
const SEARCHED_EPOCHS = 4096

export interface LedgerArbiterChainOptions {
  /** State after the newest final block. */
  readonly ledger: LedgerDraft
  /**
   * True: the Arbiter anchors, and heights are anchored checkpoints. False: it only pays out,
   * and heights are sealed checkpoints. Fixed for the life of a listener (PROTOCOL 9).
   */
  readonly powChain: boolean
  readonly submitted: SubmittedAnchors
  /** Whether our own main node has this header on its best chain. */
  readonly isOnMainChain: (height: number, hash: InternalHash) => boolean
  /** Id of the transaction of a block that recorded this main-chain transaction. */
  readonly depositTransaction: (
    blockHeight: number,
    mainTransaction: InternalHash,
  ) => Promise<Uint8Array | undefined>
}

/** Presents a ledger's chain of checkpoints as the side chain of an Arbiter. */
export function createLedgerArbiterChain(options: LedgerArbiterChainOptions): ArbiterChain {
  const { ledger } = options
  const genesisHash = asInternalHash(Uint8Array.from(ledger.chainId))
  const bestHeight = () => (options.powChain ? ledger.globals().lastAnchoredEpoch : sealed(ledger))
  return {
    genesisHash,
    bestHeight,
    template: () => (options.powChain ? template(ledger) : undefined),
    submit: (checkpoint, proof) => submit(options, genesisHash, checkpoint, proof),
    block: (height) => blockOf(ledger, height),
    blockByHash(hash) {
      const epoch = epochOf(ledger, hash)
      return epoch === undefined ? undefined : blockOf(ledger, epoch)
    },
    deposit: (id) => deposit(options, id),
    isCredited(id) {
      const found = depositOf(ledger, id)
      return found !== undefined && isCredited(found.record)
    },
    isFailed(id) {
      const found = depositOf(ledger, id)
      return found !== undefined && !isCredited(found.record)
    },
    failedDeposits: (height) =>
      failedDepositsOfEpoch(ledger, height).map(({ record }) =>
        asInternalHash(record.mainTransaction),
      ),
    withdrawals: (height) =>
      withdrawalsOfEpoch(ledger, height).map(({ record }) => arbiterWithdrawal(record)),
    withdrawal: (id) => withdrawal(ledger, id, bestHeight()),
    isReturned(id) {
      const found = withdrawalOf(ledger, id)
      return found !== undefined && !isPayable(found.record)
    },
  }
}

/** The newest epoch that has ended. */
function sealed(ledger: LedgerDraft): number {
  return Math.max(0, ledger.globals().epoch - 1)
}

function checkpointOf(ledger: LedgerDraft, epoch: number): InternalHash {
  if (epoch === 0) return asInternalHash(Uint8Array.from(ledger.chainId))
  const record = ledger.epochs.get(epoch)
  assert(record !== undefined, 'a sealed epoch has its record')
  return asInternalHash(Uint8Array.from(record.checkpointHash))
}

/** Its bits are those that the embedding main header will carry (PROTOCOL 9): the tip's. */
function template(ledger: LedgerDraft): AuxTemplate | undefined {
  const { lastAnchoredEpoch, mainTipHeight } = ledger.globals()
  const epoch = sealed(ledger)
  const tip = mainHeaderAt(ledger, mainTipHeight)
  if (epoch <= lastAnchoredEpoch || !tip) return undefined
  return {
    hash: checkpointOf(ledger, epoch),
    previousHash: checkpointOf(ledger, lastAnchoredEpoch),
    bits: tip.bits,
  }
}

function epochOf(ledger: LedgerDraft, checkpoint: InternalHash): number | undefined {
  const newest = sealed(ledger)
  for (let epoch = newest; epoch >= 0 && epoch > newest - SEARCHED_EPOCHS; epoch--) {
    if (bytesEqual(checkpointOf(ledger, epoch), checkpoint)) return epoch
  }
  return undefined
}

/**
 * Everything that can be said now; the rule that records the anchor looks again, at the main
 * headers on record then. Idempotent: a checkpoint that is anchored already is known.
 */
function submit(
  { ledger, submitted, isOnMainChain }: LedgerArbiterChainOptions,
  genesisHash: InternalHash,
  checkpoint: InternalHash,
  proof: SideAuxPow,
): Result<SubmitOutcome> {
  const epoch = epochOf(ledger, checkpoint)
  if (epoch === undefined) return fault('ANCHOR_CHECKPOINT', 'no checkpoint has this hash')
  if (epoch <= ledger.globals().lastAnchoredEpoch) return ok('known')
  const { header, hash } = proof.mainHeader
  const checked = checkSideAuxPow(proof, { blockHash: checkpoint, genesisHash, bits: header.bits })
  if (!checked.ok) return checked
  submitted.add(proof)
  const recorded = mainHeaderAt(ledger, header.height)
  const isRecorded = recorded !== undefined && bytesEqual(recorded.hash, hash)
  return ok(isRecorded || isOnMainChain(header.height, hash) ? 'taken' : 'main-header-unknown')
}

function blockOf(ledger: LedgerDraft, epoch: number): ArbiterBlock | undefined {
  if (epoch > sealed(ledger)) return undefined
  const timeMs = ledger.epochs.get(epoch)?.checkpointTimeMs ?? 0
  return {
    hash: checkpointOf(ledger, epoch),
    previousHash:
      epoch === 0 ? asInternalHash(new Uint8Array(32)) : checkpointOf(ledger, epoch - 1),
    height: epoch,
    time: Math.floor(Number(timeMs) / 1000),
  }
}

async function deposit(
  { ledger, depositTransaction }: LedgerArbiterChainOptions,
  id: InternalHash,
): Promise<DepositStatus> {
  const found = depositOf(ledger, id)
  if (!found) return { state: 'waiting' }
  if (!isCredited(found.record)) return { state: 'failed' }
  const transaction = await depositTransaction(Number(found.record.height), id)
  // Pruned or re-proven: the deposit's own id says as well that it exists.
  return { state: 'credited', sideTransaction: asInternalHash(transaction ?? id) }
}

/** One that the view's checkpoints contain: before that no arbiter may sign for it. */
function withdrawal(
  ledger: LedgerDraft,
  id: InternalHash,
  bestHeight: number,
): ArbiterWithdrawal | undefined {
  const found = withdrawalOf(ledger, id)
  if (!found || !isPayable(found.record)) return undefined
  const isContained = Number(found.record.height) <= checkpointHeight(ledger.params, bestHeight)
  return isContained ? arbiterWithdrawal(found.record) : undefined
}

function arbiterWithdrawal(record: Readonly<WithdrawalRecord>): ArbiterWithdrawal {
  return {
    id: asInternalHash(Uint8Array.from(record.id)),
    address: formatElaAddress(record.to),
    output: record.output,
    amount: record.amount,
  }
}
