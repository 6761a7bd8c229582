import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { auditExport } from './audit-export.ts'
import { downloadExport } from './download-export.ts'
import { eventfulChain, sameGenesis } from './testing/certified-chain.ts'

await installNativeCrypto()
const genesisText = '{ "the genesis file": "of a test" }\n'

describe('x', () => {
  test('y', async () => {
    const chain = eventfulChain()
    const folder = await mkdtemp(join(tmpdir(), 'ioex-audit-'))
    const d = await downloadExport({ folder, chainId: bytesToHex(chain.sample.chainId), genesisText, node: chain.source() })
    console.log(d)
    const r = await auditExport({ folder, genesis: sameGenesis(), genesisText, question: {contract: 0} })
    console.dir(r, {depth:5})
    await rm(folder, {recursive:true})
  })
})
