import { bytesEqual, bytesToHex, fromHex, parseHex } from '@ioex/chain/bytes'
import {
  asInternalHash,
  checkAuxPow,
  type DecodedHeader,
  type DecodedTransaction,
  decodeHeaderWithAuxPow,
  decodeTransaction,
  findMemoAnchor,
  hashMeetsBits,
  isSideChainPowSignedBy,
  verifyMemoAnchor,
  verifyTransactionInclusion,
} from '@ioex/chain/elastos'
import {
  BlockBodyType,
  blockHash,
  HeaderType,
  PayloadKind,
  type Transaction,
} from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { CommandError } from '../output/failure.ts'
import { hashJson } from './plain-json.ts'
import { type Check, Verdict } from './verdict.ts'

/** Side blocks read by one call while main headers are looked for. */
const BLOCKS_PER_CALL = 64
const BODY_BYTES_MAX = 8 * 1024 * 1024
/** Main headers on top of the anchor that are followed; FINAL on the main network. */
const FOLLOWED_MAX = 100

type AnchorProof = Required<ResultOf<'anchor_get'>>

export interface AnchorVerdict {
  readonly valid: boolean
  /** First failure, in words; missing if valid. */
  readonly reason?: string
  readonly code?: string
  readonly checks: readonly Check[]
  /** Epoch that the anchor names: the one asked for, or a later one that covers it. */
  readonly epoch: number
  readonly asked: number
  readonly method: string
  readonly state: string
  readonly checkpoint: string
  readonly mainTransaction: { readonly internal: string; readonly display: string }
  readonly mainHeight: number
  readonly mainBlock: { readonly internal: string; readonly display: string }
  readonly headersChecked: number
}

/**
 * Checks an anchor step by step with nothing but bytes: the main-chain transaction and its
 * branch, the main header with its AuxPow, the headers on top of it, the checkpoint's own hash.
 * The node gives the bytes and is believed in nothing else, except which keys validators had.
 */
export async function verifyAnchor(client: RpcClient, epoch: number): Promise<AnchorVerdict> {
  const shown = await client.call('anchor_get', { epoch, prove: true })
  if (!shown.proof) throw new CommandError('NOT_FOUND', 'the node gives no proof of this anchor')
  const anchor = { ...shown, proof: shown.proof } as AnchorProof
  const status = await client.call('chain_getStatus', {})
  const verdict = new Verdict()
  const transaction = checkTransaction(verdict, anchor)
  if (transaction) await checkCarrier(verdict, client, anchor, transaction, status.chainId)
  const headers = await mainHeaders(client, anchor, status.height)
  const header = headers[0]
  checkMainHeader(verdict, anchor, header)
  if (header && transaction) checkBranch(verdict, anchor, transaction, header)
  const depth = followHeaders(verdict, headers)
  await checkCheckpoint(verdict, client, anchor, status.chainId)
  return {
    ...verdict.json(),
    epoch: anchor.epoch,
    asked: epoch,
    method: anchor.method,
    state: anchor.state,
    checkpoint: anchor.checkpointHash,
    mainTransaction: hashJson(fromHex(anchor.mainTransaction)),
    mainHeight: anchor.mainHeight,
    mainBlock: hashJson(fromHex(anchor.mainHash)),
    headersChecked: depth,
  }
}

function checkTransaction(verdict: Verdict, anchor: AnchorProof): DecodedTransaction | undefined {
  const bytes = parseHex(anchor.proof.transaction, 64 * 1024)
  const decoded = bytes.ok ? decodeTransaction(bytes.value) : bytes
  verdict.take('the main-chain transaction is well-formed', decoded)
  if (!decoded.ok) return undefined
  verdict.expect(
    'its id is the one on record',
    bytesToHex(decoded.value.id) === anchor.mainTransaction,
    'ANCHOR_TRANSACTION',
    'the transaction has another id than the anchor',
  )
  return decoded.value
}

