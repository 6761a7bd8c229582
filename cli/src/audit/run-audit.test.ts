import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { bytesToHex, formatAddress, ok, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { ChainManager } from '@ioex/chain/manager'
import { FullNodeNetwork } from '@ioex/chain/net'
import { openChain } from '@ioex/chain/node'
import { TransactionPool } from '@ioex/chain/pool'
import { LevelStore } from '@ioex/chain/store'
import {
  BlockBodyType,
  blockHash,
  pruneBlock,
  type Receipt,
  transactionsOf,
} from '@ioex/chain/types'
import { genesisFileText } from '@ioex/genesis/builder'
import { type LedgerSource, type RpcServer, startRpcServer } from '@ioex/rpc/server'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type CertifiedChain,
  EVENTFUL_HEIGHT,
  eventfulChain,
  relay,
  sameGenesis,
} from '../../../chain/src/audit/testing/certified-chain.ts'
import { createManagerSource } from '../nodes/manager-source.ts'
import { runCommandLine } from '../program.ts'
import { AuditError, AuditFalsehoodError, auditNetwork, runAudit } from './run-audit.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

/** Height of the newest checkpoint with a FINAL anchor. */
const FINAL = 10
const logger = pino({ level: 'silent' })

/** A pool that nothing is sent to. */
function emptyPool(): TransactionPool {
  const view = { height: 0, epoch: 0, baseFee: 0n, nonceOf: () => 0, balanceOf: () => 0n }
  return new TransactionPool({
    view: () => view,
    isSigned: () => true,
    trial: () => ok(),
    nowMs: () => 0,
  })
}

let folder: string
let genesisFile: string
let network: FullNodeNetwork
let source: LedgerSource
let server: RpcServer
/** The same node, with receipts that pay the relay a unit more. */
let liar: RpcServer
/** The same node, which has forgotten the openings that it may. */
let forgetful: RpcServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-run-audit-'))
  genesisFile = join(folder, 'genesis.json')
  const chain = eventfulChain()
  const genesis = genesisFileText('ci', chain.sample.document)
  await writeFile(genesisFile, genesis)
  const { chainId } = chain.sample
  network = await FullNodeNetwork.start({
    chainId,
    nodeKey: sha256(utf8ToBytes('node')),
    listen: [],
    peers: [],
    logger,
  })
  const manager = await managerOf(chain)
  source = createManagerSource({
    manager,
    pool: emptyPool(),
    network,
    genesis,
    info: { version: '0', roles: [], peerId: network.peerId, addresses: [], startedAtMs: 0 },
    targetHeight: () => manager.final.header.height,
    submit: () => Promise.resolve(ok(new Uint8Array(32))),
  })
  server = await startRpcServer({ ledger: source, port: 0 })
  const receipts: LedgerSource['receipts'] = async (query) => {
    const page = await source.receipts(query)
    return { ...page, receipts: page.receipts.map(overpaid) }
  }
  liar = await startRpcServer({ ledger: { ...source, receipts }, port: 0 })
  const block: LedgerSource['block'] = async (height) => {
    const whole = await source.block(height)
    const body = { transactions: [...(whole?.transactions ?? [])] }
    const pruned = whole && height <= FINAL ? pruneBlock({ header: whole.header, body }) : undefined
    return whole && pruned ? { ...whole, pruned, transactions: transactionsOf(pruned) } : whole
  }
  forgetful = await startRpcServer({ ledger: { ...source, block }, port: 0 })
})

