import { bytesToHex, formatAddress } from '@ioex/chain/bytes'
import {
  asInternalHash,
  CROSS_CHAIN_FEE_MIN,
  formatElaAddress,
  readDisplayHash,
  toDisplayHash,
} from '@ioex/chain/elastos'
import { epochOfHeight } from '@ioex/chain/params'
import {
  dailyAllowance,
  depositDepthOf,
  depositProgramHash,
  pegAtEpoch,
  pegReserve,
} from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import {
  AnchorState,
  DepositFailure,
  type DepositRecord,
  DepositRecordType,
  DepositOutcome,
  DepositState,
  PegPauseCause,
  ReceiptKind,
  type WithdrawalRecord,
  WithdrawalRecordType,
  WithdrawalState,
} from '@ioex/chain/types'
import type { CheckedParamsOf, ResultOf } from '../contract/methods.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { isOf } from './peg-source.ts'
import { notFound, RpcFault } from './rpc-fault.ts'
import { withProof } from './state-proofs.ts'
import { cursorOf, readAddress, readHex, readPage } from './subjects.ts'
import { type Page, pageOfTable, type TablePage } from './table-page.ts'

type DepositView = ResultOf<'peg_listDeposits'>['deposits'][number]
type WithdrawalView = ResultOf<'peg_listWithdrawals'>['withdrawals'][number]

const failureNames = Object.keys(DepositFailure) as DepositView['failure'][]
const anchorNames = Object.keys(AnchorState) as WithdrawalView['anchor'][]
const causeNames = Object.keys(PegPauseCause) as ('vote' | 'reorganisation')[]
const stateNames = new Map(
  Object.entries(DepositState).map(([name, number]) => [number as number, name]),
)

export function pegHandlers(ledger: LedgerSource) {
  return {
    peg_getStatus: async ({ prove }) => ({
      ...(await status(ledger)),
      ...withProof(ledger, prove, [{ table: 'peg', index: 0 }]),
    }),
    async peg_listDeposits(params) {
      const { height } = ledger.status()
      const tip = ledger.state().globals.mainTipHeight
      const page = readPage(params)
      const wanted = params.state && DepositState[params.state]
      const { items, next } = pageOfTable(
        ledger.peg.deposits,
        page,
        ({ state }) => wanted === undefined || state === wanted,
      )
      const deposits = items.map((placed) => depositView(placed, tip))
      return { deposits, next: cursorOf(next), height }
    },
    peg_getDeposit: (params) => findDeposit(ledger, params),
    async peg_listWithdrawals(params) {
      const { height } = ledger.status()
      const page = readPage(params)
      const owner = params.owner === undefined ? undefined : readAddress(ledger, params.owner)
      const isOwners = isOf(owner)
      const { epoch } = params
      const { items, next } =
        epoch === undefined
          ? pageOfTable(ledger.peg.withdrawals, page, isOwners)
          : withdrawalsIn(ledger, epoch, page, isOwners)
      const withdrawals: WithdrawalView[] = []
      for (const placed of items) withdrawals.push(await withdrawalView(ledger, placed))
      return { withdrawals, next: cursorOf(next), height }
    },
    async peg_getWithdrawal({ id, prove }) {
      const placed = ledger.peg.withdrawalOf(readHex(id))
      if (!placed) throw notFound('no withdrawal has this id: peg_listWithdrawals gives them')
      const proof = withProof(ledger, prove, [{ table: 'withdrawals', index: placed.index }])
      return { ...(await withdrawalView(ledger, placed)), ...proof }
    },
  } satisfies Handlers
}

/** An epoch's withdrawals are a list of their own, bounded by what its blocks hold. */
function withdrawalsIn(
  ledger: LedgerSource,
  epoch: number,
  { from, limit }: Page,
  admits: (record: Readonly<WithdrawalRecord>) => boolean,
): TablePage<WithdrawalRecord> {
  const found = ledger.peg
    .withdrawalsOfEpoch(epoch)
    .filter(({ index, record }) => index >= from && admits(record))
  return { items: found.slice(0, limit), next: found[limit]?.index ?? null }
}

