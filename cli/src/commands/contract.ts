import { formatAddress } from '@ioex/chain/bytes'
import { CloseKind, type Payload, PayloadKind, TopUpKind } from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'
import type { CommandContext } from '../command-context.ts'
import { formatAmount, formatIoex } from '../output/amount.ts'
import { epochsOf, readEpochCount } from '../output/epoch-count.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet, readWalletFace } from '../wallet/wallet-file.ts'
import { closeRail, generationOf, readRails } from './close-rail.ts'

const PAGE_MAX = 200

type Contract = ResultOf<'contracts_get'>
type Rail = ResultOf<'rails_get'>

export interface OpenOptions {
  readonly dataShards: number
  readonly totalShards: number
  readonly slot: number
  readonly price: bigint
  readonly unitPrice: bigint
  readonly term: string
  readonly traffic: bigint
  readonly pot: bigint
  readonly delegate?: string
  readonly delegateFee: bigint
  readonly trustDelegate?: boolean
}

export interface TopUpOptions {
  readonly epochs?: string
  readonly traffic?: boolean
}

/** Lists contracts of the wallet, of an address or of everybody. */
export async function listContracts(
  context: CommandContext,
  options: { readonly payer?: string; readonly all?: boolean },
): Promise<void> {
  const payer = options.all ? undefined : (options.payer ?? (await ownAddress(context)))
  const contracts = await readContracts(await context.client(), payer)
  context.output.result({ contracts }, () => contractsText(context, contracts))
}

/** Opens a contract with the node owner's money. */
export async function openContract(context: CommandContext, options: OpenOptions): Promise<void> {
  const client = await context.client()
  const opened = await client.call('contracts_open', {
    dataShards: options.dataShards,
    totalShards: options.totalShards,
    slotBytes: Math.ceil(options.slot / 256) * 256,
    priceCap: String(options.price),
    unitPriceCap: String(options.unitPrice),
    termEpochs: await networkEpochs(client, options.term),
    lockUnits: String(options.traffic),
    pot: String(options.pot),
    ...(options.delegate !== undefined && { delegate: options.delegate }),
    delegateFee: String(options.delegateFee),
    trustsDelegate: options.trustDelegate ?? false,
  })
  context.output.result(opened, () =>
    opened.contract
      ? `Opened contract ${opened.contract.index}: ${formatIoex(opened.cost)} locked`
      : `Not final yet: transaction ${opened.transaction}`,
  )
}

/** Adds to the pot of a contract, or time or traffic to its rails. */
export async function topUpContract(
  context: CommandContext,
  id: number,
  amount: bigint,
  options: TopUpOptions,
): Promise<void> {
  const client = await context.client()
  const { owner } = await readWallet(context.settings.data, context.passphrase)
  const epochs =
    options.epochs === undefined ? undefined : await networkEpochs(client, options.epochs)
  const payloads = await topUpsOf(client, id, amount, { ...options, epochs })
  const transactions: string[] = []
  for (const payload of payloads) {
    transactions.push((await sendOwnerTransaction(client, owner, payload, true)).id)
  }
  context.output.result({ contract: id, transactions }, () =>
    epochs === undefined
      ? `Added ${formatIoex(amount)} ${options.traffic ? 'to every rail' : 'to the pot'}`
      : `Prolonged ${transactions.length} slots by ${epochs} epochs`,
  )
}

/** The epochs that an option names; the node is asked how long they are. */
async function networkEpochs(client: RpcClient, text: string): Promise<number> {
  const count = readEpochCount(text)
  return epochsOf(count, await client.call('chain_getParams', {}))
}

async function topUpsOf(
  client: RpcClient,
  id: number,
  amount: bigint,
  { epochs, traffic }: { epochs: number | undefined; traffic?: boolean },
): Promise<Payload[]> {
  const contract = await client.call('contracts_get', { id })
  const ofRails = epochs !== undefined || traffic === true
  const value = epochs === undefined ? amount : BigInt(epochs)
  if (value === 0n) throw usageError('give an amount above 0, or --epochs')
  const topUp = (kind: number, target: number, generation: number): Payload => ({
    selector: PayloadKind.topUp,
    value: { kind, target, generation, amount: value },
  })
  if (!ofRails) {
    return [topUp(TopUpKind.contractPot, id, generationOf(contract.contract))]
  }
  const kind = epochs === undefined ? TopUpKind.railUnits : TopUpKind.railEpochs
  const rails = await railsOf(client, contract)
  return rails.map((rail) => topUp(kind, rail.index, generationOf(rail.record)))
}

async function railsOf(client: RpcClient, contract: Contract): Promise<Rail[]> {
  const rails: Rail[] = []
  for (const id of contract.rails) rails.push(await client.call('rails_get', { id }))
  return rails
}

