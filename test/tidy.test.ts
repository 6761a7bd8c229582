import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

/**
 * The house rules, executed: who may import whom, what is declared, what is forbidden.
 * A room that is not in the table may import nothing.
 */
const PURE = ['bytes', 'types', 'params', 'elastos', 'state', 'rules', 'consensus', 'light'].map(
  (room) => `chain/${room}`,
)
const CHAIN_NATIVE = 'chain/native'

const MAY_IMPORT: Record<string, readonly string[]> = {
  'chain/bytes': [],
  'chain/types': ['chain/bytes'],
  'chain/params': ['chain/bytes', 'chain/types'],
  'chain/elastos': ['chain/bytes'],
  'chain/state': ['chain/bytes', 'chain/types', 'chain/params'],
  'chain/rules': ['chain/bytes', 'chain/types', 'chain/params', 'chain/elastos', 'chain/state'],
  'chain/consensus': ['chain/bytes', 'chain/types', 'chain/params'],
  // What a thin client verifies with; no full node needs it but to make the proofs.
  'chain/light': ['bytes', 'types', 'params', 'state', 'rules', 'consensus'].map(
    (room) => `chain/${room}`,
  ),
  // The line: above it no clock, no randomness, no disk, no socket, no promise.
  'chain/native': ['chain/bytes'],
  'chain/driver': ['chain/bytes', 'chain/types', 'chain/params', 'chain/consensus'],
  'chain/pool': PURE,
  'chain/manager': [...PURE, 'chain/pool', 'chain/driver'],
  'chain/sync': [...PURE, 'chain/driver', 'chain/manager'],
  'chain/store': [...PURE, 'chain/manager', 'chain/sync'],
  'chain/net': [...PURE, 'chain/sync'],
  'chain/follower': PURE,
  'chain/anchor': [...PURE, 'chain/follower'],
  'chain/main-chain': [...PURE, 'chain/follower'],
  'chain/arbiter': [...PURE, 'chain/follower', 'chain/anchor', 'chain/main-chain'],
  // An auditor shares the rules with the node it audits and nothing else.
  'chain/audit': PURE,
  'chain/node': [
    ...PURE,
    ...['native', 'driver', 'pool', 'manager', 'sync', 'store', 'net', 'follower', 'anchor'].map(
      (room) => `chain/${room}`,
    ),
  ],
  'genesis/presets': PURE,
  'genesis/builder': [...PURE, 'genesis/presets'],
  'storage-node/slicing': PURE,
  'storage-node/erasure': PURE,
  'storage-node/manifest': [...PURE, 'storage-node/slicing'],
  'storage-node/sealing': [
    ...PURE,
    'storage-node/slicing',
    'storage-node/erasure',
    'storage-node/manifest',
  ],
  'storage-node/proofs': PURE,
  'storage-node/blobs': [...PURE, 'storage-node/proofs', 'storage-node/slicing'],
  'rpc/contract': ['chain/bytes', 'chain/types', 'chain/params'],
  'rpc/server': ['rpc/contract', ...PURE],
  'rpc/client': ['rpc/contract', ...PURE],
}

/** The shell rooms of the storage node lean on each other; the ring is closed at its door. */
const STORAGE_SHELL = ['transfer', 'relay', 'scheduler', 'node', 'repair'].map(
  (room) => `storage-node/${room}`,
)
for (const room of STORAGE_SHELL) {
  MAY_IMPORT[room] = [
    ...PURE,
    CHAIN_NATIVE,
    ...Object.keys(MAY_IMPORT).filter((name) => name.startsWith('storage-node/')),
    ...STORAGE_SHELL,
  ]
}

/** Places where whole nodes are put together: they import anything, nobody imports them. */
const TOPS = ['cli', 'test', 'bench', 'scripts']

const root = resolve(import.meta.dirname, '..')
const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => existsSync(join(root, file)))
const sources = tracked.filter((file) => file.endsWith('.ts'))
const isTest = (file: string) => file.endsWith('.test.ts') || file.includes('/testing/')

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const pattern =
    /^\s*(?:import|export)\b[^'"`;]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm
  return [...text.matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3]) as string)
}

/** `chain/rules` for chain/src/rules/x.ts, `cli` for anything of a top. */
function roomOf(file: string): string {
  const [workspace, src, room] = file.split('/')
  if (TOPS.includes(workspace as string) || src !== 'src') return workspace as string
  return `${workspace}/${room}`
}

