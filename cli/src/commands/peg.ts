import { resolve } from 'node:path'
import { addressOf, publicKeyOf } from '@ioex/chain/bytes'
import { PayloadKind, PegVoteKind } from '@ioex/chain/types'
import type { ResultOf } from '@ioex/rpc/contract'
import type { CommandContext } from '../command-context.ts'
import { readKey } from '../nodes/key-file.ts'
import { formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import type { Output } from '../output/output.ts'
import { type Column, factsText } from '../output/table.ts'
import type { OwnerKey } from '../wallet/owner-key.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet } from '../wallet/wallet-file.ts'

type DepositState = ResultOf<'peg_listDeposits'>['deposits'][number]['state']

export interface DepositFlags {
  readonly state?: DepositState
  readonly cursor?: string
}

export interface WithdrawalFlags {
  readonly epoch?: number
  readonly owner?: string
  readonly cursor?: string
}

export interface VoteFlags {
  /** Index of the validator whose owner votes. */
  readonly validator: number
  readonly kind: keyof typeof PegVoteKind
  /** Index of the withdrawal to return; 0 for other kinds. */
  readonly withdrawal: number
  readonly ownerKeyFile: string | undefined
}

/** Shows deposit address, reserve, daily cap and whether the peg is stopped. */
export async function pegStatus(context: CommandContext): Promise<void> {
  const status = await (await context.client()).call('peg_getStatus', {})
  context.output.result(status, () => statusText(status))
}

export async function listDeposits(context: CommandContext, flags: DepositFlags): Promise<void> {
  const page = await (await context.client()).call('peg_listDeposits', flags)
  context.output.result(page, () => depositsText(page, context.output))
}

/** Shows what became of a main-chain transaction. */
export async function showDeposit(context: CommandContext, txid: string): Promise<void> {
  const found = await (await context.client()).call('peg_getDeposit', { txid })
  context.output.result(found, () => depositText(found))
}

export async function listWithdrawals(
  context: CommandContext,
  flags: WithdrawalFlags,
): Promise<void> {
  const page = await (await context.client()).call('peg_listWithdrawals', flags)
  context.output.result(page, () => withdrawalsText(page, context.output))
}

/** Votes with the key of a validator's owner; waits until the vote is final. */
export async function castVote(
  context: CommandContext,
  { validator, kind, withdrawal, ownerKeyFile }: VoteFlags,
): Promise<void> {
  const owner = await ownerOf(context, ownerKeyFile)
  const client = await context.client()
  const value = { validator, kind: PegVoteKind[kind], withdrawal }
  const payload = { selector: PayloadKind.pegVote, value }
  const { id, final } = await sendOwnerTransaction(client, owner, payload, true)
  if (!final) throw new CommandError('NOT_FINAL', `the vote ${id} is not final yet`)
  const { paused, pauseVotes, returnVotes } = await client.call('peg_getStatus', {})
  const facts = { id, height: final.height, paused, pauseVotes, returnVotes }
  context.output.result(facts, () =>
    [
      `Voted in block ${final.height}, transaction ${id}`,
      `The peg is ${paused ? 'stopped' : 'open'}; ${pauseVotes.length} votes to change that.`,
    ].join('\n'),
  )
}

/** The wallet's key, or one from a file, as local networks keep those of their validators. */
async function ownerOf(context: CommandContext, keyFile: string | undefined): Promise<OwnerKey> {
  const { settings, io, passphrase } = context
  if (keyFile === undefined) return (await readWallet(settings.data, passphrase)).owner
  const secretKey = await readKey(resolve(io.folder, keyFile), 'owner', passphrase)
  const publicKey = publicKeyOf(secretKey)
  return { secretKey, publicKey, address: addressOf(publicKey) }
}

function statusText(status: ResultOf<'peg_getStatus'>): string {
  const { paused, cause, day } = status
  const state = paused
    ? `stopped: ${cause === 'vote' ? 'the validators voted so' : 'a main-chain reorganisation'}`
    : 'open'
  return factsText([
    ['state', state],
    ['deposit address', status.depositAddress],
    ['confirmations', `${status.depositConfirmations} main-chain blocks`],
    ['deposited', formatIoex(status.deposited)],
    ['withdrawn', formatIoex(status.withdrawn)],
    ...(status.unbacked === '0' ? [] : [['unbacked', formatIoex(status.unbacked)] as const]),
    ['reserve', formatIoex(status.reserve)],
    ['may still leave', `${formatIoex(day.allowance)} until epoch ${day.endsWithEpoch}`],
    ['votes to change', status.pauseVotes.join(', ') || 'none'],
    ['as of block', `${status.height}, main block ${status.mainTipHeight}`],
  ])
}

function depositsText({ deposits, next }: ResultOf<'peg_listDeposits'>, output: Output): string {
  if (deposits.length === 0) return 'No deposits.'
  const rows = deposits.map(({ index, state, failure, amount, mainHeight, height, mainTxid }) => [
    String(index),
    failure === 'none' ? state : `${state}: ${failure}`,
    formatIoex(amount),
    String(mainHeight),
    String(height),
    mainTxid,
  ])
  const columns = columnsOf('# state amount main-block block main-transaction')
  return withNext(output.table(columns, rows), next)
}

function depositText({ state, deposit, waiting, credits }: ResultOf<'peg_getDeposit'>): string {
  if (waiting) {
    const { confirmations, needed, mainHeight } = waiting
    return `Waits: ${confirmations} of ${needed} main-chain blocks, from main block ${mainHeight} on.`
  }
  if (!deposit) {
    return `${state}: no block of the followed main chain holds it, or it pays nothing here`
  }
  return factsText([
    ['state', deposit.failure === 'none' ? deposit.state : `failed: ${deposit.failure}`],
    ['amount', formatIoex(deposit.amount)],
    ...credits.map(
      ({ account, amount }) => ['credited', `${formatIoex(amount)} ${account}`] as const,
    ),
    ['main block', `${deposit.mainHeight}, ${deposit.confirmations} confirmations`],
    ['in block', String(deposit.height)],
  ])
}

function withdrawalsText(
  { withdrawals, next }: ResultOf<'peg_listWithdrawals'>,
  output: Output,
): string {
  if (withdrawals.length === 0) return 'No withdrawals.'
  const rows = withdrawals.map((each) => [
    String(each.index),
    each.state,
    formatIoex(each.amount),
    each.to,
    String(each.epoch),
    each.anchor,
    each.id,
  ])
  const columns = columnsOf('# state amount to epoch anchor transaction')
  return withNext(output.table(columns, rows), next)
}

function columnsOf(heads: string): Column[] {
  return heads.split(' ').map((head) => ({ head }))
}

function withNext(text: string, next: string | null): string {
  return next === null ? text : `${text}\nMore: --cursor ${next}`
}
