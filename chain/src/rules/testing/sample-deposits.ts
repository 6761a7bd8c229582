import { formatAddress } from '../../bytes/address.ts'
import { assert } from '../../bytes/assert.ts'
import { hash160, sha256 } from '../../bytes/hash.ts'
import { concatBytes, utf8ToBytes } from '../../bytes/hex.ts'
import { AddressPrefix, formatElaAddress } from '../../elastos/ela-address.ts'
import { ELA_ASSET_ID } from '../../elastos/genesis-block.ts'
import { asInternalHash, type InternalHash } from '../../elastos/hash-orientation.ts'
import { merkleBranch, merkleRoot } from '../../elastos/merkle.ts'
import {
  encodeTransaction,
  type MainTransaction,
  transactionId,
} from '../../elastos/transaction.ts'
import type { MainOutput } from '../../elastos/transaction-output.ts'
import { PayloadKind, type Transaction } from '../../types/transactions.ts'
import { depositProgramHash } from '../deposit-content.ts'
import { keyOf, type SampleChain, type SampleMainChain } from './sample-chain.ts'

/** What a sample deposit asks for; `value` is what the output holds. */
export interface SampleEntry {
  readonly target: string
  readonly amount: bigint
  readonly value?: bigint
  /** Program hash of the output; this chain's X address unless told otherwise. */
  readonly programHash?: Uint8Array
}

const FEE = 10_000n
let made = 0

/** A main-chain transaction in a mined block, with its proof. */
export interface MinedDeposit {
  readonly id: InternalHash
  readonly raw: Uint8Array
  readonly branch: InternalHash[]
  readonly branchIndex: number
  readonly mainHeight: number
}

export function elaAddressOf(name: string, prefix: number = AddressPrefix.standard): string {
  return formatElaAddress(concatBytes(Uint8Array.of(prefix), hash160(utf8ToBytes(name))))
}

export function addressText(chain: SampleChain, name: string): string {
  return formatAddress(keyOf(name).address, chain.params.addressPrefix)
}

/** A deposit of payload version 1: the entries stand in typed outputs. Each call is another. */
export function depositTransaction(
  chain: SampleChain,
  entries: readonly SampleEntry[],
): MainTransaction {
  const ours = depositProgramHash(chain.chainId)
  const outputs = entries.map(({ target, amount, value = amount + FEE, programHash = ours }) => ({
    ...plainOutput(programHash, value),
    payload: {
      kind: 'cross-chain' as const,
      version: 0,
      targetAddress: target,
      targetAmount: amount,
      targetData: new Uint8Array(0),
    },
  }))
  return { ...skeleton(), version: 9, payloadVersion: 1, outputs }
}

/** The older payload version 0: entries point at plain outputs. */
export function olderDeposit(
  chain: SampleChain,
  entries: readonly (SampleEntry & { readonly outputIndex?: number })[],
): MainTransaction {
  const ours = depositProgramHash(chain.chainId)
  return {
    ...skeleton(),
    payload: {
      kind: 'cross-chain',
      targets: entries.map(({ target, amount, outputIndex }, i) => ({
        address: target,
        outputIndex: outputIndex ?? i,
        amount,
      })),
    },
    outputs: entries.map(({ amount, value = amount + FEE, programHash = ours }) =>
      plainOutput(programHash, value),
    ),
  }
}

function plainOutput(programHash: Uint8Array, value: bigint): MainOutput {
  return { assetId: ELA_ASSET_ID, value, outputLock: 0, programHash, payload: { kind: 'none' } }
}

function skeleton(): MainTransaction {
  const source = sha256(utf8ToBytes(`spent ${made++}`))
  return {
    version: 0,
    type: 8,
    payloadVersion: 0,
    payload: { kind: 'cross-chain-by-outputs' },
    attributes: [],
    inputs: [{ transactionId: asInternalHash(source), index: 0, sequence: 0xffff_ffff }],
    outputs: [],
    lockTime: 0,
    programs: [],
  }
}

/** Mines one header over these transactions, after a coinbase; gives the proofs. */
export function mineDeposits(
  main: SampleMainChain,
  transactions: readonly MainTransaction[],
): MinedDeposit[] {
  const coinbase = asInternalHash(sha256(utf8ToBytes(`coinbase ${main.tip.height}`)))
  const ids = [coinbase, ...transactions.map((transaction) => transactionId(transaction))]
  main.mine(main.tip.time + 1, merkleRoot(ids))
  const mainHeight = main.tip.height
  return transactions.map((transaction, i) => ({
    id: ids[i + 1] as InternalHash,
    raw: encodeTransaction(transaction),
    branch: merkleBranch(ids, i + 1),
    branchIndex: i + 1,
    mainHeight,
  }))
}

/** Records every header of `main` that leads on from what the chain knows. */
export function recordHeaders(chain: SampleChain, main: SampleMainChain, fork?: number): void {
  const from = fork ?? chain.ledger.globals().mainTipHeight
  const headers = main.headers.filter(({ height }) => height > from).map(({ raw }) => raw)
  assert(headers.length > 0, 'a transaction has headers')
  chain.block([chain.mainHeaders(headers)])
}

export function mineEmpty(main: SampleMainChain, count: number): void {
  for (let i = 0; i < count; i++) main.mine(main.tip.time + 1)
}

export function depositOn(chain: SampleChain, mined: MinedDeposit): Transaction {
  const { raw, branch, branchIndex, mainHeight } = mined
  return chain.bySystem({
    selector: PayloadKind.deposit,
    value: { transaction: raw, branch: [...branch], branchIndex, mainHeight },
  })
}

/** Mines transactions into one main block, on record with the confirmations that a credit needs. */
export function confirmDeposits(
  chain: SampleChain,
  transactions: readonly MainTransaction[],
): MinedDeposit[] {
  const mined = mineDeposits(chain.main, transactions)
  mineEmpty(chain.main, chain.params.depositConfirmations - 1)
  recordHeaders(chain, chain.main)
  return mined
}

/** Deposits units to a named account and credits them, all in one go. */
export function fund(chain: SampleChain, name: string, amount: bigint): MinedDeposit {
  const target = addressText(chain, name)
  const [mined] = mineDeposits(chain.main, [depositTransaction(chain, [{ target, amount }])])
  assert(mined !== undefined, 'one transaction was mined')
  mineEmpty(chain.main, chain.params.anchorFinalMainBlocks)
  recordHeaders(chain, chain.main)
  chain.block([depositOn(chain, mined)])
  return mined
}
