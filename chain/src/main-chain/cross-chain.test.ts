import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import type { Result } from '../bytes/result.ts'
import { ByteWriter } from '../elastos/byte-writer.ts'
import {
  crossChainProgramHash,
  formatElaAddress,
  standardProgramHash,
} from '../elastos/ela-address.ts'
import { asInternalHash, fromDisplayHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { LOCAL_ARBITER_KEYS, LOCAL_ARBITER_SECRETS } from '../elastos/local-arbiters.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { decodeTransaction, type MainTransaction } from '../elastos/transaction.ts'
import {
  planReturn,
  planWithdrawal,
  sideChainPowTransaction,
  signByArbiters,
} from '../arbiter/arbiter-transactions.ts'
import { type BuiltInMainChain, startBuiltInMainChain } from './built-in-main-chain.ts'
import { createMainChainClient, type MainChainClient } from '../follower/main-chain-client.ts'
import { planDepositTransaction } from '../anchor/deposit-transaction.ts'
import { signTransaction } from '../anchor/memo-transaction.ts'

const ELA = 100_000_000n
const richSecret = new Uint8Array(32).fill(31)
const rich = standardProgramHash(p256PublicKey(richSecret))
const richAddress = formatElaAddress(rich)
const genesisHash = asInternalHash(sha256(utf8ToBytes('side genesis')))
const sideAddress = formatElaAddress(crossChainProgramHash(genesisHash))
const home = formatElaAddress(standardProgramHash(p256PublicKey(new Uint8Array(32).fill(32))))
const hashOf = (text: string) => asInternalHash(sha256(utf8ToBytes(text)))
const AGREEMENT = 4

const folders: string[] = []
const chains: BuiltInMainChain[] = []
afterEach(async () => {
  for (const chain of chains.splice(0)) await chain.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function open(dataDir?: string) {
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'cross-chain-')))
  if (dataDir === undefined) folders.push(folder)
  const chain = await startBuiltInMainChain({
    dataDir: folder,
    genesis: {
      allocations: [
        { address: richAddress, sela: 100n * ELA },
        { address: richAddress, sela: 100n * ELA },
      ],
      timestamp: 1_700_000_000,
    },
    minerAddress: home,
    blockIntervalMs: 0,
    rpc: { port: 0 },
  })
  chains.push(chain)
  return { chain, client: createMainChainClient({ url: chain.rpcUrl }), folder }
}

const valueOf = <T>(result: Result<T>): T => {
  if (!result.ok) expect.fail(`${result.fault.code}: ${result.fault.message}`)
  return result.value
}

/** Sends 10 ELA over to the side chain and mines; gives the id of the deposit. */
async function deposit(chain: BuiltInMainChain, client: MainChainClient) {
  const plan = planDepositTransaction({
    to: crossChainProgramHash(genesisHash),
    target: 'somebody over there',
    amount: 10n * ELA,
    spendable: await client.listUnspent(richAddress),
    feeSela: 100n,
    payerPublicKey: p256PublicKey(richSecret),
  })
  const id = await client.sendRawTransaction(signTransaction(valueOf(plan), richSecret))
  await chain.mine()
  return fromDisplayHash(id)
}

const spendPlan = async (client: MainChainClient) => ({
  sideAddress,
  spendable: await client.listUnspent(sideAddress),
  feeSela: 1000n,
})

async function withdrawal(client: MainChainClient, side: string, sela = ELA) {
  const payments = [{ sideTransaction: hashOf(side), address: home, sela }]
  return valueOf(planWithdrawal(await spendPlan(client), payments))
}

/** The refusal that a client would see, or 'ok'. */
async function submit(client: MainChainClient, raw: Uint8Array): Promise<string> {
  try {
    await client.sendRawTransaction(raw)
    return 'ok'
  } catch (error) {
    return (error as Error).message
  }
}

const signed = (transaction: MainTransaction, required = AGREEMENT) =>
  signByArbiters(transaction, LOCAL_ARBITER_SECRETS, required)

/** The secret of the arbiter whose turn it is. */
function onDuty(chain: BuiltInMainChain): Uint8Array {
  return LOCAL_ARBITER_SECRETS[chain.ledger.crossChain.dutyIndex(chain.height)] as Uint8Array
}

const pow = (secret: Uint8Array, name = 'checkpoint', height = 0) =>
  sideChainPowTransaction({ hash: hashOf(name), genesisHash, height }, secret, rich)

