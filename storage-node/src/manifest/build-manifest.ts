import { assert } from '@ioex/chain/bytes'
import { encodePath } from './file-path.ts'
import { MANIFEST_VERSION, type FileEntry, type Manifest } from './manifest.ts'
import type { PackPlan, PlannedFile } from './plan-packs.ts'

/** A planned file with what reading it once gave. */
export interface PutFile extends PlannedFile {
  readonly mtimeMs: number
  readonly mode: number
  readonly sha256: Uint8Array
  /** 32 random bytes, fresh for every version. */
  readonly contentKey: Uint8Array
  /** SHA-256 of each part in order; of the whole file if there is one part. */
  readonly partSha256: readonly Uint8Array[]
}

/** Which put, by which device. */
export interface PutIdentity {
  readonly device: Uint8Array
  readonly sequence: number
  readonly createdMs: number
}

/** The manifests of a put, one per planned pack; `files` as they were planned. */
export function buildManifests(
  plans: readonly PackPlan[],
  files: readonly PutFile[],
  put: PutIdentity,
): Manifest[] {
  return plans.map((plan, pack) => ({
    version: MANIFEST_VERSION,
    ...put,
    pack,
    packs: plans.length,
    files: plan.parts.map(({ file, ...part }): FileEntry => {
      const facts = files[file] as PutFile
      const partSha256 = facts.partSha256[part.part]
      assert(partSha256, `part ${part.part} of a file was not hashed`)
      const { size, mtimeMs, mode, sha256, contentKey } = facts
      const path = pathBytes(facts.path)
      return { path, size, mtimeMs, mode, sha256, contentKey, ...part, partSha256 }
    }),
    tombstones: plan.tombstones.map(pathBytes),
  }))
}

function pathBytes(path: string): Uint8Array {
  const bytes = encodePath(path)
  assert(bytes.ok, 'paths were checked when the put was planned')
  return bytes.value
}
