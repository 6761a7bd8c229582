import { readFile } from 'node:fs/promises'
import { InvariantError } from '@ioex/chain/bytes'
import { type ForkChanges, type ParamsFork, withForks } from '@ioex/chain/params'
import type { PresetName } from '@ioex/genesis/presets'
import { presets } from '@ioex/genesis/presets'
import { z } from 'zod'
import { schemaIssues } from '../output/schema-issues.ts'
import { ConfigError } from './node-config.ts'

/** Amounts are strings of digits, as in all our JSON. */
const ForksFileSchema = z.strictObject({
  format: z.literal('ioex-forks/1'),
  forks: z
    .array(
      z.strictObject({
        epoch: z.int().positive(),
        protocolVersion: z.int().positive(),
        changes: z.record(z.string(), z.union([z.int(), z.string().regex(/^\d{1,20}$/)])),
      }),
    )
    .max(64),
})

/**
 * The forks of a network that a file lists, checked against its preset. Releases carry those of
 * the public networks; a file is for networks of one's own and for rehearsals.
 */
export async function readForks(path: string, network: string): Promise<readonly ParamsFork[]> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new ConfigError(`${path} is not readable JSON: ${(error as Error).message}`)
  }
  const parsed = ForksFileSchema.safeParse(json)
  if (!parsed.success) throw new ConfigError(`${path}: ${schemaIssues(parsed.error)}`)
  const base = presets[network as PresetName]
  const forks = parsed.data.forks.map(({ changes, ...fork }) => ({
    ...fork,
    changes: Object.fromEntries(
      Object.entries(changes).map(([name, value]) => [name, typed(name, value, base)]),
    ) as ForkChanges,
  }))
  try {
    withForks(base, forks)
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error
    throw new ConfigError(`${path}: ${error.message}`)
  }
  return forks
}

function typed(name: string, value: number | string, base: object): number | bigint {
  const now = (base as Readonly<Record<string, unknown>>)[name]
  return typeof now === 'bigint' ? BigInt(value) : Number(value)
}
