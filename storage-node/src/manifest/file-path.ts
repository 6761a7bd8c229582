import { bytesToHex, fault, ok, type Result, utf8ToBytes } from '@ioex/chain/bytes'

export const PATH_BYTES_MAX = 4096

/**
 * UTF-8 bytes of a path as manifests carry it: any language, relative, "/" between names, no
 * empty name, no "." or "..", no NUL, well-formed Unicode, at most 4,096 bytes. Names are kept as
 * they are, unnormalised, so that a restore gives back the same ones. Fault PATH.
 */
export function encodePath(path: string): Result<Uint8Array> {
  if (path.length > PATH_BYTES_MAX) return tooLong()
  if (!path.isWellFormed()) return fault('PATH', 'a file name is not well-formed Unicode')
  const bytes = utf8ToBytes(path)
  if (bytes.length > PATH_BYTES_MAX) return tooLong()
  const names = path.split('/')
  // A restore joins the path to a folder of the user's choice: it must never leave it.
  if (names.some((name) => name === '' || name === '.' || name === '..' || name.includes('\0'))) {
    return fault('PATH', 'a path is relative, of plain names with "/" between them')
  }
  return ok(bytes)
}

function tooLong() {
  return fault('PATH', `a path has at most ${PATH_BYTES_MAX} bytes`)
}

/** The path of untrusted manifest bytes, under the rules of encodePath. Fault PATH. */
export function decodePath(bytes: Uint8Array): Result<string> {
  if (bytes.length > PATH_BYTES_MAX) return tooLong()
  const text = decodeUtf8(bytes)
  if (text === undefined) return fault('PATH', 'a path is not UTF-8')
  const encoded = encodePath(text)
  return encoded.ok ? ok(text) : encoded
}

/**
 * Strict UTF-8 by the language's own decoder of percent escapes: pure rooms have no TextDecoder.
 */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decodeURIComponent(bytesToHex(bytes).replace(/../g, '%$&'))
  } catch {
    return undefined
  }
}
