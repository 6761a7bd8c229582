import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { MUTANTS } from './mutant-list.ts'

test.each(MUTANTS)('mutant "$name" fits the machine as it stands', async ({ file, from, to }) => {
  const text = await readFile(join(resolve(import.meta.dirname, '../..'), file), 'utf8')
  expect(text.split(from)).toHaveLength(2)
  expect(to).not.toBe(from)
})
