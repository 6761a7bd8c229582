import { resolve } from 'node:path'
import { addressOf, bytesToHex, formatAddress, fromHex, publicKeyOf, sign } from '@ioex/chain/bytes'
import { peerIdOfKey } from '@ioex/chain/net'
import { possessionDigest } from '@ioex/chain/rules'
import { NodeRole, NONE, PayloadKind, type Register } from '@ioex/chain/types'
import { type RpcClient, RpcError } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { readAddressArgument } from '../address-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { readKey } from '../nodes/key-file.ts'
import { formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet, type Wallet } from '../wallet/wallet-file.ts'
import { hasNextKey, nextKey, swapKey } from './key-swap.ts'
import { keyPath } from './node-keys.ts'

export interface RegisterFlags {
  /** Folder whose wallet is the owner; unset: the node's own. */
  readonly wallet?: string
  /** Unset: what the chain has, else the owner. */
  readonly payout?: string
  readonly role?: 'bootstrap' | 'validator'
  readonly wait: boolean
}

type NodeView = ResultOf<'nodes_get'>

interface Registration {
  readonly context: CommandContext
  readonly client: RpcClient
  readonly wallet: Wallet
  readonly chainId: Uint8Array
}

/** node register: puts the folder's node key on the chain, or changes payout and roles there. */
export async function registerNode(context: CommandContext, flags: RegisterFlags): Promise<void> {
  const registration = await open(context, flags)
  const { data } = context.settings
  const nodeKey = await readKey(keyPath(data, 'node'), 'node', context.passphrase)
  const known = await nodeOf(registration, publicKeyOf(nodeKey))
  const role = flags.role ?? 'bootstrap'
  const roles = NodeRole[role] | rolesOf(known)
  const value = await terms(registration, flags, { nodeKey, known, roles, replaces: NONE })
  const sent = await send(registration, value, flags.wait)
  await report(registration, value, sent, known ? 'registered again' : 'registered')
}

/**
 * node rotate-key: a new node key takes the registered one's place. The file of the old key is kept:
 * the running node redeems with it what is still due to it.
 */
export async function rotateNodeKey(context: CommandContext, flags: RegisterFlags): Promise<void> {
  const registration = await open(context, flags)
  const { settings, passphrase } = context
  const { data } = settings
  const isResumed = await hasNextKey(data, 'node')
  const next = await nextKey(data, 'node', passphrase)
  const done = await nodeOf(registration, publicKeyOf(next))
  if (done) {
    await swapKey(data, 'node')
    context.output.note('The chain had the new key already: only its file was put in place.')
    return
  }
  const current = await readKey(keyPath(data, 'node'), 'node', passphrase)
  const known = await nodeOf(registration, publicKeyOf(current))
  const roles = rolesOf(known) & (NodeRole.bootstrap | NodeRole.validator)
  if (!known || roles === 0) {
    throw new CommandError(
      'NODE_NOT_REGISTERED',
      'only a registered node changes its key; a peer starts anew in another folder and leaves here',
    )
  }
  if (isResumed) context.output.note('Going on with the key of keys/node-next.key.')
  const replaces = known.index
  const value = await terms(registration, flags, { nodeKey: next, known, roles, replaces })
  // The old key serves until the new one is final.
  const sent = await send(registration, value, true)
  await swapKey(data, 'node')
  await report(registration, value, sent, `replaces the key of node ${known.index}`)
}

/**
 * node unregister: gives up the roles of the folder's node, or, where that is done, asks for its
 * deposit. The chain says when the time for it has come (DEPOSIT_HELD before).
 */
