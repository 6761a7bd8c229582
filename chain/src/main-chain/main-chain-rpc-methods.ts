import { bytesToHex, parseHex } from '../bytes/hex.ts'
import type { Fault, Result } from '../bytes/result.ts'
import { type AuxPow, decodeAuxPow, ELA_CHAIN_ID } from '../elastos/aux-pow.ts'
import { decodeBlock } from '../elastos/block.ts'
import { type Confirm, encodeConfirm } from '../elastos/confirm.ts'
import { parseElaAddress } from '../elastos/ela-address.ts'
import { ByteReader } from '../elastos/byte-reader.ts'
import { formatEla, parseEla, SELA_PER_ELA } from '../elastos/ela-amount.ts'
import {
  type InternalHash,
  readDisplayHash,
  readInternalHash,
  toDisplayHash,
  toInternalHex,
} from '../elastos/hash-orientation.ts'
import { MainRpcCode } from '../elastos/main-rpc-code.ts'
import { type DecodedTransaction, decodeTransaction, readInputs } from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import { DUTY_BLOCKS } from './cross-chain-state.ts'
import {
  knownAmong,
  methodsHandler,
  type RpcArguments,
  type RpcMethod,
  wholeNumberOf,
} from './json-rpc-methods.ts'
import { JsonRpcError, type JsonRpcHandler } from './json-rpc-server.ts'
import { blockJson, confirmJson, transactionJson, utxoJson } from './main-chain-json.ts'
import type { BlockNode, MainLedger } from './main-ledger.ts'
import type { MainMempool } from './main-mempool.ts'
import { MAIN_TRANSACTION_SIZE_MAX } from './main-transaction-rules.ts'
import type { BlockTemplate } from './mining-template.ts'
import type { Utxo } from './utxo-set.ts'

const ADDRESSES_MAX = 1000
const AUXPOW_BYTES_MAX = 128 * 1024

/** What the methods need of a main chain. */
export interface MainChainBackend {
  readonly ledger: MainLedger
  readonly mempool: MainMempool
  mine(): Promise<BlockNode>
  submitTransaction(decoded: DecodedTransaction): Result<undefined>
  createAuxBlock(payTo: Uint8Array): BlockTemplate
  submitAuxBlock(hash: InternalHash, auxPow: AuxPow): Promise<Result<BlockNode>>
  readBlock(node: BlockNode): Promise<Uint8Array>
  confirmOf(node: BlockNode): Confirm | undefined
}

const methods: Readonly<Record<string, RpcMethod<MainChainBackend>>> = {
  getblockcount: { params: [], run: ({ ledger }) => ledger.height + 1 },
  getbestblockhash: { params: [], run: ({ ledger }) => toDisplayHash(ledger.tip.hash) },
  getblockhash: {
    params: ['height'],
    run: ({ ledger }, args) => toDisplayHash(blockAt(ledger, args).hash),
  },
  getblock: { params: ['blockhash', 'verbosity'], run: getBlock },
  getblockbyheight: {
    params: ['height'],
    run: (chain, args) => blockAnswer(chain, blockAt(chain.ledger, args), 2),
  },
  getconfirmbyhash: {
    params: ['blockhash', 'verbosity'],
    run: (chain, args) => confirmAnswer(chain, nodeOf(chain, args), args),
  },
  getconfirmbyheight: {
    params: ['height', 'verbosity'],
    run: (chain, args) => confirmAnswer(chain, blockAt(chain.ledger, args), args),
  },
  getarbitersinfo: { params: [], run: getArbitersInfo },
  getrawtransaction: { params: ['txid', 'verbose'], run: getRawTransaction },
  getrawmempool: { params: [], run: ({ mempool }) => mempool.ids().map(toDisplayHash) },
  sendrawtransaction: { params: ['data'], run: sendRawTransaction },
  listunspent: { params: ['addresses', 'utxotype'], run: listUnspent },
  getutxosbyamount: { params: ['address', 'amount', 'utxotype'], run: getUtxosByAmount },
  getreceivedbyaddress: {
    params: ['address'],
    run: ({ ledger }, args) =>
      formatEla(sumOf(ledger.utxos.of(programHashArgument(args['address'])))),
  },
  getarbitratorgroupbyheight: { params: ['height'], run: getArbiters },
  getcrcpeersinfo: { params: [], run: getPeers },
  getcrosschainpeersinfo: { params: [], run: getPeers },
  // No council, so no side chain was registered by one.
  getallregistertransactions: { params: [], run: () => null },
  getsmallcrosstransfertxs: { params: [], run: getSmallTransfers },
  getamountbyinputs: { params: ['inputs'], run: getAmountByInputs },
  getexistwithdrawtransactions: {
    params: ['txs'],
    run: ({ ledger }, args) => knownOf(args['txs'], (id) => ledger.crossChain.isWithdrawn(id)),
  },
  getexistreturndeposittransactions: {
    params: ['txs'],
    run: ({ ledger }, args) => knownOf(args['txs'], (id) => ledger.crossChain.isReturned(id)),
  },
  getcandestroynftids: { params: ['ids', 'genesisblockhash'], run: () => null },
  submitsidechainillegaldata: { params: ['illegaldata'], run: () => false },
  createauxblock: { params: ['paytoaddress'], run: createAuxBlock },
  submitauxblock: { params: ['blockhash', 'auxpow'], run: submitAuxBlock },
  discretemining: {
    params: ['count'],
    // One block a call whatever the count says: that is what the reference node does.
    run: async (chain) => [toDisplayHash((await chain.mine()).hash)],
  },
}

