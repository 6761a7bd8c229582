import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { assert } from '@ioex/chain/bytes'
import { cellAssociatedData, cellNonce } from '../manifest/pack-keys.ts'
import { CELL_TAG_BYTES } from '../slicing/pack-geometry.ts'
import { SealBrokenError } from './seal-errors.ts'

const CIPHER = 'aes-256-gcm'

/** Where a cell stands; the tag binds it to that place. */
export interface CellPlace {
  readonly cellKey: KeyObject
  readonly contractSalt: Uint8Array
  /** Number of the data cell in the pack: its nonce, so no two cells of a pack share one. */
  readonly cellNumber: number
}

/** Writes ciphertext and tag into `cell`, which is 16 bytes longer than the plaintext. */
export function sealCellInto(cell: Uint8Array, plaintext: Uint8Array, place: CellPlace): void {
  assert(cell.length === plaintext.length + CELL_TAG_BYTES, 'a cell is its plaintext and a tag')
  const cipher = createCipheriv(CIPHER, place.cellKey, cellNonce(place.cellNumber))
  cipher.setAAD(cellAssociatedData(place.contractSalt, place.cellNumber))
  cell.set(cipher.update(plaintext))
  cipher.final()
  cell.set(cipher.getAuthTag(), plaintext.length)
}

/** Plaintext of a cell. Throws SealBrokenError if a bit of it, its key or its place is wrong. */
export function openCell(cell: Uint8Array, place: CellPlace): Uint8Array {
  if (cell.length < CELL_TAG_BYTES) throw new SealBrokenError('cell', place.cellNumber)
  const tagAt = cell.length - CELL_TAG_BYTES
  const decipher = createDecipheriv(CIPHER, place.cellKey, cellNonce(place.cellNumber))
  decipher.setAAD(cellAssociatedData(place.contractSalt, place.cellNumber))
  decipher.setAuthTag(cell.subarray(tagAt))
  const plaintext = decipher.update(cell.subarray(0, tagAt))
  try {
    decipher.final()
  } catch {
    throw new SealBrokenError('cell', place.cellNumber)
  }
  return plaintext
}
