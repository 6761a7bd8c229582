import { readFile } from 'node:fs/promises'
import { parseHex } from '@ioex/chain/bytes'
import type { ConfirmPolicy } from '@ioex/chain/follower'
import { ConfigError, type NodeConfig } from './node-config.ts'

const KEY_BYTES = 33
/** The main network has 36. */
const ARBITERS_MAX = 1024

/**
 * Whose Confirms a node asks of main headers: `nodes`, or the keys of a file, one in a line, with
 * comments after #. Undefined where none are asked for.
 */
export async function readMainArbiters({
  mainArbiters,
  mainChainUrl,
  mainChainOtherUrls = [],
}: NodeConfig): Promise<ConfirmPolicy | undefined> {
  if (mainArbiters === undefined) return undefined
  if (mainArbiters === 'nodes') {
    const urls = new Set([mainChainUrl, ...mainChainOtherUrls])
    const told = [...urls].filter((url) => url?.startsWith('http'))
    if (told.length >= 2) return { arbiters: 'nodes' }
    throw new ConfigError(
      'mainArbiters "nodes" needs two main nodes over JSON-RPC, so that none can lie alone',
    )
  }
  return { arbiters: keysOf(mainArbiters, await readText(mainArbiters)) }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`the main chain's arbiters: ${(error as Error).message}`)
  }
}

function keysOf(path: string, text: string): Uint8Array[] {
  const keys = new Map<string, Uint8Array>()
  for (const [at, line] of text.split('\n').entries()) {
    const hex = line.replace(/#.*/, '').trim().toLowerCase()
    if (hex === '') continue
    const key = parseHex(hex, KEY_BYTES)
    if (!key.ok || key.value.length !== KEY_BYTES || keys.size >= ARBITERS_MAX) {
      throw new ConfigError(`${path}, line ${at + 1}: expected a public key of 66 hex digits`)
    }
    keys.set(hex, key.value)
  }
  if (keys.size > 0) return [...keys.values()]
  throw new ConfigError(`${path} names no arbiter`)
}
