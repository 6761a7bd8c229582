import { addressOf, bytesToHex, formatAddress } from '@ioex/chain/bytes'
import type { Indexed } from '@ioex/chain/state'
import {
  type Contract,
  ContractType,
  NodeRole,
  NodeType,
  type Node,
  NONE,
  type Rail,
  RailType,
} from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import { sszToJson } from '../contract/ssz-json.ts'

export { receiptToJson as receiptView } from '../contract/receipt-json.ts'

/** Records as callers read them: main fields by their everyday names, the record, its bytes. */

export type NodeView = ResultOf<'nodes_list'>['nodes'][number]
export type RailView = ResultOf<'rails_list'>['rails'][number]
export type ContractView = ResultOf<'contracts_list'>['contracts'][number]

const roleNames = ['peer', 'bootstrap', 'validator'] as const

export const noneToNull = (index: number) => (index === NONE ? null : index)

export function nodeView({ index, record }: Indexed<Node>, prefix: string): NodeView {
  const roles = roleNames.filter((role) => (record.roles & NodeRole[role]) !== 0)
  const offers: NodeView['offers'] = []
  if (roles.includes('peer') || record.inventoryCount > 0) offers.push('storage')
  if (roles.includes('bootstrap')) offers.push('relay')
  if (roles.includes('validator')) offers.push('validation')
  return {
    index,
    address: formatAddress(addressOf(record.nodeKey), prefix),
    owner: formatAddress(record.owner, prefix),
    payout: formatAddress(record.payout, prefix),
    roles,
    offers,
    held: record.held.toString(),
    strikes: record.strikes,
    provenEpochs: record.P,
    resolvedEpoch: record.A,
    bytes: record.inventoryBytes,
    evicted: record.evicted,
    deposit: record.deposit.toString(),
    exitEpoch: noneToNull(record.exitEpoch),
    record: sszToJson(NodeType, record, prefix),
    ssz: bytesToHex(NodeType.serialize(record)),
  }
}

export function railView({ index, record }: Indexed<Rail>, prefix: string): RailView {
  return {
    index,
    kind: record.contract === NONE ? 'relay' : 'storage',
    payer: formatAddress(record.payer, prefix),
    node: record.node,
    contract: noneToNull(record.contract),
    lock: { time: record.lockTime.toString(), units: record.lockUnits.toString() },
    rate: {
      price: record.price.toString(),
      unitPrice: record.unitPrice.toString(),
      reservationPrice: record.reservationPrice.toString(),
    },
    settled: {
      time: record.paidTime.toString(),
      units: record.paidUnits.toString(),
      burned: record.burned.toString(),
      validators: record.validators.toString(),
      net: record.net.toString(),
      held: record.held.toString(),
      forfeited: record.forfeited.toString(),
      kib: record.kib,
      reservations: record.reservations,
    },
    end: noneToNull(record.end),
    record: sszToJson(RailType, record, prefix),
    ssz: bytesToHex(RailType.serialize(record)),
  }
}

export function contractView({ index, record }: Indexed<Contract>, prefix: string): ContractView {
  const slots = record.rails.map(({ rail, root, refill }, slot) => ({
    slot,
    rail: noneToNull(rail),
    root: rail === NONE ? null : bytesToHex(root),
    refill,
  }))
  return {
    index,
    payer: formatAddress(record.payer, prefix),
    k: record.k,
    n: record.n,
    active: record.active,
    openEpoch: noneToNull(record.openEpoch),
    term: noneToNull(record.term),
    pot: record.pot.toString(),
    contract: sszToJson(ContractType, record, prefix),
    rails: slots.flatMap(({ rail }) => (rail === null ? [] : [rail])),
    slots,
    ssz: bytesToHex(ContractType.serialize(record)),
  }
}
