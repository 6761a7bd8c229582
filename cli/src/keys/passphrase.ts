import { open } from 'node:fs/promises'
import { KeyFileError } from './sealed-secret.ts'

/** Where a passphrase may come from. Never from the command line, which every user can read. */
export interface PassphraseOptions {
  /** File whose first line is the passphrase; it goes before the prompt. */
  readonly file: string | undefined
  /** Asks the person at the terminal; undefined where nobody sits. */
  readonly prompt?: ((question: string) => Promise<string>) | undefined
}

const FILE_BYTES_MAX = 1024
const PASSPHRASE_LENGTH_MIN = 8

/** Gives the passphrase when one is needed, asking for it once at most. */
export class PassphraseSource {
  readonly #options: PassphraseOptions
  #known: Promise<string> | undefined

  constructor(options: PassphraseOptions) {
    this.#options = options
  }

  /** The passphrase of a file that exists. Throws PASSPHRASE_MISSING if nobody can tell it. */
  toOpen(path: string): Promise<string> {
    this.#known ??= this.#read(`Passphrase of ${path}: `)
    return this.#known
  }

  /** One for a new file; typed twice at a terminal. Throws PASSPHRASE_WEAK for a short one. */
  toSeal(): Promise<string> {
    this.#known ??= this.#readNew()
    return this.#known
  }

  async #readNew(): Promise<string> {
    const passphrase = await this.#read('New passphrase: ')
    if (passphrase.length < PASSPHRASE_LENGTH_MIN) {
      throw new KeyFileError(
        'PASSPHRASE_WEAK',
        `take a passphrase of at least ${PASSPHRASE_LENGTH_MIN} letters`,
      )
    }
    const { file, prompt } = this.#options
    if (file === undefined && (await prompt?.('The same again: ')) !== passphrase) {
      throw new KeyFileError('PASSPHRASE_WRONG', 'the two passphrases differ: nothing was written')
    }
    return passphrase
  }

  async #read(question: string): Promise<string> {
    const { file, prompt } = this.#options
    if (file !== undefined) return readPassphraseFile(file)
    if (prompt) return prompt(question)
    throw new KeyFileError(
      'PASSPHRASE_MISSING',
      'a passphrase is needed: name a file that holds it with --passphrase-file (or ' +
        'IOEX_PASSPHRASE_FILE), or run this at a terminal',
    )
  }
}

async function readPassphraseFile(path: string): Promise<string> {
  const handle = await openFile(path)
  try {
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    const [line = ''] = buffer.toString('utf8', 0, bytesRead).split(/\r?\n/)
    if (bytesRead <= FILE_BYTES_MAX && line !== '') return line
  } finally {
    await handle.close()
  }
  throw new KeyFileError(
    'PASSPHRASE_MISSING',
    `${path} holds no passphrase: its first line is taken, at most ${FILE_BYTES_MAX} bytes`,
  )
}

async function openFile(path: string) {
  try {
    return await open(path, 'r')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw error
    throw new KeyFileError('PASSPHRASE_MISSING', `there is no passphrase file at ${path}`)
  }
}
