import { readFileSync } from 'node:fs'
import writeFileAtomic from 'write-file-atomic'
import { type DisplayHash, parseDisplayHash, toDisplayHash } from '../elastos/hash-orientation.ts'
import type { AccountOutput } from './account-change.ts'
import type { FollowedBlock, MainTip } from './followed-block.ts'
import type { UnspentOutput } from './main-chain-client.ts'

/** The place is saved this often: far more often than what a follower reads again at its start. */
const SAVE_BLOCKS = 64
const VERSION = 1

interface HeldOutput extends AccountOutput {
  readonly height: number
  /** Height of the block that spends it. */
  spentAt: number | null
}

/** The followed chain: the block below the oldest one held, the tip, what is between. */
export interface AccountView {
  readonly floor: MainTip
  readonly tip: MainTip
  blockAt(height: number): FollowedBlock | undefined
}

/**
 * What a main-chain account owns, as far as its node saw it arrive: read from the blocks that are
 * followed, so that no main node needs to be asked. Kept in a file; without one, outputs older
 * than where the node began to read are not known.
 */
export class AccountOutputs {
  readonly address: string
  readonly #path: string
  readonly #outputs = new Map<string, HeldOutput>()
  #scanned: { readonly height: number; readonly hash: DisplayHash } | undefined
  #savedHeight = 0

  private constructor(path: string, address: string) {
    this.#path = path
    this.address = address
  }

  /** A file that is missing, damaged or of another account counts as none. */
  static open(path: string, address: string): AccountOutputs {
    const account = new AccountOutputs(path, address)
    account.#read()
    return account
  }

  getBlockCount(): Promise<number> {
    return Promise.resolve((this.#scanned?.height ?? -1) + 1)
  }

  listUnspent(address: string): Promise<UnspentOutput[]> {
    const top = this.#scanned?.height ?? 0
    const held = address === this.address ? [...this.#outputs.values()] : []
    const unspent = held.filter(({ spentAt }) => spentAt === null)
    return Promise.resolve(
      unspent.map(({ txid, index, sela, transactionType, outputLock, height }) => {
        const confirmations = top - height + 1
        return { txid, index, sela, address, transactionType, confirmations, outputLock }
      }),
    )
  }

  /**
   * Takes what the followed chain has new. Gives false where blocks between what was read last and
   * the chain's start are missing: what was owned is forgotten then, for it may be spent.
   */
  sync(view: AccountView): boolean {
    const isWhole = this.#join(view)
    let changed = false
    for (let height = (this.#scanned?.height ?? 0) + 1; height <= view.tip.height; height++) {
      changed = this.#apply(view.blockAt(height), height) || changed
    }
    this.#scanned = { height: view.tip.height, hash: toDisplayHash(view.tip.hash) }
    for (const [key, { spentAt }] of this.#outputs) {
      if (spentAt !== null && spentAt <= view.floor.height) this.#outputs.delete(key)
    }
    if (changed || !isWhole || view.tip.height >= this.#savedHeight + SAVE_BLOCKS) this.#save()
    return isWhole
  }

  /** Leaves `#scanned` on the followed chain: where it was, or at the chain's start. */
  #join(view: AccountView): boolean {
    const scanned = this.#scanned
    const base = view.floor
    if (scanned) {
      const { height, hash } = scanned
      const there = height === base.height ? base.hash : view.blockAt(height)?.header.hash
      if (there && toDisplayHash(there) === hash) return true
    }
    this.#scanned = { height: base.height, hash: toDisplayHash(base.hash) }
    const isWhole = !scanned || scanned.height >= base.height
    for (const [key, output] of this.#outputs) {
      // Above the start everything is read again.
      if (!isWhole || output.height > base.height) this.#outputs.delete(key)
      else if (output.spentAt !== null && output.spentAt > base.height) output.spentAt = null
    }
    return isWhole
  }

  #apply(block: FollowedBlock | undefined, height: number): boolean {
    const { received = [], spent = [] } = block?.account ?? {}
    for (const output of received) {
      this.#outputs.set(`${output.txid}:${output.index}`, { ...output, height, spentAt: null })
    }
    for (const key of spent) {
      const output = this.#outputs.get(key)
      if (output) output.spentAt = height
    }
    return received.length + spent.length > 0
  }

  #save(): void {
    const { address } = this
    const outputs = [...this.#outputs.values()].map((each) => ({ ...each, sela: `${each.sela}` }))
    const text = JSON.stringify({ version: VERSION, address, scanned: this.#scanned, outputs })
    writeFileAtomic.sync(this.#path, `${text}\n`, { mode: 0o600 })
    this.#savedHeight = this.#scanned?.height ?? 0
  }

  #read(): void {
    try {
      const file = JSON.parse(readFileSync(this.#path, 'utf8')) as SavedAccount
      if (file.version !== VERSION || file.address !== this.address) return
      const outputs = file.outputs.map((output) => ({
        ...output,
        txid: knownHash(output.txid),
        sela: BigInt(output.sela),
      }))
      this.#scanned = { ...file.scanned, hash: knownHash(file.scanned.hash) }
      for (const output of outputs) this.#outputs.set(`${output.txid}:${output.index}`, output)
    } catch {
      // What it held comes back by a payment or over JSON-RPC; nothing is lost on the main chain.
      this.#scanned = undefined
    }
  }
}

interface SavedAccount {
  readonly version: number
  readonly address: string
  readonly scanned: { readonly height: number; readonly hash: string }
  readonly outputs: readonly (Omit<HeldOutput, 'sela' | 'txid'> & {
    readonly sela: string
    readonly txid: string
  })[]
}

function knownHash(text: string): DisplayHash {
  const hash = parseDisplayHash(text)
  if (hash.ok) return hash.value
  throw new SyntaxError('not a hash')
}
