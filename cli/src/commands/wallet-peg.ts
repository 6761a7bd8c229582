import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isSpendable, planDepositTransaction, signTransaction } from '@ioex/chain/anchor'
import { bytesToHex, formatAddress, fromHex, utf8ToBytes } from '@ioex/chain/bytes'
import {
  CROSS_CHAIN_FEE_MIN,
  formatEla,
  formatElaAddress,
  p256PublicKey,
  standardProgramHash,
} from '@ioex/chain/elastos'
import { createMainChainClient } from '@ioex/chain/follower'
import { depositProgramHash, payableAddress } from '@ioex/chain/rules'
import { PayloadKind } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { readAddressArgument } from '../address-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { readKey } from '../nodes/key-file.ts'
import { formatIoex } from '../output/amount.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { withProvenChain } from '../nodes/proven-chain.ts'
import { refuseSkipped } from '../wallet/skipped-addresses.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet, readWalletFace } from '../wallet/wallet-file.ts'

/** Main-chain fee of a deposit, sela: the least that the main chain takes. */
const MAIN_FEE = 100n
const POLL_MS = 500
/** Five times what the main network's confirmations take. */
const CREDIT_WAIT_MS = 60 * 60_000

/** Shows where to send ELA on the main chain so that it arrives here. */
export async function showDepositAddress(
  context: CommandContext,
  given: string | undefined,
): Promise<void> {
  const target = await targetOf(context, given)
  const { depositAddress, depositConfirmations, isFromFile } = await depositAddressOf(context)
  if (!isFromFile) {
    context.output.note(
      'This address follows from the chain id that the node named. Compare it with a second ' +
        'node, or put the genesis file into the data folder.',
    )
  }
  const example = exampleOf(depositAddress, target)
  const facts = { depositAddress, target, confirmations: depositConfirmations, example }
  context.output.result(facts, () => depositText(facts))
}

/** One deposit as the main chain wants it: what arrives, and what the output must hold. */
function exampleOf(depositAddress: string, target: string) {
  const amount = 100_000_000n
  return {
    transactionVersion: 9,
    type: 8,
    payloadVersion: 1,
    output: {
      address: depositAddress,
      value: formatEla(amount + CROSS_CHAIN_FEE_MIN),
      type: 3,
      payload: {
        version: 0,
        targetAddress: target,
        targetAmount: formatEla(amount),
        targetData: '',
      },
    },
  }
}

type Facts = {
  readonly depositAddress: string
  readonly target: string
  readonly confirmations: number
  readonly example: ReturnType<typeof exampleOf>
}

function depositText({ depositAddress, target, confirmations, example }: Facts): string {
  const { value, payload } = example.output
  return [
    factsText([
      ['pay to', depositAddress],
      ['target text', target],
      ['arrives after', `${confirmations} main-chain blocks`],
      ['fee', `${formatEla(CROSS_CHAIN_FEE_MIN)} ELA, held back by the main chain`],
    ]),
    '',
    'On the main chain send a TransferCrossChainAsset (type 8, payload version 1, transaction',
    'version 9) with one output of type 3. For 1 ELA:',
    '',
    `  output   ${value} ELA to ${depositAddress}`,
    `  payload  targetAddress ${payload.targetAddress}`,
    `           targetAmount  ${payload.targetAmount} ELA`,
    '',
    'Wallets call this a cross-chain or side-chain transfer. A plain payment to this address is',
    'credited to nobody, and a mistyped target text makes it wait for a refund.',
  ].join('\n')
}

export interface DepositOptions {
  readonly main: string
  readonly mainKeyFile: string
  readonly to?: string
  readonly wait: boolean
}

/** Sends ELA from a main-chain key to this chain; waits until it is credited. */
export async function deposit(
  context: CommandContext,
  amount: bigint,
  options: DepositOptions,
): Promise<void> {
  const target = await targetOf(context, options.to)
  const { chainId } = await depositAddressOf(context)
  const secretKey = await readKey(
    resolve(context.io.folder, options.mainKeyFile),
    'main-chain',
    context.passphrase,
  )
  const main = createMainChainClient({ url: options.main })
  const publicKey = p256PublicKey(secretKey)
  const payer = formatElaAddress(standardProgramHash(publicKey))
  const [unspent, blocks] = await Promise.all([main.listUnspent(payer), main.getBlockCount()])
  const planned = planDepositTransaction({
    to: depositProgramHash(chainId),
    target,
    amount,
    spendable: unspent.filter((output) => isSpendable(output, blocks)),
    feeSela: MAIN_FEE,
    payerPublicKey: publicKey,
  })
  if (!planned.ok) throw new CommandError(planned.fault.code, planned.fault.message)
  const txid = await main.sendRawTransaction(signTransaction(planned.value, secretKey))
  const credited = options.wait ? await waitForCredit(context, txid) : undefined
  const height = credited?.height ?? null
  const state = credited?.state ?? 'sent'
  context.output.result({ txid, payer, target, amount, state, height }, () =>
    height === null
      ? `Sent ${formatEla(amount)} ELA: main-chain transaction ${txid}`
      : `${state === 'credited' ? 'Credited' : 'Recorded as failed'} in block ${height}: ` +
        `${formatEla(amount)} ELA by main-chain transaction ${txid}`,
  )
}

