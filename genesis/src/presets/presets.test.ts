import { assertParams } from '@ioex/chain/params'
import { describe, expect, test } from 'vitest'
import { presets } from './presets.ts'

describe('presets', () => {
  test.each(Object.values(presets))('$network holds together', (params) => {
    assertParams(params)
    expect(params.proofWindowEpochs).toBeLessThan(params.beaconRingEpochs)
  })

  test.each([
    ['shares that leave nothing', { phi: 9_800, nu: 500 }, 'phi and nu leave nothing'],
    ['a subsidy as large as the burn', { rho: 10_000 }, 'shares are out of range'],
    ['net pay that can fall', { phi: 5_000, nu: 4_000 }, 'net pay can fall'],
    ['an epoch of one block', { epochBlocks: 1 }, 'at least two blocks'],
    ['prices that overflow weights', { priceMax: 1n << 48n }, 'prices must stay below'],
  ])('a network with %s never starts', (_, change, message) => {
    expect(() => assertParams({ ...presets.local, ...change })).toThrow(message)
  })
})
