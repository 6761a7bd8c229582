import { bytesToHex } from '@ioex/chain/bytes'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { notFound } from './rpc-fault.ts'
import type { StorageBackend } from './storage-backend.ts'

export function nodeHandlers(ledger: LedgerSource) {
  return {
    async node_getInfo() {
      const { version, roles, peerId, addresses, startedAtMs } = ledger.nodeInfo()
      return {
        version,
        network: ledger.params.network,
        chainId: bytesToHex(ledger.chainId),
        roles: [...roles],
        peerId,
        addresses: [...addresses],
        startedAt: startedAtMs,
        prunedTo: await ledger.prunedTo(),
      }
    },
    node_getPeers() {
      const peers = ledger.peers().map(({ peerId, addresses, direction }) => ({
        peerId,
        addresses: [...addresses],
        direction,
      }))
      return { peers }
    },
  } satisfies Handlers
}

export function storageHandlers(storage: StorageBackend) {
  return {
    storage_put: (params) => storage.put(params),
    storage_get: (params, context) => storage.get(params, context),
    storage_list: () => storage.list(),
    async storage_status({ name }) {
      const file = await storage.status(name)
      if (!file) throw notFound(`no file is kept under "${name}": storage_list gives the names`)
      return file
    },
  } satisfies Handlers
}
