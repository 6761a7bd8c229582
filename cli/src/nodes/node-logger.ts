import pino, { type DestinationStream, type Logger } from 'pino'
import type { NodeConfig } from './node-config.ts'

/**
 * The log of a node, one JSON object a line. Errors are told with message, stack and cause: without
 * a serializer of that name `{ error }` is written as `{}`, and a node that stops says nothing of why.
 */
export function nodeLogger(
  { name, logLevel }: Pick<NodeConfig, 'name' | 'logLevel'>,
  destination: DestinationStream = pino.destination(1),
): Logger {
  return pino(
    { name, level: logLevel, serializers: { error: pino.stdSerializers.err } },
    destination,
  )
}
