import { setImmediate } from 'node:timers/promises'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { pino } from 'pino'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { MainChainClient } from '../follower/main-chain-client.ts'
import { MainChainRpcError, MainChainUnreachableError } from '../follower/main-chain-client.ts'
import { MemoAnchorer } from '../anchor/memo-anchorer.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { ConsensusKey } from '../driver/consensus-key.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import type { FinalizedBlock } from '../manager/chain-manager.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { AnchorCarrier } from '../rules/anchor.ts'
import { keyOf } from '../rules/testing/sample-chain.ts'
import { validatorSetOf } from '../rules/validator-set.ts'
import { AnchorState } from '../types/records.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import { CheckpointAnchorer } from './checkpoint-anchorer.ts'
import { reportAnchorLag } from './peg-alarm.ts'
import { startArbiters, startTwoChains, type TwoChains } from './testing/two-chains.ts'

setHasher(asSha256)
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const ELA = 100_000_000n
const VALIDATORS = [0, 1, 2, 3]
/** As on the main network: an hour of two-minute main blocks is an epoch. */
const HOURLY: Partial<NetworkParams> = {
  epochBlocks: 6,
  blockIntervalMs: 600_000,
  mainBlockMs: 120_000,
  anchorConfirmedMainBlocks: 6,
  anchorFinalMainBlocks: 100,
}
const MAIN_BLOCKS_PER_BLOCK = 5

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const mainKeyOf = (validator: number) => new Uint8Array(32).fill(41 + validator)

interface WorldOptions {
  /** Validators whose nodes run and send memos. */
  readonly senders?: readonly number[]
  /** Of each validator's account on the main chain. */
  readonly outputs?: number
  readonly wrap?: (client: MainChainClient) => MainChainClient
}

type FinalHeader = Pick<FinalizedBlock, 'hash' | 'header'>

