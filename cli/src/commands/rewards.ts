import { addressOf, formatAddress } from '@ioex/chain/bytes'
import type { LightChainClient, RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import { readAddressArgument } from '../address-argument.ts'
import { readNodeArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { withProvenChain } from '../nodes/proven-chain.ts'
import { formatAmount, formatIoex } from '../output/amount.ts'
import { type Price, valueText } from '../output/price.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { readWalletFace } from '../wallet/wallet-file.ts'

const EPOCHS_DEFAULT = 24
const NODES_MAX = 1000

export interface RewardsOptions {
  readonly epoch?: number
  readonly from?: number
  readonly to?: number
  readonly csv?: boolean
  readonly price?: Price
  readonly currency: string
}
type Summary = ResultOf<'rewards_getSummary'>
type Statement = ResultOf<'rewards_getStatement'>

const SUM_COLUMNS = [
  'fees',
  'burned',
  'toValidators',
  'net',
  'held',
  'released',
  'forfeited',
  'subsidy',
  'paid',
] as const

/** Shows what nodes earned, epoch by epoch, or one epoch's statement; without a node: the wallet's. */
export async function showRewards(
  context: CommandContext,
  node: string | undefined,
  options: RewardsOptions,
): Promise<void> {
  if (!/^[A-Za-z0-9]{1,8}$/.test(options.currency)) throw usageError('name one currency: USD')
  if (options.epoch !== undefined && (options.from ?? options.to) !== undefined) {
    throw usageError('give --epoch, or --from and --to, not both')
  }
  const client = await context.client()
  const nodes = node === undefined ? await ownNodes(context, client) : [readNodeArgument(node)]
  if (options.epoch !== undefined && !options.csv) {
    await showStatements(context, client, nodes, options.epoch)
  } else {
    await showSummaries(context, client, nodes, options)
  }
}

/** Addresses of the nodes that belong to the wallet. */
export async function ownNodes(context: CommandContext, client: RpcClient): Promise<string[]> {
  const wallet = await readWalletFace(context.settings.data)
  const address = formatAddress(wallet.address, context.addressPrefix)
  const own: string[] = []
  let cursor: string | null = null
  do {
    const page: ResultOf<'nodes_list'> = await client.call('nodes_list', {
      limit: 200,
      ...(cursor !== null && { cursor }),
    })
    own.push(...page.nodes.filter((node) => node.owner === address).map((node) => node.address))
    cursor = page.next
  } while (cursor !== null && own.length < NODES_MAX)
  if (own.length > 0) return own
  throw new CommandError(
    'NO_NODES',
    `no node on the chain belongs to ${address}: name a node's address, see "ioex rpc nodes_list"`,
  )
}

async function showStatements(
  context: CommandContext,
  client: RpcClient,
  nodes: readonly (string | number)[],
  epoch: number,
): Promise<void> {
  const statements = await withProvenChain(context.settings, async (chain) => {
    const read: (Statement & { proven: boolean })[] = []
    for (const node of nodes) {
      const { proof, ...statement } = chain
        ? await chain.statement(await nodeAddress(context, chain, node), epoch)
        : await client.call('rewards_getStatement', { node, epoch })
      read.push({ ...statement, proven: proof !== undefined })
    }
    return read
  })
  context.output.result(statements.length === 1 ? statements[0] : { statements }, () =>
    statements.map(statementText).join('\n\n'),
  )
}

/** Address of the key of a node named by index or address. */
async function nodeAddress(
  context: CommandContext,
  chain: LightChainClient,
  id: string | number,
): Promise<Uint8Array> {
  if (typeof id === 'string') return readAddressArgument(id, context)
  const node = await chain.nodeAt(id)
  if (node) return addressOf(node.nodeKey)
  throw new CommandError('NOT_FOUND', `there is no node ${id}: see "ioex rpc nodes_list"`)
}

function statementText(statement: Statement & { proven: boolean }): string {
  const { inputs, receipts } = statement
  const percent = (basisPoints: number) => `${basisPoints / 100} %`
  const kinds = Map.groupBy(receipts, ({ type }) => type)
  const counts = [...kinds].map(([type, { length }]) => `${length} ${type}`)
  return factsText([
    ['node', statement.node],
    ['epoch', `${statement.epoch}${inputs.closed ? '' : ' (still open)'}`],
    ['fees paid by customers', formatIoex(statement.fees)],
    [`  burned (${percent(inputs.phi)}, also of lost time)`, formatIoex(statement.burned)],
    [`  to validators (${percent(inputs.nu)})`, formatIoex(statement.toValidators)],
    ['  net', formatIoex(statement.net)],
    ['held back', formatIoex(statement.held)],
    ['held pay released', formatIoex(statement.released)],
    ['held pay forfeited', formatIoex(statement.forfeited)],
    [
      'byte fees and proof debt',
      formatIoex(BigInt(statement.byteFees) + BigInt(statement.debtPaid)),
    ],
    ['paid out', formatIoex(statement.paid)],
    ['subsidy', `${formatIoex(statement.subsidy)} (${statement.subsidyState})`],
    [
      '  = M x fees / F',
      `M ${formatIoex(inputs.emission)}, F ${formatIoex(inputs.epochFees)}, ` +
        `burned ${formatIoex(inputs.epochBurned)}, rho ${percent(inputs.rho)}`,
    ],
    ['intervals forfeited', String(statement.forfeits)],
    ['receipts', counts.join(', ') || 'none'],
    ['proven', statement.proven ? 'yes' : 'no, by the word of the node'],
  ])
}

async function showSummaries(
  context: CommandContext,
  client: RpcClient,
  nodes: readonly (string | number)[],
  options: RewardsOptions,
): Promise<void> {
  const now = (await client.call('chain_getStatus', {})).epoch
  const toEpoch = options.epoch ?? options.to ?? now
  const fromEpoch = options.epoch ?? options.from ?? Math.max(0, toEpoch - EPOCHS_DEFAULT + 1)
  if (fromEpoch > toEpoch) throw usageError('--from lies after --to')
  const summaries: Summary[] = []
  for (const node of nodes) {
    summaries.push(await client.call('rewards_getSummary', { node, fromEpoch, toEpoch }))
  }
  const { output } = context
  if (options.csv && !output.isJson) {
    context.io.stdout.write(`${csvText(summaries, options)}\n`)
    return
  }
  const priced = summaries.map((summary) => withCostBasis(summary, options))
  output.result(priced.length === 1 ? priced[0] : { summaries: priced }, () =>
    summaries.map((summary) => summaryText(context, summary)).join('\n\n'),
  )
}

/** Income of an epoch: what reached the payout address. */
function incomeOf(sums: Summary['totals']): bigint {
  return BigInt(sums.paid) + BigInt(sums.subsidy)
}

/** Each epoch's income at the given price: the cost basis of what was earned. */
function withCostBasis(summary: Summary, { price, currency }: RewardsOptions) {
  if (!price) return summary
  const basis = (sums: Summary['totals']) => {
    const income = incomeOf(sums)
    const value = valueText(income, price)
    return { price: price.text, currency, income: String(income), value }
  }
  const epochs = summary.epochs.map((sums) => ({ ...sums, costBasis: basis(sums) }))
  return { ...summary, epochs, totals: { ...summary.totals, costBasis: basis(summary.totals) } }
}

function csvText(summaries: readonly Summary[], { price, currency }: RewardsOptions): string {
  const priceColumns = price ? ['income', 'price', 'currency', 'value'] : []
  const rows = summaries.flatMap(({ node, epochs }) =>
    epochs.map((sums) => {
      const income = incomeOf(sums)
      const priced = price ? [income, price.text, currency, valueText(income, price)] : []
      return [node, sums.epoch, ...SUM_COLUMNS.map((name) => sums[name]), ...priced]
    }),
  )
  const head = ['node', 'epoch', ...SUM_COLUMNS, ...priceColumns]
  return [head, ...rows].map((row) => row.join(',')).join('\n')
}

function summaryText({ output }: CommandContext, summary: Summary): string {
  const { node, fromEpoch, toEpoch, epochs, totals } = summary
  const title = `${node}, epochs ${fromEpoch} to ${toEpoch}, IOEX`
  if (epochs.length === 0) return `${title}\nNothing was booked.`
  const row = (name: string, sums: Summary['totals']) => [
    name,
    ...SUM_COLUMNS.map((column) => formatAmount(BigInt(sums[column]))),
  ]
  const table = output.table(
    [
      { head: 'epoch', align: 'right' },
      ...SUM_COLUMNS.map((head) => ({ head, align: 'right' as const })),
    ],
    [...epochs.map((sums) => row(String(sums.epoch), sums)), row('all', totals)],
  )
  return `${title}\n${table}`
}
