import { expect, test } from 'vitest'
import { CommandError, EXIT_USAGE, reportFailure } from './failure.ts'

/** What a person reads, and the exit code. */
function reported(error: unknown): [string, number] {
  let text = ''
  const stderr = { write: (part: string) => (text += part) } as never
  const code = reportFailure(error, { stdout: stderr, stderr } as never, false)
  return [text.trim(), code]
}

const systemError = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code}: raw`), { code, syscall: 'open', ...more })

test.each([
  ['EACCES', { path: '/d/keys' }, 'no permission for /d/keys: run this as the user who owns it'],
  ['EROFS', { path: '/d/keys' }, '/d/keys is on a read-only disk: mount it writable'],
  ['ENOTDIR', { path: '/d/keys' }, 'what it lies in is not a folder: name another place'],
  ['EISDIR', { path: '/d' }, '/d is a folder, not a file: name the file'],
  ['ENOENT', { path: '/d' }, 'no such file: /d'],
  ['ENOSPC', { path: '/d' }, 'the disk is full: free some space for /d, then do the same again'],
  ['ENOSPC', {}, 'the disk is full: free some space, then do the same again'],
  ['EMFILE', {}, 'too many files are open: raise the limit'],
  [
    'EADDRINUSE',
    { address: '::1', port: 7 },
    'another process listens at ::1:7: stop it, or choose',
  ],
  ['EADDRNOTAVAIL', { address: '10.9.9.9', port: 7 }, '10.9.9.9 is no address of this machine'],
])('%s of %j says what to do', (code, more, expected) => {
  const [text, exitCode] = reported(systemError(code, more))
  expect(text).toContain(expected)
  expect(text).not.toContain('raw')
  expect(exitCode).toBe(1)
})

test('a port that is in use is named, also where libp2p says so', () => {
  const message =
    'Some configured addresses failed to be listened on, you may need to …:\n\n' +
    '  /ip4/127.0.0.1/tcp/39102: Error: listen EADDRINUSE: address already in use 127.0.0.1:39102\n' +
    '      at Server.setupListenHandle [as _listen2] (node:net:2328:16)\n'
  const [text] = reported(new Error(message))
  expect(text).toBe(
    'ioex: another process listens at 127.0.0.1:39102: stop it, or choose another port',
  )
})

test('what has a message of its own keeps it, and its exit code', () => {
  expect(reported(systemError('EXDEV', { path: '/d' }))).toEqual(['ioex: EXDEV: raw', 1])
  const wrong = new CommandError('ROLES_MISSING', 'no role is named', EXIT_USAGE)
  expect(reported(wrong)).toEqual(['ioex: no role is named', EXIT_USAGE])
})
