import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { type SignatureCheck, signingDigest } from '../bytes/signature.ts'
import { transactionDigest, transactionRoot } from '../types/transaction-codec.ts'
import { prepareRoots } from '../types/transaction-roots.ts'
import { PayloadKind, type Transaction } from '../types/transactions.ts'
import { prepareVoucherRoots, voucherRoot } from '../types/voucher-root.ts'
import { laneOf } from './transaction-checks.ts'

/**
 * The signatures that executing these transactions will check for certain, if they get so far: the
 * senders' own and the vouchers of redeems. What was verified before is left out.
 */
export function signatureChecks(
  transactions: readonly Transaction[],
  chainId: Uint8Array,
  isVerified: (transactionRoot: Hex) => boolean,
): SignatureCheck[] {
  prepareRoots(transactions)
  const checks: SignatureCheck[] = []
  for (const transaction of transactions) {
    const { body, signature } = transaction
    if (laneOf(body) === 'system') continue
    if (!isVerified(bytesToHex(transactionRoot(transaction)))) {
      const digest = transactionDigest(body, chainId)
      checks.push({ signature, digest, publicKey: body.sender })
    }
    if (body.payload.selector !== PayloadKind.redeem) continue
    const { vouchers } = body.payload.value
    prepareVoucherRoots(vouchers.map(({ voucher }) => voucher))
    for (const { voucher, payerKey, signature: own } of vouchers) {
      const digest = signingDigest('voucher', chainId, voucherRoot(voucher))
      checks.push({ signature: own, digest, publicKey: payerKey })
    }
  }
  return checks
}
