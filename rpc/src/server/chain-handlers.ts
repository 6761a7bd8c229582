import { bytesEqual, bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { checkpointHeight, epochOfHeight } from '@ioex/chain/params'
import { pegReserve } from '@ioex/chain/rules'
import {
  AccountType,
  EpochType,
  type Header,
  type SupplyTerms,
  type ValidatorSet,
  validatorSetHash,
  ValidatorSetType,
  ValidatorType,
} from '@ioex/chain/types'
import { sszToJson } from '../contract/ssz-json.ts'
import type { BlockWaits } from './block-waits.ts'
import { blockHandlers } from './block-handlers.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { lightHandlers, validatorSetAt } from './light-handlers.ts'
import { paramsToJson } from './params-json.ts'
import { notFound, RpcFault } from './rpc-fault.ts'
import { headerJson, withProof } from './state-proofs.ts'
import { readAddress } from './subjects.ts'
import { transactionHandlers } from './transaction-handlers.ts'

export function chainHandlers(ledger: LedgerSource, waits: BlockWaits) {
  return {
    ...blockHandlers(ledger, waits),
    ...transactionHandlers(ledger, waits),
    ...accountHandlers(ledger),
    ...networkHandlers(ledger),
    ...epochHandlers(ledger),
    ...lightHandlers(ledger),
  } satisfies Handlers
}

function accountHandlers(ledger: LedgerSource) {
  const prefix = ledger.params.addressPrefix
  return {
    async chain_getAccount({ address, prove }) {
      const { height } = ledger.status()
      const bytes = readAddress(ledger, address)
      const account = await ledger.account(bytes)
      return {
        address: formatAddress(bytes, prefix),
        exists: account !== undefined,
        balance: (account?.balance ?? 0n).toString(),
        bond: (account?.bond ?? 0n).toString(),
        nonce: account?.nonce ?? 0,
        height,
        account: account ? sszToJson(AccountType, account, prefix) : null,
        ssz: account ? bytesToHex(AccountType.serialize(account)) : null,
        ...withProof(ledger, prove, [{ table: 'accounts', address: bytes }]),
      }
    },
    async chain_getNonce({ address }) {
      return { nonce: await ledger.nextNonce(readAddress(ledger, address)) }
    },
  } satisfies Handlers
}

function networkHandlers(ledger: LedgerSource) {
  const { params } = ledger
  const prefix = params.addressPrefix
  const chainId = bytesToHex(ledger.chainId)
  return {
    chain_getStatus() {
      const { hash, timeMs, height, epoch, targetHeight, baseFee, peers, syncing } = ledger.status()
      return {
        chainId,
        network: params.network,
        height,
        hash: bytesToHex(hash),
        time: timeMs,
        epoch,
        targetHeight,
        baseFee: baseFee.toString(),
        peers,
        syncing,
      }
    },
    chain_getParams: () => paramsToJson(ledger.params),
    chain_getGenesis: () => ({ chainId, network: params.network, genesis: ledger.genesis }),
    async chain_getSupply({ height = ledger.status().height, prove }) {
      const at = await ledger.supplyAt(height)
      if (!at) {
        throw new RpcFault(
          'UNAVAILABLE',
          `this node did not execute block ${height}: ask without height, or a node that synced it`,
        )
      }
      const places = [
        { table: 'globals', index: 0 },
        { table: 'peg', index: 0 },
      ] as const
      return { height, ...supplyTerms(at), ...withProof(ledger, prove, places) }
    },
    async chain_getValidators({ epoch = ledger.status().epoch, prove }) {
      const set = await ledger.validators(epoch)
      if (!set) throw notFound(`the validators of epoch ${epoch} are not known yet`)
      const totalPower = set.reduce((sum, { power }) => sum + power, 0)
      return {
        epoch,
        validators: set.map((validator, index) => ({
          index,
          address: formatAddress(validator.owner, prefix),
          consensusKey: bytesToHex(validator.consensusKey),
          power: validator.power,
          bond: validator.bond.toString(),
          commission: validator.commission,
          participation: validator.participation,
          jailed: validator.jailed,
          ssz: bytesToHex(ValidatorType.serialize(validator)),
        })),
        totalPower,
        quorum: Math.floor((2 * totalPower) / 3) + 1,
        ...(prove && { proof: await provenSet(ledger, epoch) }),
      }
    },
  } satisfies Handlers
}

function epochHandlers(ledger: LedgerSource) {
  const { params } = ledger
  const prefix = params.addressPrefix
  return {
    async chain_getEpoch({ epoch, prove }) {
      const { height } = ledger.status()
      const record = await ledger.epoch(epoch)
      if (!record) {
        throw notFound(`epoch ${epoch} has no record: now is ${epochOfHeight(params, height)}`)
      }
      return {
        epoch,
        height,
        record: sszToJson(EpochType, record, prefix),
        ssz: bytesToHex(EpochType.serialize(record)),
        ...withProof(ledger, prove, [{ table: 'epochs', index: epoch }]),
      }
    },
  } satisfies Handlers
}

/** The set of an epoch with a final header that commits to it. */
async function provenSet(ledger: LedgerSource, epoch: number) {
  const set = await validatorSetAt(ledger, epoch)
  const { height } = ledger.status()
  const own = epoch === 0 ? 0 : Math.min(height, checkpointHeight(ledger.params, epoch))
  const header = await ledger.certifiedHeader(own)
  if (!set || !header || !commitsTo(header.header, epoch, set)) {
    throw new RpcFault('UNAVAILABLE', `this node cannot prove the validators of epoch ${epoch}`)
  }
  return { ...headerJson(header), set: bytesToHex(ValidatorSetType.serialize(set)) }
}

function commitsTo(header: Header, epoch: number, set: ValidatorSet): boolean {
  const hash = validatorSetHash(set)
  if (header.epoch === epoch) return bytesEqual(header.validatorsHash, hash)
  return header.epoch === epoch - 1 && bytesEqual(header.nextValidatorsHash, hash)
}

/** circulating = genesis + deposited + minted - burned - withdrawn (PROTOCOL 7). */
function supplyTerms(terms: Readonly<SupplyTerms>) {
  const burns = {
    service: terms.burnedService,
    baseFee: terms.burnedBaseFee,
    forfeit: terms.burnedForfeit,
    slash: terms.burnedSlash,
  }
  const burned = burns.service + burns.baseFee + burns.forfeit + burns.slash
  const issued = terms.genesisSupply + terms.deposited + terms.minted
  return {
    genesis: terms.genesisSupply.toString(),
    deposited: terms.deposited.toString(),
    minted: terms.minted.toString(),
    burned: burned.toString(),
    withdrawn: terms.withdrawn.toString(),
    circulating: (issued - burned - terms.withdrawn).toString(),
    burns: {
      service: burns.service.toString(),
      baseFee: burns.baseFee.toString(),
      forfeit: burns.forfeit.toString(),
      slash: burns.slash.toString(),
    },
    reserve: pegReserve(terms).toString(),
  }
}
