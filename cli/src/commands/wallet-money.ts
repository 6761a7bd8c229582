import { formatAddress } from '@ioex/chain/bytes'
import { PayloadKind } from '@ioex/chain/types'
import type { LightChainClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { readAddressArgument } from '../address-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { withProvenChain } from '../nodes/proven-chain.ts'
import { formatIoex } from '../output/amount.ts'
import { usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet, readWalletFace } from '../wallet/wallet-file.ts'

/** Pays an address; `waits` until the transfer is final. */
export async function send(
  context: CommandContext,
  to: string,
  amount: bigint,
  waits: boolean,
): Promise<void> {
  if (amount === 0n) throw usageError('give an amount above 0')
  const receiver = readAddressArgument(to, context)
  const { owner } = await readWallet(context.settings.data, context.passphrase)
  const client = await context.client()
  const payload = { selector: PayloadKind.transfer, value: { to: receiver, amount } }
  const { id, final } = await withProvenChain(context.settings, (chain) =>
    sendOwnerTransaction(client, owner, payload, waits, chain),
  )
  const height = final?.height ?? null
  context.output.result({ id, to, amount, height, state: final?.state ?? 'pending' }, () =>
    height === null
      ? `Sent ${formatIoex(amount)} to ${to}, not final yet: transaction ${id}`
      : `Sent ${formatIoex(amount)} to ${to}: final in block ${height}, transaction ${id}`,
  )
}

/** Shows the money of an address, of the wallet without one. */
export async function showBalance(
  context: CommandContext,
  given: string | undefined,
): Promise<void> {
  const address = given ?? (await ownAddress(context))
  const account = await withProvenChain(context.settings, (chain) =>
    chain ? provenAccount(context, chain, address) : toldAccount(context, address),
  )
  const { balance, bond, nonce, height, proven } = account
  context.output.result({ address, balance, bond, nonce, height, proven }, () =>
    factsText([
      ['address', address],
      ['balance', formatIoex(balance)],
      ...(bond === '0' ? [] : [['bond', formatIoex(bond)] as const]),
      ['as of block', String(height)],
      ['proven', proven ? 'yes' : 'no, by the word of the node: the network is not known here'],
    ]),
  )
}

async function provenAccount(context: CommandContext, chain: LightChainClient, address: string) {
  const { height } = await chain.head()
  const account = await chain.account(readAddressArgument(address, context))
  return {
    balance: (account?.balance ?? 0n).toString(),
    bond: (account?.bond ?? 0n).toString(),
    nonce: account?.nonce ?? 0,
    height,
    proven: true,
  }
}

async function toldAccount(context: CommandContext, address: string) {
  const client = await context.client()
  const account: ResultOf<'chain_getAccount'> = await client.call('chain_getAccount', { address })
  return { ...account, proven: false }
}

async function ownAddress({ settings, addressPrefix }: CommandContext): Promise<string> {
  return formatAddress((await readWalletFace(settings.data)).address, addressPrefix)
}
