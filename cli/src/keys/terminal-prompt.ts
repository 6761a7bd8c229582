import type { ReadStream } from 'node:tty'

const ENTER = new Set(['\r', '\n', '\u0004'])
const BACKSPACE = new Set(['\u007f', '\b'])
const INTERRUPT = '\u0003'
const LENGTH_MAX = 1024

/** Asks a question whose answer does not appear on the screen. */
export function askSecretly(
  stdin: ReadStream,
  stderr: NodeJS.WritableStream,
  question: string,
): Promise<string> {
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stdin.resume()
  return new Promise((resolve, reject) => {
    let typed = ''
    const end = (settle: () => void) => {
      stdin.off('data', hear)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
      settle()
    }
    const hear = (chunk: Buffer | string) => {
      for (const letter of chunk.toString()) {
        if (ENTER.has(letter)) return end(() => resolve(typed))
        if (letter === INTERRUPT) return end(() => reject(new Error('interrupted')))
        typed = BACKSPACE.has(letter) ? typed.slice(0, -1) : (typed + letter).slice(0, LENGTH_MAX)
      }
    }
    stdin.on('data', hear)
  })
}
