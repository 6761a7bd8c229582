import { pino } from 'pino'
import { assert } from '../../bytes/assert.ts'
import { bytesToHex, fromHex } from '../../bytes/hex.ts'
import type { CertifiedChain } from '../../audit/testing/certified-chain.ts'
import { sameGenesis } from '../../audit/testing/certified-chain.ts'
import type { ExportRecord } from '../../audit/export-format.ts'
import type { BlockEnvelope } from '../../driver/block-host.ts'
import { createConsensusCrypto } from '../../driver/consensus-crypto.ts'
import { type BlockInputs, ChainManager } from '../../manager/chain-manager.ts'
import type { ChainStore } from '../../manager/chain-store.ts'
import { openChain } from '../../node/open-chain.ts'
import { LevelStore } from '../../store/level-store.ts'
import { BlockBodyType, blockHash } from '../../types/block.ts'
import type { SyncPeers } from '../sync-peers.ts'
import { genesisEpoch, type HopContext, type ProvenEpoch } from '../epoch-proofs.ts'
import { SyncServer, type SyncServerParts } from '../sync-server.ts'

/** A manager over a store, as a node without consensus has it. */
export async function managerOn(
  store: ChainStore,
  inputs: Partial<BlockInputs> = {},
  nowMs?: () => number,
): Promise<ChainManager> {
  const genesis = sameGenesis()
  return new ChainManager({
    params: genesis.params,
    chainId: genesis.chainId,
    ...(await openChain(store, genesis)),
    store,
    inputs: {
      systemLane: () => [],
      waiting: () => [],
      isVerified: () => false,
      objection: () => undefined,
      ...inputs,
    },
    logger: pino({ level: 'silent' }),
    nowMs,
    onBehind: () => undefined,
    onEvidence: () => undefined,
    onHalt: () => undefined,
  })
}

/** A manager that has committed the whole chain, as consensus would have. */
export async function managerOf(
  chain: CertifiedChain,
  afterCommit: (manager: ChainManager) => Promise<void> = () => Promise.resolve(),
  store?: ChainStore,
): Promise<ChainManager> {
  const manager = await managerOn(store ?? (await LevelStore.inMemory()))
  let blocks: BlockEnvelope[] = []
  for (const record of chain.records.slice(1)) {
    const envelope = envelopeOf(record)
    const { verdict } = await manager.validateBlock(envelope)
    assert(verdict === 'valid', 'a block of a test chain follows the rules')
    blocks.push(envelope)
    if (!record.certificate) continue
    await manager.commitBlocks({ blocks, certificate: record.certificate, reproposals: [] })
    await afterCommit(manager)
    blocks = []
  }
  return manager
}

export function envelopeOf({ block, justification }: ExportRecord): BlockEnvelope {
  const hash = bytesToHex(blockHash(block.header))
  return { hash, header: block.header, justification, body: BlockBodyType.serialize(block.body) }
}

export function serverOf(manager: ChainManager, parts: Partial<SyncServerParts> = {}): SyncServer {
  const status = () => {
    const { chainId, final } = manager
    const { height, epoch } = final.header
    return { chainId, height, hash: fromHex(final.hash), epoch }
  }
  return new SyncServer({ store: manager.store, status, ...parts })
}

/** Peers by name that answer as their servers do, or as a liar in front of one does. */
export function peersOf(
  answers: Readonly<Record<string, (request: Uint8Array) => Promise<Uint8Array>>>,
): SyncPeers {
  return {
    peers: () => Object.keys(answers),
    async ask(peer, request, answerBytesMax) {
      const answer = answers[peer]
      if (!answer) throw new Error(`${peer} is gone`)
      const bytes = await answer(request)
      if (bytes.length > answerBytesMax) throw new Error('too long an answer')
      return bytes
    },
  }
}

export function hopContext(): HopContext {
  const { chainId, params } = sameGenesis()
  return { chainId, params, crypto: createConsensusCrypto(chainId, undefined) }
}

export const trustedGenesis = (): ProvenEpoch => genesisEpoch(sameGenesis())
