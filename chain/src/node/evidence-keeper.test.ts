import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { concatBytes } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { StakeWorld } from '../rules/testing/stake-world.ts'
import { codeOf } from '../rules/testing/world.ts'
import { EvidenceType } from '../types/transactions.ts'
import { EvidenceFile } from './evidence-file.ts'
import { EvidenceKeeper } from './evidence-keeper.ts'

beforeAll(() => installNativeCrypto())

test('evidence is kept once, offered until a block has it, then forgotten', () => {
  const world = new StakeWorld()
  const keeper = new EvidenceKeeper(world.draft)
  const { first, second } = world.doubleVote(3)
  const evidence = keeper.evidenceOf({ ...first, validator: 3 }, { ...second, validator: 3 })
  if (!evidence.ok) throw new Error(evidence.fault.message)
  expect(keeper.keep(evidence.value)).toBe(true)
  expect(keeper.keep(world.doubleVote(3, 1, 8))).toBe(false)
  expect(keeper.forBlockOn(world.draft)).toEqual([evidence.value])
  expect(codeOf(world.accuse(evidence.value))).toBe('ok')
  expect(keeper.forBlockOn(world.draft)).toEqual([])
  keeper.afterBlock()
  expect(keeper.keep(world.doubleVote(3))).toBe(false)
})

test('votes of a set that is not known accuse nobody', () => {
  const world = new StakeWorld()
  const keeper = new EvidenceKeeper(world.draft)
  const { first, second } = world.doubleVote(3, 7)
  const vote = (statement: typeof first) => ({ ...statement, validator: 3 })
  expect(codeOf(keeper.evidenceOf(vote(first), vote(second)))).toBe('EVIDENCE_VALIDATOR')
  const { first: a, second: b } = world.doubleVote(3)
  const stranger = keeper.evidenceOf({ ...a, validator: 9 }, { ...b, validator: 9 })
  expect(codeOf(stranger)).toBe('EVIDENCE_VALIDATOR')
})

describe('evidence on disk', () => {
  let path: string
  beforeEach(async () => {
    path = join(await mkdtemp(join(tmpdir(), 'ioex-evidence-')), 'evidence')
  })
  afterEach(() => rm(dirname(path), { recursive: true }))
  const opened = (world: StakeWorld) =>
    new EvidenceKeeper(world.draft, { shelf: new EvidenceFile(path) })

  test('is accused after a restart, and gone once a block has it', () => {
    const world = new StakeWorld()
    const evidence = world.doubleVote(3)
    expect(opened(world).keep(evidence)).toBe(true)
    const again = opened(world)
    expect(again.forBlockOn(world.draft)).toEqual([evidence])
    expect(codeOf(world.accuse(evidence))).toBe('ok')
    again.afterBlock()
    expect(new EvidenceFile(path).read(9)).toEqual([])
    expect(opened(world).waiting).toEqual([])
  })

  test('a block took it up while this node was away', () => {
    const world = new StakeWorld()
    const evidence = world.doubleVote(3)
    opened(world).keep(evidence)
    expect(codeOf(world.accuse(evidence))).toBe('ok')
    expect(opened(world).waiting).toEqual([])
  })

  test('whichever bit rots, it accuses nobody falsely and the next one stays', () => {
    const world = new StakeWorld()
    const pieces = [world.doubleVote(2), world.doubleVote(3)]
    const size = EvidenceType.minSize
    for (let bit = 0; bit < 8 * size; bit += 37) {
      const bytes = concatBytes(...pieces.map((piece) => EvidenceType.serialize(piece)))
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      writeFileSync(path, bytes)
      expect(opened(world).waiting, `bit ${bit}`).toEqual([pieces[1]])
    }
  })

  test('torn, overlong and repeated content is bounded', () => {
    const world = new StakeWorld()
    const bytes = EvidenceType.serialize(world.doubleVote(3))
    writeFileSync(path, concatBytes(...Array.from({ length: 500 }, () => bytes), bytes.slice(9)))
    expect(new EvidenceFile(path).read(200)).toHaveLength(200)
    expect(opened(world).waiting).toEqual([world.doubleVote(3)])
    expect(new EvidenceFile(path).read(9)).toHaveLength(1)
  })

  test('a ledger that begins anew judges it when it reaches the epoch', () => {
    const world = new StakeWorld()
    const early = new StakeWorld()
    for (let i = 0; i < 4; i++) world.nextEpoch()
    const evidence = world.doubleVote(3)
    expect(opened(world).keep(evidence)).toBe(true)
    const keeper = opened(early)
    expect(keeper.waiting).toEqual([])
    expect(new EvidenceFile(path).read(9)).toEqual([evidence])
    for (let i = 0; i < 4; i++) early.nextEpoch()
    keeper.afterBlock()
    expect(keeper.forBlockOn(early.draft)).toEqual([evidence])
  })

  test('a disk that refuses is told of, and the evidence is kept in memory', () => {
    const world = new StakeWorld()
    const problems: unknown[] = []
    const shelf = {
      read: () => [],
      replace: () => {
        throw new Error('no room')
      },
    }
    const keeper = new EvidenceKeeper(world.draft, { shelf, onProblem: (e) => problems.push(e) })
    expect(keeper.keep(world.doubleVote(3))).toBe(true)
    expect(keeper.waiting).toHaveLength(1)
    expect(problems).toHaveLength(1)
  })
})