describe('withdrawals on the built-in main chain', () => {
  test('arbiters pay out of the X address, each side transaction once', async () => {
    const { chain, client } = await open()
    await deposit(chain, client)
    const params = { txs: [toInternalHex(hashOf('one')), toInternalHex(hashOf('two'))] }
    expect(await client.call('getexistwithdrawtransactions', params)).toBeNull()
    const first = signed(await withdrawal(client, 'one'))
    expect(await submit(client, first)).toBe('ok')
    const twice = signed(await withdrawal(client, 'one', 2n * ELA))
    expect(await submit(client, twice)).toMatch(/spends the same output/)
    await chain.mine()
    expect((await client.listUnspent(home)).map(({ sela }) => sela)).toContain(ELA)
    expect(await client.call('getexistwithdrawtransactions', params)).toEqual([params.txs[0]])
    expect(await submit(client, signed(await withdrawal(client, 'one')))).toMatch(/duplicated side/)
    expect(await submit(client, signed(await withdrawal(client, 'two')))).toBe('ok')
  })

  test('whoever is not all of the arbiters pays nothing', async () => {
    const { chain, client } = await open()
    await deposit(chain, client)
    const plan = await withdrawal(client, 'one')
    expect(await submit(client, signed(plan, 3))).toMatch(/sign count in code/)
    const four = LOCAL_ARBITER_SECRETS.slice(0, 4)
    expect(await submit(client, signByArbiters(plan, four, 4))).toMatch(/invalid arbiters/)
    const strangers = LOCAL_ARBITER_SECRETS.map((secret) => sha256(secret))
    expect(await submit(client, signByArbiters(plan, strangers, 4))).toMatch(/invalid arbiters/)
    // A stranger's ordinary program, on the withdrawal and on a plain transfer.
    expect(await submit(client, signTransaction(plan, richSecret))).toMatch(/length not enough/)
    const outputs = plan.outputs.map((output) => ({
      ...output,
      payload: { kind: 'none' as const },
    }))
    const theft: MainTransaction = { ...plan, type: 2, payload: { kind: 'transfer' }, outputs }
    expect(await submit(client, signTransaction(theft, richSecret))).toMatch(/not the owner/)
    expect(await submit(client, signed(theft))).toMatch(/not the owner/)
    const tail = valueOf(decodeTransaction(signed(plan)))
    const raw = Uint8Array.from(tail.raw)
    raw[raw.length - 1] = 0xae
    expect(await submit(client, raw)).toMatch(/length not enough/)
  })

  test('inputs are X outputs, and a signature too few or forged is refused', async () => {
    const { chain, client } = await open()
    await deposit(chain, client)
    const own = await withdrawal(client, 'one')
    const [unspent] = await client.listUnspent(richAddress)
    if (!unspent) expect.fail('there is an output')
    const input = { transactionId: fromDisplayHash(unspent.txid), index: unspent.index }
    const foreign = { ...own, inputs: [{ ...input, sequence: 0xffff_ffff }] }
    expect(await submit(client, signed(foreign))).toMatch(/without "X" at beginning/)
    const forged = Uint8Array.from(signed(own))
    const at = valueOf(decodeTransaction(forged)).unsigned.length + 5
    forged[at] = (forged[at] as number) ^ 1
    expect(await submit(client, forged)).toMatch(/signature/)
  })

  test('a reorganisation takes payments back and they wait again', async () => {
    const { chain, client } = await open()
    await deposit(chain, client)
    expect(await submit(client, signed(await withdrawal(client, 'one')))).toBe('ok')
    await chain.mine()
    expect(chain.ledger.crossChain.isWithdrawn(hashOf('one'))).toBe(true)
    await chain.reorganise(1)
    expect(chain.ledger.crossChain.isWithdrawn(hashOf('one'))).toBe(false)
    expect(chain.mempool.size).toBe(1)
    await chain.mine()
    expect(chain.ledger.crossChain.isWithdrawn(hashOf('one'))).toBe(true)
  })
})

describe('refunds on the built-in main chain', () => {
  test('a deposit returns to its payer, less the fee, once', async () => {
    const { chain, client } = await open()
    const id = await deposit(chain, client)
    const value = 10n * ELA + 10_000n
    const refund = async (changes: object = {}) =>
      signed(
        valueOf(
          planReturn(
            { ...(await spendPlan(client)), feeSela: 100n },
            { deposit: id, to: rich, sela: value - 100n, ...changes },
          ),
        ),
      )
    const other = standardProgramHash(p256PublicKey(new Uint8Array(32).fill(33)))
    expect(await submit(client, await refund({ to: other }))).toMatch(/invalid output address/)
    expect(await submit(client, await refund({ deposit: hashOf('none') }))).toMatch(
      /invalid deposit tx/,
    )
    expect(await submit(client, await refund({ sela: ELA }))).toBe('ok')
    await chain.mine()
    const params = { txs: [toInternalHex(id)] }
    expect(await client.call('getexistreturndeposittransactions', params)).toEqual(params.txs)
    expect(await submit(client, await refund({ sela: ELA }))).toMatch(/duplicated side/)
  })

  test('more than was paid is not returned', async () => {
    const { chain, client } = await open()
    const id = await deposit(chain, client)
    await deposit(chain, client)
    const plan = planReturn(
      { ...(await spendPlan(client)), feeSela: 100n },
      { deposit: id, to: rich, sela: 10n * ELA + 9901n },
    )
    expect(await submit(client, signed(valueOf(plan)))).toMatch(/invalid output amount/)
  })
})

