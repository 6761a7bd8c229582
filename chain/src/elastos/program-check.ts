import { bytesEqual, bytesToHex, concatBytes } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { AddressPrefix, parseCode, programHashOf } from './ela-address.ts'
import { doubleHash } from './hash-orientation.ts'
import { P256_SIGNATURE_BYTES, signP256, verifyP256 } from './p256.ts'
import { verifySchnorr } from './schnorr.ts'
import type { Program } from './transaction.ts'

/** The push byte before each signature in a parameter. */
const PUSH_SIGNATURE = P256_SIGNATURE_BYTES
const SIGNATURE_SCRIPT_BYTES = P256_SIGNATURE_BYTES + 1

/** The parameter of a standard program: the signature of the unsigned transaction bytes. */
export function signatureParameter(unsigned: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(PUSH_SIGNATURE), signP256(unsigned, secretKey))
}

/** Cuts a parameter into its 64-byte signatures. */
export function parseSignatures(parameter: Uint8Array): Result<Uint8Array[]> {
  if (parameter.length === 0 || parameter.length % SIGNATURE_SCRIPT_BYTES !== 0) {
    return fault('MAIN_PROGRAM_SIGNATURE', 'a parameter is a row of signatures')
  }
  const signatures: Uint8Array[] = []
  for (let start = 0; start < parameter.length; start += SIGNATURE_SCRIPT_BYTES) {
    if (parameter[start] !== PUSH_SIGNATURE) {
      return fault('MAIN_PROGRAM_SIGNATURE', 'a signature in a parameter has 64 bytes')
    }
    signatures.push(parameter.slice(start + 1, start + SIGNATURE_SCRIPT_BYTES))
  }
  return ok(signatures)
}

/**
 * Whether the program may spend outputs of `programHash`: the whole program hash, prefix
 * included, must follow from its code (else a foreign program spends, as in July 2026), and its
 * signatures must be valid. Only standard and multisig programs; arbiters' and Schnorr ones are
 * refused here, since their keys follow from the state of the main chain.
 */
export function checkProgram(
  program: Program,
  programHash: Uint8Array,
  unsigned: Uint8Array,
): Result<undefined> {
  const code = parseCode(program.code)
  if (!code.ok) return code
  const parsed = code.value
  if (parsed.kind === 'schnorr' || (parsed.kind === 'multisig' && parsed.crossChain)) {
    return fault('MAIN_PROGRAM_CODE', 'this kind of program cannot spend here')
  }
  const prefix = parsed.kind === 'standard' ? AddressPrefix.standard : AddressPrefix.multisig
  if (!bytesEqual(programHashOf(prefix, program.code), programHash)) {
    return fault('MAIN_PROGRAM_HASH', 'the program is not the owner of the spent output')
  }
  const signatures = parseSignatures(program.parameter)
  if (!signatures.ok) return signatures
  if (parsed.kind === 'standard') {
    const [signature] = signatures.value
    if (signatures.value.length === 1 && signature) {
      if (verifyP256(signature, unsigned, parsed.publicKey)) return ok()
    }
    return fault('MAIN_PROGRAM_SIGNATURE', 'the signature of a program is not valid')
  }
  return checkMultisig(signatures.value, parsed, unsigned)
}

/**
 * Whether the program's signatures are valid for its own code, whoever may own what it spends:
 * any known code, arbiters' and Schnorr ones too.
 */
export function checkProgramSignatures(program: Program, unsigned: Uint8Array): Result<undefined> {
  const code = parseCode(program.code)
  if (!code.ok) return code
  const parsed = code.value
  if (parsed.kind === 'schnorr') {
    if (verifySchnorr(program.parameter, doubleHash(unsigned), parsed.publicKey)) return ok()
    return fault('MAIN_PROGRAM_SIGNATURE', 'the Schnorr signature of a program is not valid')
  }
  const signatures = parseSignatures(program.parameter)
  if (!signatures.ok) return signatures
  const keys = parsed.kind === 'standard' ? [parsed.publicKey] : parsed.publicKeys
  const required = parsed.kind === 'standard' ? 1 : parsed.required
  return checkMultisig(signatures.value, { required, publicKeys: keys }, unsigned)
}

function checkMultisig(
  signatures: readonly Uint8Array[],
  code: { readonly required: number; readonly publicKeys: readonly Uint8Array[] },
  unsigned: Uint8Array,
): Result<undefined> {
  if (signatures.length < code.required || signatures.length > code.publicKeys.length) {
    return fault('MAIN_PROGRAM_SIGNATURE', 'a multisig program has m to n signatures')
  }
  const signers = new Set<string>()
  for (const signature of signatures) {
    const signer = code.publicKeys.find(
      (key) => !signers.has(bytesToHex(key)) && verifyP256(signature, unsigned, key),
    )
    if (!signer) return fault('MAIN_PROGRAM_SIGNATURE', 'a multisig signature is not valid')
    signers.add(bytesToHex(signer))
  }
  return ok()
}