export async function unregisterNode(
  context: CommandContext,
  flags: Pick<RegisterFlags, 'wallet' | 'wait'>,
): Promise<void> {
  const registration = await open(context, flags)
  const { settings, passphrase } = context
  const nodeKey = publicKeyOf(await readKey(keyPath(settings.data, 'node'), 'node', passphrase))
  const known = await nodeOf(registration, nodeKey)
  const isRegistered = (rolesOf(known) & (NodeRole.bootstrap | NodeRole.validator)) !== 0
  if (!known || (!isRegistered && BigInt(known.deposit) === 0n)) {
    throw new CommandError(
      'NODE_NOT_REGISTERED',
      'the node has no role to give up and no deposit to get back; a peer leaves with "ioex node --leave"',
    )
  }
  const payload = { selector: PayloadKind.unregister, value: { node: known.index } } as const
  const { client, wallet } = registration
  const { id, final } = await sendOwnerTransaction(client, wallet.owner, payload, flags.wait)
  const after = final ? await nodeOf(registration, nodeKey) : undefined
  const facts = {
    node: known.index,
    roles: after?.roles ?? known.roles,
    deposit: after?.deposit ?? known.deposit,
    exitEpoch: after?.exitEpoch ?? known.exitEpoch,
    id,
    height: final?.height ?? null,
    state: final?.state ?? 'pending',
  }
  context.output.result(facts, () => {
    if (!after) return `Transaction ${id} is on its way.`
    if (!isRegistered) return `Node ${known.index}: the deposit is back in the wallet (${id}).`
    return (
      `Node ${known.index} has given up its roles (${id}).\nIts deposit of ` +
      `${formatIoex(after.deposit)} comes back with the same command, once anchors from epoch ` +
      `${String(after.exitEpoch)} on are FINAL and the waiting time is over.`
    )
  })
}

async function open(
  context: CommandContext,
  flags: Pick<RegisterFlags, 'wallet'>,
): Promise<Registration> {
  const { settings, io, passphrase } = context
  const folder = flags.wallet === undefined ? settings.data : resolve(io.folder, flags.wallet)
  const wallet = await readWallet(folder, passphrase)
  const client = await context.client()
  const { chainId } = await client.call('chain_getStatus', {})
  return { context, client, wallet, chainId: fromHex(chainId) }
}

async function nodeOf(
  { context, client }: Registration,
  publicKey: Uint8Array,
): Promise<NodeView | undefined> {
  const id = formatAddress(addressOf(publicKey), context.addressPrefix)
  try {
    return await client.call('nodes_get', { id })
  } catch (error) {
    if (error instanceof RpcError && error.reason === 'NOT_FOUND') return undefined
    throw error
  }
}

function rolesOf(known: NodeView | undefined): number {
  return (known?.roles ?? []).reduce((bits, name) => bits | NodeRole[name], 0)
}

interface RegisterParts {
  /** Secret. */
  readonly nodeKey: Uint8Array
  readonly known: NodeView | undefined
  readonly roles: number
  readonly replaces: number
}

async function terms(
  { context, wallet, chainId }: Registration,
  flags: RegisterFlags,
  { nodeKey, known, roles, replaces }: RegisterParts,
): Promise<Register> {
  const prove = (secret: Uint8Array) =>
    sign(possessionDigest(chainId, wallet.address, publicKeyOf(secret)), secret)
  const { settings, passphrase } = context
  const validates = (roles & NodeRole.validator) !== 0
  const consensus = validates
    ? await readKey(keyPath(settings.data, 'consensus'), 'consensus', passphrase)
    : undefined
  const payout = flags.payout ?? known?.payout
  return {
    nodeKey: publicKeyOf(nodeKey),
    nodeProof: prove(nodeKey),
    consensusKey: consensus ? publicKeyOf(consensus) : new Uint8Array(33),
    consensusProof: consensus ? prove(consensus) : new Uint8Array(64),
    payout: payout === undefined ? wallet.address : readAddressArgument(payout, context),
    roles,
    replaces,
  }
}

async function send({ client, wallet }: Registration, value: Register, waits: boolean) {
  const payload = { selector: PayloadKind.register, value } as const
  return sendOwnerTransaction(client, wallet.owner, payload, waits)
}

async function report(
  registration: Registration,
  { nodeKey, payout }: Register,
  { id, final }: Awaited<ReturnType<typeof send>>,
  did: string,
): Promise<void> {
  const { context } = registration
  const view = final ? await nodeOf(registration, nodeKey) : undefined
  const facts = {
    node: view?.index ?? null,
    roles: view?.roles ?? [],
    nodeKey: bytesToHex(nodeKey),
    peerId: peerIdOfKey(nodeKey),
    address: formatAddress(addressOf(nodeKey), context.addressPrefix),
    payout: formatAddress(payout, context.addressPrefix),
    id,
    height: final?.height ?? null,
    state: final?.state ?? 'pending',
  }
  context.output.result(facts, () =>
    [
      `Node ${view?.index ?? '(not final yet)'} ${did}.`,
      factsText([
        ['peer id', facts.peerId],
        ['address', facts.address],
        ['payout', facts.payout],
        ['transaction', id],
      ]),
      'Start it (again): it tells the directory its addresses (--announce) and prices (--relay-price).',
    ].join('\n'),
  )
}
