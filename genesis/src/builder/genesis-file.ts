import { bytesToHex, fault, ok, parseHex, type Result } from '@ioex/chain/bytes'
import type { ParamsFork } from '@ioex/chain/params'
import { buildGenesis, type Genesis } from '@ioex/chain/rules'
import {
  chainIdOf,
  decodeGenesis,
  GENESIS_BYTES_MAX,
  type GenesisDocument,
  GenesisDocumentType,
} from '@ioex/chain/types'
import { z } from 'zod'

/** Everything else in the file is for people; only `document` counts. */
const GenesisFileSchema = z.object({
  format: z.literal('ioex-genesis/1'),
  network: z.string(),
  /** hash_tree_root of the document, hex. */
  chainId: z.string(),
  /** SSZ GenesisDocument, hex. */
  document: z.string(),
})

/** The text of a genesis file. */
export function genesisFileText(network: string, document: GenesisDocument): string {
  const file: z.infer<typeof GenesisFileSchema> = {
    format: 'ioex-genesis/1',
    network,
    chainId: bytesToHex(chainIdOf(document)),
    document: bytesToHex(GenesisDocumentType.serialize(document)),
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/**
 * Reads a genesis file, which may come from a stranger, and builds block 0 and the first ledger
 * from it. The stated chain id must be the document's.
 */
export function readGenesisFile(text: string, forks: readonly ParamsFork[] = []): Result<Genesis> {
  const file = GenesisFileSchema.safeParse(parseJson(text))
  if (!file.success) {
    return fault('GENESIS_MALFORMED', `not a genesis file: ${issuesOf(file.error)}`)
  }
  const bytes = parseHex(file.data.document, GENESIS_BYTES_MAX)
  if (!bytes.ok) return bytes
  const document = decodeGenesis(bytes.value)
  if (!document.ok) return document
  const chainId = bytesToHex(chainIdOf(document.value))
  if (chainId !== file.data.chainId) {
    return fault('GENESIS_CHAIN_ID', `the document's chain id is ${chainId}, not the one stated`)
  }
  const genesis = buildGenesis(document.value, forks)
  return genesis.ok ? ok(genesis.value) : genesis
}

function issuesOf({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `${path.join('.') || 'file'}: ${message}`).join('; ')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