/** Until the ledger has it, with the confirmations as progress. */
async function waitForCredit(context: CommandContext, txid: string) {
  const client = await context.client()
  const { depositConfirmations } = await client.call('peg_getStatus', {})
  const bar = context.output.progress('main-chain blocks', depositConfirmations)
  const deadline = Date.now() + CREDIT_WAIT_MS
  try {
    while (Date.now() < deadline) {
      const { deposit: found, waiting } = await client.call('peg_getDeposit', { txid })
      if (found) return found
      if (waiting) bar.update(waiting.confirmations)
      await new Promise((done) => setTimeout(done, POLL_MS))
    }
    throw new CommandError('NOT_CREDITED', `not credited yet: see "ioex peg deposit ${txid}"`)
  } finally {
    bar.stop()
  }
}

export interface WithdrawOptions {
  /** Until it is final here. */
  readonly wait: boolean
  /** Even to an address that arbiters are known to skip. */
  readonly force?: boolean
}

/** Sends money to the main chain. */
export async function withdraw(
  context: CommandContext,
  to: string,
  amount: bigint,
  { wait, force = false }: WithdrawOptions,
): Promise<void> {
  const text = utf8ToBytes(to)
  const address = payableAddress(text)
  if (!address.ok) throw usageError(address.fault.message)
  if (!force) refuseSkipped(to)
  if (amount === 0n) throw usageError('give an amount above 0')
  const output = amount + CROSS_CHAIN_FEE_MIN
  const { owner } = await readWallet(context.settings.data, context.passphrase)
  const client = await context.client()
  const payload = { selector: PayloadKind.withdraw, value: { to: text, output, amount } }
  const { id, final } = await withProvenChain(context.settings, (chain) =>
    sendOwnerTransaction(client, owner, payload, wait, chain),
  )
  const height = final?.height ?? null
  const state = final?.state ?? 'pending'
  const epoch = height === null ? null : (await client.call('peg_getWithdrawal', { id })).epoch
  const facts = { id, to, amount, output, fee: CROSS_CHAIN_FEE_MIN, height, epoch, state }
  context.output.result(facts, () =>
    height === null
      ? `Withdrew ${formatIoex(output)} for ${to}, not final yet: transaction ${id}`
      : [
          `Withdrew ${formatIoex(output)}: final in block ${height}, transaction ${id}`,
          `${to} gets ${formatEla(amount)} ELA on the main chain: its arbiters see the withdrawal`,
          `with the checkpoint of epoch ${epoch} and pay some main-chain blocks later.`,
        ].join('\n'),
  )
}

async function targetOf(context: CommandContext, given: string | undefined): Promise<string> {
  const address =
    given === undefined
      ? (await readWalletFace(context.settings.data)).address
      : readAddressArgument(given, context)
  return formatAddress(address, context.addressPrefix)
}

/** From the genesis file where there is one: then no node has to be believed. */
async function depositAddressOf(context: CommandContext) {
  const path = join(context.settings.data, 'genesis.json')
  const genesis = (await exists(path)) ? await readGenesis(path) : undefined
  const chainId = genesis?.chainId ?? (await askChainId(context))
  const { depositConfirmations } = genesis?.params ?? presets[context.settings.network]
  const depositAddress = formatElaAddress(depositProgramHash(chainId))
  return { chainId, depositAddress, depositConfirmations, isFromFile: genesis !== undefined }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function askChainId(context: CommandContext): Promise<Uint8Array> {
  const { chainId } = await (await context.client()).call('chain_getStatus', {})
  const bytes = fromHex(chainId)
  if (bytesToHex(bytes) !== chainId) throw new CommandError('ANSWER', 'the node named no chain id')
  return bytes
}
