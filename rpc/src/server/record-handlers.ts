import { bytesToHex } from '@ioex/chain/bytes'
import type { TableName } from '@ioex/chain/state'
import { InventoryEntryType, NodeRole } from '@ioex/chain/types'
import { INVENTORY_ENTRIES_MAX } from '../contract/nodes-methods.ts'
import { sszToJson } from '../contract/ssz-json.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { OpenSlots } from './open-slots.ts'
import { contractView, nodeView, railView } from './record-views.ts'
import { withProof } from './state-proofs.ts'
import { notFound } from './rpc-fault.ts'
import { cursorOf, nodeIndexOf, readAddress, readHex, readPage } from './subjects.ts'

export function nodesHandlers(ledger: LedgerSource) {
  const prefix = ledger.params.addressPrefix
  return {
    async nodes_list(params) {
      const { height } = ledger.status()
      const page = readPage(params)
      const role = params.role === undefined ? undefined : NodeRole[params.role]
      const { items, next } = await ledger.nodes(page, role)
      const nodes = items.map((node) => nodeView(node, prefix))
      const proof = withProof(ledger, params.prove, placesOf('nodes', items))
      return { nodes, next: cursorOf(next), height, ...proof }
    },
    async nodes_get({ id, prove }) {
      const { height } = ledger.status()
      const index = await nodeIndexOf(ledger, id)
      const record = await ledger.nodeAt(index)
      if (!record) throw notFound(`there is no node ${id}: nodes_list gives those of the ledger`)
      const proof = withProof(ledger, prove, [{ table: 'nodes', index }])
      return { ...nodeView({ index, record }, prefix), height, ...proof }
    },
    async nodes_getInventory({ node, root, from = 0, limit = INVENTORY_ENTRIES_MAX }) {
      const index = await nodeIndexOf(ledger, node)
      const all = await ledger.inventory(index, readHex(root))
      if (!all) {
        throw notFound('no inventory with this root is kept: take the root from nodes_get now')
      }
      const entries = all.slice(from, from + limit)
      const end = from + entries.length
      return {
        node: index,
        count: all.length,
        entries: entries.map((entry) => sszToJson(InventoryEntryType, entry, prefix)),
        ssz: entries.map((entry) => bytesToHex(InventoryEntryType.serialize(entry))).join(''),
        next: end < all.length ? end : null,
      }
    },
  } satisfies Handlers
}

function placesOf(table: TableName, found: readonly { readonly index: number }[]) {
  return found.map(({ index }) => ({ table, index }))
}

export function railsHandlers(ledger: LedgerSource) {
  const prefix = ledger.params.addressPrefix
  return {
    async rails_list(params) {
      const { height } = ledger.status()
      const page = readPage(params)
      const { payer, node } = params
      const { items, next } = await ledger.rails(page, {
        ...(payer !== undefined && { payer: readAddress(ledger, payer) }),
        ...(node !== undefined && { node: await nodeIndexOf(ledger, node) }),
      })
      const rails = items.map((rail) => railView(rail, prefix))
      const proof = withProof(ledger, params.prove, placesOf('rails', items))
      return { rails, next: cursorOf(next), height, ...proof }
    },
    async rails_get({ id, prove }) {
      const { height } = ledger.status()
      const record = await ledger.railAt(id)
      if (!record) throw notFound(`there is no rail ${id}`)
      const proof = withProof(ledger, prove, [{ table: 'rails', index: id }])
      return { ...railView({ index: id, record }, prefix), height, ...proof }
    },
  } satisfies Handlers
}

export function contractsHandlers(ledger: LedgerSource) {
  const prefix = ledger.params.addressPrefix
  const openSlots = new OpenSlots(ledger)
  return {
    async contracts_list(params) {
      const { height } = ledger.status()
      const page = readPage(params)
      const { items, next } = await ledger.contracts(page, {
        ...(params.payer !== undefined && { payer: readAddress(ledger, params.payer) }),
      })
      const chosen = params.open === true ? await openSlots.among(items) : items
      const contracts = chosen.map((contract) => contractView(contract, prefix))
      const proof = withProof(ledger, params.prove, placesOf('contracts', chosen))
      return { contracts, next: cursorOf(next), height, ...proof }
    },
    async contracts_get({ id, prove }) {
      const { height } = ledger.status()
      const record = await ledger.contractAt(id)
      if (!record) throw notFound(`there is no contract ${id}`)
      const proof = withProof(ledger, prove, [{ table: 'contracts', index: id }])
      return { ...contractView({ index: id, record }, prefix), height, ...proof }
    },
  } satisfies Handlers
}
