import { bytesEqual, bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { paramsAt } from '@ioex/chain/params'
import { addReceipt, noIncome, rewardProof } from '@ioex/chain/rules'
import type { Receipt } from '@ioex/chain/types'
import type { ListProofJson } from '../contract/json-forms.ts'
import { statementInputs } from '../contract/statement-inputs.ts'
import type { Handlers } from './handler.ts'
import type { LedgerBlock, LedgerSource } from './ledger-source.ts'
import { receiptView } from './record-views.ts'
import { addSums, pendingSubsidy, receiptsByEpoch, sumsToJson } from './reward-sums.ts'
import { notFound, RpcFault } from './rpc-fault.ts'
import { proveState, withProof } from './state-proofs.ts'
import { nodeAddressOf, readAddress } from './subjects.ts'
import { receiptProof, receiptRoots } from './transaction-handlers.ts'

/** Receipts shown in one statement; a node with more pages through receipts_list. */
const STATEMENT_RECEIPTS_MAX = 4000
const PROOF_ATTEMPTS = 4

export function rewardsHandlers(ledger: LedgerSource) {
  const { params } = ledger
  const prefix = params.addressPrefix
  return {
    async rewards_getStatement({ node, epoch, prove }) {
      for (let attempt = 1; ; attempt++) {
        const { receipts, ...given } = await statement(ledger, node, epoch)
        const shown = { ...given, receipts: receipts.map((each) => receiptView(each, prefix)) }
        if (!prove) return shown
        const proof = await statementProof(ledger, given.node, epoch, receipts)
        // A block that came between would let sums and proof speak of different states.
        const isOfOneBlock = proof.epoch.height === given.height
        if (isOfOneBlock || attempt === PROOF_ATTEMPTS) return { ...shown, proof }
      }
    },
    async rewards_getSummary({ node, fromEpoch, toEpoch }) {
      const { height } = ledger.status()
      const address = await nodeAddressOf(ledger, node)
      const byEpoch = await receiptsByEpoch(ledger, address, fromEpoch, toEpoch)
      const totals = noIncome()
      const epochs = [...byEpoch.keys()]
        .toSorted((a, b) => a - b)
        .map((epoch) => {
          const sums = noIncome()
          for (const receipt of byEpoch.get(epoch) ?? []) addReceipt(sums, receipt)
          addSums(totals, sums)
          return { epoch, ...sumsToJson(sums) }
        })
      return {
        node: formatAddress(address, prefix),
        fromEpoch,
        toEpoch,
        epochs,
        totals: sumsToJson(totals),
        height,
      }
    },
    async rewards_getEpoch({ epoch, prove }) {
      const status = ledger.status()
      const record = await ledger.epoch(epoch)
      if (!record) throw notFound(`epoch ${epoch} has no record: now is ${status.epoch}`)
      return {
        epoch,
        totals: {
          fees: record.fees.toString(),
          toValidators: record.toValidators.toString(),
          proofs: record.proofs,
        },
        minted: record.minted.toString(),
        burned: record.burned.toString(),
        emission: record.emission.toString(),
        root: bytesToHex(record.rewardRoot),
        count: record.rewardCount,
        closed: status.epoch > epoch,
        height: status.height,
        ...withProof(ledger, prove, [{ table: 'epochs', index: epoch }]),
      }
    },
  } satisfies Handlers
}

/** The epoch's record, the node's fee in its reward tree, and each receipt in its block. */
async function statementProof(
  ledger: LedgerSource,
  node: string,
  epoch: number,
  receipts: readonly Receipt[],
) {
  const leaves = await ledger.rewardLeaves(epoch)
  const address = readAddress(ledger, node)
  const index = leaves.findIndex((leaf) => bytesEqual(leaf.node, address))
  const leaf = leaves[index]
  const isClosed = ledger.status().epoch > epoch
  const steps = leaf && isClosed ? rewardProof(leaves, index) : []
  return {
    epoch: proveState(ledger, [{ table: 'epochs', index: epoch }]),
    fee:
      leaf && isClosed
        ? {
            node,
            fee: leaf.fee.toString(),
            steps: steps.map(({ position, data }) => ({ position, data: bytesToHex(data) })),
          }
        : null,
    receipts: await receiptProofs(ledger, receipts),
  }
}

/** Blocks are read once each: receipts come in their order. */
async function receiptProofs(ledger: LedgerSource, receipts: readonly Receipt[]) {
  const proofs: ListProofJson[] = []
  let block: LedgerBlock | undefined
  let roots: Uint8Array[] = []
  for (const receipt of receipts) {
    if (block?.header.height !== receipt.height) {
      block = await ledger.block(receipt.height)
      if (!block) throw notFound(`block ${receipt.height} is not on this node any more`)
      roots = receiptRoots(block)
    }
    proofs.push(receiptProof(block, receipt, roots))
  }
  return proofs
}

async function statement(ledger: LedgerSource, id: number | string, epoch: number) {
  const params = paramsAt(ledger.params, epoch)
  const prefix = params.addressPrefix
  const status = ledger.status()
  const record = await ledger.epoch(epoch)
  if (!record) throw notFound(`epoch ${epoch} has no record: now is ${status.epoch}`)
  const closed = status.epoch > epoch
  const address = await nodeAddressOf(ledger, id)
  const receipts = (await receiptsByEpoch(ledger, address, epoch, epoch)).get(epoch) ?? []
  if (receipts.length > STATEMENT_RECEIPTS_MAX) {
    throw new RpcFault(
      'RESPONSE_TOO_LARGE',
      `the statement has ${receipts.length} receipts: rewards_getSummary gives the sums and ` +
        'receipts_list the receipts page by page',
    )
  }
  const sums = noIncome()
  for (const receipt of receipts) addReceipt(sums, receipt)
  const node = (await ledger.nodeByAddress(address))?.record
  const pending = pendingSubsidy(node, epoch, record, closed)
  const isCredited = pending === undefined && sums.subsidy > 0n
  if (pending !== undefined) sums.subsidy = pending
  return {
    node: formatAddress(address, prefix),
    epoch,
    ...sumsToJson(sums),
    subsidyState: pending !== undefined ? 'pending' : isCredited ? 'credited' : 'none',
    receipts,
    inputs: statementInputs(params, record, closed),
    height: status.height,
  } as const
}
