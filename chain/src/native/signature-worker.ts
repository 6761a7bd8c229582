import { parentPort } from 'node:worker_threads'
import { pureSecp256k1 } from '../bytes/signature.ts'
import { knowingSecp256k1 } from './install-native-crypto.ts'
import { type SignatureShares, workOff } from './signature-shares.ts'

const secp = knowingSecp256k1()?.secp256k1 ?? pureSecp256k1

/** A thread that works off shares of signature checks. */
parentPort?.on('message', (shares: SignatureShares) => {
  workOff(shares, secp)
})
