import { resolve } from 'node:path'
import {
  bytesEqual,
  bytesToHex,
  formatAddress,
  fromHex,
  publicKeyOf,
  sign,
} from '@ioex/chain/bytes'
import { p256PublicKey } from '@ioex/chain/elastos'
import { possessionDigest } from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import { PayloadKind, type RotateKeys, type Validator } from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import { readAddressArgument } from '../address-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { readKey } from '../nodes/key-file.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet, type Wallet } from '../wallet/wallet-file.ts'
import { hasNextKey, nextKey } from './key-swap.ts'
import { keyPath } from './node-keys.ts'
import { ownedBy, readValidators } from './stake-records.ts'

/** The sets of the running and the next epoch are fixed: what changes counts after them. */
const EPOCHS_UNTIL = 2

export interface OwnerFlags {
  /** Folder whose wallet is the owner; unset: the validator's own. */
  readonly wallet?: string
  readonly wait: boolean
}

export interface TermsFlags extends OwnerFlags {
  /** In 1/10,000. */
  readonly commission?: number
  readonly payout?: string
  /** The folder's main-chain key pays memo anchors from now on. */
  readonly mainChainKey?: boolean
}

interface Ownership {
  readonly context: CommandContext
  readonly client: RpcClient
  readonly wallet: Wallet
  readonly validator: Indexed<Validator>
}

/**
 * validator rotate-key: a new consensus key takes the folder's place from the epoch after the next
 * on. The running validator changes over by itself; until then both files must stay.
 */
export async function rotateConsensusKey(context: CommandContext, flags: OwnerFlags) {
  const ownership = await open(context, flags)
  const { wallet, validator, client } = ownership
  const { data } = context.settings
  if (await hasNextKey(data, 'consensus')) {
    context.output.note('Going on with the key of keys/consensus-next.key.')
  } else {
    await requireOwnKey(context, validator.record)
  }
  const next = await nextKey(data, 'consensus', context.passphrase)
  const consensusKey = publicKeyOf(next)
  if (bytesEqual(consensusKey, validator.record.consensusKey)) {
    throw new CommandError('KEY_WAITS', 'the chain has this key already: it waits for its epoch')
  }
  const { chainId } = await client.call('chain_getStatus', {})
  const digest = possessionDigest(fromHex(chainId), wallet.address, consensusKey)
  await change(ownership, { consensusKey, consensusProof: sign(digest, next) }, flags.wait)
}

/** validator set: commission, payout and main-chain key of the wallet's validator. */
export async function setTerms(context: CommandContext, flags: TermsFlags): Promise<void> {
  const { commission, payout, mainChainKey } = flags
  if (commission === undefined && payout === undefined && !mainChainKey) {
    throw usageError('say what to set: --commission, --payout or --main-chain-key')
  }
  const path = keyPath(context.settings.data, 'main-chain')
  const mainKey = mainChainKey && (await readKey(path, 'main-chain', context.passphrase))
  const terms = {
    ...(commission !== undefined && { commission }),
    ...(payout !== undefined && { payout: readAddressArgument(payout, context) }),
    ...(mainKey && { mainKey: p256PublicKey(mainKey) }),
  }
  await change(await open(context, flags), terms, flags.wait)
}

async function open(context: CommandContext, flags: OwnerFlags): Promise<Ownership> {
  const { settings, io, passphrase } = context
  const folder = flags.wallet === undefined ? settings.data : resolve(io.folder, flags.wallet)
  const wallet = await readWallet(folder, passphrase)
  const client = await context.client()
  const validator = ownedBy(await readValidators(client), wallet.address)
  if (validator) return { context, client, wallet, validator }
  throw new CommandError(
    'NO_VALIDATOR',
    'no validator belongs to this wallet: name the folder of its wallet with --wallet',
  )
}

async function requireOwnKey(context: CommandContext, record: Validator): Promise<void> {
  const { data } = context.settings
  const own = await readKey(keyPath(data, 'consensus'), 'consensus', context.passphrase)
  if (bytesEqual(publicKeyOf(own), record.consensusKey)) return
  throw new CommandError(
    'CONSENSUS_KEY_OTHER',
    `the chain has another consensus key for this wallet's validator than ${data}: name the ` +
      'folder of the running validator with --data',
  )
}

/** What is not named stays as it is on the chain. */
async function change(
  { context, client, wallet, validator }: Ownership,
  changes: Partial<RotateKeys>,
  waits: boolean,
): Promise<void> {
  const { index, record } = validator
  const value: RotateKeys = {
    validator: index,
    consensusKey: record.consensusKey,
    consensusProof: new Uint8Array(64),
    mainKey: record.mainKey,
    payout: record.payout,
    commission: record.commissionNext,
    ...changes,
  }
  const payload = { selector: PayloadKind.rotateKeys, value } as const
  const { id, final } = await sendOwnerTransaction(client, wallet.owner, payload, waits)
  const { epoch } = await client.call('chain_getStatus', {})
  const facts = {
    validator: index,
    consensusKey: bytesToHex(value.consensusKey),
    mainKey: bytesToHex(value.mainKey),
    payout: formatAddress(value.payout, context.addressPrefix),
    commission: value.commission,
    fromEpoch: epoch + EPOCHS_UNTIL,
    id,
    height: final?.height ?? null,
    state: final?.state ?? 'pending',
  }
  const isRotated = changes.consensusKey !== undefined
  context.output.result(facts, () =>
    [
      `Validator ${index}: pays ${facts.payout}, commission ${value.commission / 100} %.`,
      `Counts from epoch ${facts.fromEpoch} on; transaction ${id}.`,
      ...(isRotated
        ? ['Leave both key files where they are: the running validator changes over by itself.']
        : []),
    ].join('\n'),
  )
}
