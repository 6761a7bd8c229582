import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { LEAF_BYTES } from '../bytes/slot-tree.ts'
import { type NetworkParams, checkpointHeight } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type Contract, NONE, type Node, type Rail, type Resolution } from '../types/records.ts'
import { lossBound, type ResolutionLog } from './resolution-log.ts'
import { billedLeaves } from './settlement.ts'

/** Weight of a rail in its node's inventory: billed leaves x price (PROTOCOL 6.1). */
export function railWeight(rail: Pick<Rail, 'price' | 'leaves'>): bigint {
  return billedLeaves(rail.leaves) * rail.price
}

export function isStorageRail(rail: Readonly<Rail>): boolean {
  return rail.leaves !== 0
}

export function nodeOf(draft: LedgerDraft, rail: Readonly<Rail>): Readonly<Node> {
  const node = draft.nodes.get(rail.node)
  assert(node, 'a rail names no node')
  return node
}

/** Contract of a storage rail; a contract outlives its rails. */
export function contractOf(
  draft: LedgerDraft,
  rail: Readonly<Rail>,
): Readonly<Contract> | undefined {
  if (rail.contract === NONE) return undefined
  const contract = draft.contracts.get(rail.contract)
  assert(contract?.live, 'a rail outlived its contract')
  return contract
}

/** First epoch in which an inactive contract takes no fill any more and its rails are closing. */
export function fillDeadline(params: NetworkParams, contract: Readonly<Contract>): number {
  return contract.openEpoch + params.fillDeadlineEpochs
}

/** When the close of a rail was asked, in words or by rule. */
export interface Ask {
  readonly epoch: number
  readonly height: number
}

/**
 * The ask of a rail: of the rail itself, of its whole contract, or at the first block of the
 * fill deadline of a contract that did not become active (PROTOCOL 5.2); the earliest counts.
 * The last is derived, so that no boundary has to walk contracts.
 */
export function askOf(draft: LedgerDraft, rail: Readonly<Rail>, nowEpoch: number): Ask | undefined {
  const asks: Ask[] = []
  if (rail.askEpoch !== NONE) asks.push({ epoch: rail.askEpoch, height: rail.askHeight })
  const contract = contractOf(draft, rail)
  if (contract && contract.askEpoch !== NONE) {
    asks.push({ epoch: contract.askEpoch, height: contract.askHeight })
  }
  if (contract && !contract.active) {
    const epoch = fillDeadline(draft.params, contract)
    const height = checkpointHeight(draft.params, epoch - 1) + 1
    if (nowEpoch >= epoch) asks.push({ epoch, height })
  }
  return asks.reduce<Ask | undefined>(
    (first, ask) => (first && first.height <= ask.height ? first : ask),
    undefined,
  )
}

/** Epoch after which nothing of the rail is paid any more (PROTOCOL 6.6). */
export function stopOf(log: ResolutionLog, rail: Readonly<Rail>, ask: Ask | undefined): number {
  let stop = Math.min(rail.end, ask?.epoch ?? NONE)
  if (rail.lostEpoch !== NONE) stop = Math.min(stop, lossBound(log, rail.lostEpoch))
  return stop
}

/** True iff the snapshot of a challenge of `epoch` holds the rail with its weight. */
export function isInSnapshot(rail: Readonly<Rail>, epoch: number): boolean {
  if (railWeight(rail) === 0n || epoch <= rail.fillEpoch) return false
  if (rail.clearedEpoch !== NONE && epoch > rail.clearedEpoch) return false
  return rail.lostEpoch === NONE || epoch <= rail.lostEpoch
}

/**
 * The closing resolution of a rail: of the first challenge opened at or after the ask whose
 * snapshot can hold the rail (PROTOCOL 6.7). A challenge of the very epoch of the fill proves
 * nothing about it and does not count.
 */
export function closingResolution(
  draft: LedgerDraft,
  log: ResolutionLog,
  rail: Readonly<Rail>,
  ask: Ask,
): Readonly<Resolution> | undefined {
  return log.find(({ epoch }) => {
    if (epoch <= rail.fillEpoch || epoch < ask.epoch) return false
    return epoch > ask.epoch || (draft.epochs.get(epoch)?.beaconHeight ?? 0) >= ask.height
  })
}

/** The rail, if it is live and of this generation. */
export function liveRail(
  draft: LedgerDraft,
  index: number,
  generation: number,
): Result<Readonly<Rail>> {
  const rail = draft.rails.get(index)
  if (!rail?.live || rail.generation !== generation) {
    return fault('RAIL_UNKNOWN', 'there is no such rail; it may have been closed', {
      rail: index,
      generation,
    })
  }
  return ok(rail)
}

/** The contract, if it is live and of this generation. */
export function liveContract(
  draft: LedgerDraft,
  index: number,
  generation: number,
): Result<Readonly<Contract>> {
  const contract = draft.contracts.get(index)
  if (!contract?.live || contract.generation !== generation) {
    return fault('CONTRACT_UNKNOWN', 'there is no such contract; it may have ended', {
      contract: index,
      generation,
    })
  }
  return ok(contract)
}

/** Real bytes of a rail's slot. */
export function railBytes(rail: Pick<Rail, 'leaves'>): number {
  return rail.leaves * LEAF_BYTES
}
