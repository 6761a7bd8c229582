import { bytesEqual, bytesToHex, fault, ok, parseHex, type Result } from '@ioex/chain/bytes'
import {
  AddressPrefix,
  asInternalHash,
  crossChainCode,
  formatElaAddress,
  parseCode,
  parseElaAddress,
  programHashOf,
  standardCode,
  type ParsedCode,
} from '@ioex/chain/elastos'
import { hashJson } from './plain-json.ts'
import { Verdict } from './verdict.ts'

const CODE_BYTES_MAX = 34_003
const PROGRAM_HASH_BYTES = 21
const HASH_BYTES = 32
const PUBLIC_KEY_BYTES = 33
const ADDRESS_LENGTH = 34
const PREFIX_NAMES = new Map<number, string>(
  Object.entries(AddressPrefix).map(([name, prefix]) => [prefix, name]),
)

/** An address, or what one is made of, as given on the command line. */
type Given =
  | { readonly form: 'address' | 'program-hash'; readonly programHash: Uint8Array }
  | { readonly form: 'public-key' | 'code'; readonly code: Uint8Array; readonly prefix: number }
  | { readonly form: 'genesis'; readonly genesis: Uint8Array }

/**
 * Describes an address from its text, a program hash (21 bytes), a public key (33), a genesis
 * hash in internal order (32), or a code. `against` is the address or program hash it must be.
 */
export function describeAddress(text: string, against: string | undefined): object {
  const verdict = new Verdict()
  const given = readGiven(text)
  if (!verdict.take('form', given) || !given.ok) return { kind: 'address', ...verdict.json() }
  const programHash = programHashOfGiven(given.value)
  const prefix = programHash[0] ?? 0
  verdict.expect(
    'kind',
    PREFIX_NAMES.has(prefix),
    'ELA_ADDRESS_MALFORMED',
    'not an ELA address: its kind does not exist',
  )
  if (against !== undefined) verdict.take('against', isSame(programHash, against))
  return {
    kind: 'address',
    ...verdict.json(),
    form: given.value.form,
    address: formatElaAddress(programHash),
    programHash: bytesToHex(programHash),
    prefix: prefix.toString(16).padStart(2, '0'),
    use: PREFIX_NAMES.get(prefix) ?? 'unknown',
    ...partsJson(given.value),
  }
}

function readGiven(text: string): Result<Given> {
  if (text.length === ADDRESS_LENGTH && !/^[0-9a-fA-F]+$/.test(text)) {
    const parsed = parseElaAddress(text)
    return parsed.ok ? ok({ form: 'address', programHash: parsed.value }) : parsed
  }
  const bytes = parseHex(text, CODE_BYTES_MAX)
  if (!bytes.ok) {
    return fault('ELA_ADDRESS_MALFORMED', 'give an address, or hex of what one is made of')
  }
  const { value } = bytes
  if (value.length === PROGRAM_HASH_BYTES) return ok({ form: 'program-hash', programHash: value })
  if (value.length === HASH_BYTES) return ok({ form: 'genesis', genesis: value })
  if (value.length === PUBLIC_KEY_BYTES && (value[0] === 2 || value[0] === 3)) {
    return ok({ form: 'public-key', code: standardCode(value), prefix: AddressPrefix.standard })
  }
  return readCode(value)
}

function readCode(code: Uint8Array): Result<Given> {
  const isGenesisCode = code.length === 34 && code[0] === 0x20 && code[33] === 0xaf
  if (isGenesisCode) return ok({ form: 'genesis', genesis: code.slice(1, 33) })
  const parsed = parseCode(code)
  return parsed.ok ? ok({ form: 'code', code, prefix: prefixOf(parsed.value) }) : parsed
}

function prefixOf(code: ParsedCode): number {
  return code.kind === 'multisig' ? AddressPrefix.multisig : AddressPrefix.standard
}

function programHashOfGiven(given: Given): Uint8Array {
  if ('programHash' in given) return given.programHash
  if ('code' in given) return programHashOf(given.prefix, given.code)
  return programHashOf(AddressPrefix.crossChain, crossChainCode(asInternalHash(given.genesis)))
}

function partsJson(given: Given): object {
  if ('programHash' in given) return {}
  if ('code' in given) return { code: bytesToHex(given.code) }
  const reversed = asInternalHash(Uint8Array.from(given.genesis).reverse())
  const wrong = programHashOf(AddressPrefix.crossChain, crossChainCode(reversed))
  return {
    genesis: hashJson(given.genesis),
    code: bytesToHex(crossChainCode(asInternalHash(given.genesis))),
    // Plausible and worthless: the address of the hash written the other way round.
    wrongIfReversed: formatElaAddress(wrong),
  }
}

function isSame(programHash: Uint8Array, against: string): Result<undefined> {
  const address = parseElaAddress(against)
  const hex = parseHex(against, PROGRAM_HASH_BYTES)
  const isGiven =
    (address.ok && bytesEqual(address.value, programHash)) ||
    (hex.ok && bytesEqual(hex.value, programHash)) ||
    (hex.ok && bytesEqual(hex.value, programHash.subarray(1)))
  return isGiven ? ok() : fault('ELA_ADDRESS_OTHER', 'this makes another address')
}
