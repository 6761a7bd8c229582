import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { bytesToHex } from '../bytes/hex.ts'
import {
  PUBLIC_KEY_BYTES,
  pureSecp256k1,
  type Secp256k1,
  setSecp256k1,
  SIGNATURE_BYTES,
  type SignatureCheck,
} from '../bytes/signature.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { nativeSecp256k1 } from './install-native-crypto.ts'
import { shareChecks, workOff } from './signature-shares.ts'

/** Threads beside the main one: more help little, since everything else stays where it is. */
const THREADS_MAX = 2
/** Fewer checks than this are done sooner than other threads have begun. */
const CHECKS_MIN = 128

export interface SignatureThreadsOptions {
  /** Default: one less than the machine has cores, at most 2. 0: everything on the main thread. */
  readonly threads?: number
  readonly checksMin?: number
  readonly secp256k1?: Secp256k1
}

/**
 * Checks many signatures at once on several threads and remembers the valid ones while a block is
 * executed: the rules check the same signatures in the same order and get the same answers, only
 * sooner. A thread that fails is not used again; the main thread does what is left.
 */
export class SignatureThreads {
  readonly #secp: Secp256k1
  readonly #checksMin: number
  readonly #threads: number
  #workers: Worker[] = []
  /** Valid signatures of the blocks at hand, whole triples; what is not here is checked anew. */
  readonly #valid = new Set<string>()

  constructor(options: SignatureThreadsOptions = {}) {
    this.#secp = options.secp256k1 ?? nativeSecp256k1() ?? pureSecp256k1
    this.#checksMin = options.checksMin ?? CHECKS_MIN
    this.#threads = options.threads ?? Math.min(THREADS_MAX, availableParallelism() - 1)
  }

  /** Puts itself behind all checks of this process. */
  install(): void {
    const { sign, publicKey } = this.#secp
    setSecp256k1({
      sign,
      publicKey,
      verify: (signature, digest, key) => this.verify(signature, digest, key),
    })
  }

  verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
    const isKnown = this.#valid.size > 0 && this.#isKnown({ signature, digest, publicKey })
    return isKnown || this.#secp.verify(signature, digest, publicKey)
  }

  #isKnown({ signature, digest, publicKey }: SignatureCheck): boolean {
    return this.#valid.has(nameOf(signature, digest, publicKey))
  }

  /** Checks these ahead, then runs; afterwards nothing is remembered. */
  async during<T>(checks: readonly SignatureCheck[], run: () => Promise<T>): Promise<T> {
    const open = this.#valid.size === 0 ? checks : checks.filter((check) => !this.#isKnown(check))
    if (open.length < this.#checksMin || this.#threads < 1) return run()
    this.#check(open.filter(isWellFormed))
    try {
      return await run()
    } finally {
      this.#valid.clear()
    }
  }

  async stop(): Promise<void> {
    const workers = this.#workers
    this.#workers = []
    await Promise.all(workers.map((worker) => worker.terminate()))
  }

  /**
   * Waits for nobody: what another thread has taken and not finished when the rest is done, at most
   * a share of each, is left to the rule.
   */
  #check(checks: readonly SignatureCheck[]): void {
    while (this.#workers.length < this.#threads) this.#workers.push(this.#newWorker())
    const shares = shareChecks(checks)
    for (const worker of this.#workers) worker.postMessage(shares)
    workOff(shares, this.#secp)
    const verdicts = new Uint8Array(shares.verdicts)
    for (const [i, { signature, digest, publicKey }] of checks.entries()) {
      if (verdicts[i] === 1) this.#valid.add(nameOf(signature, digest, publicKey))
    }
  }

  #newWorker(): Worker {
    const worker = new Worker(new URL('./signature-worker.ts', import.meta.url))
    const gone = () => {
      this.#workers = this.#workers.filter((other) => other !== worker)
    }
    worker.on('error', gone)
    worker.on('exit', gone)
    // It must not keep a process alive that is done.
    worker.unref()
    return worker
  }
}

/** Others are refused by every implementation, but have no place in the shared memory. */
function isWellFormed({ signature, digest, publicKey }: SignatureCheck): boolean {
  return (
    signature.length === SIGNATURE_BYTES &&
    digest.length === HASH_BYTES &&
    publicKey.length === PUBLIC_KEY_BYTES
  )
}

function nameOf(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): string {
  return `${bytesToHex(signature)}${bytesToHex(digest)}${bytesToHex(publicKey)}`
}
