import type { RpcError } from '@ioex/rpc/client'
import pc from 'picocolors'
import { jsonText } from './json-text.ts'
import type { OutputStreams } from './output.ts'

export const EXIT_OK = 0
const EXIT_FAILED = 1
export const EXIT_USAGE = 2

/** A command that cannot do what it was asked; the message says what to do about it. */
export class CommandError extends Error {
  override name = 'CommandError'
  readonly code: string
  readonly exitCode: number

  constructor(code: string, message: string, exitCode = EXIT_FAILED) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}

/** A command that was called wrongly. */
export function usageError(message: string): CommandError {
  return new CommandError('USAGE', message, EXIT_USAGE)
}

/** Reports a failure on stderr, without a stack unless IOEX_DEBUG is set; gives the exit code. */
export function reportFailure(error: unknown, streams: OutputStreams, isJson: boolean): number {
  const { code, message, exitCode } = describeFailure(error)
  const { stderr } = streams
  if (isJson) stderr.write(`${jsonText({ error: { code, message } })}\n`)
  else stderr.write(`${stderr.isTTY ? pc.red('ioex:') : 'ioex:'} ${message}\n`)
  if (process.env.IOEX_DEBUG && error instanceof Error) stderr.write(`${error.stack}\n`)
  return exitCode
}

/** libp2p gives the system's refusal as text alone, among its own advice. */
const LISTEN_FAILURE = /listen (EADDRINUSE|EADDRNOTAVAIL): [^\n]* (\S+):(\d{1,5})$/m

function describeFailure(error: unknown): { code: string; message: string; exitCode: number } {
  if (error instanceof CommandError) return error
  if (isRpcError(error)) {
    return { code: error.reason, message: rpcMessage(error), exitCode: EXIT_FAILED }
  }
  if (!(error instanceof Error)) {
    return { code: 'FAILED', message: String(error), exitCode: EXIT_FAILED }
  }
  const listening = LISTEN_FAILURE.exec(error.message)
  if (listening) {
    const [, code = '', address, port] = listening
    const message = systemMessage(code, Object.assign(error, { address, port: Number(port) }))
    return { code, message: message ?? error.message, exitCode: EXIT_FAILED }
  }
  const { code } = error as NodeJS.ErrnoException
  const reason = typeof code === 'string' ? code : 'FAILED'
  const message = systemMessage(reason, error) ?? error.message
  return { code: reason, message, exitCode: EXIT_FAILED }
}

/** By its name: to report a failure must not load the client. */
function isRpcError(error: unknown): error is RpcError {
  return error instanceof Error && error.name === 'RpcError'
}

function rpcMessage({ reason, message }: RpcError): string {
  if (reason !== 'UNREACHABLE') return message
  return `${message} Start a network with "npm start", or name a node with --rpc URL.`
}

/** What the operating system refused, and what to do about it. */
function systemMessage(code: string, error: Error): string | undefined {
  const { path, address, port } = error as NodeJS.ErrnoException & {
    readonly address?: string
    readonly port?: number
  }
  // A write to an open file names no path.
  const where = path === undefined ? '' : ` for ${path}`
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `the disk is full: free some space${where}, then do the same again`
    case 'EMFILE':
    case 'ENFILE':
      return `too many files are open${where}: raise the limit (ulimit -n)`
    case 'EADDRINUSE':
      return `another process listens at ${address}:${port}: stop it, or choose another port`
    case 'EADDRNOTAVAIL':
      return `${address} is no address of this machine: listen at one that is, or at 0.0.0.0`
    default:
      return path === undefined ? undefined : fileMessage(code, path)
  }
}

function fileMessage(code: string, path: string): string | undefined {
  const elsewhere = 'or name another place'
  if (code === 'ENOENT') return `no such file: ${path}`
  if (code === 'EACCES' || code === 'EPERM') {
    return `no permission for ${path}: run this as the user who owns it, ${elsewhere}`
  }
  if (code === 'EROFS') return `${path} is on a read-only disk: mount it writable, ${elsewhere}`
  if (code === 'ENOTDIR') return `${path}: what it lies in is not a folder: ${elsewhere.slice(3)}`
  if (code === 'EISDIR') return `${path} is a folder, not a file: name the file`
  return undefined
}