afterAll(async () => {
  await server.close()
  await liar.close()
  await forgetful.close()
  await network.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A chain manager that has committed the whole chain, as a syncing node does. */
async function managerOf(chain: CertifiedChain): Promise<ChainManager> {
  const genesis = sameGenesis()
  const store = await LevelStore.inMemory()
  const manager = new ChainManager({
    params: genesis.params,
    chainId: genesis.chainId,
    ...(await openChain(store, genesis)),
    store,
    inputs: {
      systemLane: () => [],
      waiting: () => [],
      isVerified: () => false,
      objection: () => undefined,
    },
    logger,
    onBehind: () => undefined,
    onEvidence: () => undefined,
    onHalt: () => undefined,
  })
  let blocks = []
  for (const { block, justification, certificate } of chain.records.slice(1)) {
    const { header } = block
    const hash = bytesToHex(blockHash(header))
    const body = BlockBodyType.serialize(block.body)
    const envelope = { hash, header, justification, body }
    expect(await manager.validateBlock(envelope)).toMatchObject({ verdict: 'valid' })
    blocks.push(envelope)
    if (!certificate) continue
    await manager.commitBlocks({ blocks, certificate, reproposals: [] })
    blocks = []
  }
  return manager
}

function overpaid(receipt: Receipt): Receipt {
  const { body } = receipt
  if (body.selector !== 10) return receipt
  return {
    ...receipt,
    body: { selector: 10, value: { ...body.value, paid: body.value.paid + 1n } },
  }
}

async function ioex(args: string, rpc = server.url) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await runCommandLine(args.split(' '), {
    stdout: stdout as never,
    stderr: stderr as never,
    stdin: Readable.from([]),
    env: { IOEX_RPC: rpc, IOEX_DATA: folder },
    folder,
  })
  const read = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: read(stdout), err: read(stderr) }
}

describe('over JSON-RPC', () => {
  test('a true node: the chain, its receipts and its statements', async () => {
    const exportFolder = join(folder, 'whole')
    const phases = new Set<string>()
    const report = await auditNetwork({
      genesisFile,
      exportFolder,
      rpcUrl: server.url,
      onProgress: (done, total, phase) => {
        phases.add(phase)
        expect(done).toBeLessThanOrEqual(total)
      },
    })
    expect(report).toMatchObject({ to: EVENTFUL_HEIGHT, receipts: 23, forfeits: 1 })
    expect(report.checked.at(-1)).toContain(`23 receipts served by ${server.url}`)
    expect([...phases]).toEqual(['download', 'replay'])
    expect(await readFile(join(exportFolder, 'genesis.json'), 'utf8')).toBe(
      await readFile(genesisFile, 'utf8'),
    )
    const offline = await runAudit({ genesisFile, exportFolder })
    expect(offline).toMatchObject({ to: EVENTFUL_HEIGHT, falsehood: undefined })
    for (const question of [{ node: 0 }, { node: 1 }, { epoch: 2 }, { epoch: 1, node: 0 }]) {
      const asked = await auditNetwork({ genesisFile, rpcUrl: server.url, ...question })
      expect(asked.asked.statements.length).toBeGreaterThan(0)
      expect(asked.checked.at(-1)).toContain('statements served')
    }
  })

  test('a node that lies about receipts or statements', async () => {
    const options = { genesisFile, exportFolder: join(folder, 'lied'), rpcUrl: liar.url }
    await expect(auditNetwork(options)).rejects.toThrow(AuditFalsehoodError)
    const { falsehood } = await runAudit({ ...options, contract: 0 })
    // No payout is about a contract: of this the node tells the truth.
    expect(falsehood).toBeUndefined()
    const { falsehood: found } = await runAudit({ ...options, epoch: 1, node: 0 })
    expect(found).toMatchObject({ file: `${liar.url}/rpc`, code: 'RECEIPT_OTHER' })
  })

  test('no node, no genesis file, no export, another network', async () => {
    const nowhere = join(folder, 'nowhere')
    await expect(runAudit({ genesisFile })).rejects.toThrow(AuditError)
    await expect(runAudit({ genesisFile, exportFolder: nowhere })).rejects.toThrow('--rpc')
    const missing = { genesisFile: nowhere, rpcUrl: server.url }
    await expect(runAudit(missing)).rejects.toThrow('--trust-anchor')
    const other = join(folder, 'other.json')
    const { document } = eventfulChain().sample
    await writeFile(other, genesisFileText('ci', { ...document, timeMs: document.timeMs + 1 }))
    await expect(runAudit({ genesisFile: other, rpcUrl: server.url })).rejects.toThrow(
      'another chain',
    )
  })
})

