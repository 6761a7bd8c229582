import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import { decodeTransaction, PayloadKind, transactionId } from '@ioex/chain/types'
import { RpcError } from '@ioex/rpc/client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { actor, codeOf, payoutOf, World } from '../../../chain/src/rules/testing/world.ts'
import { railView } from '../../../rpc/src/server/record-views.ts'
import type { CommandContext } from '../command-context.ts'
import { createWallet, readWallet } from '../wallet/wallet-file.ts'
import { collectHeldPay } from './collect.ts'

const payer = actor('payer')
const node = actor('node')
const TERM = 10
const GRACE = 3

let data: string
let world: World
let rail: number
let results: Record<string, unknown>[]

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'ioex-collect-'))
  await createWallet(data)
  world = new World({ graceEpochs: GRACE })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  rail = world.rent(payer, node, { term: TERM })
  results = []
})
afterEach(() => rm(data, { recursive: true, force: true }))

/** A full node's answers, from the world's ledger. */
async function answer(method: string, params: Record<string, string>): Promise<unknown> {
  const { draft, epoch, height } = world
  switch (method) {
    case 'chain_getStatus':
      return { chainId: bytesToHex(draft.chainId), height, epoch, baseFee: '0' }
    case 'chain_getParams':
      return { ...world.params }
    case 'chain_getNonce':
      return { nonce: 0 }
    case 'rails_list': {
      const record = world.rail(rail)
      return { rails: record.live ? [railView({ index: rail, record }, 'ioex')] : [], next: null }
    }
    case 'chain_sendTransaction':
      return handIn(Buffer.from(params.transaction ?? '', 'hex'))
    case 'chain_waitTransaction':
      return { state: 'final', height }
    default:
      throw new Error(`nobody asks ${method}`)
  }
}

async function handIn(bytes: Uint8Array) {
  const decoded = decodeTransaction(bytes)
  if (!decoded.ok || decoded.value.body.payload.selector !== PayloadKind.close) throw new Error()
  const { owner } = await readWallet(data)
  const stranger = { ...actor('stranger'), key: owner.publicKey, address: owner.address }
  const closed = world.close(stranger, rail)
  if (!closed.ok) throw new RpcError(closed.fault.code, closed.fault.message)
  return { id: bytesToHex(transactionId(decoded.value)) }
}

async function collect() {
  await collectHeldPay(
    {
      settings: { data },
      output: { result: (facts: never) => void results.push(facts) },
      client: () => Promise.resolve({ url: 'http://world', call: answer }),
    } as unknown as CommandContext,
    '0',
  )
  return results.at(-1)
}

/** Epochs of a node at its work: it answers, and clears a rail that can no longer earn. */
function epochs(count: number): void {
  for (let i = 0; i < count; i++) {
    world.step()
    world.clearWeight(rail, node)
    if (world.isChallenged(node)) world.prove(node)
  }
}

test('a payer that never comes back does not keep what was held for the node', async () => {
  epochs(TERM)
  expect(codeOf(world.redeem(node, [rail]))).toBe('ok')
  const { held } = world.rail(rail)
  expect(held).toBeGreaterThan(0n)
  const firstEpoch = world.rail(rail).end + GRACE
  expect(await collect()).toMatchObject({ asked: [], running: 1, held, nextEpoch: firstEpoch })

  epochs(firstEpoch - world.epoch)
  const settlesFrom = world.epoch + world.params.proofWindowEpochs
  expect(await collect()).toMatchObject({ asked: [rail], settled: [], settlesFrom })
  expect(await collect()).toMatchObject({ waiting: [{ rail, code: 'CLOSE_TOO_EARLY' }] })

  epochs(world.params.proofWindowEpochs + 1)
  const before = world.balance(payoutOf(node))
  const { held: rest } = world.rail(rail)
  expect(await collect()).toMatchObject({ settled: [rail], released: rest, running: 0 })
  expect(world.balance(payoutOf(node)) - before).toBeGreaterThanOrEqual(rest)
  expect(await collect()).toMatchObject({ asked: [], settled: [], waiting: [], running: 0 })
})
