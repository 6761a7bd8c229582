import { presets } from '@ioex/genesis/presets'
import { CertificateType, HeaderType, validatorSetHash } from '@ioex/chain/types'
import { bytesToHex } from '@ioex/chain/bytes'
import { expect, test } from 'vitest'
import { createLedgerStory } from '../server/testing/ledger-story.ts'
import { checkFinality } from '@ioex/chain/light'
import { decodeCertificate, decodeHeader } from './certified-head.ts'
import { checkRun } from './header-chain.ts'

const ledger = createLedgerStory(presets.ci)
const validators = ledger.validatorSet()
const rules = {
  chainId: ledger.chainId,
  epochBlocks: presets.ci.epochBlocks,
  validators,
  validatorsHash: validatorSetHash(validators),
}

function blockAt(height: number) {
  const block = ledger.block(height)
  if (!block?.certificate) throw new Error('the story has no such block')
  return { header: block.header, hash: block.hash, certificate: block.certificate }
}

const entryOf = (height: number) => {
  const { header, certificate } = blockAt(height)
  return {
    height,
    header: bytesToHex(HeaderType.serialize(header)),
    certificate: bytesToHex(CertificateType.serialize(certificate)),
  }
}

test('three of four equal validators are a quorum, two are not', () => {
  const { header, hash } = blockAt(5)
  for (const [signers, expected] of [
    [[0, 1, 2, 3], true],
    [[1, 2, 3], true],
    [[1, 2], false],
    [[], false],
  ] as const) {
    const certificate = ledger.certify(header.epoch, header.view, hash, signers)
    expect(checkFinality(header, certificate, rules).ok).toBe(expected)
  }
})

test('a certificate is of one header, epoch, view, chain and set', () => {
  const { header, hash, certificate } = blockAt(5)
  const { epoch, view } = header
  expect(checkFinality(header, certificate, rules).ok).toBe(true)
  const wrong = [
    checkFinality({ ...header, timeMs: header.timeMs + 1 }, certificate, rules),
    checkFinality(header, ledger.certify(epoch + 1, view, hash), rules),
    checkFinality(header, ledger.certify(epoch, view + 1, hash), rules),
    checkFinality(header, certificate, { ...rules, chainId: new Uint8Array(32) }),
    checkFinality(header, certificate, { ...rules, validators: validators.toReversed() }),
    checkFinality(header, certificate, { ...rules, validatorsHash: new Uint8Array(32) }),
  ]
  expect(wrong.map(({ ok }) => ok)).toEqual(wrong.map(() => false))
  const signatures = [...certificate.signatures]
  signatures[2] = (signatures[2] as Uint8Array).map((byte, i) => (i === 9 ? byte ^ 1 : byte))
  expect(checkFinality(header, { ...certificate, signatures }, rules).ok).toBe(false)
})

test('only the last block of an epoch may be certified in a later view', () => {
  const last = blockAt(10)
  const later = ledger.certify(last.header.epoch, last.header.view + 3, last.hash)
  expect(checkFinality(last.header, later, rules).ok).toBe(true)
  const earlier = ledger.certify(last.header.epoch, last.header.view - 1, last.hash)
  expect(checkFinality(last.header, earlier, rules).ok).toBe(false)
})

test('untrusted hex is bounded and canonical', () => {
  const { header, certificate } = entryOf(5)
  expect(decodeHeader(header).ok).toBe(true)
  expect(decodeHeader(`${header}00`).ok).toBe(false)
  expect(decodeHeader('00'.repeat(5000)).ok).toBe(false)
  expect(decodeHeader('zz').ok).toBe(false)
  expect(decodeCertificate(certificate).ok).toBe(true)
  expect(decodeCertificate(certificate.slice(2)).ok).toBe(false)
})

test('a run is final up to its newest certificate, and only if its links hold', () => {
  const entries = [4, 5, 6, 7].map(entryOf)
  const uncertified = entries.map((entry, i) => (i === 1 ? entry : { ...entry, certificate: null }))
  const run = checkRun(uncertified, 4, () => rules)
  expect(run.ok && run.value.finalCount).toBe(2)
  expect(run.ok && run.value.headers).toHaveLength(4)
  expect(checkRun(entries, 5, () => rules)).toMatchObject({ fault: { code: 'HEADERS_GAP' } })
  const { header } = blockAt(6)
  const forged = HeaderType.serialize({ ...header, parentHash: new Uint8Array(32) })
  const broken = [4, 5].map(entryOf)
  broken.push({ ...entryOf(6), header: bytesToHex(forged) })
  expect(checkRun(broken, 4, () => rules)).toMatchObject({ fault: { code: 'HEADERS_UNLINKED' } })
  expect(checkRun([], 4, () => rules)).toMatchObject({ value: { headers: [], finalCount: 0 } })
})
