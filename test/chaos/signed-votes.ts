import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WriteAheadLog } from '@ioex/chain/driver'
import { contradicts, type Vote, VoteKind } from '@ioex/chain/types'
import { recordsOf } from '../../chain/src/driver/log-records.ts'

/** Every vote that a stopped validator's folder says it signed; the folder stays as it is. */
export async function votesSignedIn(folder: string, chainId: Uint8Array): Promise<Vote[]> {
  const copy = await mkdtemp(join(tmpdir(), 'ioex-votes-'))
  try {
    // Opening a log writes a new segment.
    await cp(join(folder, 'consensus', 'wal'), copy, { recursive: true })
    const { log, entries } = await WriteAheadLog.open(copy, chainId, () => Promise.resolve())
    await log.close()
    const { records } = recordsOf(entries)
    return records.flatMap((record) => (record.type === 'vote' ? [record.vote] : []))
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

/** Names every pair among the votes that no honest validator signs (consensus 1.8). */
export function signedTwice(votes: readonly Vote[]): string[] {
  const ofView = new Map<string, Vote[]>()
  const found: string[] = []
  for (const vote of votes) {
    const { epoch, view } = vote.statement
    const key = `${vote.validator}/${epoch}/${view}`
    const others = ofView.get(key) ?? []
    for (const other of others) {
      if (!contradicts(other.statement, vote.statement)) continue
      const kinds = [other, vote].map(({ statement }) => nameOf(statement.kind)).join(' and ')
      found.push(`validator ${vote.validator} signed ${kinds} in view ${view} of epoch ${epoch}`)
    }
    ofView.set(key, [...others, vote])
  }
  return found
}

function nameOf(kind: number): string {
  return Object.entries(VoteKind).find(([, value]) => value === kind)?.[0] ?? String(kind)
}
