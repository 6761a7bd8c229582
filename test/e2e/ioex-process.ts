import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { COMPILE_CACHE, until } from './network-harness.ts'

const MAIN = fileURLToPath(new URL('../../cli/bin/ioex.js', import.meta.url))
const COMMAND_DEADLINE_MS = 90_000
const START_DEADLINE_MS = 120_000
const STOP_DEADLINE_MS = 30_000
/** Characters of a process's output that a failure shows. */
const LAST_WORDS = 2000

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function spawnIoex(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, IOEX_DEBUG: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function textOf(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString('utf8')
}

/** The command as a person gives it, in a process of its own; killed when it hangs. */
export function ioex(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const child = spawnIoex(args, env)
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)]
  const deadline = setTimeout(() => child.kill('SIGKILL'), COMMAND_DEADLINE_MS)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(deadline)
      resolve({ code, out: out(), err: err() })
    })
  })
}

/** An `ioex` that stays until it is told to end: a node, or a watch. */
export class IoexProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | string | null>
  /** What it printed so far, results and log apart. */
  readonly out: () => string
  readonly err: () => string

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawnIoex(args, env)
    this.out = textOf(this.#child.stdout)
    this.err = textOf(this.#child.stderr)
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => resolve(signal ?? code))
    })
  }

  /** Waits until it has said something; throws what it said if it ends before. */
  says(text: string, deadlineMs = START_DEADLINE_MS): Promise<boolean> {
    return until(
      `"${text}"`,
      async () => {
        const said = this.out() + this.err()
        if (said.includes(text)) return true
        const last = said.slice(-LAST_WORDS)
        throw new Error(this.#child.exitCode === null ? last : `it ended: ${last}`)
      },
      deadlineMs,
    )
  }

  /** The exit code after a signal, or the signal that ended it; killed when it hangs. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    this.#child.kill(signal)
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS)
    const ended = await this.#ended
    clearTimeout(deadline)
    return ended
  }
}

/** What `ioex devnet --json` says when everything is ready. */
export interface DevnetDocument {
  readonly data: string
  readonly rpc: readonly string[]
  readonly nodes: readonly { readonly name: string; readonly role: string }[]
}

/** `ioex devnet` as a process that one can send signals to. */
export class DevnetProcess {
  readonly data: string
  readonly #child: ChildProcess
  readonly #ended: Promise<number | string | null>
  readonly #out: () => string
  readonly err: () => string

  constructor(data: string, flags: readonly string[] = []) {
    this.data = data
    const network = ['--network', 'ci', '--port-base', '0', '--json']
    this.#child = spawnIoex(['devnet', '--data', data, ...network, ...flags], {})
    this.#out = textOf(this.#child.stdout)
    this.err = textOf(this.#child.stderr)
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => resolve(signal ?? code))
    })
  }

  /** The document on stdout; throws with stderr if the process ends before. */
  ready(): Promise<DevnetDocument> {
    return until(
      'the network',
      async () => {
        if (this.#out().endsWith('\n')) return JSON.parse(this.#out()) as DevnetDocument
        if (this.#child.exitCode !== null) return Promise.reject(new Error(this.err()))
        return undefined
      },
      START_DEADLINE_MS,
    )
  }

  /** Sends a signal and gives the exit code, or the signal that ended the process. */
  async end(signal: NodeJS.Signals): Promise<number | string | null> {
    this.#child.kill(signal)
    return this.ended()
  }

  /** How the process ended; killed when it does not. */
  async ended(): Promise<number | string | null> {
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS)
    const ended = await this.#ended
    clearTimeout(deadline)
    return ended
  }
}

/** Node processes of a network folder, whoever started them. */
export async function nodePids(data: string): Promise<number[]> {
  const pids: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (command.includes('node-process.ts') && command.includes(`${data}/`)) pids.push(Number(name))
  }
  return pids
}

export function untilNoNodes(data: string): Promise<boolean> {
  return until(
    `the nodes of ${data} to end`,
    async () => {
      const pids = await nodePids(data)
      if (pids.length > 0) throw new Error(`still there: ${pids.join(', ')}`)
      return true
    },
    STOP_DEADLINE_MS,
  )
}

/** SHA-256 of every file below a folder, by relative path. */
export async function filesBelow(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    found.set(
      relative(folder, path),
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    )
  }
  return found
}
