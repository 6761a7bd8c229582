import { type AuditReport, readBlocks, type ReplayedBlock } from '@ioex/chain/audit'
import { assert, bytesEqual, bytesToHex, fromHex } from '@ioex/chain/bytes'
import type { DecodedHeader, DecodedTransaction } from '@ioex/chain/elastos'
import { checkFinality } from '@ioex/chain/light'
import { checkpointHeight } from '@ioex/chain/params'
import { AnchorCarrier, mainHeaderAt, setHashes, setMembers } from '@ioex/chain/rules'
import {
  type Anchor,
  AnchorState,
  type AnchorReceipt,
  type Block,
  blockHash,
  type Certificate,
  type Header,
  PayloadKind,
  ReceiptKind,
} from '@ioex/chain/types'
import { falsehoodText } from '../audit/run-audit.ts'
import { CommandError } from '../output/failure.ts'
import {
  type AnchorClaim,
  checkBranch,
  checkMainHeader,
  checkMemo,
  checkSideChainPow,
  checkTransaction,
  followHeaders,
} from './anchor-checks.ts'
import { broughtHeaders } from './brought-headers.ts'
import { hashJson } from './plain-json.ts'
import { Verdict } from './verdict.ts'
import { type AnchorVerdict, FOLLOWED_MAX } from './verify-anchor.ts'

type Ledger = ReplayedBlock['ledger']

export interface ExportedAnchorOptions {
  /** Folder of a whole export. */
  readonly folder: string
  readonly epoch: number
  /** Recomputes the export from the trusted genesis and shows each block. */
  readonly replay: (onBlock: (block: ReplayedBlock) => void) => Promise<AuditReport>
}

/** An anchor that the replay took, and where. */
interface TakenAnchor {
  readonly receipt: AnchorReceipt
  /** Height of the block that records it. */
  readonly height: number
}

/** What of the export proves one anchor. */
interface AnchorParts {
  readonly anchor: Anchor
  readonly checkpoint: { readonly header: Header; readonly certificate: Certificate | undefined }
  /** The main block and those on top of it. */
  readonly headers: readonly DecodedHeader[]
}

/**
 * Proves the anchor of an epoch from exported history alone: everything is recomputed from the
 * genesis file (sets of validators, the main chain from its checkpoint there), then each link of
 * the proof is looked at once more by itself. An anchor of a later epoch covers the one asked for.
 * Throws CommandError with AUDIT_FALSEHOOD, EPOCH_OPEN or NOT_ANCHORED.
 */
export async function verifyExportedAnchor(options: ExportedAnchorOptions): Promise<AnchorVerdict> {
  const { folder, epoch: asked, replay } = options
  const taken = new Map<number, TakenAnchor>()
  let last: Ledger | undefined
  const report = await replay(({ record, receipts, ledger }) => {
    last = ledger
    for (const { body } of receipts) {
      if (body.selector !== ReceiptKind.anchor || body.value.epoch < asked) continue
      taken.set(body.value.epoch, { receipt: body.value, height: record.block.header.height })
    }
  })
  const { falsehood } = report
  if (falsehood) throw new CommandError('AUDIT_FALSEHOOD', falsehoodText(falsehood))
  assert(last !== undefined, 'a true export has a block')
  const found = anchorOf(last, [...taken.values()], asked, report.to)
  const parts = await readParts(folder, last, found, report.to)
  const verdict = new Verdict()
  verdict.expect(
    `${report.blocks} blocks and ${report.mainHeaders} main headers follow from the genesis file`,
    true,
    '',
    '',
  )
  checkCheckpoint(verdict, last, found.receipt, parts)
  return checkParts(verdict, last, { asked, found, parts })
}

/** The earliest anchor that covers the epoch and still has its main block. */
function anchorOf(
  ledger: Ledger,
  taken: readonly TakenAnchor[],
  asked: number,
  to: number,
): TakenAnchor {
  const standing = taken
    .filter(({ receipt: { epoch, mainHeight } }) => {
      const record = ledger.epochs.get(epoch)
      const stands = record !== undefined && record.anchorState !== AnchorState.none
      return stands && record.anchorMainHeight === mainHeight
    })
    .sort((a, b) => a.receipt.epoch - b.receipt.epoch)
  const [first] = standing
  if (first) return first
  const end = `the export, which ends at height ${to}`
  if (asked >= ledger.globals().epoch) {
    throw new CommandError('EPOCH_OPEN', `epoch ${asked} has no checkpoint yet in ${end}`)
  }
  throw new CommandError(
    'NOT_ANCHORED',
    `epoch ${asked} is not anchored in ${end}: bring it up to date with ioex audit --export --rpc`,
  )
}

/** Second pass over blocks that the replay found true; hashes bind what is read to it. */
async function readParts(
  folder: string,
  { params }: Ledger,
  { receipt, height: recordedAt }: TakenAnchor,
  to: number,
): Promise<AnchorParts> {
  const { epoch, mainHeight } = receipt
  const row = new Map<number, DecodedHeader>()
  let anchor: Anchor | undefined
  let checkpoint: AnchorParts['checkpoint'] | undefined
  for await (const { height, record } of readBlocks(folder, to)) {
    if (!record.ok) throw changed()
    const { block, certificate } = record.value
    if (height === checkpointHeight(params, epoch)) {
      checkpoint = { header: block.header, certificate }
    }
    if (height === recordedAt) anchor = anchorIn(block, epoch)
    for (const header of broughtHeaders(block.body.transactions)) {
      takeHeader(row, header, mainHeight)
    }
  }
  if (!anchor || !checkpoint) throw changed()
  const headers: DecodedHeader[] = []
  for (let header = row.get(mainHeight); header; header = row.get(mainHeight + headers.length)) {
    headers.push(header)
  }
  return { anchor, checkpoint, headers }
}