describe('SideChainPow on the built-in main chain', () => {
  test('of the arbiter on duty only, the newest of a side chain waits', async () => {
    const { chain, client } = await open()
    const duty = chain.ledger.crossChain.dutyIndex(chain.height)
    const group = await client.call('getarbitratorgroupbyheight', { height: String(chain.height) })
    expect(group).toEqual({
      ondutyarbitratorindex: duty,
      arbitrators: LOCAL_ARBITER_KEYS.map(bytesToHex),
    })
    const next = LOCAL_ARBITER_SECRETS[(duty + 1) % LOCAL_ARBITER_SECRETS.length] as Uint8Array
    expect(await submit(client, pow(next))).toMatch(/Arbitrator is not matched/)
    expect(await submit(client, pow(onDuty(chain), 'old'))).toBe('ok')
    expect(await submit(client, pow(onDuty(chain), 'new'))).toBe('ok')
    expect(chain.mempool.size).toBe(1)
    const { block } = await chain.mine()
    const payloads = block?.transactions.map(({ transaction }) => transaction.payload)
    expect(payloads?.[1]).toMatchObject({ sideBlockHash: hashOf('new') })
  })

  test('one whose signer went off duty is thrown out', async () => {
    const { chain, client } = await open()
    for (let i = 0; i < 8; i++) await chain.mine()
    const secret = onDuty(chain)
    expect(await submit(client, pow(secret))).toBe('ok')
    const raw = pow(secret, 'later')
    await chain.mine()
    await chain.mine()
    await chain.mine()
    expect(await submit(client, raw)).toMatch(/Arbitrator is not matched/)
  })

  test('one that waits while the duty moves on does not hold the miner up', async () => {
    const { chain, client } = await open()
    for (let i = 0; i < 8; i++) await chain.mine()
    expect(await submit(client, pow(onDuty(chain)))).toBe('ok')
    // Mined without what waits, as when it came in while a block was being made.
    await chain.reorganise(1)
    await chain.reorganise(1)
    expect(chain.mempool.size).toBe(0)
    const { height } = chain
    await chain.mine()
    expect(chain.height).toBe(height + 1)
  })
})

describe('fallback to proof of work', () => {
  test('nothing crosses chains until the return; transfers go on; it survives a restart', async () => {
    const first = await open()
    await deposit(first.chain, first.client)
    await first.chain.setPowMode(true)
    const plan = await withdrawal(first.client, 'one')
    const refused = async ({ chain, client }: typeof first) => [
      await submit(client, pow(onDuty(chain))),
      await submit(client, signed(plan)),
    ]
    expect(await refused(first)).toEqual([
      expect.stringMatching(/not allowed in POW/),
      expect.stringMatching(/not allowed in POW/),
    ])
    await expect(deposit(first.chain, first.client)).rejects.toThrow(/not allowed in POW/)
    await first.chain.stop()
    chains.length = 0
    const again = await open(first.folder)
    expect(again.chain.ledger.crossChain.powMode).toBe(true)
    await again.chain.setPowMode(false)
    expect(await refused(again)).toEqual(['ok', 'ok'])
    await again.chain.mine()
    expect(again.chain.ledger.crossChain.isWithdrawn(hashOf('one'))).toBe(true)
  })

  test('a reorganisation below the switch takes it back', async () => {
    const { chain } = await open()
    await chain.mine()
    await chain.setPowMode(true)
    expect(chain.ledger.crossChain.powMode).toBe(true)
    await expect(chain.setPowMode(true)).rejects.toThrow()
    await chain.reorganise(1)
    expect(chain.ledger.crossChain.powMode).toBe(false)
  })
})

describe('what arbiters ask besides', () => {
  test('peers, registered chains, small transfers, sums of inputs', async () => {
    const { chain, client } = await open()
    const keys = { nodepublickeys: LOCAL_ARBITER_KEYS.map(bytesToHex) }
    expect(await client.call('getcrcpeersinfo', {})).toEqual(keys)
    expect(await client.call('getcrosschainpeersinfo', {})).toEqual(keys)
    expect(await client.call('getallregistertransactions', {})).toBeNull()
    expect(await client.call('getsmallcrosstransfertxs', {})).toEqual({ txs: [] })
    const plan = planDepositTransaction({
      to: crossChainProgramHash(genesisHash),
      target: 'somebody',
      amount: ELA / 2n,
      spendable: await client.listUnspent(richAddress),
      feeSela: 100n,
      payerPublicKey: p256PublicKey(richSecret),
    })
    const raw = signTransaction(valueOf(plan), richSecret)
    await client.sendRawTransaction(raw)
    expect(await client.call('getsmallcrosstransfertxs', {})).toEqual({ txs: [bytesToHex(raw)] })
    const writer = new ByteWriter().varUint(valueOf(plan).inputs.length)
    for (const { transactionId, index, sequence } of valueOf(plan).inputs) {
      writer.fixed(transactionId).u16(index).u32(sequence)
    }
    const inputs = bytesToHex(writer.finish())
    expect(await client.call('getamountbyinputs', { inputs })).toBe('100.00000000')
    await chain.mine()
    await expect(client.call('getamountbyinputs', { inputs })).rejects.toThrow(/unknown input/)
    expect(await client.call('getcandestroynftids', { ids: [] })).toBeNull()
    expect(await client.call('submitsidechainillegaldata', { illegaldata: '' })).toBe(false)
  })
})
