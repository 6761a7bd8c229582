import { parseHex } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import { formatEla } from '../elastos/ela-amount.ts'
import {
  type InternalHash,
  readDisplayHash,
  readInternalHash,
  toDisplayHash,
  toInternalHex,
} from '../elastos/hash-orientation.ts'
import { decodeSideAuxPow } from '../elastos/side-aux-pow.ts'
import {
  knownAmong,
  methodsHandler,
  type RpcArguments,
  type RpcMethod,
  wholeNumberOf,
} from '../main-chain/json-rpc-methods.ts'
import { JsonRpcCode, JsonRpcError, type JsonRpcHandler } from '../main-chain/json-rpc-server.ts'
import type { ArbiterBlock, ArbiterChain, ArbiterWithdrawal } from './arbiter-chain.ts'

/** Codes of the classic side node that an Arbiter tells apart. */
export const SideRpcCode = {
  /** The deposit can never be credited; the Arbiter files it as failed. */
  recharge: 45020,
  /** Not yet: the Arbiter keeps the deposit and asks again. Every other code loses it. */
  notYet: 45022,
} as const

/** A transaction, a branch and a header with its AuxPow. */
const PROOF_BYTES_MAX = 128 * 1024
const HASHES_MAX = 10_000

/**
 * Every method that an Arbiter calls on a side node. Orientation of each hash as the real
 * programs have it: un-reversed where it says `internal`, display order elsewhere.
 */
const methods: Readonly<Record<string, RpcMethod<ArbiterChain>>> = {
  getblockcount: { params: [], run: (chain) => chain.bestHeight() + 1 },
  createauxblock: { params: ['paytoaddress'], run: createAuxBlock },
  submitsideauxblock: { params: ['blockhash', 'sideauxpow'], run: submitSideAuxBlock },
  sendrechargetransaction: { params: ['txid'], run: sendRecharge },
  getexistdeposittransactions: {
    params: ['txs'],
    run: (chain, args) => subset(args['txs'], readInternalHash, (id) => chain.isCredited(id)),
  },
  getwithdrawtransactionsbyheight: { params: ['height'], run: getWithdrawals },
  getwithdrawtransaction: { params: ['txid'], run: getWithdrawal },
  // Validators of this chain are no arbiters: their misdeeds are punished here.
  getillegalevidencebyheight: {
    params: ['height'],
    run: (_chain, args) => {
      heightArgument(args['height'])
      return []
    },
  },
  checkillegalevidence: { params: ['evidence'], run: () => false },
  getblockbyheight: { params: ['height'], run: getBlockByHeight },
  getblock: { params: ['blockhash', 'verbosity'], run: getBlock },
  getfaileddeposittransactions: {
    params: ['height'],
    run: (chain, args) => chain.failedDeposits(heightArgument(args['height'])).map(toInternalHex),
  },
  getfaileddeposittransactionbyhash: { params: ['hash'], run: getFailedDeposit },
  // Small transfers wait for their confirmations like all others: a bridge that mints
  // against unconfirmed coin loses it to the first reorganisation.
  sendsmallcrosstransaction: {
    params: ['signature', 'rawTx', 'txHash'],
    run: (chain, args) => chain.isCredited(need(readInternalHash(textArgument(args['txHash'])))),
  },
  getprocessedinvalidwithdrawtransactions: {
    params: ['txs'],
    run: (chain, args) => subset(args['txs'], readDisplayHash, (id) => chain.isReturned(id)),
  },
  // A withdrawal comes back by a vote of the validators, never on an arbiter's word.
  sendinvalidwithdrawtransaction: {
    params: ['signature', 'txHash'],
    run: (chain, args) => chain.isReturned(need(readDisplayHash(textArgument(args['txHash'])))),
  },
  getPledgeBillBurnTransactionByHeight: { params: ['height'], run: () => null },
}

/** The JSON-RPC face of a side chain for an Arbiter. */
export function arbiterRpcHandler(chain: ArbiterChain): JsonRpcHandler {
  return methodsHandler(chain, methods)
}

function createAuxBlock(chain: ArbiterChain, args: RpcArguments): unknown {
  textArgument(args['paytoaddress'])
  const template = chain.template()
  // The reference's words when there is nothing to anchor; an Arbiter logs them and goes on.
  if (!template) throw internalError('Unknown Block')
  return {
    genesishash: toInternalHex(chain.genesisHash),
    // The height that the Arbiter compares before it submits: the best one, not the new one.
    height: chain.bestHeight(),
    bits: template.bits.toString(16).padStart(8, '0'),
    hash: toInternalHex(template.hash),
    previousblockhash: toInternalHex(template.previousHash),
  }
}

