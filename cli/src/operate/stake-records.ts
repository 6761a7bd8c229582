import { bytesEqual, fromHex, parseAddress } from '@ioex/chain/bytes'
import type { Indexed } from '@ioex/chain/state'
import {
  type Delegation,
  DelegationKind,
  DelegationType,
  type Validator,
  ValidatorType,
} from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'
import { CommandError, usageError } from '../output/failure.ts'

/** Records that one command reads at most. */
const RECORDS_MAX = 100_000
const BATCH = 128

export const readValidators = (client: RpcClient): Promise<Indexed<Validator>[]> =>
  readTable(client, 'validators', ValidatorType)

/** Delegations and exits of one owner. */
export async function readDelegations(
  client: RpcClient,
  owner: Uint8Array,
): Promise<Indexed<Delegation>[]> {
  const all = await readTable(client, 'delegations', DelegationType)
  return all.filter(
    ({ record }) => record.kind !== DelegationKind.free && bytesEqual(record.owner, owner),
  )
}

/** All records of a table, by a full node's word. */
async function readTable<T>(
  client: RpcClient,
  table: string,
  type: { deserialize(bytes: Uint8Array): T },
): Promise<Indexed<T>[]> {
  const found: Indexed<T>[] = []
  for (let from = 0; from < RECORDS_MAX; from += BATCH) {
    const records = Array.from({ length: BATCH }, (_, i) => ({ table, index: from + i }))
    const answer = await client.call('chain_getRecords', { records })
    for (const [i, proof] of answer.records.entries()) {
      // Past the end of a table a node shows its last record, or nothing of an empty one.
      if (!proof || proof.index !== from + i) return found
      found.push({ index: proof.index, record: type.deserialize(fromHex(proof.record)) })
    }
  }
  throw new CommandError('TOO_MANY_RECORDS', `more than ${RECORDS_MAX} ${table}: use a full node`)
}

/** A validator by the index of its record or its owner's address. */
export function chooseValidator(
  validators: readonly Indexed<Validator>[],
  text: string,
  addressPrefix: string,
): Indexed<Validator> {
  const chosen = /^\d{1,9}$/.test(text)
    ? validators[Number(text)]
    : ownedBy(validators, addressOfText(text, addressPrefix))
  if (chosen) return chosen
  throw new CommandError('VALIDATOR_UNKNOWN', `there is no validator ${text}`)
}

/** The validator of an owner; the newest if it registered several. */
export function ownedBy(
  validators: readonly Indexed<Validator>[],
  owner: Uint8Array,
): Indexed<Validator> | undefined {
  return validators.findLast(({ record }) => bytesEqual(record.owner, owner))
}

function addressOfText(text: string, addressPrefix: string): Uint8Array {
  const address = parseAddress(text, addressPrefix)
  if (address.ok) return address.value
  throw usageError(`"${text}" is no validator: give its index or its owner's address`)
}
