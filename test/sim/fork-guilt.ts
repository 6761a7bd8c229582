import { bytesToHex } from '../../chain/src/bytes/hex.ts'
import {
  type ChainLink,
  contradictionTo,
  guiltyVotes,
} from '../../chain/src/consensus/fork-proof.ts'
import type { EpochValidator } from '../../chain/src/consensus/machine-interface.ts'
import { quorumOf } from '../../chain/src/consensus/quorum.ts'
import type { Certificate } from '../../chain/src/types/consensus-objects.ts'
import { validatorOf } from './cheap-crypto.ts'
import { type SetOf, Violation } from './violation.ts'
import type { Instance } from './instance.ts'
import type { CommittedBlock } from './simulated-disk.ts'

/** Height at which two chains part; undefined if one is a part of the other. */
export function forkHeight(one: Instance, other: Instance): number | undefined {
  const common = Math.min(one.height, other.height)
  for (let height = 1; height <= common; height++) {
    if (one.disk.blockAt(height).hash !== other.disk.blockAt(height).hash) return height
  }
  return undefined
}

/**
 * I8: from two conflicting chains alone, validators of weight 2q - W at least, more than a third,
 * are shown to have signed contradicting votes; no honest one is among them.
 */
export function checkGuilt(
  one: Instance,
  other: Instance,
  height: number,
  setOfEpoch: SetOf,
  honest: ReadonlySet<number>,
): void {
  const chains = [one, other].map(({ disk }) => finalityAbove(disk.chain, height))
  const [a, b] = chains
  if (!a || !b) throw new Violation('I8 a committed block has no certificate above it')
  const isFirstLower = a.certificate.statement.view <= b.certificate.statement.view
  const [lower, higher] = isFirstLower ? [a, b] : [b, a]
  const contradiction = contradictionTo(lower.certificate, higher.certificate, higher.links)
  if (!contradiction) throw new Violation(`I8 the chains do not show who forked at ${height}`)
  const { epoch } = lower.certificate.statement
  const validators = setOfEpoch(epoch)
  const guilty = guiltyVotes(lower.certificate, contradiction).map(({ first }) => first.validator)
  const { quorum, total } = quorumOf(validators)
  const weight = guilty.reduce((sum, index) => sum + (validators[index]?.weight ?? 0), 0)
  if (weight < 2 * quorum - total || 3 * weight <= total) {
    throw new Violation(`I8 only weight ${weight} of ${total} is shown guilty of the fork`)
  }
  const isHonest = ({ publicKey }: EpochValidator) => honest.has(validatorOf(publicKey))
  if (guilty.some((index) => isHonest(validators[index] as EpochValidator))) {
    throw new Violation('I7 an honest validator is shown guilty of a fork')
  }
}

interface Finality {
  readonly certificate: Certificate
  /** The chain below the certificate within its epoch, newest first. */
  readonly links: readonly ChainLink[]
}

/** The first finality certificate at or above a height; it is of that height's epoch. */
function finalityAbove(chain: readonly CommittedBlock[], height: number): Finality | undefined {
  const at = chain.findIndex(({ header, certificate }) => header.height >= height && certificate)
  const certificate = chain[at]?.certificate
  if (!certificate) return undefined
  const hash = bytesToHex(certificate.statement.hash)
  const again = chain[at]?.reproposals ?? []
  const links: ChainLink[] = again
    .toReversed()
    .map(({ view, justification }) => ({ view, hash, justification }))
  for (const block of chain.slice(0, at + 1).reverse()) {
    if (block.header.epoch !== certificate.statement.epoch) break
    const { header, justification } = block
    links.push({ view: header.view, hash: block.hash, justification })
  }
  return { certificate, links }
}