function submitSideAuxBlock(chain: ArbiterChain, args: RpcArguments): unknown {
  const checkpoint = need(readInternalHash(textArgument(args['blockhash'])))
  const bytes = need(parseHex(textArgument(args['sideauxpow']), PROOF_BYTES_MAX))
  const proof = need(decodeSideAuxPow(bytes))
  const outcome = chain.submit(checkpoint, proof)
  if (!outcome.ok) throw internalError(outcome.fault.message)
  if (outcome.value === 'main-header-unknown')
    throw internalError('SideChain spv syncing not ready')
  return toInternalHex(checkpoint)
}

/** Answers about a deposit, which credits itself; no code makes an Arbiter drop it early. */
async function sendRecharge(chain: ArbiterChain, args: RpcArguments): Promise<unknown> {
  const status = await chain.deposit(need(readInternalHash(textArgument(args['txid']))))
  switch (status.state) {
    case 'credited':
      return toInternalHex(status.sideTransaction)
    case 'failed':
      throw new JsonRpcError(SideRpcCode.recharge, 'the deposit cannot be credited: refund it')
    case 'waiting':
      throw new JsonRpcError(SideRpcCode.notYet, 'the deposit waits for its confirmations')
  }
}

/** Null for a block without withdrawals, as the reference writes it. */
function getWithdrawals(chain: ArbiterChain, args: RpcArguments): unknown {
  const height = heightArgument(args['height'])
  if (height > chain.bestHeight()) throw internalError('Unknown Block')
  const found = chain.withdrawals(height)
  return found.length === 0 ? null : found.map(withdrawalJson)
}

function getWithdrawal(chain: ArbiterChain, args: RpcArguments): unknown {
  const found = chain.withdrawal(need(readDisplayHash(textArgument(args['txid']))))
  if (!found) throw internalError('Unknown Transaction')
  return withdrawalJson(found)
}

function withdrawalJson({ id, address, output, amount }: ArbiterWithdrawal): unknown {
  return {
    txid: toDisplayHash(id),
    crosschainassets: [
      {
        crosschainaddress: address,
        crosschainamount: formatEla(amount),
        outputamount: formatEla(output),
        targetdata: '',
      },
    ],
  }
}

function getBlockByHeight(chain: ArbiterChain, args: RpcArguments): unknown {
  return blockJson(chain, chain.block(heightArgument(args['height'])))
}

function getBlock(chain: ArbiterChain, args: RpcArguments): unknown {
  return blockJson(chain, chain.blockByHash(need(readDisplayHash(textArgument(args['blockhash'])))))
}

function blockJson(chain: ArbiterChain, block: ArbiterBlock | undefined): unknown {
  if (!block || block.height > chain.bestHeight()) throw internalError('Unknown Block')
  return {
    hash: toDisplayHash(block.hash),
    confirmations: chain.bestHeight() - block.height + 1,
    height: block.height,
    previousblockhash: toDisplayHash(block.previousHash),
    time: block.time,
    mediantime: block.time,
    tx: [],
  }
}

/** The same text if it failed, an empty one otherwise. */
function getFailedDeposit(chain: ArbiterChain, args: RpcArguments): unknown {
  const text = textArgument(args['hash'])
  return chain.isFailed(need(readInternalHash(text))) ? text : ''
}

/** The texts of the list whose hash the chain knows, as they came; null if none. */
function subset(
  value: unknown,
  read: (text: string) => Result<InternalHash>,
  isKnown: (id: InternalHash) => boolean,
): readonly string[] | null {
  if (!Array.isArray(value) || value.length > HASHES_MAX) {
    throw new JsonRpcError(JsonRpcCode.params, `txs is a list of up to ${HASHES_MAX} hashes`)
  }
  return knownAmong(value, read, isKnown)
}

function textArgument(value: unknown): string {
  if (typeof value === 'string') return value
  throw new JsonRpcError(JsonRpcCode.params, 'a parameter is missing or no text')
}

function heightArgument(value: unknown): number {
  const height = wholeNumberOf(value)
  if (height !== undefined) return height
  throw new JsonRpcError(JsonRpcCode.params, 'a height is a whole number')
}

function need<T>(result: Result<T>): T {
  if (result.ok) return result.value
  throw new JsonRpcError(JsonRpcCode.params, result.fault.message)
}

/** The form in which the reference reports whatever a handler answers. */
function internalError(message: string): JsonRpcError {
  return new JsonRpcError(JsonRpcCode.internal, `internal error: ${message}`)
}
