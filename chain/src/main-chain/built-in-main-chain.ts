import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { AuxPow } from '../elastos/aux-pow.ts'
import { parseElaAddress } from '../elastos/ela-address.ts'
import { buildGenesisBlock } from '../elastos/genesis-block.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { ELASTOS_REG_NET, type HeaderContext } from '../elastos/header-rules.ts'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import type { Confirm } from '../elastos/confirm.ts'
import { mineAuxPow } from '../elastos/merge-mining.ts'
import { MainNetMagic } from '../elastos/p2p-message.ts'
import {
  type DecodedTransaction,
  decodeTransaction,
  encodeTransaction,
} from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import { signConfirm } from '../elastos/sign-confirm.ts'
import { bytesEqual } from '../bytes/hex.ts'
import {
  type BlockFile,
  BlockFileDamagedError,
  type BlockPosition,
  openBlockFile,
} from './block-file.ts'
import { isModeSwitch } from './cross-chain-rules.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'
import { type BlockNode, MainLedger } from './main-ledger.ts'
import { MainMempool } from './main-mempool.ts'
import { type JsonRpcServer, startJsonRpcServer } from './json-rpc-server.ts'
import { mainChainRpcHandler } from './main-chain-rpc-methods.ts'
import { P2pListener } from './p2p-listener.ts'
import { type BlockTemplate, buildBlockTemplate, sealTemplate } from './mining-template.ts'

/** Nonce and bits of the built-in chain's genesis; any value would do, it is trusted. */
const GENESIS_NONCE = 2083236893
const EXTRA_NONCE_BYTES = 8
/** Templates that merged miners may still be working on. */
const TEMPLATES_MAX = 64
/** Confirms kept; older ones are signed again, which gives the same bytes. */
const CONFIRMS_MAX = 64
/** Tries of one grind; at the limit of this network two are enough on average. */
const GRIND_ATTEMPTS_MAX = 1_000_000
const DEFAULT_REWARD = 500_000_000n
const DEFAULT_MATURITY = 100
const BLOCK_FILE_NAME = 'main-blocks.dat'
const LOCK_FILE_NAME = 'main-chain.lock'

export interface BuiltInGenesis {
  readonly allocations: readonly { readonly address: string; readonly sela: bigint }[]
  /** Seconds since 1970; part of the genesis hash. */
  readonly timestamp: number
}

export interface BuiltInMainChainOptions {
  /** Folder of the chain alone; made if it does not exist. */
  readonly dataDir: string
  readonly genesis: BuiltInGenesis
  /** ELA address that the blocks pay. */
  readonly minerAddress: string
  /** Time between blocks; 0 mines on demand only. */
  readonly blockIntervalMs: number
  /** JSON-RPC on loopback; port 0 takes a free one. */
  readonly rpc: { readonly port: number; readonly user?: string; readonly password?: string }
  /** The P2P protocol on loopback, as light clients speak it; port 0 takes a free one. */
  readonly p2p?: { readonly port: number }
  readonly blockRewardSela?: bigint
  readonly coinbaseMaturity?: number
  /** Keys of the cross-chain arbiters; those of local networks unless told otherwise. */
  readonly arbiters?: readonly Uint8Array[]
  /** Told of what goes wrong in the background, e.g. a full disk; mining goes on trying. */
  readonly onProblem?: (error: unknown) => void
}

/** The chain's folder belongs to another chain, or the options make no chain. */
export class MainChainSetupError extends Error {
  override name = 'MainChainSetupError'
}

/** Asked of a chain that has been stopped. */
export class MainChainStoppedError extends Error {
  override name = 'MainChainStoppedError'
}

/** The raw genesis block of a built-in chain; its hash is the checkpoint that networks carry. */
export function builtInGenesisBlock(genesis: BuiltInGenesis): Uint8Array {
  return buildGenesisBlock({
    allocations: genesis.allocations.map(({ address, sela }) => ({
      programHash: programHashOfAddress(address),
      sela,
    })),
    timestamp: genesis.timestamp,
    bits: ELASTOS_REG_NET.powLimitBits,
    nonce: GENESIS_NONCE,
  })
}

