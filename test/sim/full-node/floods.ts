import { sign } from '../../../chain/src/bytes/signature.ts'
import { encodeMessage } from '../../../chain/src/driver/message-codec.ts'
import { SHORT_ID_BYTES, SHORT_IDS_MAX } from '../../../chain/src/net/short-ids.ts'
import { presenceDigest } from '../../../chain/src/node/signer-board.ts'
import type { PoolLimits } from '../../../chain/src/pool/pool-limits.ts'
import { epochOfHeight } from '../../../chain/src/params/network-params.ts'
import { nonceOf } from '../../../chain/src/rules/accounts.ts'
import type { KeyPair } from '../../../chain/src/rules/testing/sample-chain.ts'
import { blockHash, BlockBodyType } from '../../../chain/src/types/block.ts'
import { VoteKind } from '../../../chain/src/types/consensus-objects.ts'
import { SignedPresenceType } from '../../../chain/src/types/signer-presence.ts'
import {
  encodeTransaction,
  signTransaction,
  transactionListRoot,
} from '../../../chain/src/types/transaction-codec.ts'
import { type Payload, PayloadKind } from '../../../chain/src/types/transactions.ts'
import type { Random } from '../random.ts'
import type { FullInstance } from './full-instance.ts'
import type { FullWorld } from './full-world.ts'
import { keyNamed } from './workload.ts'

/** Small, so that a history can reach them. */
export const FLOODED_POOL: PoolLimits = {
  accountTransactionsMax: 60,
  accountBytesMax: 16 * 1024,
  freeTransactionsMax: 8,
  freeBytesMax: 4 * 1024,
  perAccountMax: 24,
  nonceWindow: 8,
}
/** Accounts whose owners send more than anybody could keep. */
export const FLOODERS = ['flooder-0', 'flooder-1', 'flooder-2', 'flooder-3'] as const
/** Names under which liars connect. */
export const LIARS = ['liar-0', 'liar-1', 'liar-2', 'liar-3', 'liar-4'] as const
const EVERY_MS = [200, 800] as const
const EMPTY_BODY = BlockBodyType.serialize({ transactions: [] })

const KINDS = [
  ...(['garbage', 'large', 'early', 'ahead', 'names', 'senders', 'account'] as const),
  ...(['announced', 'requests', 'presences'] as const),
]

/** I13: outsiders send more than anybody could keep, of everything that is heard from strangers. */
export class Floods {
  readonly #world: FullWorld
  /** Not the one of the faults: what is flooded changes nothing in their order. */
  readonly random: Random
  #made = 0

  constructor(world: FullWorld, random: Random) {
    this.#world = world
    this.random = random
  }

  start(): void {
    const { heap } = this.#world
    heap.schedule(heap.now + this.random.between(...EVERY_MS), () => {
      const up = this.#world.instances.filter(({ isUp }) => isUp)
      const kind = this.random.pick(KINDS)
      if (up.length > 0) {
        const node = this.random.pick(up)
        this.#world.note(`${node.name} is flooded: ${kind}`)
        this.#world.run(node, () => this.#flood(kind, node))
      }
      this.start()
    })
  }

