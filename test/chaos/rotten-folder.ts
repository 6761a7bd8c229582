import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Random } from '../sim/random.ts'

export interface FlippedByte {
  /** File and offset, for the log. */
  readonly place: string
  /** True for what no peer can give back: the signing history. */
  readonly isOwn: boolean
  /** As from a backup. */
  restore(): Promise<void>
}

/** Folders of a stopped validator that hold data of its own; keys have a checksum of theirs. */
const FOLDERS = ['chain', 'snapshots', 'consensus', 'consensus/wal'] as const
/** Random bytes, and files that only say who runs. */
const SPARED = /^(reserve|LOCK|LOG|LOG\.old)$/

/** Flips one bit anywhere in the files of a node that does not run. */
export async function rotOneByte(folder: string, random: Random): Promise<FlippedByte> {
  const files: { path: string; isOwn: boolean }[] = []
  for (const name of FOLDERS) {
    const entries = await readdir(join(folder, name), { withFileTypes: true }).catch(() => [])
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (!entry.isFile() || SPARED.test(entry.name)) continue
      files.push({ path: join(name, entry.name), isOwn: name.startsWith('consensus') })
    }
  }
  const { path, isOwn } = random.pick(files)
  return { ...(await rotByteOf(folder, path, random)), isOwn }
}

/** Flips one bit of a file. */
export async function rotByteOf(
  folder: string,
  path: string,
  random: Random,
): Promise<Omit<FlippedByte, 'isOwn'>> {
  const whole = await readFile(join(folder, path))
  const at = whole.length > 0 ? random.between(0, whole.length - 1) : 0
  const flipped = Buffer.from(whole)
  if (flipped.length > 0) flipped[at] = (flipped[at] as number) ^ (1 << random.between(0, 7))
  await writeFile(join(folder, path), flipped)
  return {
    place: `${path}, byte ${at} of ${whole.length}`,
    restore: () => writeFile(join(folder, path), whole),
  }
}

/** Every file that a validator's folder keeps something in, by its path there. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile() && !SPARED.test(entry.name))
    .map((entry) => join(relative(folder, entry.parentPath), entry.name))
    .sort()
}

/** What the node says to do: the chain moves away and comes back from the peers. */
export async function withoutChain(folder: string): Promise<void> {
  await rm(join(folder, 'chain.damaged'), { recursive: true, force: true })
  await rename(join(folder, 'chain'), join(folder, 'chain.damaged'))
  await rm(join(folder, 'snapshots'), { recursive: true, force: true })
}
