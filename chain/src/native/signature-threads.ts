import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import {
  PUBLIC_KEY_BYTES,
  pureSecp256k1,
  type Secp256k1,
  setSecp256k1,
  SIGNATURE_BYTES,
  type SignatureCheck,
} from '../bytes/signature.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { knowingSecp256k1 } from './install-native-crypto.ts'
import { SharedVerdicts, shareChecks } from './signature-shares.ts'

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
 * Checks the signatures of a large block on other threads while this one executes it from the
 * front: the rules check the same signatures in the same order and get the same answers, only
 * sooner. A thread that fails is not used again; this one does what is left.
 */
export class SignatureThreads {
  readonly #secp: Secp256k1
  readonly #checksMin: number
  readonly #threads: number
  #workers: Worker[] = []
  /** Of the blocks at hand. */
  #verdicts: SharedVerdicts | undefined

  constructor(options: SignatureThreadsOptions = {}) {
    this.#secp = options.secp256k1 ?? knowingSecp256k1()?.secp256k1 ?? pureSecp256k1
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
    const isKnown = this.#verdicts?.isValid(signature, digest, publicKey) ?? false
    return isKnown || this.#secp.verify(signature, digest, publicKey)
  }

  /**
   * Runs what will check these signatures, in this order, while other threads check them from the
   * back. Inside another run nothing is added to what that one has begun.
   */
  async during<T>(listChecks: () => readonly SignatureCheck[], run: () => Promise<T>): Promise<T> {
    if (this.#threads < 1 || this.#verdicts) return run()
    const checks = listChecks().filter(isWellFormed)
    if (checks.length < this.#checksMin) return run()
    const verdicts = this.#begin(checks)
    this.#verdicts = verdicts
    try {
      return await run()
    } finally {
      verdicts.end()
      this.#verdicts = undefined
    }
  }

  async stop(): Promise<void> {
    const workers = this.#workers
    this.#workers = []
    await Promise.all(workers.map((worker) => worker.terminate()))
  }

  #begin(checks: readonly SignatureCheck[]): SharedVerdicts {
    while (this.#workers.length < this.#threads) this.#workers.push(this.#newWorker())
    const shares = shareChecks(checks)
    for (const worker of this.#workers) worker.postMessage(shares)
    return new SharedVerdicts(checks, shares)
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