describe('ioex audit', () => {
  test('prints what it checked, leaves nothing behind', async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('ioex-export-'))
    const { code, out, err } = await ioex('audit')
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('heights 0 to 55')
    expect(out).toMatch(/✓ 18 transactions executed again/)
    expect(out).toContain('Everything holds.')
    const after = (await readdir(tmpdir())).filter((name) => name.startsWith('ioex-export-'))
    expect(after).toEqual(before)
  })

  test('--json, --node by index and by address, --contract', async () => {
    const address = formatAddress(relay.address, 'cioex')
    for (const node of ['0', address]) {
      const { out } = await ioex(`audit --json --epoch 1 --node ${node}`)
      expect(JSON.parse(out)).toMatchObject({
        ok: true,
        to: EVENTFUL_HEIGHT,
        minted: '100000000',
        falsehood: null,
        statements: [{ node: address, epoch: 1, fees: '1000000000', subsidy: '50000000' }],
      })
    }
    const contract = await ioex('audit --json --contract 0')
    expect(JSON.parse(contract.out)).toMatchObject({ contract: { k: 1, rails: [{ rail: 1 }] } })
    expect((await ioex(`audit --epoch 1 --node ${address}`)).out).toContain(address)
    expect((await ioex('audit --contract 0')).out).toContain('1 of 1 slots')
  })

  test('openings that a node has forgotten: told, an error when strict, taken from an archive', async () => {
    const told = await ioex('audit', forgetful.url)
    expect([told.code, told.err]).toEqual([0, ''])
    expect(told.out).toContain('openings of 1 of 1 fills are gone, heights 4 to 4')
    expect(told.out).toContain('Nothing is false, but not everything could be checked.')
    expect(told.out).not.toContain('Everything holds.')
    const { out } = await ioex('audit --json', forgetful.url)
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      complete: false,
      unchecked: [{ kind: 'fill', count: 1, first: 4, last: 4, transactions: [{ height: 4 }] }],
    })
    const strict = await ioex('audit --strict --json', forgetful.url)
    expect(strict.code).toBe(1)
    expect(JSON.parse(strict.err)).toMatchObject({ error: { code: 'AUDIT_INCOMPLETE' } })
    const archive = `--archive http://127.0.0.1:9 --archive ${server.url}`
    const whole = await ioex(`audit --strict --json ${archive}`, forgetful.url)
    expect(whole.code).toBe(0)
    expect(JSON.parse(whole.out)).toMatchObject({ complete: true, unchecked: [] })
  })

  test('an existing export needs no node; a falsehood ends it with exit code 1', async () => {
    const dead = 'http://127.0.0.1:9'
    expect((await ioex('audit --export kept')).code).toBe(0)
    expect((await ioex('audit --export kept --trust-anchor genesis.json', dead)).code).toBe(0)
    const path = join(folder, 'kept', 'blocks', '00000000-00000063.bin')
    await cp(path, join(folder, 'copy'))
    const bytes = await readFile(path)
    bytes[20_000] = (bytes[20_000] as number) ^ 1
    await writeFile(path, bytes)
    const { code, out, err } = await ioex('audit --export kept --json', dead)
    expect(code).toBe(1)
    const { ok: holds, falsehood, checked } = JSON.parse(out)
    expect([holds, checked, typeof falsehood.height]).toEqual([false, [], 'number'])
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'AUDIT_FALSEHOOD' } })
    const text = await ioex('audit --export kept', dead)
    expect([text.code, text.err.includes('00000000-00000063.bin, height')]).toEqual([1, true])
    await cp(join(folder, 'copy'), path)
    expect((await ioex('audit --export kept', dead)).code).toBe(0)
  })

  test('mistakes say what to do', async () => {
    for (const [args, code, hint] of [
      ['audit --trust-anchor nothing.json', 1, '--trust-anchor'],
      ['audit --node 77', 1, 'no node'],
      ['audit --node cioex1qq', 1, 'address'],
      ['audit --contract 5', 1, 'no contract'],
      ['audit --epoch 99', 1, 'ends in epoch'],
      ['audit --epoch soon', 2, 'whole number'],
      ['audit --rpc http://127.0.0.1:9', 1, 'cannot reach'],
    ] as const) {
      const outcome = await ioex(args)
      expect([outcome.code, outcome.err.includes(hint)], outcome.err).toEqual([code, true])
      expect(outcome.err).not.toMatch(/\n\s+at /)
    }
  })
})
