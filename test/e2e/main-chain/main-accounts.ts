import { signTransaction } from '@ioex/chain/anchor'
import {
  ELA_ASSET_ID,
  formatElaAddress,
  fromDisplayHash,
  type MainTransaction,
  p256PublicKey,
  standardProgramHash,
} from '@ioex/chain/elastos'
import { createMainChainClient, type MainChainClient } from '@ioex/chain/follower'
import { until } from '../network-harness.ts'

const FEE_SELA = 10_000n

export const mainAddressOf = (secretKey: Uint8Array) =>
  formatElaAddress(standardProgramHash(p256PublicKey(secretKey)))

export async function balanceOnMain(url: string, address: string): Promise<bigint> {
  const unspent = await createMainChainClient({ url }).listUnspent(address)
  return unspent.reduce((sum, { sela }) => sum + sela, 0n)
}

/** Moves all that an account holds to other keys, in equal parts, and waits until it is empty. */
export async function drain(
  url: string,
  secretKey: Uint8Array,
  to: readonly Uint8Array[],
): Promise<void> {
  const client = createMainChainClient({ url })
  const address = mainAddressOf(secretKey)
  await until(`${address} to be empty`, async () => {
    // Change of a memo that was on its way may come in after the first transfer.
    if ((await client.listUnspent(address)).length === 0) return true
    await client
      .sendRawTransaction(signTransaction(await transferOfAll(client, secretKey, to), secretKey))
      .catch(() => undefined)
    return false
  })
}

async function transferOfAll(
  client: MainChainClient,
  secretKey: Uint8Array,
  to: readonly Uint8Array[],
): Promise<MainTransaction> {
  const unspent = await client.listUnspent(mainAddressOf(secretKey))
  const total = unspent.reduce((sum, { sela }) => sum + sela, 0n)
  const share = (total - FEE_SELA) / BigInt(to.length)
  return {
    version: 9,
    type: 2,
    payloadVersion: 0,
    payload: { kind: 'transfer' },
    attributes: [],
    inputs: unspent.map(({ txid, index }) => ({
      transactionId: fromDisplayHash(txid),
      index,
      sequence: 0xffff_ffff,
    })),
    outputs: to.map((key) => ({
      assetId: ELA_ASSET_ID,
      value: share,
      outputLock: 0,
      programHash: standardProgramHash(p256PublicKey(key)),
      payload: { kind: 'none' },
    })),
    lockTime: 0,
    programs: [],
  }
}