function changed(): CommandError {
  return new CommandError('EXPORT_CHANGED', 'the export was changed while it was read')
}

function anchorIn({ body }: Block, epoch: number): Anchor | undefined {
  for (const { body: each } of body.transactions) {
    const { payload } = each
    if (payload.selector === PayloadKind.anchor && payload.value.epoch === epoch) {
      return payload.value
    }
  }
  return undefined
}

/** Headers come in order; one at a height known already begins a branch with more work. */
function takeHeader(
  row: Map<number, DecodedHeader>,
  decoded: DecodedHeader,
  mainHeight: number,
): void {
  const { height } = decoded.header
  for (let stale = Math.max(height, mainHeight); row.delete(stale); ) stale++
  if (height >= mainHeight && height <= mainHeight + FOLLOWED_MAX) row.set(height, decoded)
}

/** The anchored hash is the last block of its epoch, final by the set that genesis leads to. */
function checkCheckpoint(
  verdict: Verdict,
  ledger: Ledger,
  { epoch, checkpointHash }: AnchorReceipt,
  { checkpoint: { header, certificate } }: AnchorParts,
): void {
  const isSame =
    header.height === checkpointHeight(ledger.params, epoch) &&
    bytesEqual(blockHash(header), checkpointHash)
  verdict.expect(
    'the anchored hash is the last block of its epoch',
    isSame,
    'ANCHOR_CHECKPOINT',
    'the anchored hash is not the checkpoint of this chain',
  )
  const validators = setMembers(ledger, epoch)
  assert(validators !== undefined, 'every past set is on record')
  if (!certificate) {
    verdict.expect('it is certified', false, 'CHECKPOINT_UNCERTIFIED', 'it has no certificate')
    return
  }
  const final = checkFinality(header, certificate, {
    chainId: ledger.chainId,
    epochBlocks: ledger.params.epochBlocks,
    validators: validators.map(({ publicKey, weight }) => ({ publicKey, weight })),
    validatorsHash: setHashes(ledger, epoch).validatorsHash,
  })
  verdict.take('a quorum of the validators of its epoch made it final', final)
}

async function checkParts(
  verdict: Verdict,
  ledger: Ledger,
  { asked, found, parts }: { asked: number; found: TakenAnchor; parts: AnchorParts },
): Promise<AnchorVerdict> {
  const { receipt } = found
  const claim = claimOf(receipt, parts.anchor)
  const decoded = checkTransaction(verdict, claim)
  if (decoded) await checkCarrier(verdict, ledger, claim, decoded)
  const { headers } = parts
  const [header] = headers
  checkMainHeader(verdict, claim, header)
  if (header && decoded) checkBranch(verdict, claim, decoded, header)
  const depth = followHeaders(verdict, headers)
  const confirmations = checkPlace(verdict, ledger, receipt, depth)
  return {
    ...verdict.json(),
    epoch: receipt.epoch,
    asked,
    method: receipt.carrier === AnchorCarrier.memo ? 'memo' : 'sideChainPow',
    state: stateOf(ledger, receipt.epoch),
    checkpoint: claim.checkpointHash,
    mainTransaction: hashJson(fromHex(claim.mainTransaction)),
    mainHeight: receipt.mainHeight,
    mainBlock: hashJson(fromHex(claim.mainHash)),
    headersChecked: depth,
    confirmations,
  }
}

function claimOf(receipt: AnchorReceipt, anchor: Anchor): AnchorClaim {
  return {
    epoch: receipt.epoch,
    checkpointHash: bytesToHex(receipt.checkpointHash),
    mainHeight: receipt.mainHeight,
    mainHash: bytesToHex(receipt.mainHash),
    mainTransaction: bytesToHex(receipt.mainTransaction),
    proof: {
      transaction: bytesToHex(anchor.transaction),
      branch: anchor.branch.map((hash) => bytesToHex(hash)),
      branchIndex: anchor.branchIndex,
    },
  }
}

function checkCarrier(
  verdict: Verdict,
  ledger: Ledger,
  claim: AnchorClaim,
  decoded: DecodedTransaction,
): Promise<void> | void {
  const chainId = bytesToHex(ledger.chainId)
  if (decoded.transaction.payload.kind === 'side-chain-pow') {
    return checkSideChainPow(verdict, claim, decoded, chainId, ledger.params.mainArbiters)
  }
  return checkMemo(verdict, claim, decoded, chainId, (index) => {
    const member = setMembers(ledger, claim.epoch)?.[index]
    return member ? [bytesToHex(member.publicKey)] : []
  })
}

/** The main block belongs to the main chain on record; gives its confirmations. */
function checkPlace(
  verdict: Verdict,
  ledger: Ledger,
  { mainHeight, mainHash }: AnchorReceipt,
  depth: number,
): number {
  const confirmations = ledger.globals().mainTipHeight - mainHeight + 1
  const record = mainHeaderAt(ledger, mainHeight)
  // Records end after 2,048 headers; no reorganisation reaches below them.
  const stands = record === undefined || bytesEqual(record.hash, mainHash)
  verdict.expect(
    `its main block has ${confirmations} confirmations on the main chain from genesis' checkpoint`,
    stands && depth === Math.min(confirmations, FOLLOWED_MAX + 1),
    'ANCHOR_HEADER_UNKNOWN',
    'its main block is not on the main chain that the export ends with',
  )
  return confirmations
}

function stateOf(ledger: Ledger, epoch: number): string {
  const state = ledger.epochs.get(epoch)?.anchorState
  const [name = 'none'] = Object.entries(AnchorState).find(([, value]) => value === state) ?? []
  return name
}
