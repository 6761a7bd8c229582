import { resolve } from 'node:path'
import { addressOf, publicKeyOf } from '@ioex/chain/bytes'
import { PayloadKind, PegVoteKind } from '@ioex/chain/types'
import type { ResultOf } from '@ioex/rpc/contract'
import type { Command } from 'commander'
import { type CommandContext, contextOf, countArgument } from '../command-context.ts'
import { readKey } from '../nodes/key-file.ts'
import { formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import type { Output } from '../output/output.ts'
import { type Column, factsText } from '../output/table.ts'
import type { OwnerKey } from '../wallet/owner-key.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet } from '../wallet/wallet-file.ts'

const EXAMPLES = `
Coin crosses with "ioex wallet deposit-address" and "ioex wallet withdraw"; this shows how the peg
stands. Owners of validators stop it, let it go on, or give one withdrawal back by vote: more than
2/3 of the weight of the set decide.

Examples:
  $ ioex peg status
  $ ioex peg deposits --state failed
  $ ioex peg deposit 5f0c…             what became of a main-chain transaction
  $ ioex peg withdrawals --epoch 12    those that the checkpoint of epoch 12 lists
  $ ioex peg vote pause --validator 2
  $ ioex peg vote return 7 --validator 2
`

/** peg status | deposits | deposit | withdrawals | vote */
export function registerPeg(program: Command): void {
  const peg = program
    .command('peg')
    .description('the peg with the main chain: reserve, deposits, withdrawals, votes')
    .addHelpText('after', EXAMPLES)
  peg
    .command('status')
    .description('show deposit address, reserve, daily cap and whether it is stopped')
    .action(async (_options: unknown, command: Command) => {
      const context = await contextOf(command)
      const status = await (await context.client()).call('peg_getStatus', {})
      context.output.result(status, () => statusText(status))
    })
  registerLists(peg)
  registerVote(peg)
}

function registerLists(peg: Command): void {
  peg
    .command('deposits')
    .description('list deposits in the order in which they were recorded')
    .option('--state <state>', 'credited, failed, orphaned or replaced')
    .option('--cursor <cursor>', 'start of the next page')
    .action(async (flags: { state?: DepositState; cursor?: string }, command: Command) => {
      const context = await contextOf(command)
      const page = await (await context.client()).call('peg_listDeposits', flags)
      context.output.result(page, () => depositsText(page, context.output))
    })
  peg
    .command('deposit')
    .description('show what became of a main-chain transaction')
    .argument('<txid>', 'id as main-chain wallets show it')
    .action(async (txid: string, _options: unknown, command: Command) => {
      const context = await contextOf(command)
      const found = await (await context.client()).call('peg_getDeposit', { txid })
      context.output.result(found, () => depositText(found))
    })
  peg
    .command('withdrawals')
    .description('list withdrawals, of one epoch or all')
    .option('--epoch <epoch>', 'those that its checkpoint lists', countArgument)
    .option('--owner <address>', 'of this address')
    .option('--cursor <cursor>', 'start of the next page')
    .action(async (flags: WithdrawalFlags, command: Command) => {
      const context = await contextOf(command)
      const page = await (await context.client()).call('peg_listWithdrawals', flags)
      context.output.result(page, () => withdrawalsText(page, context.output))
    })
}

type DepositState = ResultOf<'peg_listDeposits'>['deposits'][number]['state']
interface WithdrawalFlags {
  readonly epoch?: number
  readonly owner?: string
  readonly cursor?: string
}

interface VoteFlags {
  readonly validator: number
  readonly ownerKeyFile?: string
}

function registerVote(peg: Command): void {
  const vote = peg.command('vote').description("vote with the key of a validator's owner")
  const add = (name: string, kind: keyof typeof PegVoteKind, description: string) => {
    const command = vote.command(name).description(description)
    if (kind === 'returnWithdrawal') command.argument('<withdrawal>', 'its index', countArgument)
    command.requiredOption('--validator <index>', 'whose owner this wallet is', countArgument)
    command.option('--owner-key-file <file>', "the owner's key instead of the wallet")
    command.action(async (...args: unknown[]) => {
      const run = args.at(-1) as Command
      const [withdrawal = 0] = run.processedArgs as number[]
      const { validator, ownerKeyFile } = run.opts<VoteFlags>()
      await castVote(await contextOf(run), validator, kind, withdrawal, ownerKeyFile)
    })
  }
  add('pause', 'pause', 'stop withdrawals')
  add('resume', 'resume', 'let withdrawals go on')
  add('return', 'returnWithdrawal', 'give a withdrawal back that the main chain will never pay')
}

async function castVote(
  context: CommandContext,
  validator: number,
  kind: keyof typeof PegVoteKind,
  withdrawal: number,
  keyFile: string | undefined,
): Promise<void> {
  const owner = await ownerOf(context, keyFile)
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
