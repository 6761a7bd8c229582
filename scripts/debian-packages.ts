import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * Programs that some tests and benchmarks drive and npm does not bring, each with the Debian
 * package that does. `npm test` installs what is missing where it may: as root, with apt-get.
 * Without their program those tests are skipped and say so.
 */
const PACKAGE_OF = { chromium: 'chromium' } as const

export type DebianProgram = keyof typeof PACKAGE_OF

/** Where a program is, or why its tests cannot run. */
export type FoundProgram =
  | { readonly path: string; readonly reason?: undefined }
  | { readonly path?: undefined; readonly reason: string }

export function findProgram(name: DebianProgram): FoundProgram {
  const path = pathOf(name)
  if (path !== undefined) return { path }
  const reason = `${name} is missing: apt-get install --no-install-recommends ${PACKAGE_OF[name]}`
  return { reason }
}

const UPDATE_MS_MAX = 60_000
const INSTALL_MS_MAX = 240_000
/** Gives up soon on a machine without a network, and waits for another apt-get only a while. */
const PATIENCE = ['Acquire::Retries=1', 'Acquire::http::Timeout=20', 'DPkg::Lock::Timeout=60']

/** Installs the packages of programs that are missing; gives what is still missing, and why. */
export function installMissingPrograms(): string[] {
  const names = Object.keys(PACKAGE_OF) as DebianProgram[]
  const missing = names.filter((name) => pathOf(name) === undefined)
  if (missing.length > 0 && process.getuid?.() === 0 && pathOf('apt-get') !== undefined) {
    const packages = missing.map((name) => PACKAGE_OF[name])
    console.log(`installing for the tests: ${packages.join(' ')}`)
    const install = ['install', '-y', '--no-install-recommends', ...packages]
    // Lists that were never fetched, or are old, name no package that is still there.
    const isStale = aptGet(install, INSTALL_MS_MAX) === 'failed'
    if (isStale && aptGet(['update'], UPDATE_MS_MAX) === 'done') aptGet(install, INSTALL_MS_MAX)
  }
  return names.flatMap((name) => findProgram(name).reason ?? [])
}

function aptGet(args: readonly string[], timeout: number): 'done' | 'failed' | 'late' {
  const options = PATIENCE.flatMap((each) => ['-o', each])
  const { status } = spawnSync('apt-get', ['-qq', ...options, ...args], {
    stdio: 'ignore',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout,
  })
  if (status === 0) return 'done'
  return status === null ? 'late' : 'failed'
}

function pathOf(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
