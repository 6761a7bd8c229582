import {
  createCipheriv,
  createDecipheriv,
  createHash,
  randomBytes,
  scrypt,
  type ScryptOptions,
} from 'node:crypto'
import { z } from 'zod'

/** What a sealed secret is for; a file of one kind does not pass for another's. */
export type SecretKind = 'owner' | 'node' | 'consensus' | 'main-chain' | 'wallet'

export type KeyFileErrorCode =
  | 'KEY_FILE_MISSING'
  | 'KEY_FILE_EXISTS'
  | 'KEY_FILE_DAMAGED'
  | 'KEY_FILE_KIND'
  | 'PASSPHRASE_WRONG'
  | 'PASSPHRASE_MISSING'
  | 'PASSPHRASE_WEAK'

/** A key file that cannot be used as it is; the message says what to do. */
export class KeyFileError extends Error {
  override name = 'KeyFileError'
  readonly code: KeyFileErrorCode

  constructor(code: KeyFileErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** 128 MiB and about a third of a second for each guess (N = 2^17, r = 8). */
export const SCRYPT_COST = 2 ** 17
const SCRYPT_BLOCK = 8
const KEY_BYTES = 32
const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const SECRET_BYTES_MAX = 1024
/** Of a sealed file; more is never read. */
const SEALED_TEXT_MAX = 8192

const FORMAT = 'ioex-sealed/1'
const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))

const SealedSchema = z.strictObject({
  format: z.literal(FORMAT),
  kind: z.enum(['owner', 'node', 'consensus', 'main-chain', 'wallet']),
  publicKey: hex(33),
  scrypt: z.strictObject({
    // Bounds the memory that a file from elsewhere can make us take.
    n: z.union([10, 12, 14, 15, 16, 17, 18, 19, 20].map((log) => z.literal(2 ** log))),
    r: z.literal(SCRYPT_BLOCK),
    p: z.literal(1),
    salt: hex(SALT_BYTES),
  }),
  nonce: hex(NONCE_BYTES),
  ciphertext: z
    .string()
    .regex(/^(?:[0-9a-f]{2})+$/)
    .max(2 * SECRET_BYTES_MAX),
  tag: hex(TAG_BYTES),
  /** SHA-256 of all fields before it: tells a damaged file from a wrong passphrase. */
  checksum: hex(32),
})
type Sealed = z.infer<typeof SealedSchema>

export interface SecretInfo {
  readonly kind: SecretKind
  /** 33 bytes, hex; known without the passphrase. */
  readonly publicKey: string
}

/**
 * A secret as text that only the passphrase opens: AES-256-GCM under scrypt(passphrase). Kind,
 * public key and costs are authenticated with it.
 */
export async function sealSecret(
  secret: Uint8Array,
  { kind, publicKey }: SecretInfo,
  passphrase: string,
  cost = SCRYPT_COST,
): Promise<string> {
  if (secret.length === 0 || secret.length > SECRET_BYTES_MAX) {
    throw new RangeError(`a secret has 1 to ${SECRET_BYTES_MAX} bytes`)
  }
  const salt = randomBytes(SALT_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const head = {
    format: FORMAT,
    kind,
    publicKey,
    scrypt: { n: cost, r: SCRYPT_BLOCK, p: 1, salt: salt.toString('hex') },
    nonce: nonce.toString('hex'),
  } as const
  const key = await deriveKey(passphrase, salt, cost)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(JSON.stringify(head)))
  const ciphertext = Buffer.concat([cipher.update(secret), cipher.final()]).toString('hex')
  key.fill(0)
  const body = { ...head, ciphertext, tag: cipher.getAuthTag().toString('hex') }
  return textOf({ ...body, checksum: checksumOf(body) })
}

/** Whether a file's text is a sealed secret (and not a plain one). */
export function isSealed(text: string): boolean {
  return text.trimStart().startsWith('{') && text.includes('ioex-sealed/')
}

/** What a sealed text says of itself, unproven until it is opened. Throws KEY_FILE_DAMAGED. */
export function sealedInfo(text: string, path: string): SecretInfo {
  const { kind, publicKey } = parseSealed(text, path)
  return { kind, publicKey }
}

/**
 * Opens a sealed text. Throws KEY_FILE_DAMAGED for one that was cut or changed, KEY_FILE_KIND for
 * another kind's, PASSPHRASE_WRONG where the passphrase (or whoever changed the file) does not fit.
 */
export async function openSecret(
  text: string,
  kind: SecretKind,
  passphrase: string,
  path: string,
): Promise<Uint8Array> {
  const sealed = parseSealed(text, path)
  if (sealed.kind !== kind) {
    throw new KeyFileError('KEY_FILE_KIND', `${path} holds a ${sealed.kind} key, not a ${kind} key`)
  }
  const { ciphertext, tag, checksum: _, ...head } = sealed
  const key = await deriveKey(passphrase, Buffer.from(head.scrypt.salt, 'hex'), head.scrypt.n)
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(head.nonce, 'hex'), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(JSON.stringify(head)))
  decipher.setAuthTag(Buffer.from(tag, 'hex'))
  try {
    return Buffer.concat([decipher.update(Buffer.from(ciphertext, 'hex')), decipher.final()])
  } catch {
    throw new KeyFileError('PASSPHRASE_WRONG', `this passphrase does not open ${path}`)
  } finally {
    key.fill(0)
  }
}

function parseSealed(text: string, path: string): Sealed {
  const parsed = text.length > SEALED_TEXT_MAX ? undefined : SealedSchema.safeParse(parseJson(text))
  const sealed = parsed?.success ? parsed.data : undefined
  if (sealed) {
    const { checksum, ...body } = sealed
    // One text for one secret: nothing can hide in white space or in the order of fields.
    if (checksum === checksumOf(body) && textOf(sealed) === text) return sealed
  }
  throw new KeyFileError(
    'KEY_FILE_DAMAGED',
    `${path} is damaged or was changed: restore it from a backup`,
  )
}

function textOf(sealed: Sealed): string {
  return `${JSON.stringify(sealed, null, 2)}\n`
}

function checksumOf(body: Omit<Sealed, 'checksum'>): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The same letters typed on different keyboards give the same key (NFKC). */
function deriveKey(passphrase: string, salt: Uint8Array, cost: number): Promise<Buffer> {
  const options: ScryptOptions = {
    N: cost,
    r: SCRYPT_BLOCK,
    p: 1,
    maxmem: 256 * cost * SCRYPT_BLOCK,
  }
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, KEY_BYTES, options, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })
}
