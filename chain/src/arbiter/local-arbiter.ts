import {
  planReturn,
  planWithdrawal,
  sideChainPowTransaction,
  signByArbiters,
} from './arbiter-transactions.ts'
import { RETURN_DEPOSIT_FEE } from '../main-chain/cross-chain-rules.ts'
import { type MainChainClient, MainChainRpcError } from '../follower/main-chain-client.ts'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { decodeBlock } from '../elastos/block.ts'
import {
  crossChainProgramHash,
  formatElaAddress,
  parseElaAddress,
  standardProgramHash,
} from '../elastos/ela-address.ts'
import { CROSS_CHAIN_FEE_MIN, parseEla } from '../elastos/ela-amount.ts'
import {
  type DisplayHash,
  fromDisplayHash,
  type InternalHash,
  parseDisplayHash,
  toDisplayHash,
  toInternalHex,
} from '../elastos/hash-orientation.ts'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import { merkleBranch } from '../elastos/merkle.ts'
import { encodeSideAuxPow } from '../elastos/side-aux-pow.ts'
import type { ArbiterWithdrawal } from './arbiter-chain.ts'
import { type SideNodeClient, SideNodeError } from './side-node-client.ts'

/** Checkpoints on top of the one that holds a withdrawal before it is paid. */
const CONFIRMATIONS = 5
const HEIGHTS_PER_POLL = 64
const PAYMENTS_MAX = 100
/** Main blocks after which an anchor that no block took is made anew by whoever is on duty. */
const ANCHOR_PATIENCE_BLOCKS = 5
const AGREEMENT = Math.floor((LOCAL_ARBITER_SECRETS.length * 2) / 3) + 1

export interface LocalArbiterOptions {
  readonly main: MainChainClient
  readonly side: SideNodeClient
  /** Genesis of the side chain, which gives its X address. */
  readonly genesisHash: InternalHash
  readonly pollMs: number
  readonly onProblem: (error: unknown) => void
}

interface SentAnchor {
  readonly txid: DisplayHash
  readonly checkpoint: InternalHash
  readonly sentAt: number
}

/**
 * All arbiters of a built-in main chain in one loop: what unmodified Arbiters do between a main
 * node and a side node, over the same calls. Remembers nothing that it cannot ask again.
 */
export class LocalArbiter {
  readonly #options: LocalArbiterOptions
  readonly #sideAddress: string
  readonly #payTo = standardProgramHash(LOCAL_ARBITER_KEYS[0] as Uint8Array)
  readonly #due = new Map<string, ArbiterWithdrawal>()
  readonly #failed = new Map<string, InternalHash>()
  #scanned = 0
  #anchor: SentAnchor | undefined
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #stopped = false

  constructor(options: LocalArbiterOptions) {
    this.#options = options
    this.#sideAddress = formatElaAddress(crossChainProgramHash(options.genesisHash))
  }