function programHashOfAddress(address: string): Uint8Array {
  const programHash = parseElaAddress(address)
  if (!programHash.ok) throw new MainChainSetupError(`${address}: ${programHash.fault.message}`)
  return programHash.value
}

/**
 * A real main chain for local networks: Elastos blocks, each merge-mined with a valid AuxPow at
 * the lowest difficulty, fully validated, kept in one folder, served over Elastos' JSON-RPC.
 */
export class BuiltInMainChain {
  readonly ledger: MainLedger
  readonly mempool: MainMempool
  private readonly options: BuiltInMainChainOptions
  private readonly payTo: Uint8Array
  private readonly file: BlockFile
  private readonly lock: FolderLock
  private readonly templates = new Map<string, BlockTemplate>()
  private readonly confirms = new Map<string, Confirm>()
  /** Whatever changes the chain runs one after the other. */
  private queue: Promise<unknown> = Promise.resolve()
  private timer: NodeJS.Timeout | undefined
  private stopping: Promise<void> | undefined
  private server: JsonRpcServer | undefined
  private listener: P2pListener | undefined

  constructor(
    options: BuiltInMainChainOptions,
    parts: { ledger: MainLedger; file: BlockFile; lock: FolderLock },
  ) {
    this.options = options
    this.payTo = programHashOfAddress(options.minerAddress)
    this.ledger = parts.ledger
    this.mempool = new MainMempool(parts.ledger)
    this.file = parts.file
    this.lock = parts.lock
  }

  get height(): number {
    return this.ledger.height
  }

  get genesisHash(): InternalHash {
    return (this.ledger.at(0) as BlockNode).hash
  }

  /** Address of the JSON-RPC server, e.g. http://127.0.0.1:22336/. */
  get rpcUrl(): string {
    assert(this.server !== undefined, 'the chain is started')
    return this.server.url
  }

  /** Port of the P2P listener on 127.0.0.1; undefined where none was asked for. */
  get p2pPort(): number | undefined {
    return this.listener?.port
  }

  /** What a follower needs to start from the genesis block. */
  genesisContext(): HeaderContext {
    return this.ledger.contextAfter(this.ledger.at(0) as BlockNode)
  }

  async start(): Promise<void> {
    const { rpc, p2p, onProblem } = this.options
    this.server = await startJsonRpcServer(mainChainRpcHandler(this), {
      ...rpc,
      ...(onProblem && { onProblem }),
    })
    if (p2p) {
      const listening = { ...p2p, magic: MainNetMagic.regression }
      this.listener = await P2pListener.start(this, listening)
    }
    this.schedule()
  }

