import { expect, test } from 'vitest'
import { nodeLogger } from './node-logger.ts'

test('a line says what the error was, and what was behind it', () => {
  const lines: string[] = []
  const logger = nodeLogger(
    { name: 'v1', logLevel: 'info' },
    { write: (line) => void lines.push(line) },
  )
  const cause = new Error('input/output error')
  logger.fatal({ reason: 'DRIVER_FAILED', error: new Error('log not written', { cause }) }, 'stop')
  const said = JSON.parse(lines[0] ?? '') as { error: { message: string; stack: string } }
  expect(said.error.message).toBe('log not written: input/output error')
  expect(said.error.stack).toContain('node-logger.test.ts')
})