/** The JSON-RPC face of a main chain. */
export function mainChainRpcHandler(chain: MainChainBackend): JsonRpcHandler {
  return methodsHandler(chain, methods)
}

async function getBlock(chain: MainChainBackend, args: RpcArguments): Promise<unknown> {
  const verbosity = integerArgument(args['verbosity'] ?? 1, 'verbosity')
  return blockAnswer(chain, nodeOf(chain, args), verbosity)
}

function nodeOf({ ledger }: MainChainBackend, args: RpcArguments): BlockNode {
  const node = ledger.node(toInternalHex(hashArgument(args['blockhash'])))
  if (!node) throw new JsonRpcError(MainRpcCode.unknownBlock, 'unknown block')
  return node
}

function confirmAnswer(chain: MainChainBackend, node: BlockNode, args: RpcArguments): unknown {
  const verbosity = integerArgument(args['verbosity'] ?? 1, 'verbosity')
  const confirm = chain.confirmOf(node)
  if (!confirm) throw new JsonRpcError(MainRpcCode.unknownConfirm, 'unknown confirm')
  return verbosity === 0 ? bytesToHex(encodeConfirm(confirm)) : confirmJson(confirm)
}

async function blockAnswer(
  chain: MainChainBackend,
  node: BlockNode,
  verbosity: number,
): Promise<unknown> {
  const raw = await chain.readBlock(node)
  if (verbosity === 0) return bytesToHex(raw)
  const block = need(decodeBlock(raw), MainRpcCode.internal)
  return blockJson(chain.ledger, node, block, verbosity >= 2)
}

async function getRawTransaction(chain: MainChainBackend, args: RpcArguments): Promise<unknown> {
  const key = toInternalHex(hashArgument(args['txid']))
  const place = chain.ledger.transaction(key)
  const decoded = place
    ? need(decodeBlock(await chain.readBlock(place.node)), MainRpcCode.internal).transactions[
        place.index
      ]
    : chain.mempool.get(key)
  if (!decoded) throw new JsonRpcError(MainRpcCode.unknownTransaction, 'unknown transaction')
  const verbose = args['verbose'] === true || args['verbose'] === 'true'
  return verbose ? transactionJson(decoded, chain.ledger, place?.node) : bytesToHex(decoded.raw)
}

function sendRawTransaction(chain: MainChainBackend, args: RpcArguments): unknown {
  const bytes = need(parseHex(textArgument(args['data'], 'data'), MAIN_TRANSACTION_SIZE_MAX))
  const decoded = need(decodeTransaction(bytes), MainRpcCode.refused)
  const taken = chain.submitTransaction(decoded)
  if (taken.ok) return toDisplayHash(decoded.id)
  throw new JsonRpcError(
    refusalCode(taken.fault),
    `transaction validate error: ${text(taken.fault)}`,
  )
}

function refusalCode({ code }: Fault): number {
  switch (code) {
    case 'MAIN_INPUT_SPENT':
      return MainRpcCode.doubleSpend
    case 'MAIN_TRANSACTION_KNOWN':
      return MainRpcCode.duplicate
    default:
      return MainRpcCode.refused
  }
}

function listUnspent({ ledger }: MainChainBackend, args: RpcArguments): unknown {
  const { addresses } = args
  if (!Array.isArray(addresses) || addresses.length > ADDRESSES_MAX) {
    throw new JsonRpcError(MainRpcCode.params, `addresses is a list of up to ${ADDRESSES_MAX}`)
  }
  return addresses.flatMap((address: unknown) =>
    ledger.utxos.of(programHashArgument(address)).map((utxo) => utxoJson(utxo, ledger.height)),
  )
}

/** Spendable outputs, oldest first, until they reach the amount. */
function getUtxosByAmount({ ledger }: MainChainBackend, args: RpcArguments): unknown {
  const wanted = need(parseEla(textArgument(args['amount'], 'amount')))
  const chosen: Utxo[] = []
  for (const utxo of ledger.utxos.of(programHashArgument(args['address']))) {
    if (sumOf(chosen) >= wanted) break
    if (isMature(utxo, ledger)) chosen.push(utxo)
  }
  if (sumOf(chosen) < wanted) throw new JsonRpcError(MainRpcCode.internal, 'not enough utxo')
  return chosen.map((utxo) => utxoJson(utxo, ledger.height))
}

function isMature(utxo: Utxo, ledger: MainLedger): boolean {
  if (utxo.transactionType !== TransactionKind.coinbase || utxo.height === 0) return true
  return ledger.height + 1 - utxo.height >= ledger.rules.coinbaseMaturity
}

