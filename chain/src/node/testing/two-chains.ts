import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInGenesisBlock, startBuiltInMainChain } from '../../main-chain/built-in-main-chain.ts'
import { planDepositTransaction } from '../../anchor/deposit-transaction.ts'
import { type FollowerOptions, MainChainFollower } from '../../follower/follower.ts'
import { createMainChainClient } from '../../follower/main-chain-client.ts'
import { signTransaction } from '../../anchor/memo-transaction.ts'
import { SubmittedAnchors } from '../../anchor/submitted-anchors.ts'
import { elaAddressOf } from '../../main-chain/testing/test-main-chain.ts'
import { startArbiterServer } from '../../arbiter/arbiter-server.ts'
import { createLedgerArbiterChain } from '../../arbiter/ledger-arbiter-chain.ts'
import { LocalArbiter } from '../../arbiter/local-arbiter.ts'
import { SideNodeClient } from '../../arbiter/side-node-client.ts'
import { assert } from '../../bytes/assert.ts'
import { bytesEqual } from '../../bytes/hex.ts'
import { asInternalHash } from '../../elastos/hash-orientation.ts'
import { decodeHeaderWithAuxPow } from '../../elastos/main-header.ts'
import { p256PublicKey } from '../../elastos/p256.ts'
import type { NetworkParams } from '../../params/network-params.ts'
import { depositProgramHash } from '../../rules/deposit-content.ts'
import { applyTransaction, beginBlock } from '../../rules/execute-block.ts'
import { headerContext, mainHeaderAt } from '../../rules/main-chain.ts'
import { SampleChain } from '../../rules/testing/sample-chain.ts'
import { draftOf } from '../../state/ledger.ts'
import type { Transaction } from '../../types/transactions.ts'
import { systemTransactions } from '../system-lane.ts'

const miner = elaAddressOf(new Uint8Array(32).fill(33))
const GENESIS_SECONDS = 1_700_000_000 - 10

export interface TwoChainsOptions {
  readonly allocations: readonly { readonly address: string; readonly sela: bigint }[]
  readonly params?: Partial<NetworkParams>
}

export type TwoChains = Awaited<ReturnType<typeof startTwoChains>>

/**
 * A built-in main chain that mines when asked, and a side chain without consensus that follows
 * it: time is what the test makes of it. `stop` ends both.
 */
export async function startTwoChains({ allocations, params }: TwoChainsOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'two-chains-'))
  const genesis = { allocations, timestamp: GENESIS_SECONDS }
  const options = { dataDir: folder, genesis, minerAddress: miner, blockIntervalMs: 0 }
  const main = await startBuiltInMainChain({ ...options, rpc: { port: 0 } })
  const block = builtInGenesisBlock(genesis)
  const header = decodeHeaderWithAuxPow(block)
  assert(header.ok, 'the genesis block has a header')
  const chain = new SampleChain({
    ...(params && { params }),
    mainCheckpoint: block.slice(0, header.value.length),
  })
  const client = createMainChainClient({ url: main.rpcUrl })
  const follow = (more: Partial<FollowerOptions> = {}) => {
    const start = mainHeaderAt(chain.ledger, chain.ledger.globals().mainBaseHeight)
    assert(start, 'the ledger keeps its headers')
    return new MainChainFollower({
      client,
      params: chain.params.mainChain,
      start: headerContext(chain.ledger, start),
      sideGenesisHash: chain.chainId,
      ...more,
    })
  }
  const follower = follow()
  const submitted = new SubmittedAnchors()
  return {
    main,
    chain,
    client,
    follower,
    submitted,
    /** A follower of a node that starts now, with nothing but its ledger. */
    follow,
    /** A block of the side chain with what its proposer sees of the main chain. */
    async sideBlock() {
      await follower.poll()
      const system = systemTransactions(chain.ledger, follower, { submitted })
      return chain.block(valid(chain, system))
    },
    async stop() {
      await main.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A deposit by the plain address of a secret, with the least fees; waits to be mined. */
export async function deposit(
  { client, chain }: TwoChains,
  secret: Uint8Array,
  { target, amount }: { readonly target: string; readonly amount: bigint },
) {
  const payerPublicKey = p256PublicKey(secret)
  const planned = planDepositTransaction({
    to: depositProgramHash(chain.chainId),
    target,
    amount,
    spendable: await client.listUnspent(elaAddressOf(secret)),
    feeSela: 100n,
    payerPublicKey,
  })
  assert(planned.ok, 'the payer has enough')
  return client.sendRawTransaction(signTransaction(planned.value, secret))
}

/** The listener for Arbiters on the side chain, and all arbiters of the main chain behind it. */
export async function startArbiters(
  { chain, client, follower, submitted }: TwoChains,
  powChain: boolean,
) {
  const view = createLedgerArbiterChain({
    ledger: chain.ledger,
    powChain,
    submitted,
    isOnMainChain: (height, hash) => {
      const known = follower.blockAt(height)
      return known !== undefined && bytesEqual(known.header.hash, hash)
    },
    depositTransaction: () => Promise.resolve(undefined),
  })
  const server = await startArbiterServer({ chain: view, port: 0, user: 'u', password: 'p' })
  const arbiter = new LocalArbiter({
    main: client,
    side: new SideNodeClient({ url: server.url, user: 'u', password: 'p' }),
    genesisHash: asInternalHash(chain.chainId),
    pollMs: 1000,
    onProblem: () => undefined,
  })
  return { arbiter, stop: () => server.stop() }
}

/** What a proposer keeps of the system lane: headers first, then what is still valid. */
function valid(chain: SampleChain, transactions: readonly Transaction[]): Transaction[] {
  const draft = draftOf(chain.ledger)
  const begun = beginBlock(draft, chain.next())
  assert(begun.ok, 'the block can stand')
  return transactions.filter((transaction) => applyTransaction(begun.value, transaction).ok)
}
