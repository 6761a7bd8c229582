import { DelegationKind, NONE, type Payload, PayloadKind } from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import type { CommandContext } from '../command-context.ts'
import { formatIoex } from '../output/amount.ts'
import { CommandError } from '../output/failure.ts'
import { sendOwnerTransaction } from '../wallet/owner-transaction.ts'
import { readWallet, type Wallet } from '../wallet/wallet-file.ts'
import { chooseValidator, ownedBy, readDelegations, readValidators } from './stake-records.ts'

export interface StakeFlags {
  readonly wait: boolean
  /** Index or owner's address; unset: the wallet's own validator. */
  readonly validator?: string
}

interface Staking {
  readonly context: CommandContext
  readonly client: RpcClient
  readonly wallet: Wallet
}

async function open(context: CommandContext): Promise<Staking> {
  const wallet = await readWallet(context.settings.data, context.passphrase)
  return { context, client: await context.client(), wallet }
}

/** validator bond: raises the own validator's own stake. */
export async function bond(context: CommandContext, amount: bigint, flags: StakeFlags) {
  const staking = await open(context)
  const validator = await ownValidator(staking)
  const payload = { selector: PayloadKind.bond, value: { validator, amount } } as const
  await send(staking, payload, flags, { did: 'Bonded', validator, amount })
}

/** validator delegate: stakes on somebody's validator, on top of what stands there already. */
export async function delegate(
  context: CommandContext,
  text: string,
  amount: bigint,
  flags: StakeFlags,
) {
  const staking = await open(context)
  const validators = await readValidators(staking.client)
  const { index } = chooseValidator(validators, text, context.addressPrefix)
  const delegation = (await ownDelegation(staking, index)) ?? NONE
  const value = { validator: index, delegation, amount }
  const payload = { selector: PayloadKind.delegate, value } as const
  await send(staking, payload, flags, { did: 'Delegated', validator: index, amount })
}

/** validator unbond: asks own stake back, from the own validator or from another's. */
export async function unbond(context: CommandContext, amount: bigint, flags: StakeFlags) {
  const staking = await open(context)
  const { validator, delegation } =
    flags.validator === undefined
      ? { validator: await ownValidator(staking), delegation: NONE }
      : await delegationOn(staking, flags.validator)
  const value = { validator, delegation, amount }
  const payload = { selector: PayloadKind.unbond, value } as const
  await send(staking, payload, flags, { did: 'Unbonding', validator, amount })
}

/** validator release: pays out every exit of the wallet that may leave by now. */
export async function release(context: CommandContext, flags: StakeFlags) {
  const staking = await open(context)
  const mine = await readDelegations(staking.client, staking.wallet.address)
  const exits = mine.filter(({ record }) => record.kind === DelegationKind.unbonding)
  const released: { delegation: number; amount: string; id: string }[] = []
  const waiting: { delegation: number; amount: string; reason: string }[] = []
  for (const { index, record } of exits) {
    const facts = { delegation: index, amount: record.amount.toString() }
    const payload = { selector: PayloadKind.releaseStake, value: { delegation: index } } as const
    try {
      const { client, wallet } = staking
      const { id } = await sendOwnerTransaction(client, wallet.owner, payload, flags.wait)
      released.push({ ...facts, id })
    } catch (error) {
      waiting.push({ ...facts, reason: (error as Error).message })
    }
  }
  context.output.result({ released, waiting }, () =>
    [
      ...released.map(({ amount, id }) => `Released ${formatIoex(amount)}: transaction ${id}`),
      ...waiting.map(({ amount, reason }) => `${formatIoex(amount)} waits: ${reason}`),
      ...(exits.length === 0 ? ['No stake is on its way out.'] : []),
    ].join('\n'),
  )
}

async function ownValidator({ client, wallet }: Staking): Promise<number> {
  const own = ownedBy(await readValidators(client), wallet.address)
  if (own) return own.index
  throw new CommandError(
    'NO_VALIDATOR',
    'no validator belongs to this wallet: name the folder of its wallet with --data',
  )
}

async function ownDelegation({ client, wallet }: Staking, validator: number) {
  const mine = await readDelegations(client, wallet.address)
  return mine.find(
    ({ record }) => record.kind === DelegationKind.staked && record.validator === validator,
  )?.index
}

async function delegationOn(staking: Staking, text: string) {
  const validators = await readValidators(staking.client)
  const { index } = chooseValidator(validators, text, staking.context.addressPrefix)
  const delegation = await ownDelegation(staking, index)
  if (delegation !== undefined) return { validator: index, delegation }
  throw new CommandError('NO_DELEGATION', `this wallet has no stake on validator ${text}`)
}

async function send(
  { context, client, wallet }: Staking,
  payload: Payload,
  flags: StakeFlags,
  { did, validator, amount }: { did: string; validator: number; amount: bigint },
): Promise<void> {
  const { id, final } = await sendOwnerTransaction(client, wallet.owner, payload, flags.wait)
  const height = final?.height ?? null
  const state = final?.state ?? 'pending'
  context.output.result({ id, validator, amount, height, state }, () => {
    const where = height === null ? 'not final yet' : `final in block ${height}`
    return `${did} ${formatIoex(amount)}, validator ${validator}: ${where}, transaction ${id}`
  })
}