  start(): void {
    this.#timer = setTimeout(() => {
      void this.poll()
        .catch((error: unknown) => {
          if (!this.#stopped) this.#options.onProblem(error)
        })
        .finally(() => {
          if (!this.#stopped) this.start()
        })
    }, this.#options.pollMs)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#polling?.catch(() => undefined)
  }

  /** One round: anchor, read new checkpoints, pay, refund. */
  poll(): Promise<void> {
    this.#polling ??= this.#round().finally(() => {
      this.#polling = undefined
    })
    return this.#polling
  }

  async #round(): Promise<void> {
    const { main, side } = this.#options
    const tip = (await main.getBlockCount()) - 1
    await this.#bringProof()
    await this.#sendAnchor(tip)
    await this.#scan(await side.bestHeight())
    // In PoW mode the main chain refuses all of it; the next rounds try again.
    await ignoringRefusals(() => this.#pay())
    await ignoringRefusals(() => this.#refund())
  }

  /** Once its block is there, the proof goes to the side node. */
  async #bringProof(): Promise<void> {
    const { main, side } = this.#options
    if (!this.#anchor) return
    const { txid, checkpoint } = this.#anchor
    const place = await lookUp(main, txid)
    const blockHash = parseDisplayHash(text(place?.['blockhash']))
    if (!blockHash.ok) return
    const block = decodeBlock(await main.getBlockRaw(blockHash.value))
    if (!block.ok) throw new Error(block.fault.message)
    const ids = block.value.transactions.map(({ id }) => id)
    const index = ids.findIndex((id) => bytesEqual(id, fromDisplayHash(txid)))
    const transaction = block.value.transactions[index]
    if (!transaction) return
    const branch = merkleBranch(ids, index)
    const proof = encodeSideAuxPow({ transaction, branch, index, mainHeader: block.value })
    try {
      await side.submitSideAuxBlock(checkpoint, bytesToHex(proof))
    } catch (error) {
      // "Not ready" keeps the proof; any other refusal is answered by the next template.
      if (!(error instanceof SideNodeError)) throw error
    }
    this.#anchor = undefined
  }

  async #sendAnchor(tip: number): Promise<void> {
    const { main, side } = this.#options
    const isWaiting = this.#anchor && tip - this.#anchor.sentAt < ANCHOR_PATIENCE_BLOCKS
    if (isWaiting) return
    const template = await side.createAuxBlock(formatElaAddress(this.#payTo))
    if (!template) return
    const group = await main.call('getarbitratorgroupbyheight', { height: String(tip) })
    const turn = (group as { ondutyarbitratorindex?: number }).ondutyarbitratorindex ?? 0
    const secret = LOCAL_ARBITER_SECRETS[turn]
    if (!secret) return
    const raw = sideChainPowTransaction(template, secret, this.#payTo)
    await ignoringRefusals(async () => {
      const txid = await main.sendRawTransaction(raw)
      this.#anchor = { txid, checkpoint: template.hash, sentAt: tip }
    })
  }

  /** Reads what checkpoints hold once they have their confirmations; each height once. */
  async #scan(best: number): Promise<void> {
    const { side } = this.#options
    const last = Math.min(best - CONFIRMATIONS, this.#scanned + HEIGHTS_PER_POLL)
    for (let height = this.#scanned + 1; height <= last; height++) {
      for (const due of await side.withdrawalsAt(height)) this.#due.set(toInternalHex(due.id), due)
      for (const id of await side.failedDepositsAt(height)) {
        this.#failed.set(toInternalHex(id), id)
      }
      this.#scanned = height
    }
  }

  async #pay(): Promise<void> {
    const { main, side } = this.#options
    for (const key of await known(main, 'getexistwithdrawtransactions', [...this.#due.keys()])) {
      this.#due.delete(key)
    }
    const payments: ArbiterWithdrawal[] = []
    for (const [key, due] of this.#due) {
      if (payments.length >= PAYMENTS_MAX) break
      const isPayable = due.output - due.amount >= CROSS_CHAIN_FEE_MIN && due.amount > 0n
      if (isPayable && parseElaAddress(due.address).ok && (await side.isStillDue(due))) {
        payments.push(due)
      } else {
        this.#due.delete(key)
      }
    }
    if (payments.length === 0) return
    const planned = planWithdrawal(
      {
        sideAddress: this.#sideAddress,
        spendable: await main.listUnspent(this.#sideAddress),
        feeSela: payments.reduce((sum, { output, amount }) => sum + output - amount, 0n),
      },
      payments.map(({ id, address, amount }) => ({ sideTransaction: id, address, sela: amount })),
    )
    if (!planned.ok) throw new Error(planned.fault.message)
    await main.sendRawTransaction(signByArbiters(planned.value, LOCAL_ARBITER_SECRETS, AGREEMENT))
  }

  /** Returns what the side chain could not credit, one deposit per transaction. */
  async #refund(): Promise<void> {
    const { main } = this.#options
    const asked = [...this.#failed.keys()]
    for (const key of await known(main, 'getexistreturndeposittransactions', asked)) {
      this.#failed.delete(key)
    }
    for (const deposit of this.#failed.values()) {
      const payer = await this.#payerOf(deposit)
      if (!payer) continue
      const planned = planReturn(
        {
          sideAddress: this.#sideAddress,
          spendable: await main.listUnspent(this.#sideAddress),
          feeSela: RETURN_DEPOSIT_FEE,
        },
        { deposit, to: payer.owner, sela: payer.paid - RETURN_DEPOSIT_FEE },
      )
      if (!planned.ok) throw new Error(planned.fault.message)
      await main.sendRawTransaction(signByArbiters(planned.value, LOCAL_ARBITER_SECRETS, AGREEMENT))
    }
  }

  async #payerOf(deposit: InternalHash): Promise<{ owner: Uint8Array; paid: bigint } | undefined> {
    const { main } = this.#options
    const transaction = await lookUp(main, toDisplayHash(deposit))
    const [first] = listOf(transaction?.['vin'])
    const source = parseDisplayHash(text(first?.['txid']))
    if (!source.ok) return undefined
    const spent = await lookUp(main, source.value)
    const output = listOf(spent?.['vout'])[Number(first?.['vout'])]
    const owner = parseElaAddress(text(output?.['address']))
    if (!owner.ok) return undefined
    let paid = 0n
    for (const { address, value } of listOf(transaction?.['vout'])) {
      const sela = parseEla(text(value))
      if (address === this.#sideAddress && sela.ok) paid += sela.value
    }
    return paid > RETURN_DEPOSIT_FEE ? { owner: owner.value, paid } : undefined
  }
}

type JsonObject = Readonly<Record<string, unknown>>

function listOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? (value as JsonObject[]) : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A transaction in its RPC form; undefined if the node does not know it. */
async function lookUp(main: MainChainClient, txid: DisplayHash): Promise<JsonObject | undefined> {
  try {
    return (await main.call('getrawtransaction', { txid, verbose: true })) as JsonObject
  } catch (error) {
    if (error instanceof MainChainRpcError) return undefined
    throw error
  }
}

async function known(
  main: MainChainClient,
  method: string,
  txs: readonly string[],
): Promise<string[]> {
  if (txs.length === 0) return []
  const found = await main.call(method, { txs })
  return Array.isArray(found) ? found.map(String) : []
}

/** What the main node refuses now, e.g. because somebody else was faster, is tried again later. */
async function ignoringRefusals(run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof MainChainRpcError)) throw error
  }
}
