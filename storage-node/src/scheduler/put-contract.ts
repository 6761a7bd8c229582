import { randomBytes } from 'node:crypto'
import { bytesEqual } from '@ioex/chain/bytes'
import { openContractCost } from '@ioex/chain/rules'
import {
  ContractPolicy,
  NONE,
  type OpenContract,
  PayloadKind,
  ReceiptKind,
  ZERO_ADDRESS,
} from '@ioex/chain/types'
import { trafficUnits } from '../node/rail-settlement.ts'
import { refusalCode } from '../node/transactions.ts'
import type { PackGeometry } from '../slicing/pack-geometry.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { Put, PutOptions } from './put-run.ts'
import { StorageError } from './storage-interfaces.ts'

/** Reads of a whole slot that its traffic lock pays by default, and the least it pays, bytes. */
const READS = 3
const TRAFFIC_BYTES_MIN = 4 * 1024 * 1024
/** CreationReceipt.kind of a contract. */
const CONTRACT_KIND = 1

type PutRun = Pick<Put, 'options' | 'journal' | 'request'>

/** Tells one contract of an owner from all others; its keys follow from it. */
export function newSalt(): Uint8Array {
  return new Uint8Array(randomBytes(32))
}

/** The pack's contract: opened now, or found where an interrupted put opened it. */
export async function contractFor(
  { options, journal, request }: PutRun,
  pack: number,
  geometry: PackGeometry,
  label: Uint8Array,
): Promise<{ index: number; cost: bigint }> {
  const state = journal.packs[pack]
  if (!state) throw new StorageError('RANGE', 'the journal of the put is damaged: put again')
  const open: OpenContract = {
    salt: state.salt,
    k: journal.k,
    n: journal.n,
    maxLeaves: geometry.leafCount,
    priceCap: journal.priceCap,
    unitPriceCap: journal.unitPriceCap,
    lockUnits: trafficUnits(
      journal.unitPriceCap,
      Math.max(TRAFFIC_BYTES_MIN, geometry.slotBytes * 1.02 * (request.reads ?? READS)),
    ),
    pot: request.repair?.pot ?? 0n,
    term: journal.termEpochs,
    policy: request.repair?.trusted ? ContractPolicy.trustsDelegate : 0,
    delegate: request.repair?.delegate ?? ZERO_ADDRESS,
    delegateFee: request.repair?.delegateFee ?? 0n,
    label,
  }
  const cost = openContractCost(options.chain.params, open)
  const found = state.contract ?? (await contractWithSalt(options, state.salt))
  state.contract = found ?? (await openContract(options, open, cost))
  await options.journals.save(journal)
  return { index: state.contract, cost }
}

async function contractWithSalt(
  { chain, account }: PutOptions,
  contractSalt: Uint8Array,
): Promise<number | undefined> {
  const own = await chain.contractsOfPayer(account.address)
  return own.find(({ record }) => bytesEqual(record.salt, contractSalt))?.index
}

async function openContract(
  { account }: PutOptions,
  open: OpenContract,
  cost: bigint,
): Promise<number> {
  try {
    const payload = { selector: PayloadKind.openContract, value: open } as const
    const { receipts } = await account.send(payload)
    for (const { body } of receipts) {
      const isContract = body.selector === ReceiptKind.creation && body.value.kind === CONTRACT_KIND
      if (isContract) return body.value.index
    }
    throw new Error('the chain opened no contract')
  } catch (error) {
    const code = refusalCode(error) ?? 'unknown'
    const message = `the contract was not opened (${code}): ${reasonOf(error)}`
    const hint = code === 'INSUFFICIENT_FUNDS' ? `; it costs ${cost} units` : ''
    throw new StorageError('CHAIN_REFUSED', `${message}${hint}`, error)
  }
}

/**
 * A contract that did not become active before its fill deadline takes no more slots. Its pack
 * goes into a new one, under a new salt and so under other keys.
 */
export async function renewLapsed({ options, request, journal }: PutRun): Promise<void> {
  const { chain } = options
  const lapsed: number[] = []
  const { epoch } = await chain.head()
  for (const pack of journal.packs) {
    pack.contract ??= await contractWithSalt(options, pack.salt)
    if (pack.contract === undefined) continue
    const record = await chain.contract(pack.contract)
    const isHere = record?.live && bytesEqual(record.salt, pack.salt)
    const deadline = (record?.openEpoch ?? 0) + chain.params.fillDeadlineEpochs
    const isOver = record?.askEpoch !== NONE || (!record.active && epoch >= deadline)
    if (isHere && !isOver) continue
    options.logger.info({ contract: pack.contract }, 'contract lapsed; opening another')
    lapsed.push(pack.contract)
    pack.contract = undefined
    pack.salt = newSalt()
    pack.done = false
  }
  await options.journals.save(journal)
  if (lapsed.length > 0) request.onLapse?.(lapsed)
}
