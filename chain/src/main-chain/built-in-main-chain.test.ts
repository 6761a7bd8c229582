import { appendFile, mkdtemp, open, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { decodeBlock } from '../elastos/block.ts'
import { formatElaAddress, standardProgramHash } from '../elastos/ela-address.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { fromDisplayHash, toDisplayHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { ELASTOS_REG_NET } from '../elastos/header-rules.ts'
import { headerHash } from '../elastos/main-header.ts'
import { mineAuxPow } from '../elastos/merge-mining.ts'
import { encodeAuxPow } from '../elastos/aux-pow.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import {
  decodeTransaction,
  encodeTransaction,
  encodeUnsignedTransaction,
  type MainTransaction,
} from '../elastos/transaction.ts'
import { BlockFileDamagedError } from './block-file.ts'
import {
  type BuiltInMainChain,
  type BuiltInMainChainOptions,
  MainChainSetupError,
  MainChainStoppedError,
  startBuiltInMainChain,
} from './built-in-main-chain.ts'
import { FolderInUseError } from './folder-lock.ts'
import { createMainChainClient, MainChainRpcError } from '../follower/main-chain-client.ts'
import { signTransaction } from '../anchor/memo-transaction.ts'

const minerSecret = new Uint8Array(32).fill(11)
const richSecret = new Uint8Array(32).fill(12)
const strangerSecret = new Uint8Array(32).fill(13)
const addressOfSecret = (secret: Uint8Array) =>
  formatElaAddress(standardProgramHash(p256PublicKey(secret)))
const ELA = 100_000_000n

const folders: string[] = []
const chains: BuiltInMainChain[] = []

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'main-chain-'))
  folders.push(folder)
  return folder
}

function optionsFor(dataDir: string): BuiltInMainChainOptions {
  return {
    dataDir,
    genesis: {
      allocations: [
        { address: addressOfSecret(richSecret), sela: 100n * ELA },
        { address: addressOfSecret(strangerSecret), sela: 5n * ELA },
      ],
      timestamp: 1_700_000_000,
    },
    minerAddress: addressOfSecret(minerSecret),
    blockIntervalMs: 0,
    rpc: { port: 0 },
    coinbaseMaturity: 3,
  }
}

async function startChain(changes: Partial<BuiltInMainChainOptions> = {}) {
  const dataDir = changes.dataDir ?? (await freshFolder())
  const chain = await startBuiltInMainChain({ ...optionsFor(dataDir), ...changes })
  chains.push(chain)
  return { chain, dataDir, client: createMainChainClient({ url: chain.rpcUrl }) }
}

