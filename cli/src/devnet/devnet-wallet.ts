import { join } from 'node:path'
import { addressOf, publicKeyOf } from '@ioex/chain/bytes'
import { readOrCreateKey } from '../nodes/key-file.ts'

export async function devnetWalletAddress(folder: string): Promise<Uint8Array> {
  return addressOf(publicKeyOf(await readOrCreateKey(join(folder, 'owner.key'))))
}
