import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SlotStore } from '../blobs/slot-store.ts'
import { createChannelCredentials } from '../transfer/channel-credentials.ts'
import { Inbox } from '../transfer/inbox.ts'
import type { ProviderCounters } from '../transfer/provider-context.ts'
import { ProviderService } from '../transfer/provider-service.ts'
import { RailMeters } from '../transfer/rail-meter.ts'
import { NO_LIMITS, ServiceGate } from '../transfer/service-limits.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import {
  openRailLedger,
  openRepairLedger,
  type RailLedger,
  type RepairLedger,
} from '../transfer/voucher-ledger.ts'
import { FillWorker } from './fill-worker.ts'
import { Leaving } from './leaving.ts'
import { NodeAccount } from './node-account.ts'
import type { PeerNodeOptions } from './node-interfaces.ts'
import { PaidLinksJournal } from './paid-links-journal.ts'
import { Prover } from './prover.ts'
import { Redeemer } from './redeemer.ts'
import { RepairRedeemer } from './repair-redeemer.ts'
import { SlotKeeper } from './slot-keeper.ts'

/** What a peer remembers in its folder. */
interface PeerFolder {
  readonly store: SlotStore
  readonly vouchers: RailLedger
  readonly repairs: RepairLedger
  readonly inbox: Inbox
  readonly journal: PaidLinksJournal
}

/** What a peer is put together from before it is on the network. */
export interface PeerParts extends PeerFolder {
  readonly account: NodeAccount
  readonly keeper: SlotKeeper
  readonly leaving: Leaving
  readonly provider: ProviderService
  readonly gate: ServiceGate
  readonly counters: ProviderCounters
  readonly prover: Prover
  readonly redeemer: Redeemer
  readonly repairRedeemer: RepairRedeemer
}

/** Opens what lies in the folder and puts to it who serves, fills, proves and redeems. */
export async function openPeerParts(options: PeerNodeOptions): Promise<PeerParts> {
  const { dataDir, chain, logger } = options
  const folder = await openFolder(options)
  const { store, vouchers, repairs } = folder
  const account = new NodeAccount(chain, options.nodeKey)
  const keeper = new SlotKeeper({ chain, store, nodeAddress: account.address, logger })
  const leaving = await Leaving.open({ dataDir, chain, account, logger })
  const repairRedeemer = new RepairRedeemer({ chain, account, vouchers: repairs, logger })
  const counters = { bytesIn: 0, bytesOut: 0, slotsReceived: 0, filesReceived: 0 }
  const gate = new ServiceGate(options.limits ?? NO_LIMITS, counters)
  const servants = { account, keeper, leaving, repairRedeemer, counters, gate }
  return {
    ...folder,
    ...servants,
    provider: await createProvider(options, { ...folder, ...servants }),
    prover: new Prover({ chain, store, account, logger }),
    redeemer: new Redeemer({ chain, account, vouchers, logger }),
  }
}

async function openFolder(options: PeerNodeOptions): Promise<PeerFolder> {
  const { dataDir, capacityBytes, friends, logger } = options
  await mkdir(dataDir, { recursive: true })
  const store = await SlotStore.open(join(dataDir, 'slots'), capacityBytes)
  for (const [slot, reason] of store.damaged()) logger.error({ slot, reason }, 'slot damaged')
  return {
    store,
    vouchers: await openRailLedger(join(dataDir, 'vouchers')),
    repairs: await openRepairLedger(join(dataDir, 'repairs')),
    inbox: await Inbox.open(join(dataDir, 'inbox'), friends),
    journal: await PaidLinksJournal.open(join(dataDir, 'paid-links.json')),
  }
}

/** The service that friends, payers and other peers reach. */
async function createProvider(
  options: PeerNodeOptions,
  parts: Omit<PeerParts, 'provider' | 'prover' | 'redeemer'>,
): Promise<ProviderService> {
  const { chain, nodeKey, price, unitPrice, logger } = options
  const { store, vouchers, repairs, inbox, account, leaving, repairRedeemer } = parts
  const fills = createFillWorker(options, parts)
  return new ProviderService({
    identity: { chainId: chain.chainId, nodeKey },
    nodeAddress: account.address,
    credentials: await createChannelCredentials(),
    chain,
    store,
    meters: new RailMeters(vouchers),
    repairs,
    onRepairServed: () => repairRedeemer.served(),
    inbox,
    price,
    unitPrice,
    takesSlots: () => !leaving.isLeaving,
    submitFill: (grant) => fills.submit(grant),
    counters: parts.counters,
    gate: parts.gate,
    logger,
  })
}

function createFillWorker(
  { chain, identity, logger }: PeerNodeOptions,
  { store, account, keeper }: Pick<PeerParts, 'store' | 'account' | 'keeper'>,
): FillWorker {
  return new FillWorker({
    chain,
    store,
    account,
    identity,
    onFilled: () => {
      const reconciling = chain.head().then(({ epoch }) => keeper.reconcile(epoch))
      // The next epoch's run sees the same rails.
      reconciling.catch((error: unknown) => {
        logger.warn({ reason: reasonOf(error) }, 'rails not read')
      })
    },
    logger,
  })
}