afterEach(async () => {
  for (const chain of chains.splice(0)) await chain.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

/** A transfer of the rich account's genesis output, as the test changes it. */
function transfer(
  chain: BuiltInMainChain,
  changes: Partial<MainTransaction> = {},
): MainTransaction {
  const [genesisOutput] = chain.ledger.utxos.of(standardProgramHash(p256PublicKey(richSecret)))
  if (!genesisOutput) throw new Error('the rich account has no output')
  return {
    version: 9,
    type: 2,
    payloadVersion: 0,
    payload: { kind: 'transfer' },
    attributes: [],
    inputs: [
      { transactionId: genesisOutput.transactionId, index: genesisOutput.index, sequence: 0 },
    ],
    outputs: [output(genesisOutput.output.value - 100n)],
    lockTime: 0,
    programs: [],
    ...changes,
  }
}

function output(value: bigint, owner = standardProgramHash(p256PublicKey(richSecret))) {
  return {
    assetId: ELA_ASSET_ID,
    value,
    outputLock: 0,
    programHash: owner,
    payload: { kind: 'none' } as const,
  }
}

function submit(chain: BuiltInMainChain, raw: Uint8Array): string | undefined {
  const decoded = decodeTransaction(raw)
  if (!decoded.ok) return decoded.fault.code
  const taken = chain.submitTransaction(decoded.value)
  return taken.ok ? undefined : taken.fault.code
}

describe('mining', () => {
  test('each block is a valid Elastos block with its reward', async () => {
    const { chain, client } = await startChain()
    for (let height = 1; height <= 12; height++) {
      const node = await chain.mine()
      expect(node.header.height).toBe(height)
      const block = decodeBlock(await client.getBlockRaw(toDisplayHash(node.hash)))
      expect(block).toMatchObject({ ok: true, value: { hash: node.hash } })
    }
    expect(await client.getBlockCount()).toBe(13)
    const unspent = await client.listUnspent(addressOfSecret(minerSecret))
    expect(unspent).toHaveLength(12)
    expect(unspent.map(({ sela }) => sela)).toEqual(Array(12).fill(5n * ELA))
  })

  test('a timer mines without being asked', async () => {
    const { chain } = await startChain({ blockIntervalMs: 5 })
    await expect.poll(() => chain.height, { timeout: 10_000 }).toBeGreaterThan(20)
    expect(headerHash(chain.ledger.tip.header)).toEqual(chain.ledger.tip.hash)
  })

  test('a merged miner outside can find a block', async () => {
    const { chain, client } = await startChain()
    const job = (await client.call('createauxblock', {
      paytoaddress: addressOfSecret(strangerSecret),
    })) as { chainid: number; bits: string; hash: string; height: number; coinbasevalue: number }
    expect(job).toMatchObject({ chainid: 1224, bits: '207fffff', height: 1 })
    const hash = Buffer.from(job.hash, 'hex') as Uint8Array as typeof chain.genesisHash
    const auxPow = mineAuxPow({
      auxBlockHash: hash,
      bits: ELASTOS_REG_NET.powLimitBits,
      timestamp: 1_800_000_000,
      parentPrevious: chain.genesisHash,
      extraNonce: new Uint8Array(4),
    })
    if (!auxPow) expect.fail('no nonce found')
    const submitted = { blockhash: job.hash, auxpow: bytesToHex(encodeAuxPow(auxPow)) }
    expect(await client.call('submitauxblock', submitted)).toBe(true)
    expect(toInternalHex(chain.ledger.tip.hash)).toBe(job.hash)
    await expect(client.call('submitauxblock', submitted)).rejects.toMatchObject({ code: 45002 })
  })
})

describe('transactions', () => {
  test('a transfer moves money, once', async () => {
    const { chain, client } = await startChain()
    const stranger = standardProgramHash(p256PublicKey(strangerSecret))
    const paid = transfer(chain, { outputs: [output(60n * ELA), output(39n * ELA, stranger)] })
    const raw = signTransaction(paid, richSecret)
    const txid = await client.sendRawTransaction(raw)
    await expect(client.sendRawTransaction(raw)).rejects.toMatchObject({ code: 45011 })
    expect(await client.call('getrawmempool', {})).toEqual([txid])
    await chain.mine()
    expect(await client.call('getrawmempool', {})).toEqual([])
    expect(await client.getRawTransaction(txid)).toEqual(raw)
    const sums = await client.call('getreceivedbyaddress', {
      address: addressOfSecret(strangerSecret),
    })
    expect(sums).toBe('44.00000000')
    // The fee of one ELA went to the miner.
    const [reward] = await client.listUnspent(addressOfSecret(minerSecret))
    expect(reward?.sela).toBe(6n * ELA)
    await expect(client.sendRawTransaction(raw)).rejects.toBeInstanceOf(MainChainRpcError)
    const verbose = await client.call('getrawtransaction', { txid, verbose: true })
    expect(verbose).toMatchObject({ txid, confirmations: 1, type: 2, version: 9 })
  })

  test('every rule has its fault', async () => {
    const { chain } = await startChain()
    const signed = (changes: Partial<MainTransaction>, secret = richSecret) =>
      submit(chain, signTransaction(transfer(chain, changes), secret))
    const [input] = transfer(chain).inputs
    if (!input) expect.fail('no input')
    const all = 100n * ELA
    expect(signed({ outputs: [output(all)] })).toBe('MAIN_TRANSACTION_FEE')
    expect(signed({ outputs: [output(all + 1n)] })).toBe('MAIN_TRANSACTION_FEE')
    expect(signed({ outputs: [output(-1n), output(all)] })).toBe('MAIN_OUTPUT_VALUE')
    const wrapping = 9_223_322_038_057_596_306n
    expect(signed({ outputs: [output(wrapping), output(wrapping)] })).toBe('MAIN_OUTPUT_VALUE')
    expect(signed({ outputs: [] })).toBe('MAIN_TRANSACTION_EMPTY')
    expect(signed({ inputs: [] })).toBe('MAIN_TRANSACTION_EMPTY')
    expect(signed({ inputs: [input, input] })).toBe('MAIN_INPUT_SPENT')
    expect(signed({ inputs: [{ ...input, index: 9 }] })).toBe('MAIN_INPUT_SPENT')
    expect(signed({}, strangerSecret)).toBe('MAIN_PROGRAM_HASH')
    expect(signed({ lockTime: 50 })).toBe('MAIN_TRANSACTION_LOCKED')
    expect(signed({ outputs: [{ ...output(1n), assetId: chain.genesisHash }] })).toBe(
      'MAIN_OUTPUT_ASSET',
    )
    expect(signed({ outputs: [output(1n, new Uint8Array(21))] })).toBe('MAIN_OUTPUT_OWNER')
    const pow = { kind: 'record-sponsor', sponsor: new Uint8Array(33) } as const
    expect(signed({ type: 0x66, payload: pow })).toBe('MAIN_TRANSACTION_TYPE_REFUSED')
    expect(submit(chain, encodeTransaction(transfer(chain)))).toBe('MAIN_PROGRAM_COUNT')
    const tampered = decodeTransaction(signTransaction(transfer(chain), richSecret))
    if (!tampered.ok) expect.fail('our own transaction decodes')
    const other = { ...tampered.value.transaction, outputs: [output(7n)] }
    expect(submit(chain, encodeTransaction(other))).toBe('MAIN_PROGRAM_SIGNATURE')
    expect(signed({})).toBeUndefined()
    expect(signed({ outputs: [output(7n)] })).toBe('MAIN_INPUT_SPENT')
  })

  test('coinbase outputs ripen, genesis outputs are ripe', async () => {
    const { chain } = await startChain()
    await chain.mine()
    const [reward] = chain.ledger.utxos.of(standardProgramHash(p256PublicKey(minerSecret)))
    if (!reward) expect.fail('no reward')
    const spend = transfer(chain, {
      inputs: [{ transactionId: reward.transactionId, index: 0, sequence: 0 }],
      outputs: [output(1n * ELA)],
    })
    const raw = signTransaction(spend, minerSecret)
    expect(submit(chain, raw)).toBe('MAIN_INPUT_IMMATURE')
    await chain.mine()
    expect(submit(chain, raw)).toBe('MAIN_INPUT_IMMATURE')
    await chain.mine()
    expect(submit(chain, raw)).toBeUndefined()
  })

  test('a deposit to a side chain pays its X address and leaves the fee', async () => {
    const { chain } = await startChain()
    const target = (targetAmount: bigint, value: bigint, owner = 0x4b) => ({
      ...output(value, new Uint8Array(21).fill(owner, 0, 1)),
      payload: {
        kind: 'cross-chain' as const,
        version: 0,
        targetAddress: 'ioex1target',
        targetAmount,
        targetData: new Uint8Array(0),
      },
    })
    const deposit = (outputs: MainTransaction['outputs'], payloadVersion = 1) => {
      const changes: Partial<MainTransaction> = {
        type: 8,
        payloadVersion,
        payload:
          payloadVersion === 1
            ? { kind: 'cross-chain-by-outputs' }
            : { kind: 'cross-chain', targets: [] },
        outputs,
      }
      return submit(chain, signTransaction(transfer(chain, changes), richSecret))
    }
    expect(deposit([target(ELA, ELA + 9_999n)])).toBe('MAIN_DEPOSIT_FEE')
    expect(deposit([target(0n, ELA)])).toBe('MAIN_DEPOSIT_TARGET')
    expect(deposit([output(ELA)])).toBe('MAIN_DEPOSIT_TARGET')
    expect(deposit([target(ELA, 2n * ELA, 0x21)])).toBe('MAIN_OUTPUT_PAYLOAD')
    expect(deposit([output(ELA)], 0)).toBe('MAIN_DEPOSIT_VERSION')
    expect(deposit([target(ELA, ELA + 10_000n), output(ELA)])).toBeUndefined()
    await chain.mine()
    // What lies under an X address cannot be spent by an ordinary program.
    const [locked] = chain.ledger.utxos.of(new Uint8Array(21).fill(0x4b, 0, 1))
    if (!locked) expect.fail('no deposit')
    const theft = transfer(chain, {
      inputs: [{ transactionId: locked.transactionId, index: locked.index, sequence: 0 }],
      outputs: [output(1n)],
    })
    expect(submit(chain, signTransaction(theft, richSecret))).toBe('MAIN_PROGRAM_HASH')
  })

  test('locked outputs wait for their height', async () => {
    const { chain } = await startChain()
    const locked = transfer(chain, { outputs: [{ ...output(ELA), outputLock: 3 }] })
    expect(submit(chain, signTransaction(locked, richSecret))).toBeUndefined()
    await chain.mine()
    const spend = (sequence: number, lockTime: number) => {
      const [input] = transfer(chain).inputs
      const changes = { inputs: [{ ...input!, sequence }], outputs: [output(1n)], lockTime }
      return submit(chain, signTransaction(transfer(chain, changes), richSecret))
    }
    expect(spend(0, 0)).toBe('MAIN_INPUT_LOCKED')
    expect(spend(0xffff_fffe, 3)).toBe('MAIN_TRANSACTION_LOCKED')
    await chain.mine()
    await chain.mine()
    expect(spend(0xffff_fffe, 2)).toBe('MAIN_INPUT_LOCKED')
    expect(spend(0xffff_fffe, 3)).toBeUndefined()
  })
})

describe('reorganisation', () => {
  test('the longer branch wins and transactions wait again', async () => {
    const { chain, client } = await startChain()
    const raw = signTransaction(transfer(chain), richSecret)
    await chain.mine()
    const txid = await client.sendRawTransaction(raw)
    await chain.mine()
    await chain.mine()
    const before = chain.ledger.tip
    await chain.reorganise(2)
    expect(chain.height).toBe(4)
    expect(chain.ledger.isBest(before)).toBe(false)
    expect(await client.call('getrawmempool', {})).toEqual([txid])
    await chain.mine()
    expect(await client.call('getrawmempool', {})).toEqual([])
    expect(chain.ledger.transaction(toInternalHex(fromDisplayHash(txid)))?.node).toBe(
      chain.ledger.tip,
    )
    await expect(chain.reorganise(99)).rejects.toBeInstanceOf(MainChainSetupError)
  })
})

describe('the data folder', () => {
  test('stopped and started again the chain goes on, forks included', async () => {
    const { chain, dataDir, client } = await startChain()
    await client.sendRawTransaction(signTransaction(transfer(chain), richSecret))
    for (let i = 0; i < 5; i++) await chain.mine()
    await chain.reorganise(2)
    const { hash } = chain.ledger.tip
    await chain.stop()
    await expect(chain.mine()).rejects.toBeInstanceOf(MainChainStoppedError)
    const again = await startChain({ dataDir })
    expect(again.chain.height).toBe(6)
    expect(again.chain.ledger.tip.hash).toEqual(hash)
    expect(again.chain.ledger.utxos.of(standardProgramHash(p256PublicKey(richSecret)))).toEqual(
      chain.ledger.utxos.of(standardProgramHash(p256PublicKey(richSecret))),
    )
    await again.chain.mine()
    expect(again.chain.height).toBe(7)
  })

  test('a torn tail is cut at every byte, and nothing before it is lost', async () => {
    const { chain, dataDir } = await startChain()
    const path = join(dataDir, 'main-blocks.dat')
    for (let i = 0; i < 3; i++) await chain.mine()
    const whole = (await stat(path)).size
    const { hash } = chain.ledger.tip
    await chain.mine()
    await chain.stop()
    const bytes = await readFile(path)
    for (const cut of [whole + 1, whole + 5, whole + 12, whole + 100, bytes.length - 1]) {
      const handle = await open(path, 'w')
      await handle.write(bytes.subarray(0, cut))
      await handle.close()
      const again = await startChain({ dataDir })
      expect(again.chain.height).toBe(3)
      expect(again.chain.ledger.tip.hash).toEqual(hash)
      await again.chain.stop()
      expect((await stat(path)).size).toBe(whole)
    }
    await appendFile(path, new Uint8Array(5000))
    const zeros = await startChain({ dataDir })
    expect(zeros.chain.height).toBe(3)
    await zeros.chain.stop()
    await truncate(path, 4)
    const fresh = await startChain({ dataDir })
    expect(fresh.chain.height).toBe(0)
  })

  test('damage in the middle is refused, never cut', async () => {
    const { chain, dataDir } = await startChain()
    for (let i = 0; i < 3; i++) await chain.mine()
    await chain.stop()
    const path = join(dataDir, 'main-blocks.dat')
    const bytes = await readFile(path)
    for (const at of [0, 9, 13, 20, 200, Math.floor(bytes.length / 2)]) {
      const damaged = Uint8Array.from(bytes)
      damaged[at] = (damaged[at] as number) ^ 0x80
      const handle = await open(path, 'w')
      await handle.write(damaged)
      await handle.close()
      const failed = await startBuiltInMainChain(optionsFor(dataDir)).catch((error) => error)
      expect(failed instanceof BlockFileDamagedError, `byte ${at}`).toBe(true)
      expect((await stat(path)).size).toBe(bytes.length)
    }
  })

  test('another genesis or another process is refused', async () => {
    const { chain, dataDir } = await startChain()
    await expect(startBuiltInMainChain(optionsFor(dataDir))).rejects.toBeInstanceOf(
      FolderInUseError,
    )
    await chain.stop()
    const genesis = { allocations: [], timestamp: 5 }
    const foreign = startBuiltInMainChain({ ...optionsFor(dataDir), genesis })
    await expect(foreign).rejects.toBeInstanceOf(MainChainSetupError)
    const misspelt = { allocations: [{ address: 'Ex', sela: 1n }], timestamp: 5 }
    await expect(
      startBuiltInMainChain({ ...optionsFor(dataDir), genesis: misspelt }),
    ).rejects.toBeInstanceOf(MainChainSetupError)
  })

  test('a port in use is an error and leaves the folder free', async () => {
    const { chain } = await startChain()
    const dataDir = await freshFolder()
    const port = Number(new URL(chain.rpcUrl).port)
    const starting = startBuiltInMainChain({ ...optionsFor(dataDir), rpc: { port } })
    await expect(starting).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await startChain({ dataDir })
  })

  test('unsigned bytes of a kept transaction are what was signed', async () => {
    const { chain } = await startChain()
    const plan = transfer(chain)
    const decoded = decodeTransaction(signTransaction(plan, richSecret))
    expect(decoded.ok && decoded.value.unsigned).toEqual(encodeUnsignedTransaction(plan))
  })
})
