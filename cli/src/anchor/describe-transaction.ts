import { bytesToHex, fault, ok, type Result } from '@ioex/chain/bytes'
import {
  checkProgramSignatures,
  type DecodedTransaction,
  formatEla,
  formatElaAddress,
  parseCode,
  type Program,
  programHashOf,
  sumOutputs,
  TransactionKind,
} from '@ioex/chain/elastos'
import { hashJson, plainJson } from './plain-json.ts'
import type { Verdict } from './verdict.ts'

const TYPE_NAMES = new Map<number, string>(
  Object.entries(TransactionKind).map(([name, type]) => [type, name]),
)
const SIGNATURE_SCRIPT_BYTES = 65
/** Types that spend an X address, which only a program of the arbiters may. */
const ARBITER_TYPES: ReadonlySet<number> = new Set([
  TransactionKind.withdraw,
  TransactionKind.returnDeposit,
])

export function transactionJson(decoded: DecodedTransaction) {
  const { transaction, id, unsigned, raw } = decoded
  return {
    txid: hashJson(id),
    version: transaction.version,
    type: transaction.type,
    typeName: TYPE_NAMES.get(transaction.type) ?? 'unknown',
    payloadVersion: transaction.payloadVersion,
    payload: plainJson(transaction.payload),
    attributes: plainJson(transaction.attributes),
    inputs: transaction.inputs.map(({ transactionId, index, sequence }) => ({
      txid: hashJson(transactionId),
      index,
      sequence,
    })),
    outputs: transaction.outputs.map((output) => ({
      assetId: hashJson(output.assetId),
      value: output.value.toString(),
      ela: formatEla(output.value),
      outputLock: output.outputLock,
      programHash: bytesToHex(output.programHash),
      address: formatElaAddress(output.programHash),
      payload: plainJson(output.payload),
    })),
    lockTime: transaction.lockTime,
    programs: transaction.programs.map((program) => programJson(program, unsigned)),
    unsigned: bytesToHex(unsigned),
    size: raw.length,
  }
}

function programJson(program: Program, unsigned: Uint8Array) {
  const code = parseCode(program.code)
  const form = code.ok ? code.value : undefined
  return {
    parameter: bytesToHex(program.parameter),
    code: bytesToHex(program.code),
    form: form?.kind ?? 'unknown',
    ...(form?.kind === 'multisig' && {
      required: form.required,
      keys: form.publicKeys.map(bytesToHex),
      crossChain: form.crossChain,
    }),
    ...((form?.kind === 'standard' || form?.kind === 'schnorr') && {
      key: bytesToHex(form.publicKey),
    }),
    ...(form && {
      address: formatElaAddress(
        programHashOf(form.kind === 'multisig' ? 0x12 : 0x21, program.code),
      ),
    }),
    signatures: signatureState(program, unsigned),
  }
}

/** Whether the signatures fit the code over these bytes; transactions are also shown unsigned. */
function signatureState(program: Program, unsigned: Uint8Array): string {
  if (program.parameter.length === 0) return 'none'
  if (checkProgramSignatures(program, unsigned).ok) return 'valid'
  const code = parseCode(program.code)
  const count = program.parameter.length / SIGNATURE_SCRIPT_BYTES
  const isShort = code.ok && code.value.kind === 'multisig' && count < code.value.required
  return isShort ? 'incomplete' : 'invalid'
}

/** What can be said of a transaction without the chain: sums, and who may spend an X address. */
export function checkTransactionAlone(verdict: Verdict, decoded: DecodedTransaction): void {
  const { transaction } = decoded
  verdict.take('amounts', sumOutputs(transaction.outputs))
  if (ARBITER_TYPES.has(transaction.type)) verdict.take('arbiters', checkArbiterPrograms(decoded))
  if (transaction.payload.kind !== 'side-chain-pow') return
  verdict.expect(
    'payloadVersion',
    transaction.payloadVersion === 0,
    'MAIN_ANCHOR_TYPE',
    'a SideChainPow has payload version 0',
  )
}

function checkArbiterPrograms({ transaction }: DecodedTransaction): Result<undefined> {
  for (const program of transaction.programs) {
    const code = parseCode(program.code)
    if (!code.ok) return code
    const form = code.value
    const isTheirs = form.kind === 'schnorr' || (form.kind === 'multisig' && form.crossChain)
    if (!isTheirs) {
      return fault('MAIN_PROGRAM_CODE', 'not a valid cross chain transaction code')
    }
  }
  return ok()
}