async function checkCarrier(
  verdict: Verdict,
  client: RpcClient,
  anchor: AnchorProof,
  decoded: DecodedTransaction,
  chainId: string,
): Promise<void> {
  const { payload, payloadVersion } = decoded.transaction
  if (payload.kind !== 'side-chain-pow') return checkMemo(verdict, client, anchor, decoded, chainId)
  const names =
    payloadVersion === 0 &&
    bytesToHex(payload.sideGenesisHash) === chainId &&
    bytesToHex(payload.sideBlockHash) === anchor.checkpointHash
  verdict.expect(
    'it is a SideChainPow of this chain and this checkpoint',
    names,
    'MAIN_ANCHOR_BLOCK',
    'the SideChainPow names another chain or checkpoint',
  )
  const params = await client.call('chain_getParams', {})
  const keys = Array.isArray(params['mainArbiters']) ? params['mainArbiters'] : []
  if (keys.length === 0) return
  verdict.expect(
    'an arbiter of the network signed it',
    keys.some((key) => isSideChainPowSignedBy(decoded, fromHex(String(key)))),
    'MAIN_ANCHOR_SIGNATURE',
    'the SideChainPow is not signed by an arbiter',
  )
}

async function checkMemo(
  verdict: Verdict,
  client: RpcClient,
  anchor: AnchorProof,
  decoded: DecodedTransaction,
  chainId: string,
): Promise<void> {
  const found = findMemoAnchor(decoded)
  if (!verdict.take('it carries a memo of this chain', found) || !found.ok) return
  const memo = found.value.anchor
  verdict.expect(
    'the memo names this epoch and checkpoint',
    memo.epoch === anchor.epoch && bytesToHex(memo.checkpointHash) === anchor.checkpointHash,
    'ANCHOR_MEMO_OTHER',
    'the memo commits to another checkpoint',
  )
  // Keys may rotate: the set of the epoch itself or of one after it holds the signer.
  const keys = new Set<string>()
  for (const epoch of [anchor.epoch, anchor.epoch + 1, undefined]) {
    const given = epoch === undefined ? {} : { epoch }
    const sets = await client.call('chain_getValidators', given).catch(() => undefined)
    for (const entry of sets?.validators ?? []) {
      const { consensusKey, publicKey } = entry as Record<string, unknown>
      for (const key of [consensusKey, publicKey]) if (typeof key === 'string') keys.add(key)
    }
  }
  const id = fromHex(chainId)
  const isSigned = [...keys].some((key) => verifyMemoAnchor(memo, id, fromHex(key)).ok)
  verdict.expect(
    'a validator signed it',
    isSigned,
    'MAIN_ANCHOR_SIGNATURE',
    'the memo is signed by no validator that the node names',
  )
}

/**
 * Raw main headers of the anchor's block and above, read from the transactions that brought them
 * to this chain. They stand in side blocks up to the one that recorded the anchor, and after it.
 */
async function mainHeaders(
  client: RpcClient,
  anchor: AnchorProof,
  tip: number,
): Promise<DecodedHeader[]> {
  const found = new Map<number, DecodedHeader>()
  const take = async (from: number, to: number) => {
    for (let at = from; at <= to; at += BLOCKS_PER_CALL) {
      const last = Math.min(to, at + BLOCKS_PER_CALL - 1)
      for (const header of await headersIn(client, at, last)) {
        found.set(header.header.height, header)
      }
      if (found.has(anchor.mainHeight + FOLLOWED_MAX)) return
    }
  }
  // A main block is recorded within few side blocks; the anchor follows it, often much later.
  for (let end = anchor.height; end >= 0 && !found.has(anchor.mainHeight); end -= BLOCKS_PER_CALL) {
    await take(Math.max(0, end - BLOCKS_PER_CALL + 1), end)
  }
  await take(anchor.height + 1, tip)
  const row: DecodedHeader[] = []
  for (let height = anchor.mainHeight; row.length <= FOLLOWED_MAX; height++) {
    const header = found.get(height)
    if (!header) break
    row.push(header)
  }
  return row
}

