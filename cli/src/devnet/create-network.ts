import { mkdir } from 'node:fs/promises'
import { publicKeyOf } from '@ioex/chain/bytes'
import { p256PublicKey } from '@ioex/chain/elastos'
import { genesisDocument, stakePower } from '@ioex/chain/rules'
import { type GenesisDocument, NodeRole, UNITS_PER_IOEX } from '@ioex/chain/types'
import { genesisFileText } from '@ioex/genesis/builder'
import { presets } from '@ioex/genesis/presets'
import writeFileAtomic from 'write-file-atomic'
import { builtInCheckpoint } from '../operate/built-in-genesis.ts'
import { walletAddressOf } from '../wallet/wallet-file.ts'
import { createSeats, mainAddress, ownerAddress, type Seat, writeConfigs } from './create-devnet.ts'
import { type DevnetOptions, type DevnetRecord, genesisPath, writeDevnet } from './devnet-files.ts'
import { assertPortFree, freePort } from './free-port.ts'

const WALLET_UNITS = 1_000_000n * UNITS_PER_IOEX
const OPERATOR_UNITS = 1_000n * UNITS_PER_IOEX
const BOND_UNITS = 10_000n * UNITS_PER_IOEX
const SELA_PER_ELA = 100_000_000n
/** For memo anchors; several outputs, as one output carries one anchor at a time. */
const VALIDATOR_SELA = 25n * SELA_PER_ELA
const VALIDATOR_OUTPUTS = 4

/** Makes a network in an empty folder: keys, the main chain's genesis, our genesis, configs. */
export async function createNetwork(options: DevnetOptions): Promise<DevnetRecord> {
  await mkdir(options.data, { recursive: true, mode: 0o700 })
  const seats = await createSeats(options)
  const validators = seats.filter(({ role }) => role === 'validator')
  const mainChainGenesis = {
    allocations: validators.flatMap((seat) =>
      Array.from({ length: VALIDATOR_OUTPUTS }, () => ({
        address: mainAddress(seat),
        sela: VALIDATOR_SELA.toString(),
      })),
    ),
    timestamp: Math.floor(Date.now() / 1000),
  }
  const mainChainPort =
    options.portBase > 0 ? await assertPortFree(options.portBase + 336) : await freePort()
  const mainChainP2pPort =
    options.portBase > 0 ? await assertPortFree(options.portBase + 338) : await freePort()
  const arbiterPort =
    options.portBase > 0 ? await assertPortFree(options.portBase + 606) : await freePort()
  const wallet = await walletAddressOf(options.data)
  const checkpoint = builtInCheckpoint({
    allocations: mainChainGenesis.allocations.map(({ address, sela }) => ({
      address,
      sela: BigInt(sela),
    })),
    timestamp: mainChainGenesis.timestamp,
  })
  const document = devnetGenesis(options, seats, wallet, checkpoint)
  await writeFileAtomic(genesisPath(options.data), genesisFileText(options.preset, document))
  const mainChain = { mainChainPort, mainChainP2pPort, mainChainGenesis, arbiterPort }
  const record = await writeConfigs(options, seats, mainChain)
  await writeDevnet(options.data, record)
  return record
}

function devnetGenesis(
  options: DevnetOptions,
  seats: readonly Seat[],
  wallet: Uint8Array,
  checkpoint: Uint8Array,
): GenesisDocument {
  const validators = seats.filter(({ role }) => role === 'validator')
  const bootstraps = seats.filter(({ role }) => role === 'bootstrap')
  return genesisDocument({
    params: presets[options.preset],
    timeMs: Date.now(),
    allocations: [
      { address: wallet, amount: WALLET_UNITS },
      ...seats.map((seat) => ({ address: ownerAddress(seat), amount: OPERATOR_UNITS })),
    ],
    validators: validators.map((seat) => ({
      owner: ownerAddress(seat),
      payout: ownerAddress(seat),
      consensusKey: publicKeyOf(seat.consensusKey as Uint8Array),
      mainKey: p256PublicKey(seat.mainKey as Uint8Array),
      power: stakePower(presets[options.preset], BOND_UNITS),
      bond: BOND_UNITS,
    })),
    nodes: bootstraps.map((seat) => ({
      owner: ownerAddress(seat),
      nodeKey: publicKeyOf(seat.nodeKey),
      payout: ownerAddress(seat),
      roles: NodeRole.bootstrap,
    })),
    mainCheckpoint: checkpoint,
  })
}
