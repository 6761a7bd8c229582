import { readFile } from 'node:fs/promises'
import type { Fault } from '@ioex/chain/bytes'
import type { Genesis } from '@ioex/chain/rules'
import { readGenesisFile } from '@ioex/genesis/builder'
import { readForks } from './forks-file.ts'
import { ConfigError } from './node-config.ts'

/**
 * Genesis from a file on disk, with the forks of a second one if it is named; throws ConfigError
 * with what to do.
 */
export async function readGenesis(path: string, forksPath?: string): Promise<Genesis> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    throw new ConfigError(`no genesis file at ${path}: copy the network's genesis.json there`)
  }
  const genesis = readGenesisFile(text)
  if (!genesis.ok) throw damaged(path, genesis.fault)
  if (forksPath === undefined) return genesis.value
  const forks = await readForks(forksPath, genesis.value.params.network)
  const forked = readGenesisFile(text, forks)
  if (!forked.ok) throw damaged(path, forked.fault)
  return forked.value
}

function damaged(path: string, { message }: Fault): ConfigError {
  return new ConfigError(`${path} is damaged (${message}): restore it, every export holds a copy`)
}
