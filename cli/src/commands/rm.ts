import type { ChainClient } from '@ioex/storage-node/node'
import type { RemoveResult, StorageClient } from '@ioex/storage-node/scheduler'
import type { CommandContext } from '../command-context.ts'
import { formatIoex } from '../output/amount.ts'
import { openStorage } from '../storage/open-storage.ts'

/** A chain that stands still is asked again after this. */
const HEAD_MS = 60_000

/** Removes a file and gets the rest of its locks back. */
export async function rm(
  context: CommandContext,
  path: string,
  options: { wait?: boolean },
): Promise<void> {
  const { client, chain, close } = await openStorage(context)
  try {
    const removed = await client.remove(path)
    if (options.wait) await settled(client, chain, removed)
    const isSettled = options.wait === true
    const json = { ...removed, refundMost: removed.refundMost.toString(), settled: isSettled }
    context.output.result(json, () => removedText(removed, isSettled))
  } finally {
    await close()
  }
}

function removedText({ path, closing, refundMost }: RemoveResult, isSettled: boolean): string {
  if (closing.length === 0) return `Removed ${path}; other files keep its contracts`
  const which = `contract ${closing.join(', ')}`
  return isSettled
    ? `Removed ${path}: ${which} has ended, the rest of its locks is back`
    : `Removed ${path}: ${which} is closing, up to ${formatIoex(refundMost)} come back`
}

/** Closes in the second step what may be closed, head after head, until nothing is left. */
async function settled(
  client: StorageClient,
  chain: ChainClient,
  { closing }: RemoveResult,
): Promise<void> {
  const salts = new Map<number, string>()
  const saltOf = async (index: number) => {
    const record = await chain.contract(index)
    return record?.live ? Buffer.from(record.salt).toString('hex') : undefined
  }
  for (const index of closing) {
    const salt = await saltOf(index)
    if (salt !== undefined) salts.set(index, salt)
  }
  while (salts.size > 0) {
    await client.closeEnded()
    for (const [index, salt] of salts) if ((await saltOf(index)) !== salt) salts.delete(index)
    if (salts.size > 0) await nextHeadOf(chain)
  }
}

function nextHeadOf(chain: ChainClient): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, HEAD_MS)
  const unsubscribe = chain.onHead(() => resolve())
  return promise.finally(() => {
    clearTimeout(timer)
    unsubscribe()
  })
}
