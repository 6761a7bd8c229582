import { presets } from '@ioex/genesis/presets'
import { fc, test as law } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { paramsAt, withForks } from './forks.ts'
import type { ParamsFork } from './network-params.ts'
import { encodeParams } from './params-codec.ts'

const base = presets.ci
const forks: readonly ParamsFork[] = [
  { epoch: 5, protocolVersion: 2, changes: { phi: 1200, baseFeePerByte: 3n } },
  { epoch: 9, protocolVersion: 4, changes: { phi: 900 } },
]
const versionOf = (epoch: number) => (epoch < 5 ? 1 : epoch < 9 ? 2 : 4)

describe('forks', () => {
  const scheduled = withForks(base, forks)

  test('each epoch has the base and every fork up to it', () => {
    const seen = [0, 4, 5, 8, 9, 1000].map((epoch) => {
      const { protocolVersion, phi, baseFeePerByte, nu } = paramsAt(scheduled, epoch)
      return [protocolVersion, phi, baseFeePerByte, nu]
    })
    const { phi, nu, baseFeePerByte } = base
    expect(seen).toEqual([
      [1, phi, baseFeePerByte, nu],
      [1, phi, baseFeePerByte, nu],
      [2, 1200, 3n, nu],
      [2, 1200, 3n, nu],
      [4, 900, 3n, nu],
      [4, 900, 3n, nu],
    ])
  })

  law.prop([fc.nat(20), fc.nat(20)])(
    'asked of any epoch’s parameters, the answer is the same object',
    (from, to) => {
      expect(paramsAt(paramsAt(scheduled, from), to)).toBe(paramsAt(scheduled, to))
      expect(paramsAt(scheduled, to).protocolVersion).toBe(versionOf(to))
    },
  )

  test('without forks nothing changes, and genesis does not commit to them', () => {
    expect(withForks(base, [])).toBe(base)
    expect(paramsAt(base, 7)).toBe(base)
    expect(encodeParams(scheduled)).toEqual(encodeParams(base))
  })

  test.each([
    ['out of order', [forks[1], forks[0]], 'in order'],
    ['two at one epoch', [forks[0], { ...forks[1], epoch: 5 }], 'in order'],
    ['a version that does not rise', [{ ...forks[0], protocolVersion: 1 }], 'raises'],
    ['a frozen parameter', [{ ...forks[0], changes: { epochBlocks: 3 } }], 'can change'],
    ['an unknown parameter', [{ ...forks[0], changes: { moon: 3 } }], 'no parameter'],
    ['shares that leave nothing', [{ ...forks[0], changes: { phi: 9_900 } }], 'leave nothing'],
  ])('%s: refused at start', (_, wrong, message) => {
    expect(() => withForks(base, wrong as ParamsFork[])).toThrow(message)
  })
})