  #flood(kind: (typeof KINDS)[number], node: FullInstance): void {
    const random = this.random
    const liar = random.pick(LIARS)
    // One alone may take its share and no more; all together fill the room.
    const names = random.pick([LIARS, [liar]])
    switch (kind) {
      case 'garbage':
        for (const name of names) this.#repeat(600, () => node.receive(name, random.bytes(3)))
        break
      case 'large':
        for (const name of names) this.#repeat(9, () => node.receive(name, LARGE))
        break
      case 'early':
        for (const name of LIARS) this.#repeat(4, () => node.receive(name, this.#proposal(node)))
        break
      case 'ahead':
        this.#repeat(300, (i) => node.receive(`stranger-${i}`, this.#voteAhead(node)))
        break
      case 'names':
        this.#repeat(1100, (i) => node.hear(`stranger-${i}`, random.bytes(2)))
        break
      case 'senders':
        this.#repeat(280, (i) => node.hear(LIARS[i % 5] as string, this.#release(node)))
        break
      case 'account':
        for (const name of FLOODERS) {
          this.#repeat(40, (i) => node.hear(liar, this.#payment(node, keyNamed(name), i)))
        }
        break
      case 'announced':
        this.#announce(node, liar)
        // Before it is clear that it answers nothing, it may announce more.
        this.#world.heap.schedule(this.#world.heap.now + 1_500, () =>
          this.#world.run(node, () => this.#announce(node, liar)),
        )
        break
      case 'requests':
        this.#repeat(20, () => node.receive(liar, this.#request()))
        break
      case 'presences':
        this.#repeat(8, () => node.tell(this.#presence()))
    }
    // Before anything is worked off: the most that is there at once.
    node.checkKept()
  }

  #repeat(times: number, act: (i: number) => unknown): void {
    for (let i = 0; i < times; i++) act(i)
  }

  #announce(node: FullInstance, liar: string): void {
    const ids = () => this.random.bytes(SHORT_ID_BYTES * SHORT_IDS_MAX)
    this.#repeat(6, () => node.gossip?.relay.announced(liar, ids()))
    node.checkKept()
  }

  /** For the next epoch, by nobody: only its body is what its header says. */
  #proposal(node: FullInstance): Uint8Array {
    const random = this.random
    const { header: tip } = node.final
    const epoch = epochOfHeight(this.#world.genesis.params, tip.height + 1) + 1
    const txRoot = transactionListRoot([])
    const header = { ...tip, epoch, view: 1, txRoot, stateRoot: random.bytes(32) }
    const statement = { kind: VoteKind.notarize, epoch, view: 1, hash: blockHash(header) }
    const leaderVote = { statement, validator: 0, signature: random.bytes(64) }
    const proposal = { header, justification: { parent: [], skips: [] }, leaderVote }
    const message = { type: 'proposal', proposal } as const
    return encodeMessage({ type: 'consensus', message, body: EMPTY_BODY })
  }

  #voteAhead(node: FullInstance): Uint8Array {
    const random = this.random
    const epoch = node.final.header.epoch + random.between(3, 9)
    const statement = { kind: VoteKind.notarize, epoch, view: 1, hash: random.bytes(32) }
    const vote = { statement, validator: 0, signature: random.bytes(64) }
    const message = { type: 'vote', vote } as const
    return encodeMessage({ type: 'consensus', message, body: new Uint8Array(0) })
  }

  /** Well signed by somebody new, of stake that is not there. */
  #release(node: FullInstance): Uint8Array {
    const value = { delegation: 0 }
    const payload = { selector: PayloadKind.releaseStake, value } as const
    const sender = keyNamed(`sender-${this.#made++ % 400}`)
    return this.#signed(node, { sender, nonce: 0, tip: 0n, payload })
  }

  #payment(node: FullInstance, sender: KeyPair, i: number): Uint8Array {
    const { ledger } = node.manager ?? {}
    const nonce = (ledger ? nonceOf(ledger, sender.address) : 0) + i
    const value = { to: keyNamed('alice').address, amount: BigInt(1 + this.#made++) }
    const payload = { selector: PayloadKind.transfer, value } as const
    return this.#signed(node, { sender, nonce, tip: 1n, payload })
  }

  #signed(
    node: FullInstance,
    what: {
      readonly sender: KeyPair
      readonly nonce: number
      readonly tip: bigint
      readonly payload: Payload
    },
  ): Uint8Array {
    const { sender, nonce, tip, payload } = what
    const terms = { nonce, validUntil: node.height + 50, maxBaseFee: 10n, tip, payload }
    const body = { sender: sender.publicKey, ...terms }
    return encodeTransaction(signTransaction(body, this.#world.genesis.chainId, sender.secretKey))
  }

  #request(): Uint8Array {
    return encodeMessage({ type: 'blockRequest', hash: this.random.bytes(32) })
  }

  /** One more process that says it has this key: only the key's owner can. */
  #presence(): Uint8Array {
    const { heap, genesis } = this.#world
    const { publicKey, secretKey } = keyNamed('validator-3')
    const instance = this.random.bytes(32)
    const presence = { publicKey, instance, startedMs: heap.now, timeMs: heap.now }
    const signature = sign(presenceDigest(genesis.chainId, { presence }), secretKey)
    return SignedPresenceType.serialize({ presence, signature })
  }
}

const LARGE = new Uint8Array(2 ** 20)

/** Who may be disconnected: nobody honest. */
export function isLiar(name: string): boolean {
  return /^(liar|stranger)-/.test(name)
}
