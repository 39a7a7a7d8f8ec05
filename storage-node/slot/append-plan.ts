import { MayflyError } from '../../protocol/errors.ts'
import { APPEND_BYTES_MAX } from '../limits.ts'
import { capacityOf } from '../memory/payload.ts'
import { Kind } from '../memory/record.ts'
import { BLOCK_BYTES } from '../memory/slab.ts'
import type { StoredObject } from './stored-object.ts'

/** Bounds of one run that an append allocates. */
const PART_BYTES_MIN = 4 * 1024
const PART_BYTES_MAX = 256 * 1024

/** What an append changes in the runs of its object. */
export interface AppendPlan {
  readonly bytes: number
  /** Bytes of the added run; 0 if the last run has room. */
  readonly addedBytes: number
  /** Bytes of all runs afterwards. */
  readonly capacityBytes: number
}

/** Plans an append. An object put in one piece moves to a run. Throws `OBJECT_TOO_LARGE` or `BAD_REQUEST`. */
export function planAppend(before: StoredObject | undefined, appendedBytes: number): AppendPlan {
  if (before?.kind === Kind.manifest) {
    throw new MayflyError(
      'BAD_REQUEST',
      'key: its object was put in chunks, and append adds only to objects in one piece',
    )
  }
  const bytes = (before?.bytes ?? 0) + appendedBytes
  if (bytes > APPEND_BYTES_MAX) {
    throw new MayflyError('OBJECT_TOO_LARGE', `An object grows by append up to ${APPEND_BYTES_MAX} bytes`)
  }
  const grows = before?.kind === Kind.appended
  const heldBytes = grows ? capacityOf(before.parts) : 0
  const missing = bytes - heldBytes
  const addedBytes = missing <= 0 ? 0 : partBytes(missing, grows ? before.bytes : 0)
  return { bytes, addedBytes, capacityBytes: heldBytes + addedBytes }
}

/** As large as the existing runs together, so that an object of any length has few runs. */
export function partBytes(missing: number, presentBytes: number): number {
  const bytes = Math.max(missing, Math.min(PART_BYTES_MAX, Math.max(PART_BYTES_MIN, presentBytes)))
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}
