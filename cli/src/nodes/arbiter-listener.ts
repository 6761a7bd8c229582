import { readFile } from 'node:fs/promises'
import { createLedgerArbiterChain, startArbiterServer } from '@ioex/chain/arbiter'
import { bytesEqual } from '@ioex/chain/bytes'
import { decodeTransaction, type InternalHash } from '@ioex/chain/elastos'
import { readBlock } from '@ioex/chain/manager'
import type { FullNode } from '@ioex/chain/node'
import { PayloadKind, transactionId } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { NodeConfig } from './node-config.ts'

/** Serves an Elastos Arbiter from a full node, where its config asks for it. */
export async function startArbiterListener(
  { arbiter }: NodeConfig,
  node: FullNode,
  logger: Logger,
): Promise<{ stop(): Promise<void> } | undefined> {
  if (!arbiter) return undefined
  const { passwordFile, ...listener } = arbiter
  const password = passwordFile === undefined ? '' : (await readFile(passwordFile, 'utf8')).trim()
  const chain = createLedgerArbiterChain({
    ledger: node.manager.ledger,
    powChain: arbiter.powChain,
    submitted: node.submittedAnchors,
    isOnMainChain(height, hash) {
      const known = node.follower.blockAt(height)
      return known !== undefined && bytesEqual(known.header.hash, hash)
    },
    depositTransaction: (height, id) => depositTransaction(node, height, id),
  })
  const server = await startArbiterServer({
    chain,
    host: listener.host,
    port: listener.port,
    password,
    ...(listener.user !== undefined && { user: listener.user }),
    ...(listener.allow && { allow: listener.allow }),
    onProblem: (error) => logger.error({ reason: String(error) }, 'arbiter call failed'),
  })
  logger.info({ url: server.url, powChain: arbiter.powChain }, 'arbiters are served')
  return server
}

/** Id of the transaction of a block that recorded a deposit; undefined where it was pruned. */
async function depositTransaction(
  node: FullNode,
  height: number,
  mainTransaction: InternalHash,
): Promise<Uint8Array | undefined> {
  const block = await readBlock(node.manager.store, height)
  if (!block) return undefined
  for (const transaction of block.transactions) {
    const { payload } = transaction.body
    if (payload.selector !== PayloadKind.deposit) continue
    const decoded = decodeTransaction(payload.value.transaction)
    if (decoded.ok && bytesEqual(decoded.value.id, mainTransaction)) {
      return transactionId(transaction)
    }
  }
  return undefined
}