  /** Stops mining and serving, waits for what is under way, closes the files. */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown()
    return this.stopping
  }

  /** Mines one block at once; to `payTo` (a program hash) if given. Returns its node. */
  mine(payTo = this.payTo): Promise<BlockNode> {
    return this.exclusively(() => this.mineOn(this.ledger.tip, this.mempool.select(), payTo))
  }

  /**
   * Leaves the last `depth` blocks for a branch that is one longer, as when miners disagree. The
   * transactions that were in them wait again.
   */
  reorganise(depth: number): Promise<BlockNode> {
    return this.exclusively(async () => {
      const fork = this.ledger.at(this.ledger.height - depth)
      if (depth < 1 || !fork) throw new MainChainSetupError('the chain is not that long')
      let last = fork
      const none = { transactions: [], fees: 0n }
      for (let i = 0; i <= depth; i++) last = await this.mineOn(last, none, this.payTo)
      assert(this.ledger.tip === last, 'the longer branch wins')
      return last
    })
  }

  /**
   * Falls back to pure proof of work, as the main chain does without its arbiters, or returns:
   * mines the block that says so. Until the return nothing crosses chains.
   */
  setPowMode(powMode: boolean): Promise<BlockNode> {
    return this.exclusively(() => {
      const switched = modeSwitch(powMode, this.ledger.height + 1)
      return this.mineOn(this.ledger.tip, { transactions: [switched], fees: 0n }, this.payTo)
    })
  }

  submitTransaction(decoded: DecodedTransaction): Result<undefined> {
    return this.mempool.add(decoded)
  }

  /** A block for a merged miner outside; `submitAuxBlock` takes its proof. */
  createAuxBlock(payTo: Uint8Array): BlockTemplate {
    const template = this.template(this.ledger.tip, this.mempool.select(), payTo)
    this.templates.set(toInternalHex(template.hash), template)
    for (const [key, { header }] of this.templates) {
      const stale = !bytesEqual(header.previous, this.ledger.tip.hash)
      if (stale || this.templates.size > TEMPLATES_MAX) this.templates.delete(key)
    }
    return template
  }

  submitAuxBlock(hash: InternalHash, auxPow: AuxPow): Promise<Result<BlockNode>> {
    return this.exclusively(async () => {
      const template = this.templates.get(toInternalHex(hash))
      if (!template)
        return fault('MAIN_BLOCK_UNKNOWN', 'no miner was given this block, or it is old')
      return this.takeBlock(sealTemplate(template, auxPow))
    })
  }

  /**
   * What the arbiters signed for a block of the best chain; undefined for genesis and while the
   * chain runs without them. They take turns in being the ones who do not vote.
   */
  confirmOf(node: BlockNode): Confirm | undefined {
    const { crossChain } = this.ledger
    const { height } = node.header
    const isOurs = crossChain.arbiters === LOCAL_ARBITER_KEYS
    if (!isOurs || height === 0 || node.isPow || !this.ledger.isBest(node)) return undefined
    const known = this.confirms.get(node.key)
    if (known) return known
    const first = crossChain.dutyIndex(height - 1) + height
    const signers = Array.from({ length: crossChain.agreement }, (_item, i) => {
      return LOCAL_ARBITER_SECRETS[(first + i) % LOCAL_ARBITER_SECRETS.length] as Uint8Array
    })
    const confirm = signConfirm(node.hash, signers)
    this.confirms.set(node.key, confirm)
    for (const oldest of this.confirms.keys()) {
      if (this.confirms.size <= CONFIRMS_MAX) break
      this.confirms.delete(oldest)
    }
    return confirm
  }

  readBlock(node: BlockNode): Promise<Uint8Array> {
    return this.file.read(node.position)
  }

  private async mineOn(
    parent: BlockNode,
    content: { transactions: readonly DecodedTransaction[]; fees: bigint },
    payTo: Uint8Array,
  ): Promise<BlockNode> {
    const template = this.template(parent, content, payTo)
    let auxPow: AuxPow | undefined
    while (!auxPow) {
      auxPow = mineAuxPow(
        {
          auxBlockHash: template.hash,
          bits: template.header.bits,
          timestamp: template.header.timestamp,
          parentPrevious: parent.hash,
          extraNonce: randomBytes(EXTRA_NONCE_BYTES),
        },
        GRIND_ATTEMPTS_MAX,
      )
    }
    const taken = await this.takeBlock(sealTemplate(template, auxPow))
    assert(taken.ok, `our own block is valid${taken.ok ? '' : `: ${taken.fault.message}`}`)
    return taken.value
  }

  private template(
    parent: BlockNode,
    content: { transactions: readonly DecodedTransaction[]; fees: bigint },
    payTo: Uint8Array,
  ): BlockTemplate {
    const { rules } = this.ledger
    return buildBlockTemplate({
      context: this.ledger.contextAfter(parent),
      params: rules.params,
      transactions: content.transactions,
      coinbaseValue: rules.blockReward + content.fees,
      payTo,
      nowSeconds: Math.floor(Date.now() / 1000),
      coinbaseNonce: randomBytes(EXTRA_NONCE_BYTES),
    })
  }

  /** Checks, writes, then takes the block; nothing is visible before it is on the disk. */
  private async takeBlock(raw: Uint8Array): Promise<Result<BlockNode>> {
    const checked = this.ledger.check(raw, true)
    if (!checked.ok) return checked
    const position = await this.file.append(raw)
    const change = this.ledger.insert(checked.value, position, true)
    if (!change.ok) return change
    const returned = change.value.disconnected.flatMap(
      (node) => node.block?.transactions.filter(isOrdinary) ?? [],
    )
    this.mempool.refresh(returned)
    if (change.value.connected.length > 0) this.listener?.announce(this.ledger.tip)
    return ok(this.ledger.node(toInternalHex(checked.value.block.hash)) as BlockNode)
  }

  private exclusively<T>(action: () => Promise<T>): Promise<T> {
    const result = this.queue.then(() => {
      if (this.stopping) throw new MainChainStoppedError('the main chain is stopped')
      return action()
    })
    this.queue = result.catch(() => undefined)
    return result
  }

  /** The next block is due one interval after `from`, or at once if that has passed. */
  private schedule(from = Date.now()): void {
    const { blockIntervalMs } = this.options
    if (blockIntervalMs <= 0 || this.stopping) return
    const due = Math.max(from + blockIntervalMs, Date.now())
    this.timer = setTimeout(
      () => {
        this.mine()
          .catch((error: unknown) => {
            if (!this.stopping) this.options.onProblem?.(error)
          })
          .finally(() => this.schedule(due))
      },
      Math.max(0, due - Date.now()),
    )
  }

  private async shutDown(): Promise<void> {
    clearTimeout(this.timer)
    await this.server?.stop()
    await this.listener?.stop()
    await this.queue
    await this.file.close()
    await this.lock.release()
  }
}

