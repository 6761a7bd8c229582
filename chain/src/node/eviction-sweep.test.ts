import { pino } from 'pino'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ok } from '../bytes/result.ts'
import type { FinalizedBlock } from '../manager/chain-manager.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { actor, codeOf, World } from '../rules/testing/world.ts'
import type { Ledger } from '../state/ledger.ts'
import { decodeTransaction, verifyTransaction } from '../types/transaction-codec.ts'
import { PayloadKind } from '../types/transactions.ts'
import { EvictionSweep } from './eviction-sweep.ts'

const VALIDATORS = 3
const EPOCH_BLOCKS = 4
const payer = actor('payer')
const peers = ['alive', 'dead', 'idle'].map(actor)
const [alive, dead] = peers as [ReturnType<typeof actor>, ReturnType<typeof actor>]

let world: World
/** Per validator: what it sent. */
let sent: { readonly validator: number; readonly kind: number; readonly result: string }[]
let sweeps: EvictionSweep[]
let listeners: ((block: Pick<FinalizedBlock, 'header'>) => void)[]
let isSyncing: boolean

beforeAll(async () => {
  await installNativeCrypto()
})

beforeEach(() => {
  world = new World({ epochBlocks: EPOCH_BLOCKS, strikesToEvict: 3 })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  sent = []
  listeners = []
  isSyncing = false
  sweeps = Array.from({ length: VALIDATORS }, (_, i) => sweepOf(i))
})
afterEach(() => sweeps.forEach((sweep) => sweep.stop()))

function sweepOf(validator: number): EvictionSweep {
  const set = Array.from({ length: VALIDATORS }, () => ({ publicKey: payer.key, weight: 1 }))
  return new EvictionSweep({
    manager: {
      chainId: world.draft.chainId,
      params: world.params,
      ledger: world.draft as Ledger,
      validators: () => set,
      onFinal(listener) {
        listeners.push(listener)
        return () => undefined
      },
    },
    consensusKey: { indexIn: () => validator },
    nodeKey: actor(`validator ${validator}`).secret,
    isSyncing: () => isSyncing,
    submit(bytes) {
      const decoded = decodeTransaction(bytes)
      if (!decoded.ok || !verifyTransaction(decoded.value, world.draft.chainId)) throw new Error()
      const { payload } = decoded.value.body
      sent.push({ validator, kind: payload.selector, result: codeOf(take(payload)) })
      return Promise.resolve(ok(new Uint8Array(32)))
    },
    logger: pino({ level: 'silent' }),
  })
}

function take(payload: { readonly selector: number; readonly value: unknown }) {
  if (payload.selector === PayloadKind.clearWeight) {
    return world.clearWeight((payload.value as { rail: number }).rail)
  }
  const { node } = payload.value as { node: Uint8Array }
  const found = peers.find(({ address }) => Buffer.compare(address, node) === 0)
  return found && world.evict(found)
}

/** An epoch in which the living prove, with all its blocks. */
async function epoch(provers: typeof peers): Promise<void> {
  world.step()
  for (const node of provers) world.prove(node)
  for (let block = 0; block < EPOCH_BLOCKS; block++) {
    const header = { height: world.height, epoch: world.epoch } as FinalizedBlock['header']
    for (const tell of listeners) tell({ header })
    await new Promise((resolve) => setImmediate(resolve))
    world.height += 1
  }
}

test('a dead node is evicted and its held pay forfeited, each said once by one validator', async () => {
  const rails = [alive, dead].map((node) => world.rent(payer, node, { pot: 500n }))
  for (let i = 0; i < 4; i++) await epoch([alive, dead])
  for (const [i, node] of [alive, dead].entries()) world.redeem(node, [rails[i] as number])
  const { held } = world.rail(rails[1] as number)
  expect(held).toBeGreaterThan(0n)

  let epochs = 0
  while (world.rail(rails[1] as number).forfeited === 0n && epochs++ < 60) await epoch([alive])
  expect(world.node(dead)).toMatchObject({ evicted: true, strikes: 3 })
  expect(world.rail(rails[1] as number).forfeited).toBe(held)
  expect(sent.map(({ kind, result }) => [kind, result])).toEqual([
    [PayloadKind.evict, 'ok'],
    [PayloadKind.clearWeight, 'ok'],
  ])
  for (let i = 0; i < 4; i++) await epoch([alive])
  expect(sent).toHaveLength(2)
  expect(world.node(alive).evicted).toBe(false)
})

test('a dead validator delays an eviction by an epoch; one that catches up says nothing', async () => {
  world.rent(payer, dead)
  isSyncing = true
  for (let i = 0; i < 30; i++) await epoch([])
  expect(sent).toEqual([])
  isSyncing = false
  // The one whose turn it would be is gone.
  listeners.splice((world.nodeIndex(dead) + world.epoch + 1) % VALIDATORS, 1)
  await epoch([])
  expect(sent).toEqual([])
  await epoch([])
  expect(sent.map(({ result }) => result)).toEqual(['ok'])
})
