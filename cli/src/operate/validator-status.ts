import { readFile } from 'node:fs/promises'
import { bytesToHex, formatAddress, publicKeyOf } from '@ioex/chain/bytes'
import type { Indexed } from '@ioex/chain/state'
import { z } from 'zod'
import type { CommandContext } from '../command-context.ts'
import { parsePlainKey } from '../keys/plain-key.ts'
import { isSealed, sealedInfo } from '../keys/sealed-secret.ts'
import { formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import { factsText } from '../output/table.ts'
import { hasWallet, readWalletFace } from '../wallet/wallet-file.ts'
import { keyPath } from './node-keys.ts'
import { defaultPort } from './node-plan.ts'
import { chooseValidator, ownedBy, readValidators } from './stake-records.ts'
import type { Validator } from '@ioex/chain/types'

const HEALTH_MS = 3000

/** What a validator's own health page adds to what the chain knows of it. */
const HealthSchema = z.looseObject({
  status: z.string(),
  hindrances: z.array(z.string()),
  nodes: z.array(
    z.looseObject({
      role: z.string(),
      peers: z.int().optional(),
      view: z.int().optional(),
      target: z.int().optional(),
      validator: z
        .looseObject({
          missedViews: z.int(),
          unsignedBlocks: z.int(),
          lastSigned: z.int().optional(),
        })
        .optional(),
    }),
  ),
})

/** validator status: the chain's record of it, and how its own process is. */
export async function showValidatorStatus(
  context: CommandContext,
  flags: { readonly validator?: string; readonly health?: string },
): Promise<void> {
  const { output, settings, addressPrefix } = context
  const client = await context.client()
  const [status, anchors, epoch, validators] = await Promise.all([
    client.call('chain_getStatus', {}),
    client.call('anchor_getStatus', {}),
    client.call('chain_getValidators', {}),
    readValidators(client),
  ])
  const { index, record } = await chosen(context, validators, flags.validator)
  const member = epoch.validators.find((each) => each.consensusKey === keyText(record))
  const url = flags.health ?? `http://127.0.0.1:${defaultPort(settings.network, 'metrics')}`
  const health = await readHealth(url)
  const own = health?.nodes.find(({ role }) => role === 'validator')
  const facts = {
    validator: index,
    owner: formatAddress(record.owner, addressPrefix),
    consensusKey: keyText(record),
    power: member?.power ?? 0,
    totalPower: epoch.totalPower,
    bond: record.bond,
    delegated: record.delegated,
    commission: record.commission,
    participation: record.participation,
    jailed: record.jailed,
    epoch: status.epoch,
    height: status.height,
    lagBlocks: status.targetHeight - status.height,
    anchoredEpoch: anchors.epoch,
    anchorLagEpochs: Math.max(0, status.epoch - 1 - (anchors.epoch ?? 0)),
    peers: own?.peers ?? status.peers,
    missedViews: own?.validator?.missedViews ?? null,
    lastSigned: own?.validator?.lastSigned ?? null,
    unsignedBlocks: own?.validator?.unsignedBlocks ?? null,
    health: health && { url, status: health.status, hindrances: health.hindrances },
  }
  output.result(facts, () => statusText(facts, url))
}

async function chosen(
  { settings, addressPrefix }: CommandContext,
  validators: readonly Indexed<Validator>[],
  text: string | undefined,
): Promise<Indexed<Validator>> {
  if (text !== undefined) return chooseValidator(validators, text, addressPrefix)
  const key = await consensusKeyOf(settings.data)
  const byKey = validators.find(({ record }) => keyText(record) === key)
  if (byKey) return byKey
  const owner = (await hasWallet(settings.data)) && (await readWalletFace(settings.data)).address
  const owned = owner ? ownedBy(validators, owner) : undefined
  if (owned) return owned
  throw new CommandError(
    'NO_VALIDATOR',
    `${settings.data} holds no key of a validator of this network: name its folder with --data, ` +
      'or the validator with --validator',
  )
}

const keyText = ({ consensusKey }: Validator) => bytesToHex(consensusKey)

/** Public half of the folder's consensus key; a sealed file shows it without its passphrase. */
export async function consensusKeyOf(data: string): Promise<string | undefined> {
  const path = keyPath(data, 'consensus')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  if (isSealed(text)) return sealedInfo(text, path).publicKey
  return bytesToHex(publicKeyOf(parsePlainKey(text, path, 'consensus')))
}

async function readHealth(url: string) {
  try {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(HEALTH_MS) })
    return HealthSchema.parse(await answer.json())
  } catch {
    return undefined
  }
}

function statusText(
  facts: {
    readonly validator: number
    readonly owner: string
    readonly power: number
    readonly totalPower: number
    readonly bond: bigint
    readonly delegated: bigint
    readonly commission: number
    readonly participation: number
    readonly jailed: boolean
    readonly epoch: number
    readonly height: number
    readonly lagBlocks: number
    readonly anchoredEpoch: number | null
    readonly anchorLagEpochs: number
    readonly peers: number
    readonly missedViews: number | null
    readonly lastSigned: number | null
    readonly unsignedBlocks: number | null
    readonly health: { readonly hindrances: readonly string[] } | undefined
  },
  healthUrl: string,
): string {
  const { health, anchoredEpoch } = facts
  const number = (value: number | null) => (value === null ? '-' : String(value))
  const hindrances = health?.hindrances ?? []
  const silent = `no answer from ${healthUrl}/health: name the node's --metrics address with --health`
  return factsText([
    ['validator', `${facts.validator}, owner ${facts.owner}`],
    ['power', `${facts.power} of ${facts.totalPower}${facts.jailed ? ', JAILED' : ''}`],
    ['bond', `${formatIoex(facts.bond)}, delegated ${formatIoex(facts.delegated)}`],
    ['commission', `${facts.commission / 100} %`],
    ['participation', String(facts.participation)],
    ['chain', `block ${facts.height}, epoch ${facts.epoch}, ${facts.lagBlocks} blocks behind`],
    ['anchored', `epoch ${number(anchoredEpoch)}, ${facts.anchorLagEpochs} epochs behind`],
    ['peers', String(facts.peers)],
    ['missed views', number(facts.missedViews)],
    ['last signed', `block ${number(facts.lastSigned)}, ${number(facts.unsignedBlocks)} since`],
    ['health', health ? hindrances.join('; ') || 'ok' : silent],
  ])
}
