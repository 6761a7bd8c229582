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

function describeFailure(error: unknown): { code: string; message: string; exitCode: number } {
  if (error instanceof CommandError) return error
  if (isRpcError(error)) {
    return { code: error.reason, message: rpcMessage(error), exitCode: EXIT_FAILED }
  }
  if (!(error instanceof Error)) {
    return { code: 'FAILED', message: String(error), exitCode: EXIT_FAILED }
  }
  const { code, path } = error as NodeJS.ErrnoException
  const reason = typeof code === 'string' ? code : 'FAILED'
  const message = fileMessage(reason, path) ?? error.message
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

function fileMessage(code: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  if (code === 'ENOENT') return `no such file: ${path}`
  if (code === 'EACCES' || code === 'EPERM') return `no permission for ${path}`
  if (code === 'ENOTDIR') return `${path}: what it lies in is not a folder`
  if (code === 'EISDIR') return `${path} is a folder, not a file`
  if (code === 'ENOSPC') return `the disk is full: free some space for ${path}`
  return undefined
}
