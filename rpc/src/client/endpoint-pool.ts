import type { MethodName, ParamsOf, ResultOf } from '../contract/methods.ts'
import type { CallOptions, RpcClient } from './rpc-client.ts'
import { isNodeFailure, RpcError } from './rpc-error.ts'

/** How long a node that failed is asked last, and one that gave false answers not at all. */
const RESTING_MS = 10_000
const SHUNNED_MS = 600_000

/** Full nodes to ask: one leads, the others answer when it fails and check what it says. */
export class EndpointPool {
  readonly #clients: readonly RpcClient[]
  #failedAt = new Map<RpcClient, number>()
  #liedAt = new Map<RpcClient, number>()
  #leader: RpcClient

  constructor(clients: readonly RpcClient[]) {
    const [first] = clients
    if (!first) throw new RpcError('UNREACHABLE', 'no node is configured: give RPC addresses')
    this.#clients = clients
    this.#leader = first
  }

  get leader(): RpcClient {
    return this.#leader
  }

  others(): RpcClient[] {
    return this.#clients.filter((each) => each !== this.#leader && !this.#isShunned(each))
  }

  lead(client: RpcClient): void {
    this.#leader = client
  }

  /** The node did not answer: another leads, if one is in better health. */
  failed(client: RpcClient): void {
    this.#failedAt.set(client, performance.now())
    if (client === this.#leader) this.#leader = this.#inOrder()[0] ?? client
  }

  lied(client: RpcClient): void {
    this.#liedAt.set(client, performance.now())
    this.failed(client)
  }

  #isShunned(client: RpcClient): boolean {
    const liedAt = this.#liedAt.get(client)
    return liedAt !== undefined && performance.now() - liedAt < SHUNNED_MS
  }

  /** Asks the leader, then the others in turn while the failure is the node's own. */
  ask<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    options?: CallOptions,
  ): Promise<ResultOf<M>> {
    return this.askAndRead(method, params, (result) => result, options)
  }

  /**
   * As ask; `read` makes something of the result, or throws RpcError where it cannot be true. A
   * node whose proof is false is not asked again for a while.
   */
  async askAndRead<M extends MethodName, T>(
    method: M,
    params: ParamsOf<M>,
    read: (result: ResultOf<M>, client: RpcClient) => T | Promise<T>,
    options?: CallOptions,
  ): Promise<T> {
    let failure: unknown = new RpcError('UNREACHABLE', 'every known node gave false answers')
    for (const client of this.#inOrder()) {
      try {
        return await read(await client.call(method, params, options), client)
      } catch (error) {
        if (!isNodeFailure(error) || (error as RpcError).reason === 'ABORTED') throw error
        if ((error as RpcError).reason === 'FALSE_PROOF') this.lied(client)
        else this.failed(client)
        failure = error
      }
    }
    throw failure
  }

  #inOrder(): RpcClient[] {
    const now = performance.now()
    const rank = (client: RpcClient) => {
      const failedAt = this.#failedAt.get(client)
      const isResting = failedAt !== undefined && now - failedAt < RESTING_MS
      return (isResting ? 2 : 0) + (client === this.#leader ? 0 : 1)
    }
    return this.#clients
      .filter((client) => !this.#isShunned(client))
      .toSorted((a, b) => rank(a) - rank(b))
  }
}
