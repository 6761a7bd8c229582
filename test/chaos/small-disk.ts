import { execFile } from 'node:child_process'
import { cp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const MEBIBYTE = 1024 * 1024
const FILLER = 'filler'

/**
 * A disk of its own, of a size in MiB, under the folder of a node that does not run; what was there
 * is there again. Works only inside namespaces of its own, whose mounts end with them.
 */
export class SmallDisk {
  readonly #filler: string

  private constructor(folder: string) {
    this.#filler = join(folder, FILLER)
  }

  static async under(folder: string, mebibytes: number): Promise<SmallDisk> {
    const aside = `${folder}.aside`
    await cp(folder, aside, { recursive: true })
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'none', folder])
    await cp(aside, folder, { recursive: true })
    await rm(aside, { recursive: true })
    return new SmallDisk(folder)
  }

  /** Takes every byte that is left. */
  async fill(): Promise<void> {
    const file = await open(this.#filler, 'a')
    try {
      // Smaller and smaller pieces, so that not one is left over.
      for (let bytes = MEBIBYTE; bytes >= 1; ) {
        const { bytesWritten } = await file
          .write(Buffer.alloc(bytes, 1))
          .catch(() => ({ bytesWritten: 0 }))
        if (bytesWritten < bytes) bytes = Math.floor(bytes / 2)
      }
    } finally {
      await file.close()
    }
  }

  async free(): Promise<void> {
    await rm(this.#filler, { force: true })
  }
}
