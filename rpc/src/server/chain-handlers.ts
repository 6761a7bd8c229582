import { bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { epochOfHeight } from '@ioex/chain/params'
import { AccountType, EpochType, ValidatorType } from '@ioex/chain/types'
import { sszToJson } from '../contract/ssz-json.ts'
import type { BlockWaits } from './block-waits.ts'
import { blockHandlers } from './block-handlers.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { paramsToJson } from './params-json.ts'
import { notFound, RpcFault } from './rpc-fault.ts'
import { readAddress } from './subjects.ts'
import { transactionHandlers } from './transaction-handlers.ts'

export function chainHandlers(ledger: LedgerSource, waits: BlockWaits) {
  return {
    ...blockHandlers(ledger, waits),
    ...transactionHandlers(ledger, waits),
    ...accountHandlers(ledger),
    ...networkHandlers(ledger),
  } satisfies Handlers
}

function accountHandlers(ledger: LedgerSource) {
  const prefix = ledger.params.addressPrefix
  return {
    async chain_getAccount({ address, prove }) {
      if (prove) throw stateProofsMissing()
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
      }
    },
    async chain_getNonce({ address }) {
      return { nonce: await ledger.nextNonce(readAddress(ledger, address)) }
    },
  } satisfies Handlers
}

function stateProofsMissing(): RpcFault {
  return new RpcFault(
    'NOT_SUPPORTED',
    'this node gives no state proofs: leave `prove` out and compare the answers of two nodes',
  )
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
    chain_getParams: () => paramsToJson(params),
    chain_getGenesis: () => ({ chainId, network: params.network, genesis: ledger.genesis }),
    async chain_getSupply({ height = ledger.status().height }) {
      const at = await ledger.supplyAt(height)
      if (!at) {
        throw new RpcFault(
          'UNAVAILABLE',
          `the state of height ${height} is not kept here: ask without height, or an archive`,
        )
      }
      return { height, ...supplyTerms(at) }
    },
    async chain_getValidators({ epoch = ledger.status().epoch }) {
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
      }
    },
    async chain_getEpoch({ epoch }) {
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
      }
    },
  } satisfies Handlers
}

type SupplyState = NonNullable<Awaited<ReturnType<LedgerSource['supplyAt']>>>

/** circulating = genesis + deposited + minted - burned - withdrawn (PROTOCOL 7). */
function supplyTerms({ globals, peg }: SupplyState) {
  const burns = {
    service: globals.burnedService,
    baseFee: globals.burnedBaseFee,
    forfeit: globals.burnedForfeit,
    slash: globals.burnedSlash,
  }
  const burned = burns.service + burns.baseFee + burns.forfeit + burns.slash
  const issued = globals.genesisSupply + peg.deposited + globals.minted
  return {
    genesis: globals.genesisSupply.toString(),
    deposited: peg.deposited.toString(),
    minted: globals.minted.toString(),
    burned: burned.toString(),
    withdrawn: peg.withdrawn.toString(),
    circulating: (issued - burned - peg.withdrawn).toString(),
    burns: {
      service: burns.service.toString(),
      baseFee: burns.baseFee.toString(),
      forfeit: burns.forfeit.toString(),
      slash: burns.slash.toString(),
    },
    reserve: (peg.deposited - peg.withdrawn).toString(),
  }
}
