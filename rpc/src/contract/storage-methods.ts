import { z } from 'zod'
import { epochNumber, noParams, recordIndex } from './json-forms.ts'
import { defineMethod } from './method.ts'

const name = z.string().min(1).max(1024).describe('the name under which the file is kept')
const path = z.string().min(1).max(4096).describe('a path on the machine of the node')

/** Where a file's way to the peers (or back) stands. */
export const storedFile = z.looseObject({
  name: z.string(),
  bytes: z.int(),
  state: z.enum(['uploading', 'waiting', 'active', 'degraded', 'failed', 'ended']),
  /** Bytes of the file that have reached peers. */
  bytesDone: z.int(),
  k: z.int(),
  n: z.int(),
  contracts: z.array(recordIndex),
  liveSlots: z.int(),
  storedEpoch: epochNumber.nullable(),
  error: z.looseObject({ code: z.string(), message: z.string() }).nullable(),
})

export const storageMethods = {
  storage_put: defineMethod({
    summary: 'Starts a backup of a file of the node; storage_status tells how far it is',
    params: z.strictObject({
      path,
      name: name.optional(),
      dataShards: z.int().min(1).max(254).optional(),
      totalShards: z.int().min(2).max(255).optional(),
    }),
    result: storedFile,
    example: { path: '/home/ada/photos.tar', name: 'photos.tar' },
    token: true,
  }),
  storage_get: defineMethod({
    summary: 'Restores a file, or a range of its bytes, to a path on the node',
    params: z.strictObject({
      name,
      path,
      fromByte: z.int().min(0).optional(),
      toByte: z.int().min(0).optional().describe('inclusive'),
    }),
    result: z.looseObject({ name: z.string(), path: z.string(), bytes: z.int() }),
    example: { name: 'photos.tar', path: '/home/ada/restored.tar' },
    token: true,
    waits: true,
  }),
  storage_list: defineMethod({
    summary: "The node owner's files",
    params: noParams,
    result: z.looseObject({ files: z.array(storedFile) }),
    example: {},
    token: true,
  }),
  storage_status: defineMethod({
    summary: "One file's state and progress",
    params: z.strictObject({ name }),
    result: storedFile,
    example: { name: 'photos.tar' },
    token: true,
  }),
} as const
