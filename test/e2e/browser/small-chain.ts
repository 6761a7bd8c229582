import { bytesToHex, ok, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import type { ChainManager } from '@ioex/chain/manager'
import { FullNodeNetwork } from '@ioex/chain/net'
import { TransactionPool } from '@ioex/chain/pool'
import { PayloadKind, transactionId } from '@ioex/chain/types'
import { genesisFileText } from '@ioex/genesis/builder'
import {
  type LedgerSource,
  type RpcServer,
  type RpcServerOptions,
  startRpcServer,
} from '@ioex/rpc/server'
import pino from 'pino'
import {
  type CertifiedChain,
  eventfulChain,
  relay,
} from '../../../chain/src/audit/testing/certified-chain.ts'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { managerOf } from '../../../chain/src/sync/testing/served-chain.ts'
import { createManagerSource } from '../../../cli/src/nodes/manager-source.ts'
import type { LightQuestions } from './light-questions.ts'

/** Index of the relay's rail, and the epoch that its first redeem fell into. */
const RELAY_RAIL = 0
const EPOCH = 1

/**
 * A full node's manager and store with five epochs that it has executed block by block: rails, a
 * redeem with its receipts, a reward tree. Served over JSON-RPC; nothing is added meanwhile.
 */
export class SmallChain {
  readonly genesis: string
  readonly questions: LightQuestions
  readonly #network: FullNodeNetwork
  readonly #source: LedgerSource
  readonly #servers: RpcServer[] = []

  private constructor(chain: CertifiedChain, network: FullNodeNetwork, source: LedgerSource) {
    this.genesis = genesisFileText('ci', chain.sample.document)
    this.questions = questionsOf(chain)
    this.#network = network
    this.#source = source
  }

  static async create(): Promise<SmallChain> {
    const chain = eventfulChain()
    const manager = await managerOf(chain)
    const network = await FullNodeNetwork.start({
      chainId: chain.sample.chainId,
      nodeKey: sha256(utf8ToBytes('a node of the browser test')),
      listen: [],
      peers: [],
      logger: pino({ level: 'silent' }),
    })
    return new SmallChain(chain, network, sourceOf(manager, network))
  }

  /** URL of a node that serves the chain. */
  async serve(options: Partial<RpcServerOptions> = {}): Promise<string> {
    const server = await startRpcServer({ ...options, ledger: this.#source, port: 0 })
    this.#servers.push(server)
    return server.url
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()))
    await this.#network.stop()
  }
}

function sourceOf(manager: ChainManager, network: FullNodeNetwork): LedgerSource {
  const view = { height: 0, epoch: 0, baseFee: 0n, nonceOf: () => 0, balanceOf: () => 0n }
  return createManagerSource({
    manager,
    pool: new TransactionPool({
      view: () => view,
      isSigned: () => true,
      trial: () => ok(),
      nowMs: () => 0,
    }),
    network,
    genesis: '',
    info: { version: '0', roles: [], peerId: network.peerId, addresses: [], startedAtMs: 0 },
    targetHeight: () => manager.final.header.height,
    submit: () => Promise.reject(new Error('nothing is sent here')),
  })
}

function questionsOf({ records }: CertifiedChain): LightQuestions {
  const transactions = records.flatMap(({ block }) => block.body.transactions)
  const redeem = transactions.find(({ body }) => body.payload.selector === PayloadKind.redeem)
  if (!redeem) throw new Error('the chain has a redeem')
  return {
    account: bytesToHex(keyOf('alice').address),
    absent: '07'.repeat(20),
    rail: RELAY_RAIL,
    transaction: bytesToHex(transactionId(redeem)),
    node: bytesToHex(relay.address),
    epoch: EPOCH,
  }
}