function createAuxBlock(chain: MainChainBackend, args: RpcArguments): unknown {
  const template = chain.createAuxBlock(programHashArgument(args['paytoaddress']))
  return {
    chainid: ELA_CHAIN_ID,
    height: template.header.height,
    coinbasevalue: Number(template.coinbaseValue),
    bits: template.header.bits.toString(16).padStart(8, '0'),
    // Both in internal order, as merged miners of Elastos expect them.
    hash: toInternalHex(template.hash),
    previousblockhash: toInternalHex(template.header.previous),
  }
}

async function submitAuxBlock(chain: MainChainBackend, args: RpcArguments): Promise<unknown> {
  const hash = need(readInternalHash(textArgument(args['blockhash'], 'blockhash')))
  const bytes = need(parseHex(textArgument(args['auxpow'], 'auxpow'), AUXPOW_BYTES_MAX))
  const auxPow = need(decodeAuxPow(bytes))
  const taken = await chain.submitAuxBlock(hash, auxPow)
  if (taken.ok) return true
  throw new JsonRpcError(MainRpcCode.internal, `adding block failed: ${text(taken.fault)}`)
}

/** Arbiters of a height, and whose turn it is. */
function getArbiters({ ledger }: MainChainBackend, args: RpcArguments): unknown {
  const height = integerArgument(args['height'], 'height')
  const { crossChain } = ledger
  return {
    ondutyarbitratorindex: crossChain.dutyIndex(height),
    arbitrators: crossChain.arbiters.map(bytesToHex),
  }
}

/** Arbiters of the tip, always the same here: they confirm blocks and sign for side chains. */
function getArbitersInfo({ ledger }: MainChainBackend): unknown {
  const { crossChain, height } = ledger
  const keys = crossChain.arbiters.map(bytesToHex)
  const turn = height - (height % DUTY_BLOCKS)
  return {
    arbiters: keys,
    candidates: [],
    nextarbiters: keys,
    nextcandidates: [],
    ondutyarbiter: keys[crossChain.dutyIndex(height)],
    currentturnstartheight: turn,
    nextturnstartheight: turn + DUTY_BLOCKS,
  }
}

function getPeers({ ledger }: MainChainBackend): unknown {
  return { nodepublickeys: ledger.crossChain.arbiters.map(bytesToHex) }
}

/** Waiting deposits of 1 ELA or less in all, which arbiters may carry over before their block. */
function getSmallTransfers({ mempool }: MainChainBackend): unknown {
  const txs = mempool
    .all()
    .filter(({ transaction }) => {
      const amounts = transaction.outputs.map(({ payload }) =>
        payload.kind === 'cross-chain' ? payload.targetAmount : 0n,
      )
      const total = amounts.reduce((sum, amount) => sum + amount, 0n)
      return total > 0n && total <= SELA_PER_ELA
    })
    .map(({ raw }) => bytesToHex(raw))
  return { txs }
}

/** Sum of the unspent outputs that these inputs name. */
function getAmountByInputs({ ledger }: MainChainBackend, args: RpcArguments): unknown {
  const bytes = need(parseHex(textArgument(args['inputs'], 'inputs'), MAIN_TRANSACTION_SIZE_MAX))
  const reader = new ByteReader(bytes)
  const inputs = need(reader.result(readInputs(reader)))
  let sum = 0n
  for (const input of inputs) {
    const utxo = ledger.utxos.get(input)
    if (!utxo) throw new JsonRpcError(MainRpcCode.unknownTransaction, 'unknown input')
    sum += utxo.output.value
  }
  return formatEla(sum)
}

/** The texts (un-reversed hashes) of the list that the chain knows; null if none. */
function knownOf(value: unknown, isKnown: (id: InternalHash) => boolean): readonly string[] | null {
  if (!Array.isArray(value) || value.length > ADDRESSES_MAX * 10) {
    throw new JsonRpcError(MainRpcCode.params, 'txs is a list of hashes')
  }
  return knownAmong(value, readInternalHash, isKnown)
}

function blockAt(ledger: MainLedger, args: RpcArguments): BlockNode {
  const node = ledger.at(integerArgument(args['height'], 'height'))
  if (!node) throw new JsonRpcError(MainRpcCode.unknownBlock, 'no block has this height')
  return node
}

function sumOf(utxos: readonly Utxo[]): bigint {
  return utxos.reduce((sum, { output }) => sum + output.value, 0n)
}

function programHashArgument(value: unknown): Uint8Array {
  return need(parseElaAddress(textArgument(value, 'address')))
}

function hashArgument(value: unknown): InternalHash {
  return need(readDisplayHash(textArgument(value, 'hash')))
}

function textArgument(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw new JsonRpcError(MainRpcCode.params, `${name} is a text`)
}

function integerArgument(value: unknown, name: string): number {
  const number = wholeNumberOf(value)
  if (number !== undefined) return number
  throw new JsonRpcError(MainRpcCode.params, `${name} is a whole number`)
}

function need<T>(result: Result<T>, code: number = MainRpcCode.params): T {
  if (result.ok) return result.value
  throw new JsonRpcError(code, text(result.fault))
}

function text(fault: Fault): string {
  return `${fault.message} (${fault.code})`
}
