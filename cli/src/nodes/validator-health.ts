import { join } from 'node:path'
import { type FullNode, mainChainWarnings, mainTipAgeMs } from '@ioex/chain/node'
import type { NodeHealth } from '../operate/health-server.ts'
import { counter, folderBytes, gauge } from '../operate/metrics.ts'
import type { SyncWatch } from '../operate/sync-progress.ts'
import type { ValidatorWatch } from '../operate/validator-watch.ts'

/** Heights named in a hindrance. */
const HEIGHTS_SHOWN = 8
/** Skip timeouts without a final block, after which the chain stands still. */
const STILL_SKIPS = 8

/** What a monitor sees of a validator. */
export function validatorHealth(
  node: FullNode,
  watch: ValidatorWatch,
  sync: SyncWatch,
  folder: string,
  rpcMetrics: () => Promise<string>,
): NodeHealth {
  const finalityLagMs = () => Math.max(0, Date.now() - node.manager.final.header.timeMs)
  return {
    isSyncing: () => sync.isSyncing,
    hindrances: () => hindrancesOf(node, sync, finalityLagMs()),
    facts: () =>
      Promise.resolve({ ...factsOf(node, watch), sync: sync.progress, disk: node.scrub }),
    metricsText: rpcMetrics,
    async metrics() {
      const { manager, follower } = node
      const { header } = manager.final
      const { lastAnchoredEpoch, mainTipHeight } = manager.ledger.globals()
      const { record } = watch
      const anchorLag = Math.max(0, header.epoch - 1 - lastAnchoredEpoch)
      const { target, ratio, blocksPerSecond, etaSeconds } = sync.progress
      const { checked = 0, repaired = 0, damaged = [] } = node.scrub ?? {}
      const wal = await folderBytes(join(folder, 'consensus', 'wal'))
      const mainAge = mainTipAgeMs(follower, Date.now()) / 1000
      const mainLag = Math.max(0, follower.status().nodeHeight - mainTipHeight)
      return [
        gauge('chain_height', 'Height of the newest final block', header.height),
        gauge('chain_epoch', 'Epoch of the newest final block', header.epoch),
        gauge('consensus_view', 'View that consensus is in', node.consensus()?.view ?? 0),
        gauge('finality_lag_seconds', 'Age of the newest final block', finalityLagMs() / 1000),
        gauge('chain_target_height', 'Height the network has reached', target),
        gauge('sync_progress_ratio', 'Share of the known chain that is here', ratio),
        gauge('sync_blocks_per_second', 'New final blocks over the last minute', blocksPerSecond),
        gauge(
          'sync_eta_seconds',
          'Until the tip; -1 where it is not getting nearer',
          etaSeconds ?? -1,
        ),
        counter('disk_blocks_checked_total', 'Blocks read again and proven', checked),
        counter('disk_blocks_repaired_total', 'Damaged ones written anew', repaired),
        gauge('disk_blocks_damaged', 'Damaged ones that no peer gave yet', damaged.length),
        gauge('peers', 'Connected full nodes', node.network.peers().length),
        gauge('pool_transactions', 'Transactions that wait', node.pool.size),
        gauge('anchor_lag_epochs', 'Ended epochs without a recorded anchor', anchorLag),
        gauge('main_chain_lag_blocks', 'Main blocks not recorded yet', mainLag),
        gauge('main_chain_tip_age_seconds', 'Age of the newest main block known', mainAge),
        gauge('wal_bytes', 'Size of the write-ahead log', wal),
        gauge('validator_power', 'Weight in the set; 0 outside it', record.power),
        gauge('validator_unsigned_blocks', 'Blocks since its last vote', record.unsignedBlocks),
        counter('validator_missed_views_total', 'Views it led in vain', record.missedViews),
      ]
    },
  }
}

function hindrancesOf(node: FullNode, sync: SyncWatch, finalityLagMs: number): string[] {
  const hindrances: string[] = []
  const { height, target } = sync.progress
  if (sync.isSyncing) hindrances.push(`catching up: height ${height} of ${target}`)
  const { damaged = [] } = node.scrub ?? {}
  if (damaged.length > 0) {
    const shown = damaged.slice(0, HEIGHTS_SHOWN).join(', ')
    hindrances.push(`${damaged.length} damaged blocks on disk, first of them: ${shown}`)
  }
  if (node.network.peers().length === 0) hindrances.push('no other full node is connected')
  const { skipTimeoutMs } = node.manager.ledger.params
  if (finalityLagMs > STILL_SKIPS * skipTimeoutMs) {
    hindrances.push(`no block became final for ${Math.floor(finalityLagMs / 1000)} s`)
  }
  const { mainBlockMs } = node.manager.params
  return [...hindrances, ...mainChainWarnings(node.follower, mainBlockMs, Date.now())]
}

/** For /health and for a supervisor's question "status". */
export function factsOf(node: FullNode, watch: ValidatorWatch) {
  const { header, hash } = node.manager.final
  const { lastAnchoredEpoch } = node.manager.ledger.globals()
  const main = node.follower.status()
  return {
    height: header.height,
    target: node.targetHeight,
    epoch: header.epoch,
    hash,
    view: node.consensus()?.view,
    peers: node.network.peers().length,
    waiting: node.pool.size,
    lastAnchoredEpoch,
    mainSources: main.sources,
    ...(main.confirms && { mainConfirms: main.confirms }),
    protocolVersion: header.version,
    validator: watch.record,
  }
}
