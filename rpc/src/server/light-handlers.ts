import { bytesToHex } from '@ioex/chain/bytes'
import { HANDOVER_BYTES_MAX, handoverOf, EpochHandoverType } from '@ioex/chain/light'
import { checkpointHeight } from '@ioex/chain/params'
import { isProvable, type RecordPlace } from '@ioex/chain/state'
import { HeaderType, type ValidatorSet } from '@ioex/chain/types'
import { EPOCH_PROOFS_MAX } from '../contract/chain-methods.ts'
import type { CheckedParamsOf } from '../contract/methods.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { invalidInput, notFound } from './rpc-fault.ts'
import { headerJson, proveState } from './state-proofs.ts'
import { readAddress } from './subjects.ts'

type PlaceJson = CheckedParamsOf<'chain_getRecords'>['records'][number]

/** What light clients ask for: proofs of records, of epochs' ends, of old headers. */
export function lightHandlers(ledger: LedgerSource) {
  return {
    chain_getRecords: ({ records }) =>
      proveState(
        ledger,
        records.map((place) => readPlace(ledger, place)),
      ),
    async chain_getEpochProofs({ from, to }) {
      if (to < from) throw invalidInput('`to` lies before `from`')
      const proofs: string[] = []
      const last = Math.min(to, from + EPOCH_PROOFS_MAX - 1)
      for (let epoch = from; epoch <= last; epoch++) {
        const proof = await epochProof(ledger, epoch)
        if (proof === undefined) break
        proofs.push(proof)
      }
      return { proofs }
    },
    async chain_getHeaderProof({ height }) {
      const under = await ledger.certifiedHeader(ledger.status().height)
      const old = await ledger.certifiedHeader(height)
      if (!under || !old || height >= under.header.height) {
        throw notFound(`there is no block ${height} below the newest final one here`)
      }
      const branch = await ledger.historyBranch(height, under.header.height)
      if (!branch) throw notFound('this node does not keep all old blocks: ask another one')
      return {
        header: bytesToHex(HeaderType.serialize(old.header)),
        branch: branch.map((hash) => bytesToHex(hash)),
        under: headerJson(under),
      }
    },
  } satisfies Handlers
}

function readPlace(ledger: LedgerSource, place: PlaceJson): RecordPlace {
  if ('index' in place) {
    const { table, index } = place
    if (!isProvable(table)) throw invalidInput(`the state has no table "${table}"`)
    return { table, index }
  }
  return { table: place.table, address: readAddress(ledger, place.address) }
}

/** Undefined for an epoch that is still open, or whose end or successors are not known here. */
async function epochProof(ledger: LedgerSource, epoch: number): Promise<string | undefined> {
  const height = checkpointHeight(ledger.params, epoch)
  if (epoch < 1 || height > ledger.status().height) return undefined
  const found = await ledger.certifiedHeader(height)
  if (!found?.certificate) return undefined
  const { header, certificate } = found
  const proof = handoverOf({ header, certificate }, await validatorSetAt(ledger, epoch + 1))
  if (!proof) return undefined
  const bytes = EpochHandoverType.serialize(proof)
  return bytes.length > HANDOVER_BYTES_MAX ? undefined : bytesToHex(bytes)
}

/** Keys and weights that decide an epoch. */
export async function validatorSetAt(
  ledger: LedgerSource,
  epoch: number,
): Promise<ValidatorSet | undefined> {
  const validators = await ledger.validators(epoch)
  return validators?.map(({ consensusKey, power }) => ({ publicKey: consensusKey, weight: power }))
}
