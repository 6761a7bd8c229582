import { expect, test } from 'vitest'
import { formatByteSize, parseByteSize } from './byte-size.ts'
import { formatDuration, parseDuration } from './duration.ts'

test('sizes: binary and decimal units', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['10GiB', 10 * 2 ** 30],
    ['1.5 MiB', 1.5 * 2 ** 20],
    ['500MB', 500_000_000],
    ['2tib', 2 * 2 ** 40],
  ]
  for (const [text, size] of cases) expect(parseByteSize(text)).toMatchObject({ value: size })
  for (const text of [
    '',
    'x',
    '-1GiB',
    '1 GiBs',
    '10 Gi B',
    '1e9',
    '99999999PiB',
    '1GiB 5',
    '64k',
  ]) {
    expect(parseByteSize(text)).toMatchObject({ fault: { code: 'SIZE_MALFORMED' } })
  }
  expect(formatByteSize(10 * 2 ** 30)).toBe('10 GiB')
})

test('durations: always with a unit', () => {
  const hour = 3_600_000
  const cases: [string, number][] = [
    ['30d', 30 * 24 * hour],
    ['1h 30m', 1.5 * hour],
    ['12h', 12 * hour],
    ['250ms', 250],
    ['1.5 hours', 1.5 * hour],
  ]
  for (const [text, ms] of cases) expect(parseDuration(text)).toMatchObject({ value: ms })
  for (const text of ['', '5', '-3d', 'soon', '5 parsecs', '1d and 2h']) {
    expect(parseDuration(text)).toMatchObject({ fault: { code: 'DURATION_MALFORMED' } })
  }
  expect(formatDuration(26 * hour)).toBe('1d 2h')
})
