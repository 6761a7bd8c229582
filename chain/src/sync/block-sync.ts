import { setImmediate } from 'node:timers/promises'
import { countChunk } from '../bytes/dense-tree.ts'
import { bytesEqual, bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { checkListProof } from '../bytes/list-proof.ts'
import { type Fault, fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { Reproposal, VoteVerifier } from '../consensus/machine-interface.ts'
import type { BlockEnvelope } from '../driver/block-host.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import { epochOfHeight, isCheckpointHeight } from '../params/network-params.ts'
import {
  BLOCK_BYTES_MAX,
  BlockBodyType,
  BlockType,
  blockHash,
  isJustificationOf,
} from '../types/block.ts'
import type { Certificate, Header } from '../types/consensus-objects.ts'
import { checkCertificate } from '../light/finality.ts'
import { HISTORY_LIMIT } from '../light/history-proof.ts'
import { areReproposalsJustified, type ProvenEpoch } from './epoch-proofs.ts'
import {
  PlaceAnswerType,
  type Status,
  SYNC_BLOCKS_MAX,
  SYNC_FRAME_BYTES_MAX,
  SyncAnswerType,
  type SyncBlock,
  SyncRequestKind,
  syncRequest,
} from './sync-messages.ts'
import { RestingPeers } from './resting-peers.ts'
import { askStatus, type SyncPeers } from './sync-peers.ts'

/** A range that is waited for longer than this: others are asked, if there are any. */
const SLOW_MS = 2000

export interface BlockSyncOptions {
  readonly manager: ChainManager
  readonly peers: SyncPeers
  readonly crypto: VoteVerifier
  /** Runs an import while consensus stands still. */
  readonly exclusively: (importBlocks: () => Promise<void>) => Promise<void>
  /**
   * The checkpoint to which the block after this head must lead, where fork choice knows one. It
   * may throw, and then nothing is imported.
   */
  readonly checkpointAfter?: ((head: Header) => Promise<ProvenEpoch | undefined>) | undefined
  /** No block above this one is asked for. */
  readonly lastHeight?: number | undefined
  readonly onProgress?: (height: number, target: number) => void
  /** This peer gave bytes that prove it wrong: it is not asked again for a while. */
  readonly onBadPeer?: (peer: string, fault: Fault) => void
  /** A question to this peer, or what we did with its answer, failed. */
  readonly onPeerFailed?: (peer: string, error: unknown) => void
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number
}

/** A range that was asked for and travels. */
interface AskedRange {
  readonly from: number
  readonly bytes: Promise<Uint8Array>
}

/** A run of blocks from one answer, proven: linked, and the last one certified final. */
interface ProvenRange {
  readonly blocks: readonly BlockEnvelope[]
  readonly certificate: Certificate
  readonly reproposals: readonly Reproposal[]
}

/**
 * Catching up by certified ranges: one certificate proves the last block of a range, hash links
 * prove the rest with their justifications, execution proves the content. Whatever else a peer puts
 * beside blocks inside a range is not kept.
 */
export class BlockSync {
  readonly #options: BlockSyncOptions
  #running: Promise<boolean> | undefined
  readonly #level = new Set<string>()
  readonly #resting: RestingPeers
  readonly #nowMs: () => number
  #claimedHeight: number | undefined

  constructor(options: BlockSyncOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#resting = new RestingPeers(this.#nowMs)
  }

  /**
   * Where the peer that is followed now says that it is, once it has given blocks. Nothing proves
   * it, so it is no longer told when that peer has no more to give.
   */
  get claimedHeight(): number | undefined {
    return this.#claimedHeight
  }

  /**
   * Downloads and commits until no peer that may be asked is `leastLead` blocks ahead. Resolves to
   * whether the head moved. Overlapping calls share one run. An import interrupts consensus, so
   * whoever merely looks around asks for a lead that consensus would not close by itself.
   */
  catchUp(leastLead = 1): Promise<boolean> {
    this.#running ??= this.#run(leastLead).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Peers that in the newest run, or the one under way, said that they are not ahead. */
  get levelWith(): number {
    return this.#level.size
  }

  async #run(leastLead: number): Promise<boolean> {
    const { manager, peers } = this.#options
    const start = manager.final.header.height
    this.#level.clear()
    const line: string[] = []
    let walking: Promise<void> | undefined
    // All are asked at once: one that hangs holds nobody up. Blocks come from one at a time.
    const willing = peers.peers().filter((peer) => !this.#resting.isResting(peer))
    const asked = willing.map(async (peer) => {
      if (!(await this.#isAhead(peer, leastLead))) return
      line.push(peer)
      while (line.length > 0) {
        const current = (walking ??= this.#walk(line, leastLead))
        await current
        if (walking === current) walking = undefined
      }
    })
    await Promise.all(asked)
    return manager.final.header.height > start
  }

  /**
   * Follows peer after peer. One that is slow goes to the end of the line: who gives a block in ten
   * seconds, and always has another one, would keep a node away from all others for good.
   */
  async #walk(line: string[], leastLead: number): Promise<void> {
    for (let peer = line.shift(); peer !== undefined; peer = line.shift()) {
      const isLeft = await this.#follow(peer, leastLead, () => line.length > 0)
      if (isLeft) line.push(peer)
    }
  }

  async #isAhead(peer: string, leastLead: number): Promise<boolean> {
    const { manager, peers } = this.#options
    const status = await askStatus(peers, peer, manager.chainId)
    if (!status) return false
    this.#noteLevel(peer, status)
    return status.height >= manager.final.header.height + leastLead
  }

  /** The network goes on while an answer travels: one block ahead is level. */
  #noteLevel(peer: string, { height }: Status): void {
    if (height <= this.#options.manager.final.header.height + 1) this.#level.add(peer)
  }

  /**
   * Range by range until the peer has no more: the next one travels while one is executed. Resolves
   * to true where it has, but lets us wait for it while others are there to be asked.
   */
  async #follow(peer: string, leastLead: number, hasOthers: () => boolean): Promise<boolean> {
    const { manager, onPeerFailed } = this.#options
    try {
      let asked = this.#askRange(peer, manager.final.header.height + 1)
      while (asked) {
        const sinceMs = this.#nowMs()
        await asked.bytes
        const isSlow = this.#nowMs() - sinceMs > SLOW_MS
        asked = await this.#advanceFrom(peer, asked, leastLead)
        if (asked && isSlow && hasOthers()) return true
      }
    } catch (error) {
      onPeerFailed?.(peer, error)
    } finally {
      this.#claimedHeight = undefined
    }
    return false
  }

  /** Nothing above the last height that is wanted. */
  #askRange(peer: string, from: number): AskedRange | undefined {
    if (from > (this.#options.lastHeight ?? Number.MAX_SAFE_INTEGER)) return undefined
    const request = syncRequest(SyncRequestKind.range, { from, count: SYNC_BLOCKS_MAX })
    const bytes = this.#options.peers.ask(peer, request, SYNC_FRAME_BYTES_MAX)
    // Whoever awaits it hears of a failure; nobody does where the range before it came to nothing.
    bytes.catch(() => undefined)
    return { from, bytes }
  }

  /** Takes one range from one peer; gives the next one that was asked for, if there is more. */
  async #advanceFrom(
    peer: string,
    { from, bytes }: AskedRange,
    leastLead: number,
  ): Promise<AskedRange | undefined> {
    const { manager, onProgress } = this.#options
    const answer = decodeCanonical(SyncAnswerType, await bytes, SYNC_FRAME_BYTES_MAX)
    if (!answer.ok) return this.#leave(peer, answer.fault)
    const { status, blocks } = answer.value
    if (!bytesEqual(status.chainId, manager.chainId)) return undefined
    this.#noteLevel(peer, status)
    const { height } = manager.final.header
    if (blocks.length === 0 || status.height < height + leastLead) return undefined
    // Where consensus moved the head while the answer travelled, its blocks are no lie.
    if (height + 1 !== from) return this.#askRange(peer, height + 1)
    const range = this.#prove(blocks)
    if (!range.ok) return this.#leave(peer, range.fault)
    const leads = await this.#leadsThere(peer, range.value)
    if (!leads.ok) return this.#leave(peer, leads.fault)
    if (!leads.value) return undefined
    const last = height + range.value.blocks.length
    const next = last < status.height ? this.#askRange(peer, last + 1) : undefined
    const done = await this.#import(range.value, from)
    this.#noteLevel(peer, status)
    this.#claimedHeight = status.height
    onProgress?.(manager.final.header.height, status.height)
    return done ? next : undefined
  }

  /** It gave what no honest peer gives. */
  #leave(peer: string, cause: Fault): undefined {
    this.#resting.rest(peer)
    this.#options.onBadPeer?.(peer, cause)
  }

  async #import(range: ProvenRange, from: number): Promise<boolean> {
    const { manager, exclusively } = this.#options
    let done = true
    await exclusively(async () => {
      // Consensus may have moved the head since.
      if (manager.final.header.height + 1 !== from) return
      done = await importRange(manager, range)
    })
    return done
  }

  /**
   * Whether a range is part of the branch that fork choice took, if it had to take one; false where
   * the peer cannot show it.
   */
  async #leadsThere(peer: string, { blocks }: ProvenRange): Promise<Result<boolean>> {
    const { manager, checkpointAfter } = this.#options
    const checkpoint = await checkpointAfter?.(manager.final.header)
    const last = blocks.at(-1)
    if (!checkpoint || !last) return ok(!checkpoint)
    const { hash, header } = last
    if (header.height < checkpoint.header.height) {
      return this.#standsBefore(peer, header.height, hash, checkpoint)
    }
    return hash === checkpoint.hash ? ok(true) : OTHER_BRANCH
  }

  /** The peer has to show the block in the history that the checkpoint commits to. */
  async #standsBefore(
    peer: string,
    height: number,
    hash: Hex,
    { epoch, header }: ProvenEpoch,
  ): Promise<Result<boolean>> {
    const request = syncRequest(SyncRequestKind.place, { from: height, epoch })
    const bytes = await this.#options.peers.ask(peer, request, SYNC_FRAME_BYTES_MAX)
    const answer = decodeCanonical(PlaceAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
    if (!answer.ok) return answer
    const { branch } = answer.value
    const count = branch.at(-1)
    // It has not come that far itself.
    if (!count) return ok(false)
    const proof = { leaf: fromHex(hash), index: height, branch, root: header.historyRoot }
    const stands = bytesEqual(count, countChunk(header.height))
    return stands && checkListProof(proof, HISTORY_LIMIT).ok ? ok(true) : OTHER_BRANCH
  }

  /**
   * The answer's blocks up to its last one or the first that ends an epoch, whose execution tells
   * who certifies the next. One certificate proves them all.
   */
  #prove(answer: readonly SyncBlock[]): Result<ProvenRange> {
    const { manager } = this.#options
    const blocks: BlockEnvelope[] = []
    let parentHash = blockHash(manager.final.header)
    for (const [at, part] of answer.entries()) {
      const envelope = decodeEnvelope(part)
      if (!envelope.ok) return envelope
      const { header, justification } = envelope.value
      if (!bytesEqual(header.parentHash, parentHash)) {
        return fault('SYNC_UNLINKED', 'a block does not stand on the one before it')
      }
      // It is kept and served on, and who signed the parent is paid by it.
      if (!isJustificationOf(header, justification)) {
        return fault('SYNC_JUSTIFICATION', 'a justification is not the one its header commits to')
      }
      parentHash = blockHash(header)
      blocks.push(envelope.value)
      const isLast = at === answer.length - 1
      if (!isLast && !isCheckpointHeight(manager.params, header.height)) continue
      return this.#certified(blocks, header, part)
    }
    return fault('SYNC_UNCERTIFIED', 'the answer holds no block')
  }

  #certified(
    blocks: readonly BlockEnvelope[],
    header: Header,
    { certificate: [certificate], reproposals }: SyncBlock,
  ): Result<ProvenRange> {
    const { crypto, manager } = this.#options
    if (!certificate) {
      return fault('SYNC_UNCERTIFIED', 'a range and an epoch must end with a certified block')
    }
    // By its place above our head: a header could name an epoch whose validators' stake is gone.
    const epoch = epochOfHeight(manager.params, manager.final.header.height + blocks.length)
    const validators = manager.validators(epoch) ?? []
    const { epochBlocks } = manager.params
    const last = { header, hash: blockHash(header) }
    if (!checkCertificate(last, certificate, { epochBlocks, validators, crypto }).ok) {
      return fault('SYNC_CERTIFICATE', 'a certificate does not verify')
    }
    if (!areReproposalsJustified({ header, certificate, reproposals }, validators, crypto)) {
      return fault('SYNC_REPROPOSAL', 'a re-proposal is not justified')
    }
    return ok({ blocks, certificate, reproposals })
  }
}

const OTHER_BRANCH = fault('SYNC_BRANCH', 'the blocks are not of the branch that is followed')

function decodeEnvelope({ block, justification }: SyncBlock): Result<BlockEnvelope> {
  const decoded = decodeCanonical(BlockType, block, BLOCK_BYTES_MAX)
  if (!decoded.ok) return decoded
  const { header, body } = decoded.value
  const hash = bytesToHex(blockHash(header))
  return ok({ hash, header, justification, body: BlockBodyType.serialize(body) })
}

async function validateAll(manager: ChainManager, { blocks }: ProvenRange): Promise<boolean> {
  for (const block of blocks) {
    // Executing does not wait for anything: without a break, no byte of the next range is read.
    await setImmediate()
    const validation = await manager.validateBlock(block)
    if (validation.verdict !== 'invalid') continue
    if (validation.fault.code === 'BLOCK_VERSION') manager.haltAtVersion(block.header)
    return false
  }
  return true
}

/** Executes and commits a proven range; false if its content breaks a rule. */
async function importRange(manager: ChainManager, range: ProvenRange): Promise<boolean> {
  const isValid = await manager.withSignatures(range.blocks, () => validateAll(manager, range))
  if (isValid) await manager.commitBlocks(range)
  return isValid
}
