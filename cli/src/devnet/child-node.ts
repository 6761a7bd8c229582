import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What a node process tells its supervisor over the IPC channel. */
export type NodeMessage =
  | { readonly type: 'ready'; readonly info: Readonly<Record<string, unknown>> }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly reason: string }

/** What a supervisor asks of a node process. */
export interface NodeQuestion {
  readonly id: number
  readonly question: string
  readonly argument?: unknown
}

const ENTRY = fileURLToPath(new URL('../nodes/node-process.ts', import.meta.url))
const STOP_DEADLINE_MS = 15_000
const ANSWER_DEADLINE_MS = 120_000
const LAST_WORDS_MAX = 2000

export interface ChildNodeOptions {
  readonly name: string
  /** Path of its config file. */
  readonly config: string
  readonly logPath: string
  /** Where compiled sources are kept between starts, unless NODE_COMPILE_CACHE says so. */
  readonly cacheFolder: string
  /** Flags of Node itself. */
  readonly nodeFlags: readonly string[]
  /** A command that runs the one after it in its own place, e.g. in other namespaces. */
  readonly launcher?: readonly string[] | undefined
  /** The node ended by itself after it had been ready. */
  readonly onLost?: () => void
}

export class ChildNodeError extends Error {
  override name = 'ChildNodeError'
  readonly code = 'NODE_FAILED'
}

/** One node of the local network in a process of its own, with its log in a file. */
export class ChildNode {
  readonly name: string
  readonly #config: string
  readonly #logPath: string
  readonly #cacheFolder: string
  readonly #nodeFlags: readonly string[]
  readonly #launcher: readonly string[]
  readonly #onLost: (() => void) | undefined
  #process: ChildProcess | undefined
  #isStopping = false
  #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #nextId = 1
  #info: Readonly<Record<string, unknown>> = {}
  #state: 'stopped' | 'starting' | 'ready' | 'killed' | 'failed' = 'stopped'

  constructor(options: ChildNodeOptions) {
    this.name = options.name
    this.#config = options.config
    this.#logPath = options.logPath
    this.#cacheFolder = options.cacheFolder
    this.#nodeFlags = options.nodeFlags
    this.#launcher = options.launcher ?? []
    this.#onLost = options.onLost
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  get state() {
    return this.#state
  }

  /** What the node said when it became ready: addresses, keys. */
  get info(): Readonly<Record<string, unknown>> {
    return this.#info
  }

  /** Resolves when the node is ready to work; rejects with its last words if it dies first. */
  start(): Promise<void> {
    this.#state = 'starting'
    this.#isStopping = false
    const log = createWriteStream(this.#logPath, { flags: 'a' })
    const node = [process.execPath, ...this.#nodeFlags, ENTRY, this.#config]
    const [command, ...args] = [...this.#launcher, ...node] as [string, ...string[]]
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Many processes load the same sources: compiled once, kept for the next start.
      env: { NODE_COMPILE_CACHE: this.#cacheFolder, ...process.env },
      // A Ctrl-C reaches the whole group of the terminal; the supervisor stops its children itself.
      detached: true,
    })
    this.#process = child
    let lastWords = ''
    child.stdout?.on('data', (chunk: Buffer) => log.write(chunk))
    child.stderr?.on('data', (chunk: Buffer) => {
      log.write(chunk)
      lastWords = (lastWords + chunk.toString('utf8')).slice(-LAST_WORDS_MAX)
    })
    return new Promise((resolve, reject) => {
      child.on('message', (message) => this.#hear(message as NodeMessage, resolve))
      child.on('error', reject)
      child.once('exit', (code) => this.#afterExit(code))
      // Unlike at its exit, everything that the process wrote has arrived by now.
      child.once('close', (code, signal) => {
        log.end()
        const reason = lastWords.trim().split('\n').at(-1) || `it ended with ${code ?? signal}`
        const message = `${this.name} did not start: ${reason} (log: ${this.#logPath})`
        // Without effect on a start that succeeded.
        reject(new ChildNodeError(message))
      })
    })
  }

  #afterExit(code: number | null): void {
    const isLost = this.#state === 'ready' && !this.#isStopping
    if (this.#state !== 'killed') this.#state = code === 0 ? 'stopped' : 'failed'
    this.#process = undefined
    for (const { reject } of this.#waiting.values()) {
      reject(new ChildNodeError(`${this.name} has stopped`))
    }
    this.#waiting.clear()
    if (isLost) this.#onLost?.()
  }

  /** Asks the node something over IPC, e.g. its status. */
  ask(question: string, argument?: unknown): Promise<unknown> {
    const child = this.#process
    if (!child?.connected) {
      return Promise.reject(new ChildNodeError(`${this.name} is not running`))
    }
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new ChildNodeError(`${this.name} did not answer "${question}"`))
      }, ANSWER_DEADLINE_MS)
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          act(value)
        }
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      child.send({ id, question, argument } satisfies NodeQuestion)
    })
  }

  /** As a power cut would: no chance to write anything. */
  kill(): Promise<void> {
    this.#state = 'killed'
    return this.#end('SIGKILL')
  }

  /** Asks the node to stop and waits; kills it after a deadline. */
  async stop(): Promise<void> {
    if (!this.#process) return
    this.#isStopping = true
    const deadline = setTimeout(() => this.#process?.kill('SIGKILL'), STOP_DEADLINE_MS)
    await this.#end('SIGTERM')
    clearTimeout(deadline)
  }

  #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (!child) return Promise.resolve()
    return new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.kill(signal)
    })
  }

  #hear(message: NodeMessage, ready: () => void): void {
    switch (message.type) {
      case 'ready':
        this.#info = message.info
        this.#state = 'ready'
        ready()
        return
      case 'answer':
        this.#waiting.get(message.id)?.resolve(message.value)
        break
      case 'refusal':
        this.#waiting.get(message.id)?.reject(new ChildNodeError(message.reason))
        break
    }
    this.#waiting.delete(message.id)
  }
}