class World {
  readonly two: TwoChains
  readonly receipts: Receipt[] = []
  readonly alarms: Record<string, unknown>[] = []
  readonly warnings: Record<string, unknown>[] = []
  readonly #listeners: ((block: FinalHeader) => void)[] = []
  readonly #calls = new Set<Promise<unknown>>()
  readonly #logger = pino(
    { level: 'error' },
    { write: (line: string) => void this.alarms.push(JSON.parse(line)) },
  )
  isSyncing = false

  private constructor(two: TwoChains) {
    this.two = two
  }

  static async start({ senders = VALIDATORS, outputs = 4, wrap }: WorldOptions = {}) {
    const allocations = VALIDATORS.flatMap((validator) =>
      Array.from({ length: outputs }, () => ({
        address: formatElaAddress(standardProgramHash(p256PublicKey(mainKeyOf(validator)))),
        sela: ELA,
      })),
    )
    const two = await startTwoChains({ allocations, params: HOURLY })
    cleanups.push(() => two.stop())
    const world = new World(two)
    for (const validator of senders) world.#startValidator(validator, wrap?.(two.client))
    return world
  }

  get globals() {
    return this.two.chain.ledger.globals()
  }

  /** Ended epochs without an anchor. */
  get lag(): number {
    const { epoch, lastAnchoredEpoch } = this.globals
    return epoch - 1 - lastAnchoredEpoch
  }

  stateOf(epoch: number): number | undefined {
    return this.two.chain.ledger.epochs.get(epoch)?.anchorState
  }

  carriers(): number[] {
    return this.receipts.flatMap(({ body }) =>
      body.selector === ReceiptKind.anchor ? [body.value.carrier] : [],
    )
  }

  /** Main blocks, then a block of the side chain that everybody sees become final. */
  async block(mainBlocks = MAIN_BLOCKS_PER_BLOCK): Promise<void> {
    const { main, chain, follower } = this.two
    for (let i = 0; i < mainBlocks; i++) await main.mine()
    this.receipts.push(...(await this.two.sideBlock()).receipts)
    const hash = bytesToHex(chain.hashes.at(-1) as Uint8Array)
    for (const listener of this.#listeners) listener({ hash, header: chain.header })
    await this.#settled()
    if (chain.height % chain.params.epochBlocks === 0) {
      reportAnchorLag(chain.ledger, follower, this.#logger)
    }
  }

  async epochs(count: number, mainBlocks = MAIN_BLOCKS_PER_BLOCK): Promise<void> {
    const { epochBlocks } = this.two.chain.params
    for (let i = 0; i < count * epochBlocks; i++) await this.block(mainBlocks)
  }

  #startValidator(validator: number, client = this.two.client): void {
    const { chain, follower } = this.two
    const memos = new MemoAnchorer({
      client,
      elaSecretKey: mainKeyOf(validator),
      isConfirmed: (id) => follower.hasTransaction(id),
    })
    const anchorer = new CheckpointAnchorer({
      manager: {
        chainId: chain.chainId,
        params: chain.params,
        ledger: chain.ledger,
        validators: (epoch) => validatorSetOf(chain.ledger, epoch ?? chain.epoch),
        onFinal: (listener) => {
          this.#listeners.push(listener)
          return () => undefined
        },
      },
      memos: {
        submit: (anchor) => this.#noted(memos.submit(anchor)),
        refresh: () => this.#noted(memos.refresh()),
        supersede: (epoch) => memos.supersede(epoch),
        waiting: () => memos.waiting(),
      },
      consensusKey: new ConsensusKey(keyOf(`validator-${validator}`).secretKey),
      isSyncing: () => this.isSyncing,
      logger: pino(
        { level: 'warn' },
        { write: (line: string) => void this.warnings.push(JSON.parse(line)) },
      ),
    })
    cleanups.push(() => anchorer.stop())
  }

  #noted<T>(call: Promise<T>): Promise<T> {
    const noted = call.catch(() => undefined).finally(() => this.#calls.delete(noted))
    this.#calls.add(noted)
    return call
  }

  /** Until no anchorer waits for the main node. */
  async #settled(): Promise<void> {
    do {
      await Promise.all(this.#calls)
      await setImmediate()
    } while (this.#calls.size > 0)
  }
}

/** Memos of our chain in main blocks so far. */
const memosOnMain = ({ two }: World) => two.follower.anchors().length

describe('anchors by memo', () => {
  test('a checkpoint is sealed, submitted, confirmed at 6 and final at 100 main blocks', async () => {
    const world = await World.start()
    await world.epochs(1)
    // The next epoch's first block seals it; nothing of the main chain says so yet.
    await world.block(0)
    expect(world.two.chain.ledger.epochs.get(1)?.checkpointHash).toEqual(world.two.chain.hashes[6])
    expect(world.stateOf(1)).toBe(AnchorState.none)
    expect(world.lag).toBe(1)
    await world.two.main.mine()
    // One block brings the header, the next the anchor.
    await world.block(0)
    await world.block(0)
    const states: (number | undefined)[] = []
    for (let confirmations = 1; confirmations <= 100; confirmations++) {
      const { mainTipHeight } = world.globals
      const { anchorMainHeight = 0 } = world.two.chain.ledger.epochs.get(1) ?? {}
      expect(mainTipHeight - anchorMainHeight + 1).toBe(confirmations)
      states.push(world.stateOf(1))
      await world.block(1)
    }
    expect(states.lastIndexOf(AnchorState.submitted) + 1).toBe(5)
    expect(states.lastIndexOf(AnchorState.confirmed) + 1).toBe(99)
    expect(states.at(-1)).toBe(AnchorState.final)
    expect(new Set(states.slice(5, 99))).toEqual(new Set([AnchorState.confirmed]))
    expect(world.globals.lastFinalEpoch).toBe(1)
  })

  test('one memo per epoch while all is well', async () => {
    const world = await World.start()
    await world.epochs(6)
    await world.block()
    await world.block()
    expect(world.globals.lastAnchoredEpoch).toBe(6)
    expect(memosOnMain(world)).toBe(6)
    expect(world.alarms).toEqual([])
  })

  test('where the validator whose turn it is is dead, the next one steps in within the epoch', async () => {
    const world = await World.start({ senders: [1, 3] })
    await world.epochs(1)
    for (let epoch = 1; epoch <= 8; epoch++) {
      await world.epochs(1)
      expect(world.globals.lastAnchoredEpoch, `in epoch ${epoch + 1}`).toBe(epoch)
    }
    expect(memosOnMain(world)).toBeLessThanOrEqual(9)
  })

  test('after ten epochs without a main block the newest checkpoint is anchored at once', async () => {
    const world = await World.start({ outputs: 1 })
    await world.epochs(2)
    await world.epochs(10, 0)
    expect(world.lag).toBe(10)
    expect(world.alarms.at(-1)).toMatchObject({
      lag: 10,
      msg: expect.stringContaining('ALARM: checkpoints find no way'),
    })
    const before = memosOnMain(world)
    await world.epochs(1)
    // The checkpoint before the one that has just been sealed, and no further.
    expect(world.lag).toBeLessThanOrEqual(1)
    // What waited in vain is not paid for again.
    expect(memosOnMain(world) - before).toBeLessThanOrEqual(VALIDATORS.length * 2)
    await world.epochs(2)
    expect(world.lag).toBeLessThanOrEqual(1)
  })

  test('a memo that the main node refuses is tried again before the epoch is over', async () => {
    let refusals = 0
    const wrap = (client: MainChainClient): MainChainClient => ({
      ...client,
      sendRawTransaction(raw) {
        if (refusals++ < 10) return Promise.reject(new MainChainRpcError(43001, 'busy'))
        return client.sendRawTransaction(raw)
      },
    })
    const world = await World.start({ senders: [1], wrap })
    await world.epochs(2)
    expect(refusals).toBeGreaterThan(10)
    expect(world.globals.lastAnchoredEpoch).toBe(1)
  })

  test('a validator that cannot pay says so once an epoch, and each other cause once', async () => {
    let isAway = false
    const wrap = (client: MainChainClient): MainChainClient => ({
      ...client,
      getBlockCount() {
        if (isAway) return Promise.reject(new MainChainUnreachableError('gone'))
        return client.getBlockCount()
      },
    })
    const world = await World.start({ senders: [1], outputs: 0, wrap })
    const { epochBlocks } = world.two.chain.params
    await world.epochs(1)
    for (let block = 1; block < epochBlocks; block++) {
      isAway = block === 3
      await world.block()
    }
    const ofEpoch = (epoch: number) => world.warnings.filter((each) => each['epoch'] === epoch)
    expect(ofEpoch(1).map(({ reason }) => String(reason).split(':')[0])).toEqual([
      'AnchorRefusedError',
      'MainChainUnreachableError',
    ])
    await world.epochs(4)
    expect(ofEpoch(5)).toHaveLength(1)
    expect(world.warnings.length).toBeLessThanOrEqual(7)
  })

  test('a node that catches up sends nothing of old checkpoints', async () => {
    const world = await World.start()
    world.isSyncing = true
    await world.epochs(5)
    expect(memosOnMain(world)).toBe(0)
    world.isSyncing = false
    await world.epochs(2)
    expect(world.globals.lastAnchoredEpoch).toBeGreaterThanOrEqual(6)
  })
})

describe('hours of proof of work on the main chain', () => {
  test('memos go on all the same', async () => {
    const world = await World.start()
    await world.epochs(1)
    await world.two.main.setPowMode(true)
    await world.epochs(6)
    expect(world.lag).toBeLessThanOrEqual(1)
    expect(world.alarms).toEqual([])
  })

  test('Arbiters alone stall, with alarms, and one anchor covers the gap afterwards', async () => {
    const world = await World.start({ senders: [] })
    const { arbiter, stop } = await startArbiters(world.two, true)
    cleanups.push(stop)
    const epoch = async () => {
      for (let i = 0; i < 6; i++) {
        await world.block(1)
        await arbiter.poll()
      }
    }
    for (let i = 0; i < 4; i++) await epoch()
    const { lastAnchoredEpoch: before } = world.globals
    expect(before).toBeGreaterThan(0)
    await world.two.main.setPowMode(true)
    for (let i = 0; i < 8; i++) await epoch()
    expect(world.globals.lastAnchoredEpoch).toBeLessThanOrEqual(before + 2)
    expect(world.alarms.at(-1)).toMatchObject({ msg: expect.stringContaining('ALARM') })
    const stalled = world.carriers().length
    await world.two.main.setPowMode(false)
    await epoch()
    await epoch()
    expect(world.lag).toBeLessThanOrEqual(2)
    expect(world.carriers().length).toBeLessThanOrEqual(stalled + 3)
    expect(new Set(world.carriers())).toEqual(new Set([AnchorCarrier.sideChainPow]))
  })
})
