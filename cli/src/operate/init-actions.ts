import { resolve } from 'node:path'
import { bytesToHex, formatAddress, publicKeyOf } from '@ioex/chain/bytes'
import { peerIdOfKey } from '@ioex/chain/net'
import { entryFileText } from '@ioex/genesis/builder'
import { readAddressArgument } from '../address-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { identityPath, writeIdentity } from '../nodes/node-owner.ts'
import { formatIoex } from '../output/amount.ts'
import { factsText } from '../output/table.ts'
import { entryPath, type KeyKeeping, keyOf, ownerOf, writeEntry } from './node-keys.ts'

export interface KeyFlags {
  readonly passphrase: boolean
  readonly wallet?: string
  readonly payout?: string
}

function keepingOf({ settings, io, passphrase }: CommandContext, flags: KeyFlags) {
  return {
    data: settings.data,
    walletData: flags.wallet === undefined ? settings.data : resolve(io.folder, flags.wallet),
    passphrase,
    isSealed: flags.passphrase,
  } satisfies KeyKeeping
}

/** Makes keys and entry of a validator or bootstrap node and shows them. */
export async function initNode(
  context: CommandContext,
  role: 'validator' | 'bootstrap',
  flags: KeyFlags,
  bond: bigint,
): Promise<void> {
  const { settings, output, addressPrefix } = context
  const payout = flags.payout === undefined ? undefined : readAddressArgument(flags.payout, context)
  const signed = await writeEntry(keepingOf(context, flags), role, {
    network: settings.network,
    bond,
    ...(payout && { payout }),
  })
  const file = JSON.parse(entryFileText(signed)) as Record<string, string | undefined>
  const path = entryPath(settings.data)
  const peerId = peerIdOfKey(signed.entry.nodeKey)
  output.result({ path, peerId, ...file }, () =>
    factsText([
      ['network', settings.network],
      ['role', role],
      ['owner', file.owner as string],
      ['payout', formatAddress(signed.entry.payout, addressPrefix)],
      ['node key', file.nodeKey as string],
      ['peer id', peerId],
      ...(role === 'validator'
        ? ([
            ['consensus key', file.consensusKey as string],
            ['ELA for anchors', file.mainChainAddress as string],
            ['bond', formatIoex(bond)],
          ] as const)
        : []),
      ['entry', path],
    ]),
  )
  if (!flags.passphrase) output.note('New keys are in clear: whoever reads the files has them.')
}

/** Makes a peer's keys and the identity that binds them to the owner, on one network. */
export async function initPeer(
  context: CommandContext,
  flags: KeyFlags,
  path: string,
): Promise<void> {
  const { chainId, params } = await readGenesis(path)
  const keeping = keepingOf(context, flags)
  const { owner } = await ownerOf(keeping)
  const nodeKey = publicKeyOf(await keyOf(keeping, 'node'))
  const payout =
    flags.payout === undefined ? owner.address : readAddressArgument(flags.payout, context)
  await writeIdentity(keeping.data, chainId, owner.secretKey, nodeKey, payout)
  const facts = {
    network: params.network,
    role: 'peer',
    owner: formatAddress(owner.address, params.addressPrefix),
    payout: formatAddress(payout, params.addressPrefix),
    nodeKey: bytesToHex(nodeKey),
    identity: identityPath(keeping.data),
  }
  context.output.result(facts, () => factsText(Object.entries(facts)))
}
