import { bytesToHex, fromHex, parseHex } from '@ioex/chain/bytes'
import type { DecodedHeader, DecodedTransaction } from '@ioex/chain/elastos'
import type { NetworkParams } from '@ioex/chain/params'
import {
  AnchorState,
  BlockBodyType,
  blockHash,
  HeaderType,
  PrunedBodyPartType,
  type Transaction,
} from '@ioex/chain/types'
import { type AnchorRecords, readAnchor, type RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { CommandError } from '../output/failure.ts'
import {
  checkBranch,
  checkMainHeader,
  checkMemo,
  checkSideChainPow,
  checkTransaction,
  followHeaders,
} from './anchor-checks.ts'
import { broughtHeaders } from './brought-headers.ts'
import { hashJson } from './plain-json.ts'
import { type Check, Verdict } from './verdict.ts'

/** Side blocks read by one call while main headers are looked for. */
const BLOCKS_PER_CALL = 64
const BODY_BYTES_MAX = 8 * 1024 * 1024
/** Main headers on top of the anchor that are followed; FINAL on the main network. */
export const FOLLOWED_MAX = 100

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
  /** Certified state and genesis were known, not only one node's word; missing offline. */
  readonly proven?: boolean
  /** On the main chain of the export; missing where a node was asked. */
  readonly confirmations?: number
}

/** The chain by proof, and what the network's own genesis says. */
export interface TrustedChain extends AnchorRecords {
  readonly params: Pick<NetworkParams, 'mainArbiters'>
}

/** What the signers of an anchor are judged by. */
interface Signers {
  readonly validators: () => Promise<readonly string[]> | readonly string[]
  readonly arbiters: () => Promise<readonly string[]> | readonly string[]
}

/**
 * Checks an anchor step by step with nothing but bytes: the main-chain transaction and its
 * branch, the main header with its AuxPow, the headers on top of it, the checkpoint's own hash.
 * The node gives the bytes and is believed in nothing else; without `chain`, also in which keys
 * validators and arbiters had.
 * @param chain what the validators certified; the anchor must be the one on record there
 */
export async function verifyAnchor(
  client: RpcClient,
  epoch: number,
  chain?: TrustedChain,
): Promise<AnchorVerdict> {
  const shown = await client.call('anchor_get', { epoch, prove: true })
  if (!shown.proof) throw new CommandError('NOT_FOUND', 'the node gives no proof of this anchor')
  const anchor = { ...shown, proof: shown.proof } as AnchorProof
  const status = await client.call('chain_getStatus', {})
  const verdict = new Verdict()
  const transaction = checkTransaction(verdict, anchor)
  const signers = chain
    ? await checkRecord(verdict, anchor, chain)
    : signersOf(client, anchor.epoch)
  if (transaction) await checkCarrier(verdict, anchor, transaction, status.chainId, signers)
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
    proven: chain !== undefined,
  }
}

async function checkCarrier(
  verdict: Verdict,
  anchor: AnchorProof,
  decoded: DecodedTransaction,
  chainId: string,
  signers: Signers,
): Promise<void> {
  if (decoded.transaction.payload.kind !== 'side-chain-pow') {
    return checkMemo(verdict, anchor, decoded, chainId, signers.validators)
  }
  checkSideChainPow(verdict, anchor, decoded, chainId, await signers.arbiters())
}

/** The anchor is the one that the validators took; gives whose signatures count there. */
async function checkRecord(
  verdict: Verdict,
  anchor: AnchorProof,
  chain: TrustedChain,
): Promise<Signers> {
  const proven = await readAnchor(chain, anchor.epoch)
  const isSame =
    proven !== undefined &&
    proven.state !== AnchorState.none &&
    proven.checkpointHash === anchor.checkpointHash &&
    proven.mainHeight === anchor.mainHeight &&
    (proven.mainHash ?? anchor.mainHash) === anchor.mainHash
  verdict.expect(
    'the state that validators certified records this anchor',
    isSame,
    'ANCHOR_RECORD',
    'the certified state has another anchor for this epoch, or none',
  )
  return {
    validators: () => proven?.consensusKeys ?? [],
    arbiters: () => chain.params.mainArbiters,
  }
}

function signersOf(client: RpcClient, epoch: number): Signers {
  return {
    validators: () => memoKeys(client, epoch),
    arbiters: async () => {
      const { mainArbiters } = await client.call('chain_getParams', {})
      return Array.isArray(mainArbiters) ? mainArbiters.map(String) : []
    },
  }
}

/** Keys may rotate: the set of the epoch itself or of one after it holds the signer. */
async function memoKeys(client: RpcClient, anchored: number): Promise<string[]> {
  const keys = new Set<string>()
  for (const epoch of [anchored, anchored + 1, undefined]) {
    const given = epoch === undefined ? {} : { epoch }
    const sets = await client.call('chain_getValidators', given).catch(() => undefined)
    for (const entry of sets?.validators ?? []) {
      const { consensusKey, publicKey } = entry as Record<string, unknown>
      for (const key of [consensusKey, publicKey]) if (typeof key === 'string') keys.add(key)
    }
  }
  return [...keys]
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
      // An anchor's own blocks are the first that a node prunes; headers are not what goes.
      pruned: true,
    })
    for (const block of page.blocks) {
      const body = parseHex(block.body, BODY_BYTES_MAX)
      if (!body.ok) throw new CommandError('ANSWER_MALFORMED', 'the node gave no block')
      const type = block.pruned ? PrunedBodyPartType : BlockBodyType
      const { transactions } = type.deserialize(body.value)
      for (const header of broughtHeaders(transactions as Transaction[])) headers.push(header)
    }
    if (page.blocks.length === 0) break
    next = page.next
  }
  return headers
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
  const { blocks } = await client.call('chain_getRawBlocks', {
    from: height,
    to: height,
    pruned: true,
  })
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