async function ownAddress(context: CommandContext): Promise<string> {
  const { address } = await readWalletFace(context.settings.data)
  return formatAddress(address, context.addressPrefix)
}

async function readContracts(client: RpcClient, payer: string | undefined) {
  const contracts: ResultOf<'contracts_list'>['contracts'] = []
  let cursor: string | null = null
  do {
    const page: ResultOf<'contracts_list'> = await client.call('contracts_list', {
      limit: PAGE_MAX,
      ...(payer !== undefined && { payer }),
      ...(cursor !== null && { cursor }),
    })
    contracts.push(...page.contracts)
    cursor = page.next
  } while (cursor !== null)
  return contracts
}

function contractsText(
  { output }: CommandContext,
  contracts: ResultOf<'contracts_list'>['contracts'],
): string {
  if (contracts.length === 0) return 'No contracts.'
  const right = (head: string) => ({ head, align: 'right' as const })
  return output.table(
    [
      right('id'),
      { head: 'slots' },
      { head: 'state' },
      right('opened'),
      right('term'),
      right('pot'),
    ],
    contracts.map(({ index, k, n, rails, active, openEpoch, term, pot }) => [
      String(index),
      `${rails.length} of ${n}, any ${k}`,
      active ? 'active' : 'filling',
      String(openEpoch ?? ''),
      String(term ?? ''),
      formatAmount(BigInt(pot)),
    ]),
  )
}

/** Shows a contract with its slots, nodes, locks and health. */
export async function showContract(context: CommandContext, id: number): Promise<void> {
  const client = await context.client()
  const contract = await client.call('contracts_get', { id })
  const health = await client.call('contracts_health', { id })
  const rails = await railsOf(client, contract)
  context.output.result({ ...contract, health, railRecords: rails }, () => {
    const byIndex = new Map(rails.map((rail) => [rail.index, rail]))
    const facts = factsText([
      ['contract', String(id)],
      ['payer', contract.payer],
      ['restores from', `any ${contract.k} of ${contract.n} slots, ${health.live} live`],
      ['health', health.health],
      ['opened, term', `epoch ${contract.openEpoch ?? ''}, ${contract.term ?? ''} epochs`],
      ['pot', formatIoex(contract.pot)],
    ])
    const right = (head: string) => ({ head, align: 'right' as const })
    const table = context.output.table(
      [
        right('slot'),
        { head: 'state' },
        right('refills'),
        right('rail'),
        right('node'),
        right('end'),
        right('time lock'),
        right('paid'),
      ],
      health.slots.map(({ slot, state, rail, node }) => {
        const record = rail === null ? undefined : byIndex.get(rail)
        const paid = record && BigInt(record.settled.time) + BigInt(record.settled.units)
        return [
          String(slot),
          state,
          String(contract.slots[slot]?.refill ?? 0),
          String(rail ?? ''),
          String(node ?? ''),
          String(record?.end ?? ''),
          record ? formatAmount(BigInt(record.lock.time)) : '',
          paid === undefined ? '' : formatAmount(paid),
        ]
      }),
    )
    return `${facts}\n\n${table}`
  })
}

/** Ends a contract, or settles what is left of one that ends. */
export async function leaveContract(context: CommandContext, id: number): Promise<void> {
  const client = await context.client()
  const contract = await client.call('contracts_get', { id })
  const { owner } = await readWallet(context.settings.data, context.passphrase)
  if (contract.payer !== (await ownAddress(context))) {
    throw new CommandError('NOT_PAYER', `contract ${id} is ${contract.payer}'s, not the wallet's`)
  }
  const close = (kind: number, target: number, generation: number): Payload => ({
    selector: PayloadKind.close,
    value: { kind, target, generation },
  })
  const { askEpoch, generation } = contract.contract as { askEpoch?: unknown; generation: number }
  if (typeof askEpoch !== 'number') {
    await sendOwnerTransaction(client, owner, close(CloseKind.contract, id, generation), true)
  }
  const waiting: { rail: number; code: string }[] = []
  const settled: number[] = []
  // Those that a refill replaced too.
  for (const rail of await readRails(client, { payer: contract.payer })) {
    if (rail.contract !== id) continue
    const code = await closeRail(client, owner, rail)
    if (code === undefined) settled.push(rail.index)
    else waiting.push({ rail: rail.index, code })
  }
  context.output.result({ contract: id, settled, waiting }, () =>
    waiting.length === 0
      ? `Contract ${id} has ended: its rests are back in the wallet`
      : `Contract ${id} is ending: ${settled.length} rails settled, ${waiting.length} to come; ` +
        'give the same command again in some epochs',
  )
}
