import { randomBytes } from 'node:crypto'
import { addressOf, bytesEqual, bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import { baseFeeCap, openContractCost } from '@ioex/chain/rules'
import {
  ContractPolicy,
  encodeTransaction,
  type OpenContract,
  PayloadKind,
  ReceiptKind,
  signTransaction,
  ZERO_ADDRESS,
} from '@ioex/chain/types'
import type { CheckedParamsOf } from '../contract/methods.ts'
import type { BlockWaits } from './block-waits.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { contractView } from './record-views.ts'
import { invalidInput, RpcFault } from './rpc-fault.ts'
import { readAddress, readHex } from './subjects.ts'

/** Blocks that the transaction may wait, and how long the caller waits for them. */
const VALID_BLOCKS = 60
const WAIT_MS = 30_000
const LEAF_BYTES = 256

/** contracts_open: the owner of this node opens a contract with the money of its own key. */
export function ownerContractsHandlers(
  ledger: LedgerSource,
  waits: BlockWaits,
  ownerKey: Uint8Array,
) {
  const payer = addressOf(publicKeyOf(ownerKey))
  const prefix = ledger.params.addressPrefix
  return {
    async contracts_open(params, { signal }) {
      const value = openContractOf(ledger, params)
      const transaction = await signedOpen(ledger, ownerKey, value)
      const outcome = await ledger.submit(transaction)
      if (!outcome.ok) throw RpcFault.ofRule(outcome.fault)
      const id = outcome.value
      const find = async () => ledger.transactionPlace(id)
      const place = await waits.until(find, WAIT_MS, signal)
      const pending = { transaction: bytesToHex(id), payer: null, contract: null, height: null }
      const cost = openContractCost(ledger.params, value).toString()
      if (!place) return { ...pending, cost }
      const block = await ledger.block(place.height)
      const created = block?.receipts.find(({ transaction: at, body }) => {
        return at === place.index && body.selector === ReceiptKind.creation
      })
      if (created?.body.selector !== ReceiptKind.creation) return { ...pending, cost }
      const { index } = created.body.value
      const record = await ledger.contractAt(index)
      if (!record || !bytesEqual(record.payer, payer)) return { ...pending, cost }
      const view = contractView({ index, record }, prefix)
      return { ...pending, cost, payer: view.payer, contract: view, height: place.height }
    },
  } satisfies Handlers
}

async function signedOpen(
  ledger: LedgerSource,
  ownerKey: Uint8Array,
  value: OpenContract,
): Promise<Uint8Array> {
  const { height, baseFee } = ledger.status()
  const sender = publicKeyOf(ownerKey)
  const body = {
    sender,
    nonce: await ledger.nextNonce(addressOf(sender)),
    validUntil: height + VALID_BLOCKS,
    maxBaseFee: baseFeeCap(baseFee),
    tip: 0n,
    payload: { selector: PayloadKind.openContract, value } as const,
  }
  return encodeTransaction(signTransaction(body, ledger.chainId, ownerKey))
}

function openContractOf(
  ledger: LedgerSource,
  params: CheckedParamsOf<'contracts_open'>,
): OpenContract {
  const { slotBytes, salt, label, delegate } = params
  if (slotBytes % LEAF_BYTES !== 0) {
    throw invalidInput(`slotBytes is a multiple of ${LEAF_BYTES}, the size of a leaf`)
  }
  return {
    salt: salt === undefined ? new Uint8Array(randomBytes(32)) : readHex(salt),
    k: params.dataShards,
    n: params.totalShards,
    maxLeaves: slotBytes / LEAF_BYTES,
    priceCap: BigInt(params.priceCap),
    unitPriceCap: BigInt(params.unitPriceCap),
    lockUnits: BigInt(params.lockUnits ?? '0'),
    pot: BigInt(params.pot ?? '0'),
    term: params.termEpochs,
    policy: params.trustsDelegate ? ContractPolicy.trustsDelegate : 0,
    delegate: delegate === undefined ? ZERO_ADDRESS : readAddress(ledger, delegate),
    delegateFee: BigInt(params.delegateFee ?? '0'),
    label: label === undefined ? new Uint8Array(0) : readHex(label),
  }
}
