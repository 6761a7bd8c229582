import type { BlockSource, ServedAnswers } from '@ioex/chain/audit'
import { formatAddress, fromHex } from '@ioex/chain/bytes'
import type { RpcClient } from '@ioex/rpc/client'
import type { ResultOf } from '@ioex/rpc/contract'

/** Receipts of one answer. */
const PAGE = 200

/** A node as an auditor asks it over JSON-RPC: for blocks, and for the answers it gives users. */
export function createAuditedNode(
  client: RpcClient,
  addressPrefix: string,
): BlockSource & ServedAnswers {
  const addressText = (node: Uint8Array) => formatAddress(node, addressPrefix)
  return {
    name: client.url,
    async tip() {
      const { chainId, height } = await client.call('chain_getStatus', {})
      return { chainId, height }
    },
    async blocks(from, to) {
      const { blocks } = await client.call('chain_getRawBlocks', { from, to, pruned: true })
      return blocks.map(({ header, body, pruned, justification, certificate }) => ({
        header: fromHex(header),
        body: fromHex(body),
        isPruned: pruned === true,
        justification: justification === null ? undefined : fromHex(justification),
        certificate: certificate === null ? undefined : fromHex(certificate),
      }))
    },
    async *receipts({ epoch, node, contract }) {
      let cursor: string | undefined
      do {
        const page: ResultOf<'receipts_list'> = await client.call('receipts_list', {
          ...(epoch !== undefined && { fromEpoch: epoch, toEpoch: epoch }),
          ...(node !== undefined && { node: addressText(node) }),
          ...(contract !== undefined && { contract }),
          ...(cursor !== undefined && { cursor }),
          limit: PAGE,
        })
        for (const { ssz } of page.receipts) yield fromHex(ssz)
        cursor = page.next ?? undefined
      } while (cursor !== undefined)
    },
    async statement(node, epoch) {
      const sums = await client.call('rewards_getStatement', { node: addressText(node), epoch })
      return {
        fees: BigInt(sums.fees),
        burned: BigInt(sums.burned),
        toValidators: BigInt(sums.toValidators),
        net: BigInt(sums.net),
        held: BigInt(sums.held),
        released: BigInt(sums.released),
        forfeited: BigInt(sums.forfeited),
        byteFees: BigInt(sums.byteFees),
        debtPaid: BigInt(sums.debtPaid),
        paid: BigInt(sums.paid),
        subsidy: BigInt(sums.subsidy),
      }
    },
  }
}