/** RevertToPOW or RevertToDPOS, as miners write them. */
function modeSwitch(powMode: boolean, height: number): DecodedTransaction {
  const raw = encodeTransaction({
    version: 9,
    type: powMode ? TransactionKind.revertToPow : TransactionKind.revertToDpos,
    payloadVersion: 0,
    payload: powMode
      ? { kind: 'revert-to-pow', revertType: 0, workingHeight: height }
      : { kind: 'revert-to-dpos', workHeightInterval: 1, revertToPowHeight: height },
    attributes: [],
    inputs: [],
    outputs: [],
    lockTime: 0,
    programs: [],
  })
  const decoded = decodeTransaction(raw)
  assert(decoded.ok, 'what was encoded decodes')
  return decoded.value
}

function isOrdinary({ transaction }: DecodedTransaction): boolean {
  return transaction.type !== TransactionKind.coinbase && !isModeSwitch(transaction.type)
}

/** Opens the folder, replays and checks its chain, starts mining and serving. */
export async function startBuiltInMainChain(
  options: BuiltInMainChainOptions,
): Promise<BuiltInMainChain> {
  const genesis = builtInGenesisBlock(options.genesis)
  await mkdir(options.dataDir, { recursive: true })
  const lock = await lockFolder(join(options.dataDir, LOCK_FILE_NAME))
  try {
    const ledger = new MainLedger({
      params: ELASTOS_REG_NET,
      blockReward: options.blockRewardSela ?? DEFAULT_REWARD,
      coinbaseMaturity: options.coinbaseMaturity ?? DEFAULT_MATURITY,
      arbiters: options.arbiters ?? LOCAL_ARBITER_KEYS,
    })
    const path = join(options.dataDir, BLOCK_FILE_NAME)
    let count = 0
    const { file } = await openBlockFile(path, (raw, position) => {
      if (count++ > 0) replay(ledger, raw, position)
      else if (bytesEqual(raw, genesis)) ledger.addGenesis(raw, position)
      else throw new MainChainSetupError(`${path} holds another chain; start with a fresh folder`)
    })
    try {
      if (count === 0) ledger.addGenesis(genesis, await file.append(genesis))
      const chain = new BuiltInMainChain(options, { ledger, file, lock })
      await chain.start()
      return chain
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * Puts a stored block back. Its signatures were checked when it was first taken, and a checksum
 * seals its bytes; every other rule is applied again.
 */
function replay(ledger: MainLedger, raw: Uint8Array, position: BlockPosition): void {
  const checked = ledger.check(raw, false)
  if (!checked.ok) {
    throw new BlockFileDamagedError(
      `the stored block at byte ${position.offset} is not valid: ${checked.fault.message}`,
    )
  }
  // A branch that turned out invalid when it took over is dropped now as it was then.
  ledger.insert(checked.value, position, false)
}
