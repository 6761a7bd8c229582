import { assert } from '../bytes/assert.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { type InternalHash, toDisplayHash, toInternalHex } from '../elastos/hash-orientation.ts'
import type { MemoAnchor } from '../elastos/memo-anchor.ts'
import { isP256SecretKey, p256PublicKey } from '../elastos/p256.ts'
import { type MainTransaction, transactionId } from '../elastos/transaction.ts'
import { MainChainRpcError } from '../follower/main-chain-client.ts'
import type { MainWallet } from './main-wallet.ts'
import { isSpendable, planMemoTransaction, signTransaction } from './memo-transaction.ts'

const DEFAULT_FEE_SELA = 10_000n
const DEFAULT_RESUBMIT_BLOCKS = 6
/** Anchors that may be under way at once; more means that the main chain takes none. */
const PENDING_MAX = 64
/** Outputs that one anchor is tried with when the main node refuses it. */
const OUTPUTS_TRIED_MAX = 4

export interface MemoAnchorerOptions {
  readonly client: MainWallet
  /** P-256 key of the main-chain account that pays; 32 bytes. */
  readonly elaSecretKey: Uint8Array
  readonly feeSela?: bigint
  /** Main blocks after which an anchor that is in none is sent again. */
  readonly resubmitAfterBlocks?: number
  /** Whether a main block holds the transaction, buried as deep as the caller wants. */
  readonly isConfirmed: (id: InternalHash) => boolean
}

/** The account cannot pay, or too many anchors wait. */
export class AnchorRefusedError extends Error {
  override name = 'AnchorRefusedError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** An anchor sent to the main chain. */
export interface SentAnchor {
  readonly anchor: MemoAnchor
  readonly id: InternalHash
  readonly raw: Uint8Array
  /** Outputs it spends, as outpoint keys. */
  readonly spends: readonly string[]
  /** Main height when it was last sent. */
  readonly sentAt: number
}

/**
 * Puts memo anchors into the main chain: builds, signs, pays from its own outputs, sends, and
 * sends again what did not get into a block. Two anchors of one checkpoint do no harm: the
 * earlier one counts.
 */
export class MemoAnchorer {
  /** ELA address that must hold funds. */
  readonly address: string
  private readonly options: MemoAnchorerOptions
  private readonly publicKey: Uint8Array
  private readonly pending = new Map<string, SentAnchor>()
  /** Anchors of this epoch or earlier ones are of no use any more. */
  private supersededEpoch = 0
  /** Calls run one after the other, so that no two spend the same output. */
  private queue: Promise<unknown> = Promise.resolve()

  constructor(options: MemoAnchorerOptions) {
    assert(isP256SecretKey(options.elaSecretKey), 'the ELA key is a P-256 secret key')
    this.options = options
    this.publicKey = p256PublicKey(options.elaSecretKey)
    this.address = formatElaAddress(standardProgramHash(this.publicKey))
  }

  /** Anchors sent and not yet seen in a block. */
  waiting(): readonly SentAnchor[] {
    return [...this.pending.values()]
  }

  /** Sends an anchor; returns the id of its transaction. */
  submit(anchor: MemoAnchor): Promise<InternalHash> {
    return this.oneByOne(async () => {
      this.dropConfirmed()
      if (this.pending.size >= PENDING_MAX) {
        throw new AnchorRefusedError('ANCHOR_BUSY', `${PENDING_MAX} anchors wait for a main block`)
      }
      return (await this.buildAndSend(anchor)).id
    })
  }

  /** The checkpoint of this epoch is anchored: no anchor up to it is sent again. */
  supersede(epoch: number): void {
    this.supersededEpoch = epoch
  }

  /**
   * To be called when the main chain grew: forgets what is in a block, sends the rest again when
   * it has waited for long, on other outputs if its own are gone.
   */
  refresh(): Promise<void> {
    return this.oneByOne(async () => {
      this.dropConfirmed()
      if (this.pending.size === 0) return
      const height = (await this.options.client.getBlockCount()) - 1
      const patience = this.options.resubmitAfterBlocks ?? DEFAULT_RESUBMIT_BLOCKS
      const overdue = this.waiting().filter(({ sentAt }) => height - sentAt >= patience)
      for (const sent of overdue) {
        if (sent.anchor.epoch <= this.supersededEpoch) this.pending.delete(toInternalHex(sent.id))
        else await this.sendAgain({ ...sent, sentAt: height })
      }
    })
  }

  private async sendAgain(sent: SentAnchor): Promise<void> {
    try {
      await this.send(sent)
    } catch (error) {
      if (!(error instanceof MainChainRpcError)) throw error
      // Refused as it stands, e.g. its input was spent: build it anew.
      this.pending.delete(toInternalHex(sent.id))
      await this.buildAndSend(sent.anchor)
    }
  }

  /**
   * Where the node refuses an anchor, another output may serve: a node that was restarted does not
   * know what it spends in transactions that still wait.
   */
  private async buildAndSend(anchor: MemoAnchor): Promise<SentAnchor> {
    const refused: string[] = []
    for (let tries = 1; ; tries++) {
      const sent = await this.build(anchor, refused)
      try {
        await this.send(sent)
        return sent
      } catch (error) {
        if (!(error instanceof MainChainRpcError) || tries >= OUTPUTS_TRIED_MAX) throw error
        refused.push(...sent.spends)
      }
    }
  }

  private async build(anchor: MemoAnchor, refused: readonly string[]): Promise<SentAnchor> {
    const { client, elaSecretKey } = this.options
    const blockCount = await client.getBlockCount()
    const pending = [...this.pending.values()].flatMap(({ spends }) => spends)
    const taken = new Set([...pending, ...refused])
    const unspent = await client.listUnspent(this.address)
    const planned = planMemoTransaction({
      anchor,
      spendable: unspent.filter(
        (output) => isSpendable(output, blockCount) && !taken.has(`${output.txid}:${output.index}`),
      ),
      feeSela: this.options.feeSela ?? DEFAULT_FEE_SELA,
      payerPublicKey: this.publicKey,
    })
    if (!planned.ok) {
      throw new AnchorRefusedError(
        planned.fault.code,
        `${planned.fault.message}; send ELA to ${this.address}`,
      )
    }
    return {
      anchor,
      id: transactionId(planned.value),
      raw: signTransaction(planned.value, elaSecretKey),
      spends: spentKeys(planned.value),
      sentAt: blockCount - 1,
    }
  }

  private async send(sent: SentAnchor): Promise<void> {
    try {
      await this.options.client.sendRawTransaction(sent.raw)
    } catch (error) {
      // Nodes refuse what they have already, each with a code of its own.
      if (!(error instanceof MainChainRpcError) || !(await this.isKnown(sent.id))) throw error
    }
    this.pending.set(toInternalHex(sent.id), sent)
  }

  private async isKnown(id: InternalHash): Promise<boolean> {
    try {
      await this.options.client.getRawTransaction(toDisplayHash(id))
      return true
    } catch (error) {
      if (error instanceof MainChainRpcError) return false
      throw error
    }
  }

  private dropConfirmed(): void {
    for (const [key, { id }] of this.pending) {
      if (this.options.isConfirmed(id)) this.pending.delete(key)
    }
  }

  private oneByOne<T>(action: () => Promise<T>): Promise<T> {
    const result = this.queue.then(action)
    this.queue = result.catch(() => undefined)
    return result
  }
}

function spentKeys(transaction: MainTransaction): string[] {
  return transaction.inputs.map(({ transactionId: id, index }) => `${toDisplayHash(id)}:${index}`)
}