function targetRoom(file: string, specifier: string): string | undefined {
  const face = /^@ioex\/([^/]+)\/(.+)$/.exec(specifier)
  if (face) return `${face[1]}/${face[2]}`
  if (!specifier.startsWith('.')) return undefined
  return roomOf(relative(root, resolve(root, dirname(file), specifier)))
}

describe('house rules', () => {
  test('rooms import only what the table allows', () => {
    const wrong: string[] = []
    for (const file of sources) {
      const room = roomOf(file)
      if (TOPS.includes(room) || isTest(file)) continue
      for (const specifier of importsOf(file)) {
        const target = targetRoom(file, specifier)
        if (target === undefined || target === room) continue
        if (!MAY_IMPORT[room]?.includes(target)) wrong.push(`${file}: ${room} -> ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('inside a workspace nobody imports through a face', () => {
    const wrong = sources.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith('.') && specifier.endsWith('/index.ts'))
        .map((specifier) => `${file}: ${specifier}`),
    )
    expect(wrong).toEqual([])
  })

  test('faces hold no code', () => {
    const wrong = sources
      .filter((file) => /\/src\/[^/]+\/index\.ts$/.test(file))
      .filter((file) =>
        readFileSync(join(root, file), 'utf8')
          .split('\n')
          .some((line) => line !== '' && !/^export (type )?(\*|\{.*\}) from '.*'$/.test(line)),
      )
    expect(wrong).toEqual([])
  })

  test('every bare import is declared by its workspace', () => {
    const wrong: string[] = []
    for (const file of sources) {
      const workspace = file.split('/')[0] as string
      const manifest = join(root, workspace, 'package.json')
      const declared = declaredBy(existsSync(manifest) ? [manifest] : [], isTest(file))
      for (const specifier of importsOf(file)) {
        if (specifier.startsWith('.') || specifier.startsWith('node:')) continue
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/')
        if (!declared.has(name)) wrong.push(`${file}: ${name}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('no import cycles between rooms below the line', () => {
    const seen = new Set<string>()
    const visit = (room: string, path: readonly string[]): void => {
      expect(path, `cycle: ${[...path, room].join(' -> ')}`).not.toContain(room)
      if (seen.has(room)) return
      for (const next of MAY_IMPORT[room] ?? []) visit(next, [...path, room])
      seen.add(room)
    }
    for (const room of Object.keys(MAY_IMPORT)) {
      if (!STORAGE_SHELL.includes(room)) visit(room, [])
    }
  })

  test('lines have at most 100 columns and no test runs alone', () => {
    const wrong: string[] = []
    for (const file of sources) {
      const lines = readFileSync(join(root, file), 'utf8').split('\n')
      lines.forEach((line, index) => {
        if (line.length > 100 && !/['"`]/.test(line)) wrong.push(`${file}:${index + 1} too long`)
        if (/\b(test|it|describe)\.only\(/.test(line) && !file.endsWith('tidy.test.ts')) {
          wrong.push(`${file}:${index + 1} runs alone`)
        }
      })
    }
    expect(wrong).toEqual([])
  })

  test('links between documents are alive', () => {
    const dead: string[] = []
    for (const file of tracked.filter((name) => name.endsWith('.md'))) {
      const text = readFileSync(join(root, file), 'utf8')
      for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target as string)) continue
        const path = resolve(root, dirname(file), target as string)
        if (!existsSync(path)) dead.push(`${file}: ${target}`)
      }
    }
    expect(dead).toEqual([])
  })
})

/** Names a workspace may import: its own and, for tests and tops, the root's and all of ours. */
function declaredBy(manifests: readonly string[], test: boolean): Set<string> {
  const names = new Set<string>()
  const all = manifests.length === 0
  const files = all
    ? ['', 'chain', 'storage-node', 'rpc', 'genesis', 'cli'].map((w) =>
        join(root, w, 'package.json'),
      )
    : [...manifests, ...(test ? [join(root, 'package.json')] : [])]
  for (const file of files) {
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object | undefined>
    for (const key of ['dependencies', 'optionalDependencies', 'devDependencies']) {
      for (const name of Object.keys(manifest[key] ?? {})) names.add(name)
    }
  }
  for (const w of ['chain', 'storage-node', 'rpc', 'genesis', 'cli']) {
    if (all || test) names.add(`@ioex/${w}`)
  }
  return names
}
