import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { jsonText } from './json-text.ts'
import { createOutput } from './output.ts'
import { factsText, tableText } from './table.ts'

const columns = [{ head: 'name' }, { head: 'IOEX', align: 'right' }] as const
const rows = [
  ['a', '1.5'],
  ['照片', '12'],
]

test('off a terminal a table is plain lines', () => {
  const lines = tableText(columns, rows, false).split('\n')
  expect(lines).toEqual(['name  IOEX', 'a      1.5', '照片    12'])
})

test('facts stand in two columns', () => {
  expect(
    factsText([
      ['a', '1'],
      ['long', '2'],
    ]),
  ).toBe('a     1\nlong  2')
})

test('amounts in JSON are strings of digits', () => {
  expect(jsonText({ amount: 2n ** 64n })).toBe('{"amount":"18446744073709551616"}')
})

test('with --json only the result is printed; off a terminal no bars', () => {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const json = createOutput({ stdout, stderr }, true)
  json.note('a remark')
  const bar = json.progress('work', 10, 'bytes')
  bar.update(5)
  bar.stop()
  json.result({ n: 1n }, () => 'one')
  expect(stdout.read()?.toString()).toBe('{"n":"1"}\n')
  const text = createOutput({ stdout, stderr }, false)
  text.progress('work', 10).stop()
  text.result({}, () => 'one')
  expect(stdout.read()?.toString()).toBe('one\n')
  expect(stderr.read()).toBeNull()
})
