import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatElaAddress, standardProgramHash } from '../../elastos/ela-address.ts'
import { p256PublicKey } from '../../elastos/p256.ts'
import {
  type BuiltInMainChain,
  type BuiltInMainChainOptions,
  startBuiltInMainChain,
} from '../built-in-main-chain.ts'

/** The plain address of a secret. */
export function elaAddressOf(secret: Uint8Array): string {
  return formatElaAddress(standardProgramHash(p256PublicKey(secret)))
}

/** What a test has running, ended last first. */
export class Cleanups {
  readonly #ends: (() => unknown)[] = []

  add(end: () => unknown): void {
    this.#ends.push(end)
  }

  async run(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }
}

/**
 * A main node in a folder of its own that mines when asked. All begin at the same genesis, in
 * which nobody has anything unless the test changes it.
 */
export async function startTestMainChain(
  cleanups: Cleanups,
  { blocks = 0, ...changes }: Partial<BuiltInMainChainOptions> & { readonly blocks?: number } = {},
): Promise<BuiltInMainChain> {
  const dataDir = await mkdtemp(join(tmpdir(), 'main-chain-'))
  cleanups.add(() => rm(dataDir, { recursive: true, force: true }))
  const chain = await startBuiltInMainChain({
    dataDir,
    genesis: { allocations: [], timestamp: 1_700_000_000 },
    minerAddress: elaAddressOf(new Uint8Array(32).fill(24)),
    blockIntervalMs: 0,
    rpc: { port: 0 },
    ...changes,
  })
  cleanups.add(() => chain.stop())
  await mineBlocks(chain, blocks)
  return chain
}

export async function mineBlocks(chain: BuiltInMainChain, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) await chain.mine()
}