async function status(ledger: LedgerSource): Promise<ResultOf<'peg_getStatus'>> {
  const { height, epoch } = ledger.status()
  const { globals, peg: stored } = ledger.state()
  const { params, chainId } = ledger
  const peg = pegAtEpoch(params, stored, epoch)
  return {
    height,
    depositAddress: formatElaAddress(depositProgramHash(chainId)),
    depositConfirmations: depositDepthOf(params, peg),
    feeMin: CROSS_CHAIN_FEE_MIN.toString(),
    deposited: peg.deposited.toString(),
    withdrawn: peg.withdrawn.toString(),
    unbacked: peg.unbacked.toString(),
    reserve: pegReserve(peg).toString(),
    paused: peg.paused,
    cause: peg.paused ? (causeNames[peg.pauseCause] ?? 'vote') : null,
    pauseVotes: [...peg.pauseVotes],
    returnVotes: peg.returnVotes.map((vote) => ({ ...vote })),
    day: {
      number: peg.day,
      endsWithEpoch: (peg.day + 1) * params.pegDayEpochs - 1,
      withdrawn: peg.dayWithdrawn.toString(),
      allowance: least(dailyAllowance(params, peg), pegReserve(peg)).toString(),
    },
    deposits: ledger.peg.deposits.count,
    withdrawals: ledger.peg.withdrawals.count,
    mainTipHeight: globals.mainTipHeight,
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

async function findDeposit(
  ledger: LedgerSource,
  { txid, mainTransaction, prove }: CheckedParamsOf<'peg_getDeposit'>,
): Promise<ResultOf<'peg_getDeposit'>> {
  const { height } = ledger.status()
  const { globals, peg } = ledger.state()
  const id = txid === undefined ? readHex(mainTransaction ?? '') : displayed(txid)
  const placed = ledger.peg.depositOf(id)
  if (placed) {
    return {
      state: 'recorded',
      deposit: depositView(placed, globals.mainTipHeight),
      credits: await creditsOf(ledger, placed),
      waiting: null,
      height,
      ...withProof(ledger, prove, [{ table: 'deposits', index: placed.index }]),
    }
  }
  const waiting = ledger.peg.waitingDeposit(id)
  const nothing = { deposit: null, credits: [], height }
  if (!waiting) return { state: 'unknown', ...nothing, waiting: null }
  const { mainHeight } = waiting
  const confirmations = Math.max(0, globals.mainTipHeight - mainHeight + 1)
  const needed = depositDepthOf(ledger.params, peg)
  return { state: 'waiting', ...nothing, waiting: { mainHeight, confirmations, needed } }
}

function displayed(text: string): Uint8Array {
  const parsed = readDisplayHash(text.replace(/^0x/, ''))
  if (!parsed.ok) throw RpcFault.ofRule({ ...parsed.fault, code: 'INVALID_INPUT' })
  return parsed.value
}

/** Who got what of a deposit, from the receipts of the block that credited it. */
async function creditsOf(ledger: LedgerSource, { index, record }: Indexed<DepositRecord>) {
  const block = await ledger.block(record.height)
  const prefix = ledger.params.addressPrefix
  return (block?.receipts ?? []).flatMap(({ body }) => {
    if (body.selector !== ReceiptKind.deposit || body.value.deposit !== index) return []
    if (body.value.outcome !== DepositOutcome.credited) return []
    const { account, amount } = body.value
    return [{ account: formatAddress(account, prefix), amount: amount.toString() }]
  })
}

function depositView({ index, record }: Indexed<DepositRecord>, mainTip: number): DepositView {
  return {
    index,
    mainTxid: toDisplayHash(asInternalHash(record.mainTransaction)),
    mainTransaction: bytesToHex(record.mainTransaction),
    mainHeight: record.mainHeight,
    confirmations: Math.max(0, mainTip - record.mainHeight + 1),
    state: stateNames.get(record.state) as DepositView['state'],
    failure: failureNames[record.failure] ?? 'none',
    amount: record.amount.toString(),
    entries: record.entries,
    height: record.height,
    ssz: bytesToHex(DepositRecordType.serialize({ ...record })),
  }
}

async function withdrawalView(
  ledger: LedgerSource,
  { index, record }: Indexed<WithdrawalRecord>,
): Promise<WithdrawalView> {
  const epoch = epochOfHeight(ledger.params, record.height)
  const listed = await ledger.epoch(epoch)
  return {
    index,
    id: bytesToHex(record.id),
    owner: formatAddress(record.owner, ledger.params.addressPrefix),
    to: formatElaAddress(record.to),
    output: record.output.toString(),
    amount: record.amount.toString(),
    height: record.height,
    epoch,
    state: record.state === WithdrawalState.returned ? 'returned' : 'listed',
    anchor: anchorNames[listed?.anchorState ?? 0] ?? 'none',
    ssz: bytesToHex(WithdrawalRecordType.serialize({ ...record })),
  }
}