async function headersIn(client: RpcClient, from: number, to: number): Promise<DecodedHeader[]> {
  const headers: DecodedHeader[] = []
  let next: number | null = from
  while (next !== null && next <= to) {
    const page: ResultOf<'chain_getRawBlocks'> = await client.call('chain_getRawBlocks', {
      from: next,
      to,
    })
    for (const block of page.blocks) {
      const body = parseHex(block.body, BODY_BYTES_MAX)
      if (!body.ok) throw new CommandError('ANSWER_MALFORMED', 'the node gave no block')
      const { transactions } = BlockBodyType.deserialize(body.value)
      for (const { body: each } of transactions as Transaction[]) {
        if (each.payload.selector !== PayloadKind.mainHeaders) continue
        for (const raw of each.payload.value.headers) {
          const decoded = decodeHeaderWithAuxPow(raw)
          if (decoded.ok && decoded.value.length === raw.length) headers.push(decoded.value)
        }
      }
    }
    if (page.blocks.length === 0) break
    next = page.next
  }
  return headers
}

function checkMainHeader(
  verdict: Verdict,
  anchor: AnchorProof,
  header: DecodedHeader | undefined,
): void {
  const isKnown = header !== undefined && bytesToHex(header.hash) === anchor.mainHash
  verdict.expect(
    'its main header is on record',
    isKnown,
    'ANCHOR_HEADER_UNKNOWN',
    'the node does not show the main header of the anchor (pruned, or replaced by another)',
  )
  if (!header) return
  verdict.take('Bitcoin miners committed to the header', checkAuxPow(header.auxPow, header.hash))
  verdict.expect(
    'their work meets its target',
    hashMeetsBits(header.bitcoinParentHash, header.header.bits),
    'MAIN_HEADER_WORK',
    'the Bitcoin header does not meet the target',
  )
}

function checkBranch(
  verdict: Verdict,
  { proof }: AnchorProof,
  { id }: DecodedTransaction,
  { header }: DecodedHeader,
): void {
  const branch = proof.branch.map((hash) => asInternalHash(fromHex(hash)))
  const included = verifyTransactionInclusion(id, branch, proof.branchIndex, header.merkleRoot)
  verdict.take('the transaction stands in that block', included)
}

/** Links and work of the headers on top; gives how many stand in a row with the first. */
function followHeaders(verdict: Verdict, headers: readonly DecodedHeader[]): number {
  let depth = Math.min(1, headers.length)
  for (let i = 1; i < headers.length; i++) {
    const [below, header] = [headers[i - 1], headers[i]] as [DecodedHeader, DecodedHeader]
    if (!bytesEqual(header.header.previous, below.hash)) break
    if (!hashMeetsBits(header.bitcoinParentHash, header.header.bits)) break
    if (!checkAuxPow(header.auxPow, header.hash).ok) break
    depth++
  }
  verdict.expect(
    `${depth} main headers in a row carry it`,
    depth === headers.length && depth > 0,
    'MAIN_HEADER_PREVIOUS',
    'the headers above the anchor do not follow from its own',
  )
  return depth
}

/** The anchored hash is that of a block of this chain, the last one of its epoch. */
async function checkCheckpoint(
  verdict: Verdict,
  client: RpcClient,
  anchor: AnchorProof,
  chainId: string,
): Promise<void> {
  const { epochBlocks } = await client.call('chain_getParams', {})
  const height = anchor.epoch * epochBlocks
  const { blocks } = await client.call('chain_getRawBlocks', { from: height, to: height })
  const raw = blocks[0] && parseHex(blocks[0].header, BODY_BYTES_MAX)
  const header = raw?.ok ? HeaderType.deserialize(raw.value) : undefined
  const isSame =
    header !== undefined &&
    header.height === height &&
    bytesToHex(header.chainId) === chainId &&
    bytesToHex(blockHash(header)) === anchor.checkpointHash
  verdict.expect(
    'the anchored hash is the last block of its epoch',
    isSame,
    'ANCHOR_CHECKPOINT',
    'the anchored hash is not the checkpoint of this chain',
  )
}
